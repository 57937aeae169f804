"""Pages of the market list over half a million rows, beside a look-up by primary key.

    .venv/bin/python benchmarks/lists.py [markets [folder]]

A folder that is named is kept, and what is in it is listed again without being stored again. Each
page is asked for as the route asks, over and over, in turns with a look-up as the route for one
market asks. What counts is the processor time of the server's process behind the connection, as the
kernel accounts for it (Linux): all that an answer really costs the database, from reading the
statement to sending the rows, planning wherever it plans. Its own EXPLAIN plans each time, which it
seldom does for a statement it knows, and leaves out the protocol. The client's clock is printed
beside it. It flatters long statements: to send one there and back takes longer than a look-up.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from statistics import median
from typing import Any

from halfmillion import (  # type: ignore[import-not-found]  # beside this file when it is run
    MARKETS,
    Backend,
    Connection,
    Lookups,
    Timed,
    filled,
)

from kalshi_gateway.markets import paging, repository, searching
from kalshi_gateway.markets.listing import MarketListing
from kalshi_gateway.markets.repository import Row

CLOCKS = ("server", "client")
ROUNDS = 25

#: So often in a row, lest the moment before a process waits again be missed.
REPEATED = 10

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
        "a series, by change": {"series": "KXHIGHNY", "sort": "change"},
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


@dataclass(frozen=True)
class Taken:
    """Microseconds of one answer."""

    server: float
    client: float


async def by_turns(conn: Connection, *asks: Callable[[Any], Awaitable[Any]]) -> list[list[Taken]]:
    """What each takes, asked in turns; the server has planned before what it plans only once."""
    backend = await Backend.of(conn)
    for ask in asks:
        await taken(conn, backend, ask)
    rounds = [[await taken(conn, backend, ask) for ask in asks] for _ in range(ROUNDS)]
    return [list(column) for column in zip(*rounds, strict=True)]


async def taken(conn: Connection, backend: Backend, ask: Callable[[Any], Awaitable[Any]]) -> Taken:
    timed = Timed(conn)
    before = await backend.seconds()
    for _ in range(REPEATED):
        await ask(timed)
    used = await backend.seconds() - before
    return Taken(1e6 * used / REPEATED, 1e6 * timed.seconds / REPEATED)


def times(ones: Sequence[float], others: Sequence[float]) -> float:
    """How many of the others one takes; by rounds, since a machine is not always as quick."""
    return median(one / other for one, other in zip(ones, others, strict=True))


async def deep(conn: Connection, listing: MarketListing) -> MarketListing:
    """The same list, `DEPTH` rows further, walked there from cursor to cursor."""
    step = listing.model_copy(update={"limit": 1_000})
    for _ in range(DEPTH // step.limit):
        page, cursor = await answered(conn, step)
        step = step.model_copy(update={"cursor": cursor})
        assert len(page) == step.limit, "the list is not that long"
    return listing.model_copy(update={"cursor": step.cursor})


class Judge:
    """What took longer than it may, by each clock."""

    def __init__(self) -> None:
        self._longer: dict[str, list[str]] = {clock: [] for clock in CLOCKS}

    def hear(self, name: str, ratios: Sequence[float], most: float) -> None:
        for clock, ratio in zip(CLOCKS, ratios, strict=True):
            if ratio > most:
                self._longer[clock].append(f"{name} ({ratio:.2f})")

    def __str__(self) -> str:
        return "\n".join(
            f"longer by the {clock}'s clock: {', '.join(names) or 'nothing'}"
            for clock, names in self._longer.items()
        )


async def measure(conn: Connection) -> Judge:
    """Print all ratios."""
    lookups = await Lookups.of(conn)
    judge = Judge()
    for name, asked in questions(datetime.now(UTC)).items():
        ask = partial(answered, listing=MarketListing(**asked))
        found = len((await ask(conn))[0])
        rounds = await by_turns(conn, ask, lookups.ask)
        judge.hear(name, compared(name, f"{found:>4} rows", "look-ups", rounds), MOST_LOOKUPS)
    for sort in SORTS[:-1]:
        first = MarketListing.model_validate({"sort": sort})
        asks = [partial(answered, listing=one) for one in (await deep(conn, first), first)]
        rounds = await by_turns(conn, *asks)
        ratios = compared(f"by {sort}", f"{DEPTH} deep", "first pages", rounds)
        judge.hear(f"by {sort}, deep", ratios, MOST_FIRST_PAGES)
    return judge


def compared(
    name: str, what: str, unit: str, rounds: Sequence[Sequence[Taken]]
) -> tuple[float, float]:
    """Print how the first compares with the second; by either clock, also told."""
    server, client = (
        [[getattr(one, clock) for one in side] for side in rounds] for clock in CLOCKS
    )
    ratios = times(*server), times(*client)
    print(
        f"{name:<46} {what:>11}: {median(server[0]):>4.0f} us of the server,"
        f" {ratios[0]:>5.2f} {unit} of {median(server[1]):.0f} us;"
        f" by the client's clock {median(client[0]):>5.0f} us,"
        f" {ratios[1]:>5.2f} of {median(client[1]):.0f} us"
    )
    return ratios


async def run(markets: int, folder: str | None) -> Judge:
    async with filled(markets, folder) as conn:
        return await measure(conn)


def main() -> None:
    markets = int(sys.argv[1]) if len(sys.argv) > 1 else MARKETS
    judge = asyncio.run(run(markets, sys.argv[2] if len(sys.argv) > 2 else None))
    print(f"a page may take {MOST_LOOKUPS} look-ups, a deep one {MOST_FIRST_PAGES} first ones")
    print(judge)


if __name__ == "__main__":
    main()
