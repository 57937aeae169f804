"""What every request passes: ids, limits, time, where it comes from."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
import structlog
from fastapi import FastAPI, Request, WebSocket
from starlette.responses import StreamingResponse
from starlette.types import Message, Scope
from structlog.testing import capture_logs

from kalshi_gateway.app import create_app
from kalshi_gateway.limits import HEADER_COUNT, Limits
from kalshi_gateway.requests import Bounded, TimedOut
from kalshi_gateway.settings import Settings, SettingsError
from tests.serving import served

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
BODY_BYTES = 1024
MEGABYTE = 1_000_000
SECRET = "swordfish"


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return an_app(settings)


def an_app(settings: Settings) -> FastAPI:
    app = create_app(
        settings.model_copy(update={"gateway_max_body_bytes": BODY_BYTES}), database_url=NOWHERE
    )

    @app.post("/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    @app.post("/deaf")
    async def deaf() -> str:
        return "has read nothing"

    @app.get("/things/{name}")
    async def read(name: str, q: str = "") -> list[str]:
        return [name, q]

    @app.get("/bound")
    async def bound() -> dict[str, str]:
        return structlog.contextvars.get_contextvars()

    @app.get("/broken-off")
    async def broken_off() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begun"
            raise RuntimeError(SECRET)

        return StreamingResponse(parts())

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json(structlog.contextvars.get_contextvars())
        await websocket.close()

    return app


@asynccontextmanager
async def in_process(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


@asynccontextmanager
async def over_sockets(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        served(app) as port,
        httpx.AsyncClient(base_url=f"http://localhost:{port}") as client,
    ):
        yield client


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with in_process(app) as client:
        yield client


@pytest.fixture(params=[in_process, over_sockets])
async def any_client(
    request: pytest.FixtureRequest, app: FastAPI
) -> AsyncIterator[httpx.AsyncClient]:
    async with request.param(app) as client:
        yield client


@pytest.mark.parametrize("path", ["/healthz", "/no/such/path", "/things/%ff", "/static/docs.js"])
async def test_every_answer_has_an_id(client: httpx.AsyncClient, path: str) -> None:
    """Each answer carries a request id of its own, whatever became of the request."""
    ids = {(await client.get(path)).headers["X-Request-ID"] for _ in range(3)}

    assert len(ids) == 3


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc.DEF_1-2", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("a b", False),
        ("é", False),
        ("", False),
    ],
)
async def test_own_id(client: httpx.AsyncClient, given: str, kept: bool) -> None:
    """A caller's own request id is kept if it is sane, and replaced if not."""
    response = await client.get("/healthz", headers=[(b"X-Request-ID", given.encode())])

    assert (response.headers["X-Request-ID"] == given) is kept
    assert response.headers["X-Request-ID"]


async def test_id_is_bound_to_logs(client: httpx.AsyncClient) -> None:
    """What a handler logs carries the id of its request, and nothing after it does."""
    response = await client.get("/bound", headers={"X-Request-ID": "abc-1"})

    assert response.json() == {"request_id": "abc-1"}
    assert structlog.contextvars.get_contextvars() == {}


async def test_one_line_per_request(settings: Settings) -> None:
    """A request is one line: its template, never its path, its query or its token."""
    app = an_app(settings.model_copy(update={"gateway_log_level": "debug"}))
    async with in_process(app) as client:
        with capture_logs() as lines:
            await client.get(
                f"/things/{SECRET}?q={SECRET}", headers={"Authorization": f"Bearer {SECRET}"}
            )
            await client.get(f"/{SECRET}")

    assert [line["log_level"] for line in lines] == ["debug", "info"]
    assert {**lines[0], "ms": 0} == {
        "event": "request",
        "log_level": "debug",
        "method": "GET",
        "route": "/things/{name}",
        "status": 200,
        "ms": 0,
        "problem": None,
    }
    assert (lines[1]["route"], lines[1]["status"], lines[1]["problem"]) == (
        "none",
        404,
        "not_found",
    )
    assert SECRET not in str(lines)


