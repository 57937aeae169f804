"""Many who ask a real server the same at the same time: one of them reaches the application."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI

from kalshi_gateway import hot
from kalshi_gateway.app import create_app
from kalshi_gateway.db import Database
from kalshi_gateway.protocol import CarefulProtocol
from kalshi_gateway.settings import Settings
from kalshi_gateway.tokens import repository as tokens
from tests.markets.builders import (
    a_market,
    a_row,
    a_series,
    an_event,
    an_event_row,
    note_all_walked,
    store,
)
from tests.markets.gateway import QUIET
from tests.markets.upstream import Upstream
from tests.serving import lets_in, served

MANY = 100

TICKER = "KXHIGHNY-26JUN15-T85"
EVENT = "KXHIGHNY-26JUN15"
BOOK = f"/kalshi/markets/{TICKER}/orderbook"
MARKET = f"/kalshi/markets/{TICKER}"

COUNTED = 'gateway_requests_total{method="GET",route="/kalshi/markets/{ticker}/orderbook"'


class Answered(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture
def upstream() -> Upstream:
    """An exchange that knows one market."""
    upstream = Upstream()
    book = {"orderbook_fp": {"yes_dollars": [["0.4100", "5.00"]] * 200, "no_dollars": []}}
    upstream.answers = {
        f"/markets/{TICKER}": {"market": a_row(TICKER)},
        f"/events/{EVENT}": {"event": an_event_row(EVENT, markets=[a_row(TICKER)])},
        f"/markets/{TICKER}/orderbook": book,
    }
    return upstream


@pytest.fixture
def settings() -> Settings:
    return QUIET.model_copy(
        update={"gateway_auth": "token", "gateway_requests_per_second": 1_000_000}
    )


@pytest.fixture
def app(settings: Settings, database_url: str, upstream: Upstream) -> FastAPI:
    return create_app(settings, database_url=database_url, exchange=httpx.MockTransport(upstream))


@pytest.fixture
async def secret(database: Database) -> str:
    await store(database, a_series(), an_event(EVENT), a_market(TICKER))
    await note_all_walked(database)
    async with database.begin() as conn:
        _, secret = await tokens.create(conn, "reader", ["read"], "alice", None)
    return secret


class HastyProtocol(CarefulProtocol):
    """Lets go of an idle connection at once."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.timeout_keep_alive = 0


class Asking:
    """Connections to a server, and how many requests there reached the application."""

    def __init__(self, app: FastAPI, port: int, secret: str, upstream: Upstream) -> None:
        self.app = app
        self.port = port
        self.secret = secret
        self.upstream = upstream
        self.connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def all_ask(self, path: str, *headers: str, many: int = MANY, more: bytes = b"") -> None:
        """All ask, and are read, while the exchange thinks of its first answer."""
        self.upstream.was_asked.clear()
        self.upstream.may_answer.clear()
        for number in range(many):
            said = headers[number % len(headers)] if headers else ""
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            self.connections.append((reader, writer))
            writer.write(self.request(path, said) + more)
        await self.until(lambda: self.in_flight >= many)
        await self.upstream.was_asked.wait()

    def request(self, path: str, said: str = "") -> bytes:
        lines = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.secret}\r\n"
        return f"{lines}{said}\r\n".encode()

    async def answers(self) -> list[Answered]:
        """One from each connection, once the exchange has answered."""
        self.upstream.may_answer.set()
        return list(await asyncio.gather(*(answer(reader) for reader, _ in self.connections)))

    @property
    def in_flight(self) -> int:
        metrics = self.app.state.resources.metrics
        return int(metrics.in_flight)

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not happened():  # noqa: ASYNC110 - nobody tells when a server has read
                await asyncio.sleep(0.005)


@pytest.fixture
async def asking(app: FastAPI, secret: str, upstream: Upstream) -> AsyncIterator[Asking]:
    async with asking_of(app, secret, upstream) as asking:
        yield asking


