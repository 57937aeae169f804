"""Postgres and the exchange go away and come back under a running gateway."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest

from kalshi_gateway import embedded, migrate
from kalshi_gateway.app import create_app
from kalshi_gateway.embedded import Embedded
from kalshi_gateway.embedded.server import Server
from kalshi_gateway.kalshi.wire import AccountLimits, BucketLimit
from kalshi_gateway.markets import sync
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.exchange import Exchange
from tests import postgres

from .desk import BASE_URL, Wire
from .outages import all_known, eventually

BASIC_TIMES_1000 = AccountLimits(read=BucketLimit(refill_rate=200_000, bucket_capacity=200_000))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds are hundredths here."""
    for name in ("TAKEOVER", "CLOCK", "AFTER_FAILURE"):
        monkeypatch.setattr(sync, name, timedelta(seconds=0.02))


@pytest.fixture
def home() -> Iterator[Path]:
    with postgres.temporary_folder() as folder:
        yield folder / "home"


@asynccontextmanager
async def gateway(database_url: str, exchange: Exchange) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway that keeps its catalogue fresh, without a pause."""
    settings = Settings.model_construct(
        gateway_auth="off",
        kalshi_base_url=BASE_URL,
        gateway_catalogue_refresh_seconds=0,
        gateway_price_refresh_seconds=0,
    )
    app = create_app(settings, database_url=database_url, exchange=Wire(exchange))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client,
    ):
        app.state.resources.kalshi.budget.learn(BASIC_TIMES_1000)
        yield client


def settled(client: httpx.AsyncClient, ticker: str) -> Callable[[], Awaitable[bool]]:
    """Whether the gateway answers that the market has settled."""

    async def asked() -> bool:
        response = await client.get(f"/kalshi/markets/{ticker}")
        return response.status_code == 200 and response.json()["status"] == "settled"

    return asked


def walked(url: str) -> Callable[[], Awaitable[bool]]:
    async def asked() -> bool:
        conn = await asyncpg.connect(url)
        try:
            return await all_known(conn)
        finally:
            await conn.close()

    return asked


def some_open(exchange: Exchange) -> str:
    return next(iter(exchange.catalogue.created["open", 0].things)).ticker


async def start(home: Path) -> Embedded:
    return await asyncio.to_thread(embedded.acquire, home, options=postgres.CARELESS)


async def stop(server: Embedded) -> None:
    """Stop it at once, whoever is connected, and wait until it is gone."""
    pid = Server.load(server.home).recorded_pid()
    assert pid is not None
    os.kill(pid, signal.SIGQUIT)
    await asyncio.to_thread(server.release)


async def test_postgres_stops_and_starts_under_a_running_gateway(
    exchange: Exchange, home: Path
) -> None:
    """It writes again by itself: what happened in between is there, without a restart."""
    first = await start(home)
    url = first.url()
    await migrate.to_head(url)
    async with gateway(url, exchange) as client:
        await eventually(walked(url))
        ticker = some_open(exchange)

        await stop(first)
        exchange.catalogue.settle(ticker, "yes")
        assert (await client.get("/healthz")).status_code == 200
        second = await start(home)

        await eventually(settled(client, ticker))
    await asyncio.to_thread(second.release)


async def test_postgres_stops_in_the_middle_of_a_walk(exchange: Exchange, home: Path) -> None:
    """The walk goes on when it is back."""
    first = await start(home)
    url = first.url()
    await migrate.to_head(url)
    async with gateway(url, exchange):

        async def under_way() -> bool:
            return exchange.counters.requests["GET /markets"] > 0

        await eventually(under_way)
        await stop(first)
        second = await start(home)

        await eventually(walked(url))
        conn = await asyncpg.connect(url)
        found = await conn.fetchval("SELECT count(*) FROM instruments WHERE status = 'open'")
        await conn.close()
    await asyncio.to_thread(second.release)

    assert found == len(exchange.catalogue.created["open", 0].things)


async def test_the_exchange_goes_and_comes_back(exchange: Exchange, database_url: str) -> None:
    """What it said is answered meanwhile; what it says afterwards is stored."""
    async with gateway(database_url, exchange) as client:
        await eventually(walked(database_url))
        ticker = some_open(exchange)
        fault = exchange.faults.reset()

        async def is_noticed() -> bool:
            return fault.hits >= 5  # from then on it is left alone for a while

        await eventually(is_noticed)
        meanwhile = await client.get(f"/kalshi/markets/{ticker}")
        exchange.catalogue.settle(ticker, "yes")
        exchange.faults.clear()

        assert meanwhile.json()["status"] == "open"
        await eventually(settled(client, ticker))
