"""What of a client's headers goes on to the exchange with a write."""

import pytest

from kalshi_gateway.doors.headers import end_to_end

GOES_ON = """
Accept Accept-Language Cache-Control Content-Encoding Content-Language Content-Type Date
Idempotency-Key If-Match If-None-Match Pragma Prefer Priority Range Traceparent Tracestate
User-Agent X-B3-TraceId X-Correlation-ID X-Custom X-Idempotency-Key X-Request-ID X-Requested-With
X-Sdk-Version
"""
TELLS_WHO_ASKS = """
Authorization Baggage CF-Access-Client-Id CF-Connecting-IP Client-IP CloudFront-Viewer-Address
Cookie Cookie2 Fastly-Client-IP Fly-Client-IP Forwarded From Impersonate-User KALSHI-ACCESS-KEY
KALSHI-ACCESS-SIGNATURE KALSHI-ACCESS-TIMESTAMP Origin Proxy-Authorization Referer Remote-Email
Remote-Groups Remote-Name Remote-User Sec-Fetch-Site Signature Signature-Input Ssl-Client-Cert
Tailscale-User-Login Tailscale-User-Name True-Client-IP Via X-Access-Token X-Amzn-Oidc-Data
X-Amzn-Trace-Id X-Api-Key X-AppEngine-User-IP X-ARR-ClientCert X-Auth-Request-Email
X-Auth-Request-User X-Auth-Token X-Authentik-Username X-Azure-ClientIP X-Client-Cert
X-Cluster-Client-IP X-CSRF-Token X-Email X-Envoy-External-Address X-Forwarded-Access-Token
X-Forwarded-Client-Cert X-Forwarded-For X-Forwarded-User X-Goog-Authenticated-User-Email
X-Goog-IAP-JWT-Assertion X-Kubernetes-User X-MS-CLIENT-PRINCIPAL X-MS-Token-AAD-Id-Token
X-Oidc-Sub X-Original-Forwarded-For X-Pomerium-Claim-Email X-Pomerium-Jwt-Assertion X-ProxyUser-Ip
X-Real-IP X-Remote-Addr X-Remote-User X-Session-Id X-SSL-Client-DN X-SSO-User X-Tenant-Id
X-User-ID X-Vouch-User X-WebAuth-User X-XSRF-Token
"""
NAMES_ANOTHER_WRITE = """
X-Accel-Redirect X-Forwarded-Host X-Forwarded-Prefix X-Host X-HTTP-Host-Override X-HTTP-Method
X-HTTP-Method-Override X-Method-Override X-Original-Method X-Original-URI X-Original-URL
X-Rewrite-URL
"""
OF_THE_CONNECTION = """
Accept-Encoding Connection Content-Length Expect Host Keep-Alive Proxy-Connection TE Trailer
Transfer-Encoding Upgrade
"""
OF_THE_BODY = "Content-Digest Content-MD5 Digest Repr-Digest"
NOT_PLAIN = "X_Custom Remote_User X.Custom -Custom Custom- X--Custom X'Custom"

DROPPED = [TELLS_WHO_ASKS, NAMES_ANOTHER_WRITE, OF_THE_CONNECTION, OF_THE_BODY, NOT_PLAIN]


@pytest.mark.parametrize("name", GOES_ON.split())
def test_what_goes_on(name: str) -> None:
    """Whatever is from end to end goes on as it came, however often it is there."""
    line = (name.lower().encode(), b"a value; of=its kind")

    assert end_to_end([line, line]) == (line, line)


@pytest.mark.parametrize("name", " ".join(DROPPED).split())
def test_what_does_not(name: str) -> None:
    """What tells who asks, names another write or is of the connection stays here."""
    assert end_to_end([(name.lower().encode(), b"x")]) == ()


def test_what_the_connection_names() -> None:
    """So does what a client says is of its connection, and what is not ASCII."""
    lines = [(b"connection", b"close, X-Hop"), (b"x-hop", b"1"), (b"x-text", b"\xe9")]

    assert end_to_end(lines) == ()
