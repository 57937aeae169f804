"""One market, event or series by its name: asked for where what is known will not do, stored."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic, Literal, NamedTuple, TypeVar

import msgspec

from kalshi_gateway.db import Database, Driver
from kalshi_gateway.directives import NO_TERMS, NotCached, Terms
from kalshi_gateway.errors import NotFound
from kalshi_gateway.freshness import Came, Standing, came_by
from kalshi_gateway.kalshi import errors, wire
from kalshi_gateway.kalshi.client import Answer, Kalshi
from kalshi_gateway.kalshi.errors import KalshiError
from kalshi_gateway.kalshi.flights import Flights
from kalshi_gateway.kalshi.reading import read

from . import hearsay, repository, storing
from .batch import EVENT_KIND, MARKET_KIND, SERIES_KIND, Batch
from .batch import Kind as BatchKind
from .catalogue import NO_FAMILY, UNLIKE_ANY, decoded, differs
from .family import (
    Event,
    Series,
    event_from_wire,
    event_words,
    family_of,
    series_from_wire,
    series_words,
)
from .genres import genre_of
from .market import Family
from .repository import Found, FoundFamily, Inside
from .standing import COMBO_FRESH_FOR, Progress

F = TypeVar("F")
Kind = Literal["market", "event", "series"]

#: Nothing the exchange lists is written otherwise, so there is no need to ask.
TICKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")

#: For how long an unknown ticker is not asked for again, and how many of them are remembered.
UNKNOWN_FOR_SECONDS = 15.0
MOST_UNKNOWN = 10_000


class MarketNotFound(NotFound):
    """Neither the catalogue nor the exchange has this market."""

    code = "market_not_found"
    title = "No such market"


class EventNotFound(NotFound):
    """Neither the catalogue nor the exchange has this event."""

    code = "event_not_found"
    title = "No such event"


class SeriesNotFound(NotFound):
    """Neither the catalogue nor the exchange has this series."""

    code = "series_not_found"
    title = "No such series"


NOT_FOUND: Mapping[Kind, type[NotFound]] = {
    "market": MarketNotFound,
    "event": EventNotFound,
    "series": SeriesNotFound,
}


NOT_SHOWN = "the exchange shows this no more"


class FoundEvent(NamedTuple):
    """One event: its finished JSON, and the markets in it."""

    body: str
    inside: list[Inside]


@dataclass(frozen=True, slots=True)
class Looked(Generic[F]):
    """What was found, how it stands, and how we came by it."""

    found: F
    standing: Standing
    came: Came = "HIT"

    def late(self, why: str) -> "Looked[F]":
        """The same when something newer was wanted and could not be had."""
        return replace(self, standing=self.standing.late(why))


Find = Callable[[str], Awaitable[Looked[F] | None]]
Fetch = Callable[[str], Awaitable[None]]


class Lookup:
    """Finds what is known, and fetches what only the exchange knows, or knows better."""

    def __init__(self, database: Database, kalshi: Kalshi, progress: Progress) -> None:
        self._database = database
        self._kalshi = kalshi
        self._progress = progress
        self._flights = Flights()
        self._unknown: dict[tuple[Kind, str], float] = {}

    async def market(self, ticker: str, terms: Terms = NO_TERMS) -> Looked[Found]:
        """The market, from the catalogue or from either tier of the exchange."""
        return await self._look("market", ticker, terms, self._find_market, self._fetch_market)

    async def event(self, ticker: str, terms: Terms = NO_TERMS) -> Looked[FoundEvent]:
        """The event with its markets, from the catalogue or from the exchange."""
        return await self._look("event", ticker, terms, self._find_event, self._fetch_event)

    async def series(self, ticker: str, terms: Terms = NO_TERMS) -> Looked[FoundFamily]:
        """The series, from the catalogue or from the exchange."""
        return await self._look("series", ticker, terms, self._find_series, self._fetch_series)

    async def series_of(self, ticker: str) -> str | None:
        """The series that the market belongs to, as far as anybody says."""
        await self.market(ticker)
        async with self._database.driver() as conn:
            return await repository.series_of(conn, ticker)

    async def _look(
        self, kind: Kind, ticker: str, terms: Terms, find: Find[F], fetch: Fetch
    ) -> Looked[F]:
        known = await find(ticker)
        if known is not None and _will_do(known, terms):
            return known
        fetched: Looked[F] | None = None
        if self._worth_asking(kind, ticker, terms):
            terms.allow_asking()
            try:
                fetched = await self._shared(kind, ticker, terms, find, fetch)
            except KalshiError as error:
                if known is None:
                    raise
                return known.late(f"the exchange could not be asked: {error}")
        if fetched is not None:
            return replace(fetched, came=came_by(terms, known=known is not None))
        if known is None:
            raise NOT_FOUND[kind](f"There is no {kind} {ticker[:120]}.")
        if terms.only_if_cached:
            raise NotCached
        return known.late(NOT_SHOWN)

    async def _shared(
        self, kind: Kind, ticker: str, terms: Terms, find: Find[F], fetch: Fetch
    ) -> Looked[F] | None:
        """What the exchange has, now stored; None if it has nothing. One call for all who ask."""

        async def call() -> Looked[F] | None:
            if terms == NO_TERMS:  # another may have stored it in the meantime
                known = await find(ticker)
                if known is not None and _will_do(known, terms):
                    return known
            try:
                await fetch(ticker)
            except errors.NotFound:
                self._remember_unknown(kind, ticker)
                return None
            found = await find(ticker)
            if found is None:
                self._remember_unknown(kind, ticker)  # the exchange spells it otherwise
            return found

        return await self._flights.share((kind, ticker, terms == NO_TERMS), call)

    async def _find_market(self, ticker: str) -> Looked[Found] | None:
        async with self._database.driver() as conn:
            found = await repository.find(conn, ticker)
        return None if found is None else Looked(found, await self._progress.market(found))

    async def _find_event(self, ticker: str) -> Looked[FoundEvent] | None:
        async with self._database.driver() as conn:
            event = await repository.find_event(conn, ticker)
            if event is None:
                return None
            inside = (await repository.markets_of(conn, [ticker]))[ticker]
        standing = await self._progress.event(event.as_of, inside)
        return Looked(FoundEvent(event.body, inside), standing)

    async def _find_series(self, ticker: str) -> Looked[FoundFamily] | None:
        async with self._database.driver() as conn:
            found = await repository.find_series(conn, ticker)
        if found is None:
            return None
        return Looked(found, await self._progress.one_series(found.as_of))

    async def _fetch_market(self, ticker: str) -> None:
        try:
            answer = await self._kalshi.market(ticker)
        except errors.NotFound:
            answer = await self._kalshi.historical_market(ticker)
        row = answer.value
        async with self._database.driver() as conn:
            family = await repository.family_of(conn, row.event_ticker)
        if family is None:
            family = await self._fetch_family(row.event_ticker)
        row_digest = storing.digest(answer.raw)
        record = storing.market_record(row, family, row_digest, answer.asked_at)
        market = _looked_up(MARKET_KIND, answer.asked_at, {row.ticker: record})
        async with self._database.driver() as conn, conn.transaction():
            if await _confirmed(conn, market, {row.ticker: row_digest}):
                return
            await market.save(conn)
            await _follow(conn, market, row.event_ticker, family)
        _check_kept(market)

    async def _fetch_event(self, event_ticker: str) -> None:
        await self._store_event(await self._kalshi.event(event_ticker))

    async def _fetch_family(self, event_ticker: str) -> Family:
        try:
            return await self._store_event(await self._kalshi.event(event_ticker))
        except errors.Rejected:
            # Events of combos are not shown, and old ones may be gone: the market stands alone.
            return NO_FAMILY

    async def _store_event(self, answer: Answer[wire.Event]) -> Family:
        """Store an event with the markets it carries."""
        row, as_of = answer.value, answer.asked_at
        async with self._database.driver() as conn:
            series = await repository.series_noun(conn, row.series_ticker or "")
        event = event_from_wire(row, series, as_of)
        family = family_of(event, series)
        markets, digests = self._carried(answer, family)
        # Its row in lists is written otherwise, and without its markets.
        event_digest = storing.digest(msgspec.json.encode(row))
        record = storing.event_record(event, event_words(event, series), event_digest, as_of)
        itself = _looked_up(EVENT_KIND, as_of, {event.event_ticker: record})
        itself.genres[event.event_ticker] = genre_of(event.category, event.tags)
        async with self._database.driver() as conn, conn.transaction():
            # Markets before their event, like pages of either: nobody waits for who waits for him.
            if await repository.event_digest(conn, event.event_ticker) == event_digest:
                await _confirmed(conn, markets, digests)
            await markets.save(conn)
            if not await _confirmed(conn, itself, {event.event_ticker: event_digest}):
                before = await hearsay.before(conn, itself, event.event_ticker)
                await itself.save(conn)
                left_out = _renames_markets(before, family, series) and await hearsay.has_others(
                    conn, event.event_ticker, markets.stored
                )
                if left_out or await _renamed_since(conn, event, series):
                    await hearsay.leave_word(conn, itself)
            if itself.overtaken:
                await _follow(conn, markets, event.event_ticker, family)
        _check_kept(itself)
        return family

    def _carried(self, answer: Answer[wire.Event], family: Family) -> tuple[Batch, dict[str, int]]:
        """The markets in an event's answer, and their digests."""
        markets = _looked_up(MARKET_KIND, answer.asked_at, {})
        digests: dict[str, int] = {}
        for raw in wire.nested_markets(answer.raw):
            market = read(
                wire.Market, raw, endpoint="/events/{event_ticker}", drift=self._kalshi.drift
            )
            if market is not None:
                digests[market.ticker] = storing.digest(raw)
                markets.records[market.ticker] = storing.market_record(
                    market, family, digests[market.ticker], answer.asked_at
                )
        return markets, digests

    async def _fetch_series(self, ticker: str) -> None:
        answer = await self._kalshi.series(ticker)
        series = series_from_wire(answer.value, answer.asked_at)
        row_digest = storing.digest(answer.raw)
        record = storing.series_record(series, series_words(series), row_digest, answer.asked_at)
        itself = _looked_up(SERIES_KIND, answer.asked_at, {series.ticker: record})
        itself.genres[series.ticker] = genre_of(series.category, series.tags)
        async with self._database.driver() as conn, conn.transaction():
            if not await _confirmed(conn, itself, {series.ticker: row_digest}):
                before = await hearsay.before(conn, itself, series.ticker)
                await itself.save(conn)
                if _renames_events(before, series):
                    await hearsay.leave_word(conn, itself)
        _check_kept(itself)

    def _worth_asking(self, kind: Kind, ticker: str, terms: Terms) -> bool:
        if not TICKER.fullmatch(ticker):
            return False
        asked_at = self._unknown.get((kind, ticker))
        if asked_at is None or terms.anew:
            return True
        seconds = time.monotonic() - asked_at
        return seconds >= UNKNOWN_FOR_SECONDS or (
            terms.max_age_seconds is not None and seconds > terms.max_age_seconds
        )

    def _remember_unknown(self, kind: Kind, ticker: str) -> None:
        if len(self._unknown) >= MOST_UNKNOWN:
            self._unknown.clear()
        self._unknown[kind, ticker] = time.monotonic()


