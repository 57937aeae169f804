"""The way out, over real sockets: what is signed is what is sent, and breakage has a name."""

import asyncio
import base64
from collections.abc import AsyncIterator

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from kalshi_gateway.kalshi import transport
from kalshi_gateway.kalshi.budget import Bucket, Lane
from kalshi_gateway.kalshi.calls import Operation
from kalshi_gateway.kalshi.client import Kalshi, http_client
from kalshi_gateway.kalshi.errors import NotSent, Unavailable
from kalshi_gateway.kalshi.retries import Retries
from kalshi_gateway.kalshi.signing import ApiKey, Signer
from kalshi_gateway.kalshi.transport import CONNECTIONS

MARKET = b'{"market":{"ticker":"T","event_ticker":"E"}}'
KEY = ed25519.Ed25519PrivateKey.generate()
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


def http_answer(body: bytes = MARKET, *headers: str, length: int | None = None) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


class Server:
    """Says the same to everybody, and remembers what it was sent."""

    def __init__(self) -> None:
        self.answer = http_answer()
        self.heads: list[list[str]] = []
        self.connections = 0
        self.hangs_up = False
        self.silent = False
        #: Requests with this method are taken and never answered; so many are waiting.
        self.keeps_waiting = ""
        self.waiting = asyncio.Semaphore(0)
        self.port = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/trade-api/v2"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head.decode().strip().split("\r\n"))
                if self.silent:
                    break
                if self.keeps_waiting and head.startswith(self.keeps_waiting.encode()):
                    self.waiting.release()
                    await reader.read()  # until the other side hangs up
                    break
                writer.write(self.answer)
                await writer.drain()
                if self.hangs_up:
                    break
        except (asyncio.IncompleteReadError, ConnectionResetError):
            pass  # the other side has hung up
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(server.base) as http:
        yield http


@pytest.fixture
def kalshi(server: Server, http: httpx.AsyncClient) -> Kalshi:
    signer = Signer(ApiKey.from_pem("key-id", PEM), server.base)
    return Kalshi(server.base, http, signer=signer, retries=Retries(attempts=1))


@pytest.mark.parametrize("ticker", ["T", "KXBTCD-26OCT06-T114999.99", "A.B_C-d", "..A"])
async def test_what_is_signed_is_what_is_sent(kalshi: Kalshi, server: Server, ticker: str) -> None:
    """The path on the wire, without its query, is the one the signature is about."""
    await kalshi.market(ticker)

    request_line, *lines = server.heads[0]
    method, target, _ = request_line.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    signature = base64.b64decode(headers["kalshi-access-signature"])
    path = target.partition("?")[0]
    assert path == f"/trade-api/v2/markets/{ticker}"
    message = f"{headers['kalshi-access-timestamp']}{method}{path}".encode()
    KEY.public_key().verify(signature, message)


async def test_connections_are_kept(kalshi: Kalshi, server: Server) -> None:
    """One call after the other goes over one connection."""
    for _ in range(5):
        await kalshi.market("T")

    assert len(server.heads) == 5
    assert server.connections == 1


@pytest.mark.parametrize("method", ["DELETE", "PUT", "POST"])
async def test_a_write_leaves_once(kalshi: Kalshi, server: Server, method: str) -> None:
    """A kept connection that breaks under a write takes it along; nothing sends it again."""
    operation = Operation("/portfolio/events/orders", Bucket.WRITE, method=method)
    await kalshi.once(operation, operation.path, cost=10)
    server.silent = True

    with pytest.raises(Unavailable) as failure:
        await kalshi.once(operation, operation.path, cost=10)

    assert not isinstance(failure.value, NotSent)
    assert [head[0].split(" ")[0] for head in server.heads] == [method, method]
    assert server.connections == 1


async def test_a_write_that_nobody_hears(http: httpx.AsyncClient) -> None:
    """Where no connection comes about, nothing was sent, and that is known."""
    nobody = Kalshi("http://127.0.0.1:1/trade-api/v2", http)

    with pytest.raises(NotSent):
        await nobody.once(Operation("/x", Bucket.WRITE, method="POST"), "/x", cost=10)


