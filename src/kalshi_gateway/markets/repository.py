"""The `instruments` table, and the events and series its rows belong to: what is read of them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import asyncpg
import msgspec

from kalshi_gateway.cursors import CursorInvalid
from kalshi_gateway.db import Driver
from kalshi_gateway.units import centicontracts, microdollars

from . import family, genres, ordering, ranking
from .answers import CategoryFacet, Facet
from .family import Event, Series
from .listing import (
    EventListing,
    Listing,
    MarketListing,
    Place,
    SeriesListing,
    place_of,
)
from .market import Family
from .question import Question
from .ranking import Ranked, Shelf
from .search import Search
from .searching import Sought


class Row(NamedTuple):
    """One line of a list: its finished JSON, and where it stands."""

    body: str
    place: Place


class Found(NamedTuple):
    """One market: its finished JSON, the further members of its detail, and its age."""

    body: str
    rules: str
    status: str
    is_combo: bool
    as_of: datetime


class FoundFamily(NamedTuple):
    """One event or series: its finished JSON, and its age."""

    body: str
    as_of: datetime


class Inside(NamedTuple):
    """A market inside its event: its finished JSON, and its age."""

    body: str
    status: str
    as_of: datetime


async def page(conn: Driver, listing: MarketListing, sought: Sought) -> list[Row]:
    """One row more than a page, so that the caller knows whether there is a next one."""
    question = _markets(listing, sought)
    return await _page(conn, ranking.MARKETS, question, listing, sought.search)


async def count(conn: Driver, listing: MarketListing, sought: Sought) -> int:
    """How many markets the whole list has."""
    question = _markets(listing, sought)
    return await _count(conn, ranking.MARKETS, question, listing, sought.search)


async def find(conn: Driver, ticker: str) -> Found | None:
    row = await conn.fetchrow(
        "SELECT body, rules, status, is_combo, as_of FROM instruments WHERE ticker = $1", ticker
    )
    return None if row is None else Found(*row)


async def series_of(conn: Driver, ticker: str) -> str | None:
    """The series a market belongs to, where we know it."""
    series: str | None = await conn.fetchval(
        "SELECT series_ticker FROM instruments WHERE ticker = $1", ticker
    )
    return series


async def page_of_events(conn: Driver, listing: EventListing, sought: Sought) -> list[Row]:
    """Events, each with what its markets add up to."""
    question = _asked(listing, sought)
    return await _page(conn, ranking.EVENTS, question, listing, sought.search)


async def count_events(conn: Driver, listing: EventListing, sought: Sought) -> int:
    return await _count(conn, ranking.EVENTS, _asked(listing, sought), listing, sought.search)


async def find_event(conn: Driver, event_ticker: str) -> FoundFamily | None:
    row = await conn.fetchrow(
        f"SELECT {_BODY['events']} AS body, as_of FROM events WHERE event_ticker = $1",
        event_ticker,
    )
    return None if row is None else FoundFamily(*row)


async def markets_of(conn: Driver, event_tickers: Sequence[str]) -> dict[str, list[Inside]]:
    """All markets of these events, by event."""
    rows = await conn.fetch(
        "SELECT event_ticker, body, status, as_of FROM instruments"
        " WHERE event_ticker = ANY($1) AND NOT is_combo ORDER BY ticker",
        event_tickers,
    )
    found: dict[str, list[Inside]] = {ticker: [] for ticker in event_tickers}
    for row in rows:
        found[row["event_ticker"]].append(Inside(row["body"], row["status"], row["as_of"]))
    return found


async def unknown_among(conn: Driver, tickers: Sequence[str]) -> int:
    """How many of these tickers are no market of ours."""
    known: int = await conn.fetchval(
        "SELECT count(*) FROM instruments WHERE ticker = ANY($1)", tickers
    )
    return len(set(tickers)) - known


async def oldest_combo(conn: Driver, tickers: Sequence[str]) -> datetime | None:
    """When the exchange was asked for the unsettled combo among these that was asked for first."""
    as_of: datetime | None = await conn.fetchval(
        "SELECT min(as_of) FROM instruments WHERE ticker = ANY($1) AND is_combo"
        " AND status <> 'settled'",
        tickers,
    )
    return as_of


async def page_of_series(conn: Driver, listing: SeriesListing, sought: Sought) -> list[Row]:
    """Series by ticker."""
    question = Question(genres=sought.genres)
    question.conditions += question.of_genres()
    if sought.search is not None:
        question.conditions.append(question.has_words(sought.search.widest))
    if listing.cursor is not None:
        name = place_of(listing, keys=0).name
        question.conditions.append(f"ticker > {question.value(name)}")
    rows = await conn.fetch(
        f"SELECT ticker, body FROM series WHERE {question.where()}"
        f" ORDER BY ticker LIMIT {listing.limit + 1}",
        *question.values,
    )
    reading = None if sought.search is None else sought.search.reading
    return [Row(row["body"], Place((), row["ticker"], reading)) for row in rows]


async def find_series(conn: Driver, ticker: str) -> FoundFamily | None:
    row = await conn.fetchrow("SELECT body, as_of FROM series WHERE ticker = $1", ticker)
    return None if row is None else FoundFamily(*row)


async def confirm(
    conn: Driver, table: str, key: str, digests: Mapping[str, int], as_of: datetime
) -> list[str]:
    """Date anew the rows of which the exchange still says the same; their keys."""
    # In their order, like rows that are stored: nobody waits for a row of who waits for his.
    rows = await conn.fetch(
        f"UPDATE {table} SET as_of = $3 FROM ("
        f" SELECT {key} AS same FROM {table}"
        f" JOIN unnest($1::text[], $2::bigint[]) AS said (key, digest) ON {key} = said.key"
        f" WHERE {table}.digest = said.digest AND as_of <= $3 ORDER BY {key} FOR UPDATE OF {table}"
        f") AS confirmed WHERE {key} = same RETURNING {key}",
        list(digests),
        list(digests.values()),
        as_of,
    )
    return [row[0] for row in rows]


async def event_digest(conn: Driver, event_ticker: str) -> int | None:
    """Of the event's row as the exchange told it, if we know the event."""
    digest: int | None = await conn.fetchval(
        "SELECT digest FROM events WHERE event_ticker = $1", event_ticker
    )
    return digest


