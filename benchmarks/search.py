"""Searches over half a million markets, as database time beside a look-up by primary key.

    .venv/bin/python benchmarks/search.py [markets [folder]]

A folder that is named is kept, and what is in it is searched again without being stored again.
The markets are generated and stored by the writer's own code, without HTTP, in a Postgres of our
own with its ordinary settings. Each search is measured in turns with the look-up, so that what else
the machine does falls on both; what counts is the ratio of the two. Database time is the time from
asking to answer over all the statements of a search, the reading of synonyms, typos and bodies
included.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import msgspec

from kalshi_gateway import embedded, migrate
from kalshi_gateway.kalshi.drift import Drift
from kalshi_gateway.markets import repository, search, suggestions, totals, vocabulary
from kalshi_gateway.markets.catalogue import Catalogue
from kalshi_gateway.markets.listing import MarketListing
from kalshi_gateway.simulator.exchange import Exchange

ROUNDS = 15
LOOKUPS_PER_ROUND = 5
ROWS_AT_ONCE = 2_000

#: What may be typed, and how many look-ups by primary key it may take. Rare is what fewer than a
#: thousand markets have, common what thousands have; what is between is measured with the others.
RARE = ("mahomes", "kxnflspread", "q4 gdp", "26nov26 denver")
COMMON = ("will", "the", "crypto", "temperature", "points", "city", "will be above")
OTHERS = (
    "KXHIGHNY",
    "w",
    "wi",
    "temp miami",
    "la",
    "kansas city",
    "btc",
    "bitcion",
    "highest temperture los",
)
TYPED = ("t", "te", "los a", "kans", "bitcoi", "bitcio", "presidnt")
MOST = {"rare": 60, "common": 250}

INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'instruments'"


class Timed:
    """A connection that adds up how long its statements take."""

    def __init__(self, conn: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._conn = conn
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        asked = getattr(self._conn, name)

        async def timed(*values: Any) -> Any:
            started = time.perf_counter()
            answer = await asked(*values)
            self.seconds += time.perf_counter() - started
            return answer

        return timed


async def filled(conn: "asyncpg.Connection[asyncpg.Record]", markets: int) -> None:
    """Everything an exchange of that size lists, stored before the indexes are built."""
    exchange = Exchange.generated(markets, seed=1)
    catalogue = Catalogue(Drift())
    indexes = [row for row in await conn.fetch(INDEXES) if not row["indexname"].startswith("pk_")]
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
    await totals.restate(conn, list(exchange.catalogue.events))
    await conn.execute("VACUUM ANALYZE")
    await vocabulary.recount(conn)


async def measured(
    conn: "asyncpg.Connection[asyncpg.Record]",
    tickers: Iterator[str],
    ask: Callable[[Any], Awaitable[Any]],
) -> tuple[float, float, int]:
    """Milliseconds of the search and of a look-up beside it, and how many rows were found."""
    searches, lookups, found = [], [], 0
    for _ in range(ROUNDS):
        for _ in range(LOOKUPS_PER_ROUND):
            ticker = next(tickers)
            started = time.perf_counter()
            await conn.fetchrow("SELECT body FROM instruments WHERE ticker = $1", ticker)
            lookups.append(time.perf_counter() - started)
        timed = Timed(conn)
        found = len(await ask(timed))
        searches.append(timed.seconds)
    return 1000 * median(searches), 1000 * median(lookups), found


async def measure(conn: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Print all ratios; True if none is larger than it may be."""
    # As often asked for as the searches: what lies in memory for these, lies there for those.
    rows = await conn.fetch("SELECT ticker FROM instruments TABLESAMPLE SYSTEM (1) LIMIT 5")
    tickers = cycle([row["ticker"] for row in rows])
    kept = True
    asked: Mapping[str, tuple[str, ...]] = {"rare": RARE, "common": COMMON, "other": OTHERS}
    for kind, several in asked.items():
        for typed in several:
            listing = MarketListing(q=typed)

            async def page(timed: Any, listing: MarketListing = listing) -> Any:
                sought = await search.understand(timed, listing.q or "")
                return await repository.page(timed, listing, sought)

            ms, lookup_ms, found = await measured(conn, tickers, page)
            kept &= ms / lookup_ms <= MOST.get(kind, MOST["common"])
            print(_line(kind, typed, ms, lookup_ms, found))
    for typed in TYPED:

        async def offer(timed: Any, typed: str = typed) -> Any:
            return await suggestions.suggest(timed, await search.understand(timed, typed), 10)

        print(_line("suggestions", typed, *await measured(conn, tickers, offer)))
    return kept


def _line(kind: str, typed: str, ms: float, lookup_ms: float, found: int) -> str:
    return (
        f"{kind:<12} {typed:<26} {found:>4} rows {ms:>7.2f} ms, a look-up {lookup_ms:.3f} ms:"
        f" {ms / lookup_ms:>4.0f} look-ups"
    )


async def run(markets: int, folder: Path) -> bool:
    server = await asyncio.to_thread(embedded.acquire, folder)
    try:
        await migrate.to_head(server.url())
        conn = await asyncpg.connect(server.url())
        if not await conn.fetchval("SELECT count(*) FROM instruments"):
            await filled(conn, markets)
        for row in await conn.fetch("SELECT status, count(*) FROM instruments GROUP BY 1"):
            print(f"{row['count']:>8} {row['status']}")
        words = await conn.fetchval("SELECT count(*) FROM vocabulary")
        print(f"{words:>8} words that typos are mended by")
        kept = await measure(conn)
        await conn.close()
        return kept
    finally:
        await asyncio.to_thread(server.release)


@contextmanager
def _folder(named: str | None) -> Iterator[Path]:
    if named is not None:
        Path(named).mkdir(mode=0o711, exist_ok=True)
        yield Path(named)
        return
    with tempfile.TemporaryDirectory(prefix="kalshi-gateway-bench-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def main() -> None:
    markets = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    with _folder(sys.argv[2] if len(sys.argv) > 2 else None) as folder:
        kept = asyncio.run(run(markets, folder / "postgres"))
    print(
        f"a rare word takes at most {MOST['rare']} look-ups, a common one {MOST['common']}:", kept
    )


if __name__ == "__main__":
    main()
