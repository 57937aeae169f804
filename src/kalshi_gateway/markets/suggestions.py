"""What to offer somebody who is still typing: open events, their series, and single markets."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

import asyncpg
from pydantic import Field

from kalshi_gateway.db import Driver
from kalshi_gateway.units import CENTICONTRACTS_PER_CONTRACT, Contracts, Moment

from . import ranking
from .question import Question
from .ranking import Ranked, Shelf
from .search import Search

#: Of these the series are offered; more events than anybody looks at.
MOST_EVENTS = 50
#: One place in so many is for a series.
EVENTS_PER_SERIES = 5

OPEN = ("open",)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something that was perhaps meant."""

    kind: Annotated[
        Literal["event", "series", "market"],
        Field(description="Where to look it up: /kalshi/events, /kalshi/series, /kalshi/markets."),
    ]
    ticker: Annotated[str, Field(examples=["KXHIGHNY-26JUN15"])]
    display_name: str
    detail: Annotated[str | None, Field(description="Tells an event from others of the same name.")]
    category: str | None
    volume_24h: Annotated[Contracts | None, Field(description="Null for series.")]
    close_time: Annotated[Moment | None, Field(description="Null for series.")]


async def suggest(conn: Driver, search: Search, limit: int) -> list[Suggestion]:
    """The closest matches first; among equals events before series, and both before markets.

    A market is offered where its event is not found: by the name of an outcome, or its ticker.
    """
    if search.widest is None:
        return []
    events = await ranking.best(
        conn, ranking.EVENTS, search, Question(), OPEN, limit=max(limit, MOST_EVENTS)
    )
    series = await _series(conn, search, events, limit)
    events_and_series = len(events) + min(len(series), limit // EVENTS_PER_SERIES)
    # With room left, these are all the open events that are found.
    markets = await _markets(conn, search, events, limit - events_and_series)
    series = series[: max(limit // EVENTS_PER_SERIES, limit - len(events) - len(markets))]
    events = events[: limit - len(series)]
    return [
        suggestion
        for _, suggestion in sorted(
            [
                *await _told(conn, _EVENTS, ranking.EVENTS, events),
                *series,
                *await _told(conn, _MARKETS, ranking.MARKETS, markets),
            ],
            key=lambda found: -found[0],
        )
    ]


_EVENTS = """
    SELECT 'event' AS kind, event_ticker AS ticker, coalesce(title, event_ticker) AS display_name,
        sub_title AS detail, category, volume_24h_centicontracts, close_time FROM events
"""
_MARKETS = """
    SELECT 'market' AS kind, ticker, body::json->>'display_name' AS display_name,
        NULL AS detail, category, volume_24h_centicontracts, close_time FROM instruments
"""


async def _markets(
    conn: Driver, search: Search, events: Sequence[Ranked], room: int
) -> list[Ranked]:
    if room <= 0:
        return []
    question = Question(["NOT is_combo"])
    known = question.value([event.name for event in events])
    question.conditions.append(f"event_ticker <> ALL({known})")
    return await ranking.best(conn, ranking.MARKETS, search, question, OPEN, limit=room)


async def _series(
    conn: Driver, search: Search, events: Sequence[Ranked], limit: int
) -> list[tuple[int, Suggestion]]:
    """The series of the events, if they are found themselves; without any event all series."""
    question = Question()
    match = ranking.match_of(question, "ticker", search)
    question.conditions.append(question.has_words(search.widest))
    order = "ticker"
    if events:
        names = question.value([event.name for event in events])
        question.conditions.append(
            f"ticker IN (SELECT series_ticker FROM events WHERE event_ticker = ANY({names}))"
        )
        order = (
            f"(SELECT min(array_position({names}, event_ticker)) FROM events"
            f" WHERE series_ticker = series.ticker AND event_ticker = ANY({names}))"
        )
    rows = await conn.fetch(
        f"SELECT {match} AS match, ticker, coalesce(title, ticker) AS title, category FROM series"
        f" WHERE {question.where()} ORDER BY match DESC, {order} LIMIT {limit}",
        *question.values,
    )
    return [
        (
            row["match"],
            Suggestion("series", row["ticker"], row["title"], None, row["category"], None, None),
        )
        for row in rows
    ]


async def _told(
    conn: Driver, select: str, shelf: Shelf, ranked: Sequence[Ranked]
) -> list[tuple[int, Suggestion]]:
    rows = await conn.fetch(f"{select} WHERE {shelf.name} = ANY($1)", [row.name for row in ranked])
    known = {row["ticker"]: row for row in rows}
    return [(row.match, _suggestion(known[row.name])) for row in ranked if row.name in known]


def _suggestion(row: asyncpg.Record) -> Suggestion:
    kind, ticker, display_name, detail, category, volume, close_time = row
    return Suggestion(
        kind=kind,
        ticker=ticker,
        display_name=display_name,
        detail=detail,
        category=category,
        volume_24h=None if volume is None else Decimal(volume) / CENTICONTRACTS_PER_CONTRACT,
        close_time=close_time,
    )