def _looked_up(kind: BatchKind, as_of: datetime, records: dict[str, storing.Record]) -> Batch:
    """What the catalogue's writer must hear of: it remembers other rows."""
    return Batch(kind, as_of, records=records, spread=hearsay.tell)


async def _confirmed(conn: Driver, batch: Batch, digests: Mapping[str, int]) -> bool:
    """Whether any rows are as we know them: those are only dated anew, and leave the batch."""
    kind = batch.kind
    same = await repository.confirm(conn, kind.table, kind.key, digests, batch.as_of)
    for key in same:
        del batch.records[key]
    return bool(same)


def _renames_events(before: hearsay.Before | None, after: Series) -> bool:
    """Whether the events of a series may have other names from it than its own."""
    if before is None or before.digest == UNLIKE_ANY:
        return True
    return differs(decoded(before.body, Series), after)


def _renames_markets(before: hearsay.Before | None, after: Family, series: Series | None) -> bool:
    """Whether markets of an event may have other names from it than its own."""
    if before is None or before.digest == UNLIKE_ANY:
        return True
    event = decoded(before.body, Event)
    return event is None or family_of(event, series) != after


async def _renamed_since(conn: Driver, event: Event, series: Series | None) -> bool:
    """Whether the event's series was renamed after it was read for the event."""
    now = await repository.series_noun(conn, event.series_ticker or "")
    return now is not None and differs(series, now)


async def _follow(conn: Driver, markets: Batch, event_ticker: str, family: Family) -> None:
    """Have markets read again whose event was renamed after it was read for them."""
    if await repository.family_of(conn, event_ticker) not in (None, family):
        await hearsay.read_again(conn, markets.stored)


def _check_kept(asked_for: Batch) -> None:
    if asked_for.refused:
        raise errors.Nonsense(f"{asked_for.kind.endpoint}: a row that no column can hold")


def _will_do(known: Looked[F], terms: Terms) -> bool:
    """Whether it can be answered as it is known."""
    if not terms.accepts(known.standing.as_of):
        return False
    return terms.only_if_cached or not _wants_renewal(known.found)


def _wants_renewal(known: object) -> bool:
    """Whether nobody but us will renew it: walks and changes leave combos out."""
    return (
        isinstance(known, Found)
        and known.is_combo
        and known.status != "settled"
        and datetime.now(UTC) - known.as_of > COMBO_FRESH_FOR
    )