@asynccontextmanager
async def asking_of(
    app: FastAPI,
    secret: str,
    upstream: Upstream,
    *,
    http: type[CarefulProtocol] = CarefulProtocol,
) -> AsyncIterator[Asking]:
    """A server whose gatekeeper knows the token."""
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(served(app, http=http))
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        )
        await lets_in(app, client)
        shown = {"Authorization": f"Bearer {secret}"}
        assert (await client.get("/kalshi/series", headers=shown)).status_code == 200
        asking = Asking(app, port, secret, upstream)
        try:
            yield asking
        finally:
            upstream.may_answer.set()
            for _, writer in asking.connections:
                writer.close()


@pytest.fixture
def routed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that reached the application."""
    paths: list[str] = []
    called = FastAPI.__call__

    async def told(self: FastAPI, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            paths.append(scope["path"])
        await called(self, scope, receive, send)

    monkeypatch.setattr(FastAPI, "__call__", told)
    return paths


async def test_one_asks_for_all(asking: Asking, routed: list[str]) -> None:
    """A hundred who want a book at once make one request of it, and one call to the exchange."""
    await asking.all_ask(BOOK)

    answers = await asking.answers()

    assert routed.count(BOOK) == 1
    assert asking.upstream.asked == [f"/markets/{TICKER}/orderbook"]
    assert {one.status for one in answers} == {200}
    assert len({one.headers["etag"] for one in answers}) == 1
    assert len({one.headers["x-request-id"] for one in answers}) == MANY
    assert asking.in_flight == 0


async def test_a_market_that_only_the_exchange_knows(
    asking: Asking, database: Database, routed: list[str]
) -> None:
    """The same holds for what is fetched and stored before it is answered."""
    async with database.driver() as conn:
        await conn.execute("DELETE FROM instruments")

    await asking.all_ask(MARKET)

    assert {one.status for one in await asking.answers()} == {200}
    assert routed.count(MARKET) == 1
    assert asking.upstream.asked == [f"/markets/{TICKER}"]


async def test_each_is_answered_as_it_asked(asking: Asking) -> None:
    """Zipped, plain, or not at all to who has it: the answer is shared, its form is not."""
    await asking.all_ask(BOOK, "Accept-Encoding: gzip\r\n", "If-None-Match: *\r\n", "")

    zipped, unchanged, plain = (await asking.answers())[:3]

    assert (zipped.status, unchanged.status, plain.status) == (200, 304, 200)
    assert zipped.headers["content-encoding"] == "gzip"
    assert _bids(gzip.decompress(zipped.body)) == _bids(plain.body)
    assert unchanged.body == b""


async def test_they_are_counted_as_any_others(asking: Asking) -> None:
    """Metrics do not tell who waited from who asked."""
    await asking.all_ask(BOOK)
    await asking.answers()

    assert f'{COUNTED},status="200"}} {MANY}.0' in await _metrics(asking)


async def test_requests_of_a_connection_stay_in_order(asking: Asking) -> None:
    """What was sent behind a request that waits is answered behind it."""
    await asking.all_ask(BOOK, many=3, more=asking.request("/healthz"))
    books = await asking.answers()

    healths = await asyncio.gather(*(answer(reader) for reader, _ in asking.connections))

    assert all(b'"bids"' in one.body for one in books)
    assert all(b'"bids"' not in one.body and one.status == 200 for one in healths)


async def test_a_request_behind_another_is_no_idle_connection(
    app: FastAPI, secret: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was answered at once does not let the connection end under what is being asked."""
    monkeypatch.setattr(hot, "FRESH_SECONDS", 600.0)
    async with asking_of(app, secret, upstream, http=HastyProtocol) as asking:
        await asking.all_ask("/kalshi/series", many=1, more=asking.request(BOOK))

        ((reader, _),) = asking.connections
        series = await answer(reader)
        (book,) = await asking.answers()

    assert (series.status, book.status) == (200, 200)


