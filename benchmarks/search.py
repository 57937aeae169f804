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
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from typing import Any

from halfmillion import (  # type: ignore[import-not-found]  # beside this file when it is run
    MARKETS,
    Connection,
    Lookups,
    Timed,
    filled,
)

from kalshi_gateway.markets import repository, search, suggestions
from kalshi_gateway.markets.listing import MarketListing
from kalshi_gateway.markets.searching import Sought

ROUNDS = 15
LOOKUPS_PER_ROUND = 5

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


async def measured(
    conn: Connection,
    lookups: Lookups,
    ask: Callable[[Any], Awaitable[Any]],
) -> tuple[float, float, int]:
    """Milliseconds of the search and of a look-up beside it, and how many rows were found."""
    searches, looked_up, found = [], [], 0
    for _ in range(ROUNDS):
        for _ in range(LOOKUPS_PER_ROUND):
            timed = Timed(conn)
            await lookups.ask(timed)
            looked_up.append(timed.seconds)
        timed = Timed(conn)
        found = len(await ask(timed))
        searches.append(timed.seconds)
    return 1000 * median(searches), 1000 * median(looked_up), found


async def measure(conn: Connection) -> bool:
    """Print all ratios; True if none is larger than it may be."""
    lookups = await Lookups.of(conn)
    kept = True
    asked: Mapping[str, tuple[str, ...]] = {"rare": RARE, "common": COMMON, "other": OTHERS}
    for kind, several in asked.items():
        for typed in several:
            listing = MarketListing(q=typed)

            async def page(timed: Any, listing: MarketListing = listing) -> Any:
                sought = await search.understand(timed, listing.q or "")
                return await repository.page(timed, listing, Sought(sought))

            ms, lookup_ms, found = await measured(conn, lookups, page)
            kept &= ms / lookup_ms <= MOST.get(kind, MOST["common"])
            print(_line(kind, typed, ms, lookup_ms, found))
    for typed in TYPED:

        async def offer(timed: Any, typed: str = typed) -> Any:
            return await suggestions.suggest(timed, await search.understand(timed, typed), 10)

        print(_line("suggestions", typed, *await measured(conn, lookups, offer)))
    return kept


def _line(kind: str, typed: str, ms: float, lookup_ms: float, found: int) -> str:
    return (
        f"{kind:<12} {typed:<26} {found:>4} rows {ms:>7.2f} ms, a look-up {lookup_ms:.3f} ms:"
        f" {ms / lookup_ms:>4.0f} look-ups"
    )


async def run(markets: int, folder: str | None) -> bool:
    async with filled(markets, folder) as conn:
        words = await conn.fetchval("SELECT count(*) FROM vocabulary")
        print(f"{words:>8} words that typos are mended by")
        return await measure(conn)


def main() -> None:
    markets = int(sys.argv[1]) if len(sys.argv) > 1 else MARKETS
    kept = asyncio.run(run(markets, sys.argv[2] if len(sys.argv) > 2 else None))
    print(
        f"a rare word takes at most {MOST['rare']} look-ups, a common one {MOST['common']}:", kept
    )


if __name__ == "__main__":
    main()
