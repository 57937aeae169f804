"""Half a million made-up markets in a Postgres of our own, and how long its statements take.

What is measured is measured in turns with a look-up by primary key, so that what else the machine
does falls on both; what counts is the ratio of the two.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
import msgspec

from kalshi_gateway import db, embedded, migrate
from kalshi_gateway.kalshi.drift import Drift
from kalshi_gateway.markets import genres, repository, vocabulary
from kalshi_gateway.markets.catalogue import Catalogue
from kalshi_gateway.simulator.exchange import Exchange

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:  # the class itself takes no type arguments
    Connection = asyncpg.Connection

MARKETS = 500_000
ROWS_AT_ONCE = 2_000

#: All but those that storing itself asks: for what is there, and for the markets of an event.
INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'instruments'
    AND indexname NOT IN ('pk_instruments', 'ix_instruments_event_ticker')
"""


class Timed:
    """A connection that adds up how long its statements take, and remembers them."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self.seconds = 0.0
        self.statements: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        asked = getattr(self._conn, name)

        async def timed(statement: str, *values: Any) -> Any:
            return await self._add(statement, values, asked(statement, *values))

        return timed

    async def prepare(self, statement: str, *, name: str) -> "TimedStatement":
        """A statement that counts, too, with its preparation."""
        started = time.perf_counter()
        prepared = await self._conn.prepare(statement, name=name)
        self.seconds += time.perf_counter() - started
        return TimedStatement(self, statement, prepared)

    async def _add(self, statement: str, values: tuple[Any, ...], asked: Awaitable[Any]) -> Any:
        started = time.perf_counter()
        answer = await asked
        self.seconds += time.perf_counter() - started
        self.statements.append((statement, values))
        return answer


class TimedStatement:
    """One statement of a connection like that."""

    def __init__(self, timed: Timed, statement: str, prepared: Any) -> None:
        self._timed = timed
        self._statement = statement
        self._prepared = prepared

    async def fetch(self, *values: Any) -> Any:
        return await self._timed._add(self._statement, values, self._prepared.fetch(*values))


class Backend:
    """The server's process that answers one connection."""

    def __init__(self, pid: int) -> None:
        self._used = Path(f"/proc/{pid}/schedstat")

    @classmethod
    async def of(cls, conn: Connection) -> "Backend":
        return cls(await conn.fetchval("SELECT pg_backend_pid()"))

    async def seconds(self) -> float:
        """Processor time it has used; all of it once it waits, so a moment is left for that."""
        await asyncio.sleep(0.002)
        return int(self._used.read_text().split()[0]) / 1e9


class Lookups:
    """Markets by primary key, a few over and over: what lies in memory for a page does for them."""

    def __init__(self, tickers: list[str]) -> None:
        self._tickers = cycle(tickers)

    @classmethod
    async def of(cls, conn: Connection) -> "Lookups":
        rows = await conn.fetch("SELECT ticker FROM instruments TABLESAMPLE SYSTEM (1) LIMIT 5")
        return cls([row["ticker"] for row in rows])

    async def ask(self, conn: Any) -> None:
        """What the route reads to answer with one market."""
        assert await repository.find(conn, next(self._tickers)), "a market has gone"


@asynccontextmanager
async def filled(markets: int, named: str | None) -> AsyncIterator[Connection]:
    """A connection to a database that holds them; a folder that is named is kept and used again."""
    with _folder(named) as folder:
        server = await asyncio.to_thread(embedded.acquire, folder / "postgres")
        try:
            await migrate.to_head(server.url())
            conn = await db.alone(server.url(), "benchmark")
            if not await conn.fetchval("SELECT count(*) FROM instruments"):
                await _fill(conn, markets)
            for row in await conn.fetch("SELECT status, count(*) FROM instruments GROUP BY 1"):
                print(f"{row['count']:>8} {row['status']}")
            yield conn
            await conn.close()
        finally:
            await asyncio.to_thread(server.release)


async def _fill(conn: Connection, markets: int) -> None:
    """Everything an exchange of that size lists, stored before the indexes are built."""
    exchange = Exchange.generated(markets, seed=1)
    catalogue = Catalogue(Drift())
    indexes = await conn.fetch(INDEXES)
    await conn.execute("SET synchronous_commit = off; SET maintenance_work_mem = '256MB'")
    await conn.execute(f"DROP INDEX {', '.join(row['indexname'] for row in indexes)}")
    for prepare, entries in (
        (catalogue.series, exchange.catalogue.series),
        (catalogue.events, exchange.catalogue.events),
        (catalogue.markets, exchange.catalogue.markets),
    ):
        rows = [msgspec.Raw(entry.bytes()) for entry in entries.values()]
        for start in range(0, len(rows), ROWS_AT_ONCE):
            batch = await prepare(rows[start : start + ROWS_AT_ONCE], datetime.now(UTC))
            async with conn.transaction():
                await batch.save(conn)
            batch.keep()
    for row in indexes:
        await conn.execute(row["indexdef"])
    await conn.execute("VACUUM ANALYZE")
    await vocabulary.recount(conn)
    await genres.recount(conn)


@contextmanager
def _folder(named: str | None) -> Iterator[Path]:
    if named is not None:
        Path(named).mkdir(mode=0o711, exist_ok=True)
        yield Path(named)
        return
    with tempfile.TemporaryDirectory(prefix="kalshi-gateway-bench-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)