async def series_noun(conn: Driver, ticker: str) -> Series | None:
    """A series as the writer knows it."""
    body = await conn.fetchval("SELECT body FROM series WHERE ticker = $1", ticker)
    return None if body is None else msgspec.json.decode(body, type=Series)


async def family_of(conn: Driver, event_ticker: str) -> Family | None:
    """What the markets of an event inherit, if we know the event."""
    body = await conn.fetchval("SELECT body FROM events WHERE event_ticker = $1", event_ticker)
    if body is None:
        return None
    event = msgspec.json.decode(body, type=Event)
    return family.family_of(event, await series_noun(conn, event.series_ticker or ""))


async def facets(conn: Driver, search: Search | None) -> tuple[CategoryFacet, ...]:
    """Categories and their tags: how many series, and how many open markets, each has.

    The operator's own are among them. Of a search only those that are found, and the categories and
    tags that have any.
    """
    question = Question()
    found = "true" if search is None else question.has_words(search.widest)
    rows = await conn.fetch(
        f"""
        WITH open AS (
            SELECT series_ticker, count(*) AS markets FROM instruments
            WHERE status = 'open' AND NOT is_combo AND {found} GROUP BY series_ticker
        ), placed AS (
            SELECT s.category, s.tags, s.genre, {found} AS found, coalesce(o.markets, 0) AS markets
            FROM series s LEFT JOIN open o ON o.series_ticker = s.ticker
            WHERE {found} OR o.markets > 0
        ), named AS (
            SELECT category AS name, false AS own, tags, found, markets FROM placed
            WHERE category IS NOT NULL
            UNION ALL
            SELECT name, true, tags, found, markets
            FROM placed JOIN ({genres.GATHERED}) AS gathered USING (genre)
            WHERE lower(name) IS DISTINCT FROM lower(category)
        )
        SELECT lower(name) AS key, NULL AS tag, bool_and(own) AS own,
            coalesce(min(name) FILTER (WHERE NOT own), min(name)) AS name,
            count(*) FILTER (WHERE found) AS series, sum(markets)::bigint AS markets
        FROM named GROUP BY lower(name)
        UNION ALL
        SELECT lower(name), lower(tag), NULL, min(tag),
            count(*) FILTER (WHERE found), sum(markets)::bigint
        FROM named, LATERAL (
            SELECT min(tag) AS tag FROM unnest(tags) AS tag GROUP BY lower(tag)
        ) AS each GROUP BY lower(name), lower(tag)
        ORDER BY key, tag NULLS FIRST
        """,
        *question.values,
    )
    tags: dict[str, list[Facet]] = {}
    for key, tag, _, name, series, markets in rows:
        tags.setdefault(key, [])
        if tag is not None:
            tags[key].append(Facet(name, series, markets))
    return tuple(
        CategoryFacet(name, own, series, markets, tuple(tags[key]))
        for key, tag, own, name, series, markets in rows
        if tag is None
    )


# --- what is asked, as conditions

A_DAY, A_WEEK = timedelta(days=1), timedelta(days=7)

# Body and what its markets add up to, joined as text: both are finished JSON.
_EVENT_BODY = """
    left(body, -1) || ',"status":' || coalesce(to_json(status)::text, 'null')
    || ',"volume_24h":'
    || coalesce((volume_24h_centicontracts / 100.0)::numeric(20, 2)::text, 'null')
    || ',"open_interest":'
    || coalesce((open_interest_centicontracts / 100.0)::numeric(20, 2)::text, 'null')
    || ',"close_time":'
    || coalesce(to_json(to_char(close_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))::text,
                'null') || '}'
"""
_BODY = {"instruments": "body", "events": _EVENT_BODY}


