"""A gateway that knows one market of an exchange which says the same again when asked."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from kalshi_gateway import hot
from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.retries import Retries
from kalshi_gateway.markets import standing
from tests import postgres
from tests.markets.builders import (
    a_market,
    a_row,
    a_series,
    a_series_row,
    ago,
    an_event,
    an_event_row,
    note_all_walked,
    store,
)
from tests.markets.gateway import a_gateway
from tests.markets.upstream import Upstream

from .routes import EVENT, SERIES, TICKER


@pytest.fixture(scope="module")
def module_url(cluster: postgres.Cluster) -> Iterator[str]:
    """One database per module: making one takes longer than most of the tests."""
    with asyncio.Runner() as runner:
        database = cluster.database()
        yield runner.run(database.__aenter__())
        runner.run(database.__aexit__(None, None, None))


@pytest.fixture
async def database_url(module_url: str) -> str:
    """It, emptied."""
    conn = await asyncpg.connect(module_url)
    await conn.execute("TRUNCATE instruments, events, series, catalogue_walks")
    await conn.close()
    return module_url


@pytest.fixture
def never_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that come one after the other do so, however quickly they are answered."""
    monkeypatch.setattr(hot, "SAME_TIME_SECONDS", 0.0)


@pytest.fixture
def upstream() -> Upstream:
    """The exchange, which has all that the tests ask for."""
    upstream = Upstream()
    upstream.answers = {
        f"/markets/{TICKER}": {"market": a_row(TICKER)},
        f"/events/{EVENT}": {"event": an_event_row(EVENT, markets=[a_row(TICKER)])},
        f"/series/{SERIES}": {"series": a_series_row(SERIES)},
        f"/markets/{TICKER}/orderbook": {
            "orderbook_fp": {"yes_dollars": [["0.4100", "5.00"]], "no_dollars": []}
        },
        "/markets/trades": {"trades": [], "cursor": ""},
        "/historical/trades": {"trades": [], "cursor": ""},
        "/historical/cutoff": {},
        f"/series/{SERIES}/markets/{TICKER}/candlesticks": {"candlesticks": []},
        "/exchange/status": {"exchange_active": True, "trading_active": True},
        "/exchange/schedule": {"schedule": {}},
    }
    return upstream


@pytest.fixture
async def known(database: Database) -> None:
    """The catalogue has the market, its event and its series, all half a minute old."""
    await store(database, a_series(), an_event(), a_market(TICKER), as_of=ago(seconds=30))
    await note_all_walked(database, ago(seconds=30))


@pytest.fixture
def app(database_url: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(standing, "REREAD_SECONDS", -1.0)
    monkeypatch.setattr(Retries, "pause_s", lambda retries, attempt: 0.0)
    return a_gateway(database_url, upstream)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with a_client_of(app) as client:
        yield client


@asynccontextmanager
async def a_client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    asking = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
    async with app.router.lifespan_context(app), asking as client:
        yield client
