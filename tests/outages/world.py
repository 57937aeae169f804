"""A gateway behind its own port, and the two things it stands on, which stop and start."""

import asyncio
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from kalshi_gateway import embedded, migrate
from kalshi_gateway.app import create_app
from kalshi_gateway.background import beside
from kalshi_gateway.embedded import Embedded
from kalshi_gateway.embedded.server import Server
from kalshi_gateway.kalshi.wire import AccountLimits, BucketLimit
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.serve import server
from tests import postgres
from tests.serving import served
from tests.sync.outages import all_known, eventually

#: So much may be asked of the exchange that nobody waits for a turn.
PLENTY = AccountLimits(read=BucketLimit(refill_rate=200_000, bucket_capacity=200_000))


class ExchangeOnPort:
    """The simulated exchange, always on the same port while it runs."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port: int = found.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/trade-api/v2"
        self._running: tuple[Any, asyncio.Task[None], socket.socket] | None = None

    async def start(self) -> None:
        door = socket.create_server(("127.0.0.1", self.port))
        running = server(self.exchange)
        self._running = running, asyncio.create_task(running.serve(sockets=[door])), door

    async def stop(self) -> None:
        if self._running is None:
            return
        running, serving, door = self._running
        self._running = None
        running.should_exit = running.force_exit = True
        await serving
        door.close()


class Postgres:
    """A real server in a folder of its own."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._running: Embedded | None = None
        self.url = ""

    async def start(self) -> None:
        self._running = await asyncio.to_thread(
            embedded.acquire, self._home, options=postgres.CARELESS
        )
        self.url = self._running.url()

    async def stop(self) -> None:
        """Stop it at once, whoever is connected, and wait until it is gone."""
        if self._running is None:
            return
        running, self._running = self._running, None
        pid = Server.load(running.home).recorded_pid()
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        await asyncio.to_thread(running.release)


class World:
    """What a test stops and starts, and a client that goes on asking all the while."""

    def __init__(self, exchange: ExchangeOnPort, database: Postgres, client: httpx.AsyncClient):
        self.exchange = exchange
        self.database = database
        self.client = client
        self.statuses: Counter[int] = Counter()
        self.known: list[str] = []

    async def get(self, path: str, **headers: str) -> httpx.Response:
        response = await self.client.get(path, headers=headers)
        self.statuses[response.status_code] += 1
        return response

    async def asked_without_end(self) -> None:
        """The load: every known thing, one after the other, again and again."""
        while True:
            for path in (*self.known, "/kalshi/markets/KXNOBODY-KNOWS", "/readyz"):
                await self.get(path)
            await asyncio.sleep(0.05)

    async def until(self, path: str, holds: Callable[[httpx.Response], bool]) -> httpx.Response:
        """The first answer of which this holds."""
        found: list[httpx.Response] = []

        async def asked() -> bool:
            response = await self.get(path)
            found[:] = [response]
            return holds(response)

        try:
            await eventually(asked)
        except TimeoutError:
            raise AssertionError(
                f"never so: {path}: {found[-1:]} {found[-1].text[-600:]}"
            ) from None
        return found[0]


@asynccontextmanager
async def world(exchange: Exchange, home: Path) -> AsyncIterator[World]:
    """Everything running and known, under load until the block ends."""
    exchange.limits.on = False
    upstream, database = ExchangeOnPort(exchange), Postgres(home)
    await database.start()
    await migrate.to_head(database.url)
    await upstream.start()
    settings = Settings.model_construct(
        gateway_auth="off",
        kalshi_base_url=upstream.url,
        gateway_catalogue_refresh_seconds=1,
        gateway_price_refresh_seconds=1,
    )
    app = create_app(settings, database_url=database.url)
    try:
        async with served(app) as port, client_of(port) as client:
            made = World(upstream, database, client)
            await client.get("/healthz")  # answered once everything is opened
            app.state.resources.kalshi.budget.learn(PLENTY)
            await eventually(walked(database.url))
            made.known = await known_paths(client, exchange)
            async with beside(made.asked_without_end(), "load"):
                yield made
    finally:
        await upstream.stop()
        await database.stop()


def client_of(port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30)


async def known_paths(client: httpx.AsyncClient, exchange: Exchange) -> list[str]:
    """One of each kind of answer, asked for once, so that it is known."""
    market, closed = (
        next(iter(exchange.catalogue.created[status, 0].things)) for status in ("open", "closed")
    )
    paths = [
        "/kalshi/markets?limit=5",
        f"/kalshi/markets/{market.ticker}",
        f"/kalshi/markets/{market.ticker}/orderbook",
        f"/kalshi/markets/{closed.ticker}",
        "/kalshi/markets?status=closed",
        f"/kalshi/events/{market.event_ticker}",
        "/kalshi/series",
        "/kalshi/categories",
        "/kalshi/exchange",
    ]
    for path in paths:
        response = await client.get(path)
        assert response.status_code == 200, response.text
    return paths


def walked(url: str) -> Callable[[], Awaitable[bool]]:
    async def asked() -> bool:
        conn = await asyncpg.connect(url)
        try:
            return await all_known(conn)
        finally:
            await conn.close()

    return asked
