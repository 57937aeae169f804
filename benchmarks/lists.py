"""Pages of the market list over half a million rows, beside a look-up by primary key.

    .venv/bin/python benchmarks/lists.py [markets [folder]]

A folder that is named is kept, and what is in it is listed again without being stored again. Each
page is asked for as the route asks, in turns with a look-up as the route for one market asks. The
time is a client's, over all the statements of an answer and all their rows; the server's own, which
it tells itself, is printed beside it: planning, running and writing the rows out.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from statistics import median
from typing import Any

import msgspec
from halfmillion import (  # type: ignore[import-not-found]  # beside this file when it is run
    MARKETS,
    Connection,
    Lookups,
    Timed,
    filled,
)

from kalshi_gateway.markets import paging, repository, searching
from kalshi_gateway.markets.listing import MarketListing
from kalshi_gateway.markets.repository import Row

ROUNDS = 41
LOOKUPS_PER_ROUND = 3
EXPLAINED = 5

#: Rows before the deep page.
DEPTH = 100_000

#: A filtered and sorted page of 100 takes at most so many look-ups; a deep one so many first ones.
MOST_LOOKUPS = 10
MOST_FIRST_PAGES = 1.2

SORTS = (
    "volume_24h",
    "close_time",
    "open_interest",
    "last_price",
    "change",
    "created",
    "relevance",
)
EXPLAIN = "EXPLAIN (ANALYZE, TIMING OFF, SERIALIZE BINARY, FORMAT JSON) "


def questions(now: datetime) -> dict[str, dict[str, Any]]:
    """Lists by what they show, in the order they are printed in."""
    week = {"closes_after": now, "closes_before": now + timedelta(days=7)}
    sorts = {f"by {sort}": {"sort": sort} for sort in SORTS}
    upside_down = {
        f"by {sort}, upside down": {"sort": sort, "order": _other(sort)} for sort in SORTS
    }
    filters: dict[str, dict[str, Any]] = {
        "a large category": {"category": "Sports"},
        "a large category, by close time": {"category": "sports", "sort": "close_time"},
        "a small category": {"category": "Politics"},
        "a small category, by open interest": {"category": "Politics", "sort": "open_interest"},
        "a tag": {"tag": "Football"},
        "a tag, by change": {"tag": "Football", "sort": "change"},
        "a series": {"series": "KXHIGHNY"},
        "a series, by close time": {"series": "KXHIGHNY", "sort": "close_time"},
        "closing within a week": week,
        "closing within a week, by close time": {**week, "sort": "close_time"},
        "much traded": {"min_volume": 1_000},
        "much traded, the latest first": {"min_volume": 1_000, "sort": "created"},
        "likely": {"min_price": Decimal("0.8")},
        "unlikely, by open interest": {"max_price": Decimal("0.1"), "sort": "open_interest"},
        "closed ones": {"status": ["closed"]},
        "settled ones, by last price": {"status": ["settled"], "sort": "last_price"},
        "of all states, by close time": {
            "status": ["unopened", "open", "paused", "closed", "settled"],
            "sort": "close_time",
        },
        "with combos": {"include_combos": True},
        "category, price, volume and a week, by change": {
            **week,
            "category": "Sports",
            "min_price": Decimal("0.2"),
            "max_price": Decimal("0.8"),
            "min_volume": 100,
            "sort": "change",
        },
    }
    return sorts | upside_down | filters


def _other(sort: str) -> str:
    return "desc" if sort == "close_time" else "asc"


async def answered(conn: Any, listing: MarketListing) -> tuple[Sequence[Row], str | None]:
    """What the route reads to answer with one page, and the cursor after it."""
    rows = await repository.page(conn, listing, await searching.sought(conn, listing))
    return paging.cut(rows, listing)


async def by_turns(conn: Connection, *asks: Callable[[Any], Awaitable[Any]]) -> list[float]:
    """Milliseconds of each, asked in turns."""
    taken: list[list[float]] = [[] for _ in asks]
    for _ in range(ROUNDS):
        for ask, seconds in zip(asks, taken, strict=True):
            timed = Timed(conn)
            await ask(timed)
            seconds.append(timed.seconds)
    return [1000 * median(seconds) for seconds in taken]


async def by_server(conn: Connection, ask: Callable[[Any], Awaitable[Any]]) -> float:
    """Milliseconds of the same as the server counts them."""
    timed = Timed(conn)
    await ask(timed)
    total = 0.0
    for statement, values in timed.statements:
        told = [await conn.fetchval(EXPLAIN + statement, *values) for _ in range(EXPLAINED)]
        plans = [msgspec.json.decode(text)[0] for text in told]
        total += median(plan["Planning Time"] + plan["Execution Time"] for plan in plans)
    return total


async def deep(conn: Connection, listing: MarketListing) -> MarketListing:
    """The same list, `DEPTH` rows further, walked there from cursor to cursor."""
    step = listing.model_copy(update={"limit": 1_000})
    for _ in range(DEPTH // step.limit):
        page, cursor = await answered(conn, step)
        step = step.model_copy(update={"cursor": cursor})
        assert len(page) == step.limit, "the list is not that long"
    return listing.model_copy(update={"cursor": step.cursor})


async def measure(conn: Connection) -> bool:
    """Print all ratios; True if none is larger than it may be."""
    lookups = await Lookups.of(conn)
    kept = True
    ms = await by_server(conn, lookups.ask)
    print(f"a look-up takes the server {ms:.3f} ms")
    for name, asked in questions(datetime.now(UTC)).items():
        ask = partial(answered, listing=MarketListing(**asked))
        found = len((await ask(conn))[0])
        page_ms, *lookup_ms = await by_turns(conn, ask, *[lookups.ask] * LOOKUPS_PER_ROUND)
        server_ms, ratio = await by_server(conn, ask), page_ms / median(lookup_ms)
        kept &= ratio <= MOST_LOOKUPS
        print(
            f"{name:<48} {found:>4} rows {page_ms:>7.2f} ms (server {server_ms:.2f}),"
            f" a look-up {median(lookup_ms):.3f} ms: {ratio:>5.1f} look-ups"
        )
    for sort in SORTS[:-1]:
        first = MarketListing.model_validate({"sort": sort})
        asks = [partial(answered, listing=one) for one in (first, await deep(conn, first))]
        first_ms, deep_ms = await by_turns(conn, *asks)
        kept &= deep_ms / first_ms <= MOST_FIRST_PAGES
        print(
            f"{DEPTH} rows deep, by {sort:<26} {deep_ms:>7.2f} ms, page one {first_ms:.2f} ms:"
            f" {deep_ms / first_ms:.2f} first pages"
        )
    return kept


async def run(markets: int, folder: str | None) -> bool:
    async with filled(markets, folder) as conn:
        return await measure(conn)


def main() -> None:
    markets = int(sys.argv[1]) if len(sys.argv) > 1 else MARKETS
    kept = asyncio.run(run(markets, sys.argv[2] if len(sys.argv) > 2 else None))
    print(
        f"a page takes at most {MOST_LOOKUPS} look-ups, a deep one {MOST_FIRST_PAGES} first ones:",
        kept,
    )


if __name__ == "__main__":
    main()
