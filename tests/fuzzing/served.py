"""A gateway in front of a simulated exchange, on a thread of its own, for clients that block."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx
from anyio.from_thread import start_blocking_portal

from kalshi_gateway.app import create_app
from kalshi_gateway.audit.entry import Author
from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.breaker import Breakers
from kalshi_gateway.kalshi.client import http_client
from kalshi_gateway.kalshi.wire import AccountLimits, BucketLimit
from kalshi_gateway.markets.sync import Sync
from kalshi_gateway.metrics import Metrics
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.app import create_app as create_exchange
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.tokens import keeping
from kalshi_gateway.upstream import kalshi
from tests import postgres
from tests.markets.builders import note_all_walked
from tests.serving import served

BASE_URL = "http://127.0.0.1:1/trade-api/v2"
HOUR = timedelta(hours=1)
UNLIMITED = AccountLimits(
    read=BucketLimit(refill_rate=1_000_000, bucket_capacity=1_000_000),
    write=BucketLimit(refill_rate=1_000_000, bucket_capacity=1_000_000),
)


@dataclass(frozen=True)
class Gateway:
    """Where it listens, what lets one in, and the exchange behind it."""

    url: str
    secret: str
    exchange: Exchange
    #: Of each kind of name that a path may have, one that exists.
    names: dict[str, str]

    def named(self, path: str) -> dict[str, str]:
        """Names for this path."""
        return {name: value for name, value in self.names.items() if f"{{{name}}}" in path}


@contextmanager
def running(
    cluster: postgres.Cluster, exchange: Exchange, *, request_seconds: float | None = None
) -> Iterator[Gateway]:
    """A gateway that has read the whole catalogue, until the block ends."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(cluster.database()) as database_url,
        portal.wrap_async_context_manager(
            _gateway(database_url, exchange, request_seconds)
        ) as gateway,
    ):
        yield gateway


@asynccontextmanager
async def _gateway(
    database_url: str, exchange: Exchange, request_seconds: float | None
) -> AsyncIterator[Gateway]:
    exchange.limits.on = False
    settings = Settings.model_construct(kalshi_base_url=BASE_URL, gateway_jobs=False)
    if request_seconds is not None:
        settings = settings.model_copy(update={"gateway_request_seconds": request_seconds})
    transport = httpx.ASGITransport(create_exchange(exchange))
    await _walk(database_url, settings, transport)
    async with Database.opened(database_url) as database:
        author = Author("tests")
        # Without jobs there are no rounds of changes, and nobody would know of what has settled.
        await note_all_walked(database)
        _, secret = await keeping.create(database, "fuzzing", ["admin"], None, None, author)
    app = create_app(settings, database_url=database_url, exchange=transport)
    async with served(app) as port, httpx.AsyncClient(trust_env=False, timeout=60) as client:
        url = f"http://127.0.0.1:{port}"
        await client.get(f"{url}/healthz")  # answered once everything is opened
        line = app.state.resources.kalshi
        line.budget.learn(UNLIMITED)
        # Each failure is to be seen, not only the first few of them.
        line.breakers = Breakers(failures=sys.maxsize)
        yield Gateway(url, secret, exchange, _names(exchange))
        exchange.faults.clear()
        exchange.faults.release()


def _names(exchange: Exchange) -> dict[str, str]:
    market = next(iter(exchange.catalogue.created["open", 0].things))
    event = exchange.catalogue.events[market.event_ticker]
    return {
        "ticker": market.ticker,
        "event_ticker": market.event_ticker,
        "series_ticker": event.series_ticker,
        "user_id": "ada",
    }


async def _walk(database_url: str, settings: Settings, transport: httpx.AsyncBaseTransport) -> None:
    async with http_client(BASE_URL, transport=transport) as http:
        line = kalshi(settings, http, Metrics())
        line.budget.learn(UNLIMITED)
        sync = Sync(database_url, line, changes_every=HOUR, prices_every=HOUR)
        assert all(walk.complete for walk in await sync.once())