def _asked(listing: Listing, sought: Sought, *, read_one_way: bool = False) -> Question:
    question = Question(genres=sought.genres, read_one_way=read_one_way)
    if listing.series is not None:
        question.conditions.append(f"series_ticker = {question.asked(listing.series, 'text')}")
    if listing.closes_after is not None:
        after = question.asked(listing.closes_after, "timestamptz")
        question.conditions.append(f"close_time > {after}")
    if listing.closes_before is not None:
        before = question.asked(listing.closes_before, "timestamptz")
        question.conditions.append(question.below("close_time", before))
    return question


def _markets(listing: MarketListing, sought: Sought) -> Question:
    question = _asked(listing, sought, read_one_way=_read_one_way(listing))
    if listing.event is not None:
        question.conditions.append(f"event_ticker = {question.value(listing.event)}")
    if listing.tickers is not None:
        question.conditions.append(f"ticker = ANY({question.value(listing.tickers)})")
    elif not listing.include_combos:
        question.conditions.append("NOT is_combo")
    if listing.min_volume is not None:
        least = question.asked(centicontracts(listing.min_volume), "bigint")
        question.conditions.append(f"volume_centicontracts >= {least}")
    if listing.min_price is not None:
        lowest = question.asked(microdollars(listing.min_price), "integer")
        question.conditions.append(f"last_price_microdollars >= {lowest}")
    if listing.max_price is not None:
        # Prices are whole microdollars: what is below the next one is not above this one.
        highest = question.asked(microdollars(listing.max_price), "integer")
        question.conditions.append(question.below("last_price_microdollars", f"{highest} + 1"))
    return question


def _read_one_way(listing: MarketListing) -> bool:
    """Whether the list is read in its order whatever is asked: not too much is passed over.

    All that is settled ever is too much, and so is what is not in order within a series or a genre.
    Of words, events and tickers, and of what closes in a short time, it depends on the values how
    they are found best.
    """
    if _names_any(listing.q, listing.event, listing.tickers):
        return False
    if listing.statuses is None or "settled" in listing.statuses:
        return False
    in_order_within = listing.statuses == ("open",) and not listing.include_combos
    if _names_any(listing.series, listing.category, listing.tag) and not in_order_within:
        return False
    return not _names_any(listing.closes_after, listing.closes_before) or _many_close(listing)


def _names_any(*asked: object) -> bool:
    """Whether any of these was asked for, be it for an empty name."""
    return any(one is not None for one in asked)


def _many_close(listing: Listing) -> bool:
    """Whether that is the list's own order, or a day of the coming week of open markets."""
    now = datetime.now(UTC)
    first = max(listing.closes_after or now, now)
    last = min(listing.closes_before or now + A_WEEK, now + A_WEEK)
    day_of_open_ones = listing.statuses == ("open",) and last - first >= A_DAY
    return listing.ordering == "close_time" or day_of_open_ones


# --- a page


async def _page(
    conn: Driver, shelf: Shelf, question: Question, listing: Listing, search: Search | None
) -> list[Row]:
    try:
        if listing.ordering == "relevance" and search is not None:
            question.conditions += question.of_genres()
            return await _best(conn, shelf, question, listing, search)
        if search is not None:
            question.conditions.append(question.has_words(search.widest))
        rows = await ordering.rows(conn, shelf, _BODY[shelf.table], question, listing)
    except (asyncpg.DataError, asyncpg.PostgresSyntaxError):
        if listing.cursor is None:
            raise
        raise CursorInvalid from None  # forged: its keys are not of this order
    reading = None if search is None else search.reading
    return [Row(row["body"], Place((row["key"],), row["name"], reading)) for row in rows]


async def _best(
    conn: Driver, shelf: Shelf, question: Question, listing: Listing, search: Search
) -> list[Row]:
    """What was searched, the closest matches first."""
    after = None if listing.cursor is None else _ranked(place_of(listing, keys=3))
    ranked = await ranking.best(
        conn,
        shelf,
        search,
        question,
        listing.statuses,
        limit=listing.limit + 1,
        after=after,
        farthest_first=not listing.descending,
    )
    names = [row.name for row in ranked]
    rows = await conn.fetch(
        f"SELECT {shelf.name} AS name, {_BODY[shelf.table]} AS body FROM {shelf.table}"
        f" WHERE {shelf.name} = ANY($1)",
        names,
    )
    bodies = {row["name"]: row["body"] for row in rows}
    # Nobody deletes what is listed, but between two statements it might have happened.
    return [
        Row(bodies[row.name], Place(row[:3], row.name, search.reading))
        for row in ranked
        if row.name in bodies
    ]


def _ranked(place: Place) -> Ranked:
    match, volume, close_time = place.keys
    if not (
        isinstance(match, int) and isinstance(volume, int) and isinstance(close_time, datetime)
    ):
        raise CursorInvalid
    return Ranked(match, volume, close_time, place.name)


async def _count(
    conn: Driver, shelf: Shelf, question: Question, listing: Listing, search: Search | None
) -> int:
    if search is not None:
        question.conditions.append(question.has_words(search.widest))
    question.conditions += question.of_genres()
    either = " OR ".join(" AND ".join(status) or "true" for status in ordering.statuses(listing))
    total: int = await conn.fetchval(
        f"SELECT count(*) FROM {shelf.table} WHERE {question.where(f'({either})')}",
        *question.values,
    )
    return total
