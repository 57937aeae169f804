"""What began before never ends up above what came after, whichever of them ends last."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from kalshi_gateway.answers import Answer
from kalshi_gateway.db import Database
from kalshi_gateway.directives import TERMS, Terms
from kalshi_gateway.freshness import Came, Standing
from kalshi_gateway.hot import Hot
from kalshi_gateway.kalshi.flights import Flights
from tests.markets.builders import a_market, a_row, an_event, store
from tests.markets.upstream import Upstream

from .routes import EVENT, TICKER

MINUTE = timedelta(minutes=1)


class Call:
    """One question under way, which ends as its test says."""

    def __init__(self) -> None:
        self.asked_at = datetime.now(UTC)
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()


class Exchange:
    """Numbers its calls, and answers each when it is told to."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._asked = asyncio.Condition()

    async def ask(self) -> tuple[str, datetime]:
        call = Call()
        async with self._asked:
            self.calls.append(call)
            self._asked.notify_all()
        return await call.outcome, call.asked_at

    async def call(self, number: int) -> Call:
        async with self._asked:
            await self._asked.wait_for(lambda: len(self.calls) > number)
        return self.calls[number]


async def test_a_flight_that_is_forgotten() -> None:
    """Those aboard get its outcome; who comes later flies anew, and is not forgotten with it."""
    exchange = Exchange()
    flights = Flights()
    early = asyncio.create_task(flights.share("key", exchange.ask))
    before = await exchange.call(0)
    flights.forget("key")
    late = asyncio.create_task(flights.share("key", exchange.ask))
    after = await exchange.call(1)

    before.outcome.set_result("before")
    assert (await early)[0] == "before"
    joining = asyncio.create_task(flights.share("key", exchange.ask))
    await asyncio.sleep(0)
    after.outcome.set_result("after")

    assert [one[0] for one in await asyncio.gather(late, joining)] == ["after", "after"]
    assert len(exchange.calls) == 2


# --- in the catalogue


async def test_a_slow_fetch_of_a_market(
    client: httpx.AsyncClient, database: Database, upstream: Upstream
) -> None:
    """A market asked anew that comes late does not overwrite what was learnt in the meantime."""
    await store(database, an_event(EVENT), a_market(TICKER), as_of=datetime.now(UTC) - MINUTE)
    upstream.answers[f"/markets/{TICKER}"] = {"market": a_row(TICKER, last_price_dollars="0.1100")}
    upstream.may_answer.clear()
    path = f"/kalshi/markets/{TICKER}"
    asking = asyncio.create_task(client.get(path, params={"refresh": "true"}))
    await upstream.was_asked.wait()

    await store(database, a_market(TICKER, last_price_dollars="0.2200"))
    upstream.may_answer.set()

    assert (await asking).json()["last_price"] == 0.22
    assert (await client.get(path)).json()["last_price"] == 0.22


# --- in the layer of finished answers


class Routes:
    """Stands behind the layer: each request waits for the answer its test gives it."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[asyncio.Future[Answer]] = asyncio.Queue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[TERMS] = Terms.said(dict(scope["headers"]).get(b"cache-control"))
        made: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting.put_nowait(made)
        await (await made)(scope, receive, send)


@pytest.fixture
def routes() -> Routes:
    return Routes()


@pytest.fixture
async def asking(routes: Routes) -> AsyncIterator[httpx.AsyncClient]:
    hot = Hot(routes)
    resources = SimpleNamespace(gatekeeper=None)
    app = SimpleNamespace(state=SimpleNamespace(resources=resources), routes=[])

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await hot({**scope, "app": app}, receive, send)

    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


def said(text: str, *, came: Came = "HIT", ago: timedelta = timedelta()) -> Answer:
    standing = Standing(datetime.now(UTC) - ago, 60.0)
    return Answer(b'{"said":"%s"' % text.encode(), standing, came=came)


def start(client: httpx.AsyncClient, **headers: str) -> asyncio.Task[httpx.Response]:
    return asyncio.create_task(client.get("/kalshi/thing", headers=headers))


async def text(client: httpx.AsyncClient) -> Any:
    return (await client.get("/kalshi/thing")).json()["said"]


ANEW = {"Cache-Control": "no-cache"}


async def test_an_answer_that_was_begun_before(asking: httpx.AsyncClient, routes: Routes) -> None:
    """An answer read from the database before another was refreshed is not kept above that."""
    plain = start(asking)
    before = await routes.waiting.get()
    refreshing = start(asking, **ANEW)
    after = await routes.waiting.get()

    after.set_result(said("after", came="BYPASS"))
    assert (await refreshing).json()["said"] == "after"
    before.set_result(said("before"))

    assert (await plain).json()["said"] == "before"
    assert await text(asking) == "after"


async def test_an_answer_that_was_begun_later(asking: httpx.AsyncClient, routes: Routes) -> None:
    """What was just asked of the exchange is kept above what the database said meanwhile."""
    refreshing = start(asking, **ANEW)
    after = await routes.waiting.get()
    plain = start(asking)
    before = await routes.waiting.get()

    before.set_result(said("before", ago=MINUTE))
    await plain
    after.set_result(said("after", came="BYPASS"))
    await refreshing

    assert await text(asking) == "after"


async def test_two_that_were_asked_anew(asking: httpx.AsyncClient, routes: Routes) -> None:
    """Of two answers of the exchange the one that was asked for later is kept."""
    first = start(asking, **ANEW)
    older = await routes.waiting.get()
    second = start(asking, **{"Cache-Control": "max-age=0"})
    newer = await routes.waiting.get()

    newer.set_result(said("newer", came="REVALIDATED"))
    await second
    older.set_result(said("older", came="BYPASS", ago=timedelta(seconds=1)))
    await first

    assert await text(asking) == "newer"
