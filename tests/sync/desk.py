"""A writer between a simulated exchange and a database, and what it asked and wrote."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic
from typing import Any

import asyncpg
import httpx
import msgspec

from kalshi_gateway.db import Driver, leadership
from kalshi_gateway.kalshi.breaker import Breakers
from kalshi_gateway.kalshi.budget import Budget
from kalshi_gateway.kalshi.client import Kalshi, Page, http_client
from kalshi_gateway.kalshi.retries import Retries
from kalshi_gateway.markets.catalogue import Catalogue
from kalshi_gateway.markets.sync import JOB, WRITER_SETTINGS, Writer
from kalshi_gateway.simulator.app import create_app
from kalshi_gateway.simulator.exchange import Exchange

BASE_URL = "http://127.0.0.1:8001/trade-api/v2"
PREFIX = "/trade-api/v2"
MINUTE = timedelta(minutes=1)
#: How much faster than ours the clock of a budget runs that nobody wants to wait for.
FAST = 1_000.0

OUR_WORD = {
    "initialized": "unopened",
    "active": "open",
    "inactive": "paused",
    "closed": "closed",
    "determined": "closed",
    "disputed": "closed",
    "amended": "closed",
    "finalized": "settled",
}

Row = dict[str, Any]
Meddle = Callable[[httpx.Request], None]


class Wire(httpx.AsyncBaseTransport):
    """The way to the exchange: it notes what is asked, and lets a test meddle before an answer."""

    def __init__(self, exchange: Exchange) -> None:
        self.asked: list[httpx.URL] = []
        self.meddle: Meddle = lambda request: None
        self._inside = httpx.ASGITransport(create_app(exchange))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url)
        self.meddle(request)
        return await self._inside.handle_async_request(request)

    def queries(self, path: str = "/markets") -> list[dict[str, str]]:
        """What was asked of a path, in order."""
        return [dict(url.params) for url in self.asked if url.path == PREFIX + path]


class SmallPages(Kalshi):
    """Asks for fewer rows at once, so that few markets make many pages."""

    markets_at_once = 40

    async def markets_page(self, **asked: Any) -> Page:
        return await super().markets_page(**{"limit": self.markets_at_once, **asked})

    async def events_page(self, **asked: Any) -> Page:
        return await super().events_page(**{"limit": 20, **asked})


class Desk:
    """One writer at work."""

    def __init__(
        self,
        exchange: Exchange,
        wire: Wire,
        url: str,
        kalshi: Kalshi,
        conn: Driver,
    ) -> None:
        self.exchange = exchange
        self.wire = wire
        self.kalshi = kalshi
        self.catalogue = Catalogue(kalshi.drift)
        self.writer = a_writer(conn, kalshi, self.catalogue)
        self._conn = conn
        self._url = url

    async def walk(self) -> None:
        """Everything once, and all of it well."""
        walked = await self.writer.everything()
        assert [walk.failure for walk in walked if walk.failure] == []

    async def succeed(self) -> None:
        """Let another process take over, which knows what is written down and nothing else."""
        self.catalogue = Catalogue(self.kalshi.drift)
        await self.catalogue.load(self._conn)
        self.writer = a_writer(self._conn, self.kalshi, self.catalogue)

    async def ask(self, query: str, *values: Any) -> list[Any]:
        """Rows of the database, seen over another connection; single values bare."""
        conn = await asyncpg.connect(self._url)
        try:
            rows = await conn.fetch(query, *values)
        finally:
            await conn.close()
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    async def tell(self, statement: str, *values: Any) -> None:
        """Change the database behind the writer's back."""
        await self.ask(statement, *values)

    async def market(self, ticker: str) -> Row:
        """A market as the catalogue has it."""
        (body,) = await self.ask("SELECT body FROM instruments WHERE ticker = $1", ticker)
        row: Row = msgspec.json.decode(body)
        return row

    async def statuses(self) -> dict[str, str]:
        """Every market's state."""
        rows = await self.ask("SELECT ticker, status FROM instruments WHERE NOT is_combo")
        return dict(rows)

    async def walks(self) -> dict[str, Row]:
        """What is written down of each walk."""
        conn = await asyncpg.connect(self._url)
        try:
            rows = await conn.fetch("SELECT * FROM catalogue_walks")
        finally:
            await conn.close()
        return {row["scope"]: dict(row) for row in rows}

    async def versions(self, table: str = "instruments", key: str = "ticker") -> dict[str, int]:
        """The transaction that wrote each row."""
        return dict(await self.ask(f"SELECT {key}, xmin::text::bigint FROM {table}"))

    async def rewritten(self, before: dict[str, int]) -> set[str]:
        """The markets written since."""
        return {t for t, xmin in (await self.versions()).items() if before.get(t) != xmin}

    def listed(self) -> dict[str, str]:
        """The state of every market that a walk can find, by the exchange."""
        return {
            entry.ticker: OUR_WORD[entry.field("status")]
            for entry in self.exchange.catalogue.markets.values()
            if not entry.combo and entry.filed != "settled"
        }


@asynccontextmanager
async def desk(
    url: str, exchange: Exchange, *, wire: Wire | None = None, kalshi: Kalshi | None = None
) -> AsyncIterator[Desk]:
    """A writer that leads, and has learnt what the database holds."""
    wire = wire or Wire(exchange)
    async with a_line(wire) as line, leadership(url, JOB, WRITER_SETTINGS) as conn:
        assert conn is not None, "somebody else leads"
        kalshi = kalshi or line
        made = Desk(exchange, wire, url, kalshi, conn)
        await made.catalogue.load(conn)
        yield made


def a_writer(conn: Driver, kalshi: Kalshi, catalogue: Catalogue) -> Writer:
    return Writer(conn, kalshi, catalogue, changes_every=MINUTE, prices_every=MINUTE, progress=None)


@asynccontextmanager
async def a_line(wire: httpx.AsyncBaseTransport) -> AsyncIterator[Kalshi]:
    """To the exchange, unsigned, in small pages, and without any waiting."""
    async with http_client(BASE_URL, transport=wire) as http:
        yield SmallPages(
            BASE_URL,
            http,
            budget=hasty_budget(),
            breakers=Breakers(failures=1_000),
            retries=Retries(first=timedelta(), longest=timedelta()),
        )


def hasty_budget() -> Budget:
    """The Basic tier's, with its pauses, in a world where time flies."""

    def call_later(delay_s: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay_s / FAST, call)

    return Budget(now=lambda: monotonic() * FAST, call_later=call_later)