async def test_good_requests_are_not_logged(client: httpx.AsyncClient) -> None:
    """Without `debug` a request that went well writes nothing."""
    with capture_logs() as lines:
        await client.get("/healthz")

    assert lines == []


async def test_gone_in_mid_body(app: FastAPI, client: httpx.AsyncClient) -> None:
    """Who goes away before all has come is answered nothing and counted; it is no fault of ours."""
    messages: list[Message] = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []
    scope = {**A_SCOPE, "method": "POST", "path": "/echo", "raw_path": b"/echo"}
    scope |= {"headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1)}

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    with capture_logs() as lines:
        await app(scope, receive, send)

    counted = 'gateway_requests_total{method="POST",route="/echo",status="499"} 1.0'
    assert sent == []
    assert [(line["log_level"], line["status"]) for line in lines] == [("info", 499)]
    assert counted in (await client.get("/metrics")).text


async def test_head(any_client: httpx.AsyncClient) -> None:
    """HEAD is answered like GET, without the body."""
    head = await any_client.head("/things/a")
    get = await any_client.get("/things/a")
    of_nothing = await any_client.head("/no/such/path")
    of_a_write = await any_client.head("/echo")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]
    assert (of_nothing.status_code, of_nothing.content) == (404, b"")
    assert of_a_write.status_code == 405


