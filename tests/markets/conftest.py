"""A gateway that does no background work, and an exchange that knows what a test tells it."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.retries import Retries
from kalshi_gateway.markets import standing
from tests import postgres

from .gateway import Shared, a_gateway, client_of
from .upstream import Upstream


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
    await conn.execute("TRUNCATE instruments, events, series, genres, catalogue_walks")
    await conn.close()
    return module_url


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def app(database_url: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    # What a test has just written is what the next answer is about.
    monkeypatch.setattr(standing, "REREAD_SECONDS", -1.0)
    monkeypatch.setattr(Retries, "pause_s", lambda retries, attempt: 0.0)
    return a_gateway(database_url, upstream)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(cluster: postgres.Cluster) -> AsyncIterator[Shared]:
    async with cluster.database() as url, Database.opened(url) as database:
        app = a_gateway(url)
        async with client_of(app) as client:
            yield Shared(database, app, client)