async def test_all_hear_of_a_failure(asking: Asking) -> None:
    """What the one who asks is told, all are told, each with its own id; and nobody asks again."""
    await asking.all_ask(BOOK)
    asking.upstream.down = True

    answers = await asking.answers()

    assert {one.status for one in answers} == {503}
    assert len({one.headers["x-request-id"] for one in answers}) == MANY
    assert len(asking.upstream.asked) <= 4  # one call, and its retries
    assert f'{COUNTED},status="503"}} {MANY}.0' in await _metrics(asking)
    assert asking.in_flight == 0


async def test_who_leaves_takes_nobody_along(asking: Asking) -> None:
    """Neither the first who asked nor one who waits is missed by the others."""
    await asking.all_ask(BOOK, many=5)
    for _ in range(2):
        _, writer = asking.connections.pop(0)
        writer.close()
        await writer.wait_closed()

    answers = await asking.answers()

    assert [one.status for one in answers] == [200, 200, 200]
    await asking.until(lambda: asking.in_flight == 0)


async def test_a_token_that_is_revoked_meanwhile(asking: Asking, database: Database) -> None:
    """Who may read no longer gets nothing of what was asked when it still might."""
    await asking.all_ask(BOOK, many=5)
    async with database.begin() as conn:
        await tokens.revoke(conn, "reader")
    asking.app.state.resources.gatekeeper.forget(None)

    first, *others = await asking.answers()

    assert first.status == 200  # let in before that
    assert {one.status for one in others} == {401}


async def test_a_token_last_seen_some_time_ago(asking: Asking, routed: list[str]) -> None:
    """It is asked about once for all who show it, and they wait for one of them still."""
    grow_old(asking)

    await asking.all_ask(BOOK)

    assert {one.status for one in await asking.answers()} == {200}
    assert routed.count(BOOK) == 1
    assert asking.upstream.asked == [f"/markets/{TICKER}/orderbook"]


async def test_a_token_that_grows_old_meanwhile(asking: Asking, routed: list[str]) -> None:
    """It is asked about once more, and nobody has to ask for what has come."""
    await asking.all_ask(BOOK)
    grow_old(asking)

    assert {one.status for one in await asking.answers()} == {200}
    assert routed.count(BOOK) == 1


async def test_who_asks_too_often_is_refused(
    settings: Settings, database_url: str, upstream: Upstream, secret: str
) -> None:
    """Waiting for another's answer counts as a request, and is refused as one."""
    few = settings.model_copy(update={"gateway_requests_per_second": 5})
    app = create_app(few, database_url=database_url, exchange=httpx.MockTransport(upstream))
    async with asking_of(app, secret, upstream) as asking:
        await asking.all_ask(BOOK, many=30)

        statuses = [one.status for one in await asking.answers()]

    assert statuses[0] == 200
    assert 0 < statuses.count(200) < 30
    assert statuses.count(429) == 30 - statuses.count(200)


async def test_what_is_no_shared_answer(asking: Asking, routed: list[str]) -> None:
    """What cannot be given to others, each asks for itself."""
    asking.connections = [
        await asyncio.open_connection("127.0.0.1", asking.port) for _ in range(10)
    ]
    for _, writer in asking.connections:
        writer.write(asking.request("/kalshi/status"))

    answers = await asking.answers()

    assert {one.status for one in answers} == {200}
    assert routed.count("/kalshi/status") == 10


def grow_old(asking: Asking) -> None:
    """Let an hour pass since tokens were asked about."""
    for known in asking.app.state.resources.gatekeeper._known.values():
        known.asked_at -= 3_600


async def answer(reader: asyncio.StreamReader) -> Answered:
    """The next one on this connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    status = int(head[0].split()[1])
    headers = {
        name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])
    }
    length = 0 if status == 304 else int(headers["content-length"])
    return Answered(status, headers, await reader.readexactly(length))


async def _metrics(asking: Asking) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", asking.port)
    writer.write(asking.request("/metrics"))
    try:
        return (await answer(reader)).body.decode()
    finally:
        writer.close()


def _bids(body: bytes) -> Any:
    return json.loads(body)["bids"]