BAD: dict[str, tuple[Callable[[httpx.AsyncClient], Awaitable[httpx.Response]], int, str | None]] = {
    "broken path": (lambda c: c.get("/things/%ff%fe"), 400, "/path"),
    "NUL in the path": (lambda c: c.get("/things/a%00b"), 400, "/path"),
    "surrogate in the path": (lambda c: c.get("/things/%ed%a0%80"), 400, "/path"),
    "broken query": (lambda c: c.get("/things/a?q=%ff"), 400, "/query/q"),
    "NUL in the query": (lambda c: c.get("/things/a?q=%00"), 400, "/query/q"),
    "broken name": (lambda c: c.get("/things/a?%ff/=1"), 400, "/query/\ufffd~1"),
    "overlong encoding": (lambda c: c.get("/things/a?q=%c0%80"), 400, "/query/q"),
    "unknown field": (lambda c: c.get("/no/such?q=%00"), 400, "/query/q"),
    "long query": (lambda c: c.get("/things/a?q=" + "x" * 17_000), 414, None),
    "long path": (lambda c: c.get("/things/" + "x" * 17_000), 414, None),
    "long header": (lambda c: c.get("/things/a", headers={"X-A": "x" * 33_000}), 431, None),
    "many headers": (
        lambda c: c.get("/things/a", headers=[("X-A", "1")] * (HEADER_COUNT + 1)),
        431,
        None,
    ),
    "long body": (lambda c: c.post("/echo", content=b"x" * MEGABYTE), 413, None),
    "long body nobody reads": (lambda c: c.post("/deaf", content=b"x" * MEGABYTE), 413, None),
    "long streamed body": (lambda c: c.post("/echo", content=stream(MEGABYTE)), 413, None),
    "wrong method": (lambda c: c.request("PURGE", "/things/a"), 405, None),
    "options": (lambda c: c.options("/things/a"), 405, None),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_input(any_client: httpx.AsyncClient, name: str) -> None:
    """Whatever is sent gets a problem that says what is wrong, and the next request an answer."""
    send, status, pointer = BAD[name]

    response = await send(any_client)

    problem = response.json()
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert [error["pointer"] for error in problem.get("errors", [])] == (
        [pointer] if pointer else []
    )
    assert len(response.content) < 3000
    assert (await any_client.get("/healthz")).status_code == 200


async def test_body_of_the_allowed_size(any_client: httpx.AsyncClient) -> None:
    """A body may have just the size that is allowed, announced or streamed."""
    announced = await any_client.post("/echo", content=b"x" * BODY_BYTES)
    streamed = await any_client.post("/echo", content=stream(BODY_BYTES))

    assert announced.json() == streamed.json() == BODY_BYTES


async def test_late_answer(settings: Settings) -> None:
    """A request whose answer takes too long is answered with 504, and its work is cancelled."""
    cancelled = asyncio.Event()

    async def never(scope: Scope, receive: object, send: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    bounded = Bounded(never, Limits(body_bytes=1, time=timedelta(milliseconds=20)))

    with pytest.raises(TimedOut) as raised:
        await bounded(A_SCOPE, nothing, ignore)

    assert raised.value.status == 504
    assert cancelled.is_set()


async def test_late_answer_over_http(settings: Settings) -> None:
    """The client of a request that takes too long gets a problem it may try again."""
    app = create_app(
        settings.model_copy(update={"gateway_request_seconds": 0.05}), database_url=NOWHERE
    )

    @app.get("/never")
    async def never() -> None:
        await asyncio.Event().wait()

    async with in_process(app) as client:
        response = await client.get("/never")

    assert response.status_code == 504
    assert (response.json()["code"], response.json()["retryable"]) == ("timed_out", True)


async def test_what_has_begun_may_take_its_time() -> None:
    """An answer that has begun is not cut off, however long it takes."""
    looked = asyncio.Event()
    finished = []

    async def slow(
        scope: Scope, receive: object, send: Callable[[Message], Awaitable[None]]
    ) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await looked.wait()
        finished.append(True)

    bounded = Bounded(slow, Limits(body_bytes=1, time=timedelta(milliseconds=20)))
    running = asyncio.create_task(bounded(A_SCOPE, nothing, ignore))
    late = Bounded(waiting, Limits(body_bytes=1, time=timedelta(milliseconds=40)))
    with pytest.raises(TimedOut):  # by now the first one's time is over, twice
        await late(A_SCOPE, nothing, ignore)
    looked.set()
    await running

    assert finished == [True]


async def test_cancelled_from_outside_stays_cancelled() -> None:
    """A server that stops cancels its requests; that is not taken for a late answer."""
    bounded = Bounded(waiting, Limits(body_bytes=1, time=timedelta(minutes=1)))
    running = asyncio.create_task(bounded(A_SCOPE, nothing, ignore))
    await asyncio.sleep(0)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running


async def test_broken_off_answer(app: FastAPI) -> None:
    """An answer that breaks off half way ends the connection: it is not passed off as whole."""
    async with served(app) as port, httpx.AsyncClient() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"http://localhost:{port}/broken-off")


LOCAL_HOSTS = [
    "localhost",
    "localhost:8000",
    "LOCALHOST",
    "127.0.0.1:1",
    "127.9.9.9",
    "[::1]",
    "[::1]:80",
]
FOREIGN_HOSTS = [
    "evil.example",
    "localhost.evil.example",
    "192.0.2.1:80",
    "127.0.0.1.evil.example",
    "",
    "localhost,evil.example",
    "[::2]",
]


@pytest.mark.parametrize("host", LOCAL_HOSTS)
async def test_local_host(client: httpx.AsyncClient, host: str) -> None:
    """Without tokens this machine is answered by whatever name it goes by."""
    assert (await client.get("/healthz", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
async def test_foreign_host(client: httpx.AsyncClient, host: str) -> None:
    """Without tokens a page that reaches us under its own site's name is refused."""
    response = await client.get("/healthz", headers={"Host": host})

    assert (response.status_code, response.json()["code"]) == (403, "foreign_caller")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8000", 200),
        ("https://app.example", 200),
        ("http://localhost:3000", 403),
        ("https://evil.example", 403),
        ("http://localhost:8000.evil.example", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
async def test_origins(settings: Settings, origin: str, status: int) -> None:
    """Without tokens only pages of this very host, or of origins named, may call."""
    app = an_app(settings.model_copy(update={"gateway_cors_origins": "https://app.example"}))

    async with in_process(app) as client:
        headers = {"Host": "localhost:8000", "Origin": origin}
        response = await client.post("/echo", headers=headers)

    assert response.status_code == status


async def test_two_hosts(client: httpx.AsyncClient) -> None:
    """Two Host headers are one too many."""
    response = await client.get("/healthz", headers=[("Host", "localhost"), ("Host", "localhost")])

    assert response.status_code == 403


async def test_hosts_are_free_with_tokens(settings: Settings) -> None:
    """With tokens the gateway may be called by any name it is given."""
    app = an_app(settings.model_copy(update={"gateway_auth": "token"}))

    async with in_process(app) as client:
        response = await client.get("/healthz", headers={"Host": "gateway.example"})

    assert response.status_code == 200


@pytest.mark.parametrize("host", ["192.0.2.2", "192.0.2.1", "gateway.example", "::"])
def test_no_tokens_only_on_loopback(settings: Settings, host: str) -> None:
    """Without tokens the gateway does not start where others can reach it."""
    with pytest.raises(SettingsError, match="GATEWAY_AUTH"):
        create_app(settings, database_url=NOWHERE, bind_host=host)


@pytest.mark.parametrize(
    "path", ["/healthz", "/no/such/path", "/things/%ff", "/things/a?q=" + "x" * 17_000]
)
async def test_cors(settings: Settings, path: str) -> None:
    """A page of an origin that may call can read every answer, also what went wrong."""
    app = an_app(settings.model_copy(update={"gateway_cors_origins": "https://app.example"}))

    async with in_process(app) as client:
        response = await client.get(path, headers={"Origin": "https://app.example"})

    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "X-Request-ID" in response.headers["Access-Control-Expose-Headers"]


async def test_preflight(settings: Settings) -> None:
    """A page of an origin that may call may send a token and an idempotency key."""
    app = an_app(settings.model_copy(update={"gateway_cors_origins": "https://app.example"}))
    asking = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, idempotency-key",
    }

    async with in_process(app) as client:
        allowed = await client.options("/echo", headers={"Origin": "https://app.example", **asking})
        refused = await client.options(
            "/echo", headers={"Origin": "https://evil.example", **asking}
        )

    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "X-Request-ID" in allowed.headers
    assert refused.status_code == 403
    assert "Access-Control-Allow-Origin" not in refused.headers


async def test_no_cors_unless_configured(client: httpx.AsyncClient) -> None:
    """Without configured origins no page of another origin is told anything."""
    response = await client.get("/healthz", headers={"Origin": "http://localhost"})

    assert response.status_code == 200
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_socket_has_an_id(app: FastAPI) -> None:
    """What is logged for a WebSocket carries the id of its handshake."""
    messages = await handshake(app, [(b"host", b"localhost"), (b"x-request-id", b"abc-1")])

    assert messages[0]["type"] == "websocket.accept"
    assert json.loads(messages[1]["text"]) == {"request_id": "abc-1"}


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}])
async def test_foreign_socket(app: FastAPI, extensions: dict[str, object]) -> None:
    """Without tokens a WebSocket of a foreign page is refused, in words if they can be sent."""
    headers = [(b"host", b"localhost"), (b"origin", b"https://evil.example")]

    messages = await handshake(app, headers, extensions)

    if extensions:
        assert messages[0]["status"] == 403
        assert json.loads(messages[1]["body"])["code"] == "foreign_caller"
    else:
        assert messages == [{"type": "websocket.close", "code": 1008, "reason": "foreign_caller"}]


async def handshake(
    app: FastAPI,
    headers: list[tuple[bytes, bytes]],
    extensions: dict[str, object] | None = None,
) -> list[Message]:
    """Everything that is sent to someone who opens the socket."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {**A_SCOPE, "type": "websocket", "path": "/socket", "raw_path": b"/socket"}
    scope |= {"headers": headers, "extensions": extensions or {}, "subprotocols": []}
    await app(scope, receive, send)
    return sent


A_SCOPE: Scope = {
    "type": "http",
    "method": "GET",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "headers": [],
}


async def nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def ignore(message: Message) -> None:
    pass


async def waiting(scope: Scope, receive: object, send: object) -> None:
    await asyncio.Event().wait()


async def stream(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 256):
        yield b"x" * 256
