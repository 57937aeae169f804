"""What of a client's headers goes on to the exchange."""

import re
from collections.abc import Iterable

from kalshi_gateway.kalshi.calls import Headers

#: RFC 9110, 7.6.1: what belongs to one connection; and what ours makes itself.
HOP_BY_HOP = frozenset(
    {
        b"accept-encoding",
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
#: What would hold for the body as it came; it may be told where an order is.
OF_THE_BODY = frozenset({b"content-digest", b"content-md5", b"digest", b"repr-digest"})
#: By these the exchange may know a client again, and they tell nothing of who that is.
HARMLESS = frozenset({b"idempotency-key", b"user-agent", b"x-idempotency-key"})

#: What names have in them that tell who asks, from where, and by what they prove it.
TELLING = re.compile(
    rb"auth|client|cookie|credential|forward|identi|jwt|login|mail|passw|principal|secret|session"
    rb"|sign|token|user"
)
#: The same as whole words; and those by which some would take a write for another one than it is.
TELLING_WORDS = frozenset(
    b"account accounts addr address assertion baggage cert claim claims csrf customer device dn"
    b" from geo group groups iap impersonate ip key member oidc org origin owner peer person"
    b" referer referrer remote role roles saml sid ssl sso subject tenant tls uid via viewer xsrf"
    b" accel host method original override path port prefix proto protocol query rewrite scheme"
    b" sendfile uri url".split()
)
#: What browsers and the networks in front of a service add, whatever it is.
ADDED_PREFIXES = (
    b"akamai-",
    b"cf-",
    b"cloudfront-",
    b"fastly-",
    b"fly-",
    b"kalshi-",
    b"proxy-",
    b"sec-",
    b"tailscale-",
    b"x-akamai-",
    b"x-amz",
    b"x-appengine-",
    b"x-arr-",
    b"x-azure-",
    b"x-cloud-",
    b"x-cluster-",
    b"x-envoy-",
    b"x-goog-",
    b"x-ms-",
    b"x-nf-",
    b"x-pomerium-",
    b"x-real-",
    b"x-vercel-",
)
#: A name that nobody on the way reads as another, as some do with underscores.
PLAIN = re.compile(rb"[a-z0-9]+(?:-[a-z0-9]+)*")
#: Longer ones no client has reason to send.
LONGEST_LANGUAGES = 200

#: What a query is made of on its way; the rest no client sends as it stands.
SEEN = re.compile(rb"[\x21-\x7e]*")

Lines = Iterable[tuple[bytes, bytes]]


def can_be_sent(query: bytes) -> bool:
    """Whether a query can be part of a request line as it stands."""
    return SEEN.fullmatch(query) is not None and b"#" not in query


def end_to_end(headers: Lines) -> Headers:
    """What goes on with a write: all but what belongs to the connection, or tells who asks."""
    lines = list(headers)
    named = b",".join(value for name, value in lines if name == b"connection")
    dropped = {name.strip().lower() for name in named.split(b",")} | HOP_BY_HOP | OF_THE_BODY
    return tuple(
        (name, value)
        for name, value in lines
        if name not in dropped and value.isascii() and (name in HARMLESS or _goes_on(name))
    )


def _goes_on(name: bytes) -> bool:
    return (
        PLAIN.fullmatch(name) is not None
        and TELLING.search(name) is None
        and TELLING_WORDS.isdisjoint(name.split(b"-"))
        and not name.startswith(ADDED_PREFIXES)
    )


def of_answers(headers: Lines) -> Headers:
    """What goes on with a read, and tells answers apart: in which language texts are wanted."""
    wanted = b", ".join(value for name, value in headers if name == b"accept-language")
    if not wanted or len(wanted) > LONGEST_LANGUAGES or not wanted.isascii():
        return ()
    return ((b"accept-language", wanted),)
