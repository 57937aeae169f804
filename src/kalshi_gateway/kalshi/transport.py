"""The one way out to the exchange: an httpx client that keeps few connections and no cookies."""

from http.cookiejar import DefaultCookiePolicy

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

CONNECTIONS = 32
KEPT_FOR_S = 60.0
TIMEOUT = httpx.Timeout(connect=3.0, read=8.0, write=5.0, pool=10.0)
HEADERS = {
    "User-Agent": "kalshi-gateway",
    "Accept": "application/json",
    # The exchange translates market texts for those who ask otherwise.
    "Accept-Language": "en",
}


def http_client(
    base_url: str, *, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    """A client for the exchange; `transport` puts another one, or an application, in its place.

    Proxies and credentials of the environment are not used and redirects not followed: a signed
    request goes where we send it.
    """
    client = httpx.AsyncClient(
        base_url=base_url,
        transport=transport or Transport(),
        headers=HEADERS,
        timeout=TIMEOUT,
        follow_redirects=False,
        trust_env=False,
    )
    # One client speaks for many accounts: what a cookie says of one is not for the next.
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


class Transport(AiohttpTransport):
    """aiohttp under httpx: a fifth of the processor time of httpx's own with 32 in flight."""

    def __init__(self) -> None:
        # The environment is trusted for one thing, a private certificate authority.
        super().__init__(client=self._session, trust_env=True)

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS, keepalive_timeout=KEPT_FOR_S, ssl=self.ssl_context
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it; what httpx has no name for becomes a protocol error."""
        try:
            return await super().handle_async_request(request)
        except aiohttp.ClientError as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from error
