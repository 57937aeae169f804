"""What most tests stand on: a database, a simulated exchange, the application, a client."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import structlog
from fastapi import FastAPI

from kalshi_gateway import migrate
from kalshi_gateway.app import create_app
from kalshi_gateway.db import Database
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator import app as simulator
from kalshi_gateway.simulator.exchange import Exchange
from tests import postgres

# structlog's own default draws tracebacks with all their variables, which takes seconds.
PLAIN_LOGS: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.format_exc_info,
    structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
]
structlog.configure(processors=PLAIN_LOGS)


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    with postgres.cluster(migrate.to_head) as cluster:
        yield cluster


@pytest.fixture
async def database_url(cluster: postgres.Cluster) -> AsyncIterator[str]:
    async with cluster.database() as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.opened(database_url) as database:
        yield database


@pytest.fixture
def settings() -> Settings:
    """The defaults without tokens, jobs or rate limits; the environment and `.env` are not read."""
    return Settings.model_construct(
        gateway_auth="off",
        gateway_jobs=False,
        gateway_requests_per_second=0,
        kalshi_base_url="http://127.0.0.1:1/trade-api/v2",
    )


@pytest.fixture
def exchange() -> Exchange:
    """A small exchange of invented markets."""
    return Exchange.generated(20)


@pytest.fixture
def app(settings: Settings, database_url: str, exchange: Exchange) -> FastAPI:
    transport = httpx.ASGITransport(simulator.create_app(exchange))
    return create_app(settings, database_url=database_url, exchange=transport)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client
