"""The one way out to the exchange: an httpx client that keeps few connections and no cookies."""

from http.cookiejar import DefaultCookiePolicy

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream
from yarl import URL

#: What may be sent again where a kept connection turns out to be broken.
REPEATABLE = frozenset({"GET", "HEAD"})
#: For reads, and as many for writes.
CONNECTIONS = 32
KEPT_FOR_S = 60.0
#: A write over a connection that is closed at that moment may have been done: these are given up
#: long before a load balancer does it, which is after a minute at the earliest.
WRITES_KEPT_FOR_S = 15.0
#: A write that has no connection by then never left. It has more time than that, so this is known.
WRITES_CONNECT_WITHIN_S = 4.0
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
    """aiohttp under httpx: a fifth of the processor time of httpx's own with 32 in flight.

    Path and query are sent as they stand: an escape written otherwise would mean the same, but the
    path would not be the one that was signed. What is no read leaves once, and over connections
    of its own: no order, and no cancel, waits until reads have been answered.
    """

    def __init__(self) -> None:
        # The environment is trusted for one thing, a private certificate authority.
        super().__init__(trust_env=True)
        self._reads: aiohttp.ClientSession | None = None
        self._writes: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it; what goes wrong has a name of httpx's."""
        repeatable = request.method in REPEATABLE
        timeout = request.extensions.get("timeout", {})
        try:
            answer = await self._session(repeatable=repeatable).request(
                request.method,
                _address(request),
                headers=request.headers.multi_items(),
                data=request.content or None,
                # What we do not say is not said for us.
                skip_auto_headers=("Content-Type", "User-Agent"),
                allow_redirects=False,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(
                    connect=timeout.get("pool") if repeatable else WRITES_CONNECT_WITHIN_S,
                    sock_connect=timeout.get("connect"),
                    sock_read=timeout.get("read"),
                ),
                middlewares=() if repeatable else (_once,),
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise httpx.ConnectTimeout(str(error), request=request) from error
        except aiohttp.ClientConnectorError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        except aiohttp.ServerTimeoutError as error:
            raise httpx.ReadTimeout(str(error), request=request) from error
        except aiohttp.ClientError as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from error
        return httpx.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=AiohttpResponseStream(answer),
            request=request,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        for session in (self._reads, self._writes):
            if session is not None:
                await session.close()

    def _session(self, *, repeatable: bool) -> aiohttp.ClientSession:
        if repeatable:
            self._reads = self._reads or self._opened(KEPT_FOR_S)
            return self._reads
        self._writes = self._writes or self._opened(WRITES_KEPT_FOR_S)
        return self._writes

    def _opened(self, kept_for_s: float) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS, keepalive_timeout=kept_for_s, ssl=self.ssl_context
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
        )


async def _once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending DELETE and PUT again where a kept connection breaks."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # nothing was sent
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise httpx.RemoteProtocolError(str(error)) from error


def _address(request: httpx.Request) -> URL:
    """Where it goes, every letter as it was given."""
    url = request.url
    target: bytes = request.extensions.get("target", url.raw_path)
    origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
    return URL(origin + target.decode("ascii"), encoded=True)
