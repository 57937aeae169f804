"""HTTP before it becomes a request."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from kalshi_gateway.app import create_app
from kalshi_gateway.errors import GatewayError
from kalshi_gateway.protocol import HEAD_BYTES, CarefulProtocol
from kalshi_gateway.settings import Settings
from tests.serving import served

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
HUGE = b"x" * 10_000_000
HOST = b" HTTP/1.1\r\nHost: localhost\r\n"
ALIVE = b"GET /healthz" + HOST + b"\r\n"


class HastyProtocol(CarefulProtocol):
    head_seconds = 0.02


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings, database_url=NOWHERE)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz?q=" + HUGE + HOST + b"\r\n",
        b"GET /" + HUGE + HOST + b"\r\n",
        b"GET /healthz" + HOST + b"X-A: " + HUGE + b"\r\n\r\n",
        b"GET /healthz" + HOST + b"X-A: 1\r\n" * 1_000_000 + b"\r\n",
        b"GET /healthz" + HOST + b"X-A: " + HUGE,
    ],
    ids=["query", "path", "header", "headers", "header without end"],
)
async def test_endless_head(app: FastAPI, head: bytes) -> None:
    """Megabytes of URL or headers are refused, unread, with a problem that does arrive."""
    async with served(app) as port:
        status, problem = await answered(port, head)
        alive, _ = await answered(port, ALIVE)

    assert (status, problem["code"]) == (431, "headers_too_large")
    assert alive == 200


async def test_long_head_in_pieces(app: FastAPI) -> None:
    """A head that comes in pieces is counted as one; a later one begins at nothing."""
    piece = b"X-A: " + b"x" * 10_000 + b"\r\n"

    async with served(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(b"GET /healthz" + HOST)
            for _ in range(3):
                writer.write(piece)
                await writer.drain()
            writer.write(b"\r\n")
            assert b" 200 OK" in await reader.readuntil(b"}")
        writer.write(b"GET /healthz" + HOST + piece * (HEAD_BYTES // len(piece) + 1))
        assert b" 431 " in await reader.readuntil(b"}")
        writer.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /things/\xff" + HOST + b"\r\n",
        b"GET /things/\x00" + HOST + b"\r\n",
        b"GET /things/a?q=\xff" + HOST + b"\r\n",
        b"POST /echo" + HOST + b"Content-Length: -1\r\n\r\n",
        b"POST /echo" + HOST + b"Content-Length: x\r\n\r\n",
        b"POST /echo" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + HOST + b"X A: 1\r\n\r\n",
        b"GET http://[" + HOST + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"nonsense\r\n\r\n",
    ],
)
async def test_what_is_not_http(app: FastAPI, raw: bytes) -> None:
    """What is not even HTTP gets a problem, too, and its connection ends."""
    async with served(app) as port:
        status, problem = await answered(port, raw)

    assert (status, problem["code"]) == (400, "malformed")
    assert problem["request_id"]


async def test_slow_head(app: FastAPI) -> None:
    """A head that does not come to an end is given up; it would hold the connection for ever."""
    async with served(app, http=HastyProtocol) as port:
        status, problem = await answered(port, b"GET /healthz" + HOST + b"X-A:")

    assert (status, problem["code"]) == (408, "head_timed_out")


async def test_slow_second_head(app: FastAPI) -> None:
    """That holds for later requests of a connection as well."""
    async with served(app, http=HastyProtocol) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ALIVE + b"GET /hea")
        first = await reader.readuntil(b"}")
        second = await reader.read()
        writer.close()

    assert b" 200 OK" in first
    assert b" 408 " in second


async def test_silent_connection(app: FastAPI) -> None:
    """Who connects and says nothing is left without an answer."""
    async with served(app, http=HastyProtocol) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        said = await reader.read()
        writer.close()

    assert said == b""


class ToldProtocol(HastyProtocol):
    """Lets handlers wait until something was refused."""

    refused: ClassVar[asyncio.Event]

    def _refuse(self, error: GatewayError) -> None:
        super()._refuse(error)
        self.refused.set()


@pytest.fixture
def orders() -> FastAPI:
    """An application that is still at work when what follows the request is refused."""
    app = FastAPI()
    refused = ToldProtocol.refused = asyncio.Event()

    @app.post("/orders")
    async def place(request: Request) -> dict[str, str]:
        await refused.wait()
        return {"placed": (await request.body()).decode()}

    @app.post("/begun")
    async def begin() -> StreamingResponse:
        async def answer() -> AsyncIterator[bytes]:
            yield b"begun"
            await refused.wait()

        return StreamingResponse(answer())

    return app


ORDER = b"POST /orders" + HOST + b"Content-Length: 1\r\n\r\n1"
CHUNKS = HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"


@pytest.mark.parametrize(
    ("raw", "statuses"),
    [
        (ORDER + b'9"}', [200, 400]),
        (ORDER + b"GET /next HTTP/1.1\r\nHo", [200, 408]),
        (ORDER + ORDER + b"nonsense\r\n\r\n", [200, 200, 400]),
        (ORDER + b"POST /orders" + CHUNKS + b"zz\r\n", [200, 400]),
        (b"POST /orders" + CHUNKS + b"zz\r\n", [400]),
    ],
    ids=["more than was said", "half a head", "two", "second body", "body"],
)
async def test_refused_in_its_turn(orders: FastAPI, raw: bytes, statuses: list[int]) -> None:
    """What is owed is answered first, and what follows is never taken for its answer."""
    async with served(orders, http=ToldProtocol) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(raw)
        said = await reader.read()
        writer.close()

    assert [int(status) for status in re.findall(rb"HTTP/1.1 (\d+) ", said)] == statuses
    assert said.count(b'{"placed":"1"}') == statuses.count(200)


async def test_refused_in_the_midst_of_its_answer(orders: FastAPI) -> None:
    """An answer that has begun before the rest of its request is refused breaks off."""
    async with served(orders, http=ToldProtocol) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /begun" + CHUNKS)
        await reader.readuntil(b"begun\r\n")
        writer.write(b"zz\r\n")
        rest = await reader.read()
        writer.close()

    assert rest == b""


async def answered(port: int, request: bytes) -> tuple[int, dict[str, str]]:
    """Status and body of what a server answers to these very bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readuntil(b"}")
    finally:
        writer.close()
    return int(head.split(b" ", 2)[1]), json.loads(body)
