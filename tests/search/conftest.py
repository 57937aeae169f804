"""A gateway that has read what was recorded of the exchange, for all tests of a module."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from kalshi_gateway.app import create_app
from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.client import http_client
from kalshi_gateway.markets.sync import Sync
from kalshi_gateway.metrics import Metrics
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.app import create_app as create_exchange
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.upstream import kalshi
from tests import postgres
from tests.markets.gateway import Shared, a_gateway, client_of

RECORDINGS = Path(__file__).parents[3] / "shared/kalshi/recordings"
BASE_URL = "http://127.0.0.1:8001/trade-api/v2"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recorded(cluster: postgres.Cluster) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway in front of the recorded exchange, after one full walk."""
    if not RECORDINGS.is_dir():
        pytest.skip("the recordings are not beside this checkout")
    exchange = Exchange.recorded(RECORDINGS)
    exchange.limits.on = False
    settings = Settings.model_construct(
        gateway_auth="off", gateway_jobs=False, kalshi_base_url=BASE_URL
    )
    transport = httpx.ASGITransport(create_exchange(exchange))
    async with cluster.database() as url:
        async with http_client(BASE_URL, transport=transport) as http:
            minute = timedelta(minutes=1)
            line = kalshi(settings, http, Metrics())
            sync = Sync(url, line, changes_every=minute, prices_every=minute)
            assert all(walk.complete for walk in await sync.once())
        app = create_app(settings, database_url=url, exchange=transport)
        async with client_of(app) as client:
            yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(cluster: postgres.Cluster) -> AsyncIterator[Shared]:
    """An empty gateway, to be filled by the module's own tests."""
    async with cluster.database() as url, Database.opened(url) as database:
        app = a_gateway(url)
        async with client_of(app) as client:
            yield Shared(database, app, client)