async def test_a_cancel_passes_all_reads(
    kalshi: Kalshi, http: httpx.AsyncClient, server: Server
) -> None:
    """While reads wait on every connection they may have, a cancel goes over one of its own."""
    server.keeps_waiting = "GET"
    reads = [asyncio.create_task(http.get(f"/markets/{n}")) for n in range(CONNECTIONS + 8)]
    for _ in range(CONNECTIONS):
        await server.waiting.acquire()

    operation = Operation("/portfolio/events/orders/x", Bucket.WRITE, method="DELETE")
    reply = await kalshi.once(operation, operation.path, cost=2, lane=Lane.CANCEL)

    assert reply.status == 200
    assert not any(read.done() for read in reads)
    for read in reads:
        read.cancel()
    await asyncio.gather(*reads, return_exceptions=True)


async def test_a_write_without_a_connection_has_not_left(
    kalshi: Kalshi, http: httpx.AsyncClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where others' writes hold all connections, it is known that nothing was sent."""
    monkeypatch.setattr(transport, "CONNECTIONS", 1)
    monkeypatch.setattr(transport, "WRITES_CONNECT_WITHIN_S", 0.01)
    server.keeps_waiting = "POST"
    first = asyncio.create_task(http.post("/x"))
    await server.waiting.acquire()

    with pytest.raises(NotSent):
        await kalshi.once(Operation("/x", Bucket.WRITE, method="POST"), "/x", cost=10)

    assert len(server.heads) == 1
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_a_body_has_the_type_it_was_given(kalshi: Kalshi, server: Server) -> None:
    """No header is made up for a write that comes without it."""
    operation = Operation("/x", Bucket.WRITE, method="POST")

    await kalshi.once(operation, "/x", cost=10, body=b"{}")
    await kalshi.once(operation, "/x", cost=10, headers=((b"content-type", b"a/b"),), body=b"{}")

    said = [
        [line for line in head if line.lower().startswith("content-type")] for head in server.heads
    ]
    assert said == [[], ["content-type: a/b"]]


async def test_no_cookie_is_kept(kalshi: Kalshi, server: Server) -> None:
    """What an answer to one account leaves behind is not sent with the next call."""
    server.answer = http_answer(MARKET, "Set-Cookie: sessionId=abc; Path=/")

    await kalshi.market("T")
    await kalshi.market("T")

    assert not [line for head in server.heads for line in head if line.lower().startswith("cookie")]


async def test_proxies_of_the_environment_are_not_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signed request goes where we send it, whatever HTTP_PROXY says."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async with http_client(server.base) as http:
        answer = await Kalshi(server.base, http).market("T")

    assert answer.value.ticker == "T"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 abc\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        http_answer(MARKET, length=len(MARKET) + 10),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        http_answer(MARKET, "Content-Encoding: gzip"),
    ],
)
async def test_broken_answers_are_unavailable(kalshi: Kalshi, server: Server, said: bytes) -> None:
    """Whatever a socket says that is no HTTP answer has our name, not a library's."""
    server.answer = said
    server.hangs_up = True

    with pytest.raises(Unavailable):
        await kalshi.market("T")


async def test_nobody_listening_is_unavailable(server: Server, http: httpx.AsyncClient) -> None:
    """A refused connection has our name too."""
    nobody = "http://127.0.0.1:1/trade-api/v2"

    with pytest.raises(Unavailable):
        await Kalshi(nobody, http, retries=Retries(attempts=1)).market("T")

    assert server.connections == 0


async def test_another_transport_takes_its_place(server: Server) -> None:
    """An application or a table of answers can stand in for the network."""
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return httpx.Response(200, content=MARKET)

    async with http_client(server.base, transport=httpx.MockTransport(answer)) as http:
        await Kalshi(server.base, http).market("T")

    assert seen == ["/trade-api/v2/markets/T"]
    assert server.connections == 0
