"""One market or event that the catalogue does not have: asked for, stored, answered."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic, Literal, TypeVar

from kalshi_gateway.answers import Came
from kalshi_gateway.db import Database, Driver
from kalshi_gateway.errors import NotFound
from kalshi_gateway.freshness import Standing
from kalshi_gateway.kalshi import errors, wire
from kalshi_gateway.kalshi.client import Answer, Kalshi
from kalshi_gateway.kalshi.errors import KalshiError
from kalshi_gateway.kalshi.flights import Flights
from kalshi_gateway.kalshi.reading import read

from . import repository, storing, totals
from .batch import EVENT_KIND, MARKET_KIND, SERIES_KIND, Batch
from .catalogue import NO_FAMILY
from .family import (
    event_from_wire,
    event_words,
    family_of,
    series_from_wire,
    series_words,
)
from .market import Family
from .repository import Found, FoundFamily
from .standing import COMBO_FRESH_FOR

F = TypeVar("F", Found, FoundFamily)
Find = Callable[[Driver, str], Awaitable[F | None]]
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


@dataclass(frozen=True, slots=True)
class Looked(Generic[F]):
    """What was found, where, and why it could not be had newer."""

    found: F
    came: Came = "HIT"
    failure: KalshiError | None = None

    def marked(self, standing: Standing) -> Standing:
        """How it stands, with the failure told."""
        if self.failure is None:
            return standing
        warnings = (*standing.warnings, f"the exchange could not be asked: {self.failure}")
        return replace(standing, overdue=True, warnings=warnings)


class Lookup:
    """Finds what is known, and fetches what only the exchange knows."""

    def __init__(self, database: Database, kalshi: Kalshi) -> None:
        self._database = database
        self._kalshi = kalshi
        self._flights = Flights()
        self._unknown: dict[tuple[Kind, str], float] = {}

    async def market(self, ticker: str) -> Looked[Found]:
        """The market, from the catalogue or from either tier of the exchange."""
        return await self._look("market", ticker, repository.find, self._fetch_market)

    async def event(self, event_ticker: str) -> Looked[FoundFamily]:
        """The event, from the catalogue or from the exchange."""
        return await self._look("event", event_ticker, repository.find_event, self._fetch_event)

    async def series(self, ticker: str) -> Looked[FoundFamily]:
        """The series, from the catalogue or from the exchange."""
        return await self._look("series", ticker, repository.find_series, self._fetch_series)

    async def series_of(self, ticker: str) -> str | None:
        """The series that the market belongs to, as far as anybody says."""
        await self.market(ticker)
        async with self._database.driver() as conn:
            return await repository.series_of(conn, ticker)

    async def _look(
        self, kind: Kind, ticker: str, find: Find[F], fetch: Callable[[str], Awaitable[None]]
    ) -> Looked[F]:
        known = await self._find(ticker, find)
        if (known is None or _wants_renewal(known)) and self._worth_asking(kind, ticker):

            async def call() -> F | None:
                return await self._fetched(kind, ticker, find, fetch)

            try:
                fetched = await self._flights.share((kind, ticker), call)
            except KalshiError as error:
                if known is None:
                    raise
                return Looked(known, "HIT", error)
            if fetched is not None:
                return Looked(fetched, "MISS")
        if known is None:
            raise NOT_FOUND[kind](f"There is no {kind} {ticker[:120]}.")
        return Looked(known)

    async def _fetched(
        self, kind: Kind, ticker: str, find: Find[F], fetch: Callable[[str], Awaitable[None]]
    ) -> F | None:
        """What the exchange has, now stored, unless another has stored it in the meantime."""
        known = await self._find(ticker, find)
        if known is not None and not _wants_renewal(known):
            return known
        try:
            await fetch(ticker)
        except errors.NotFound:
            self._remember_unknown(kind, ticker)
            return None
        found = await self._find(ticker, find)
        if found is None:
            self._remember_unknown(kind, ticker)  # the exchange spells it otherwise
        return found

    async def _find(self, ticker: str, find: Find[F]) -> F | None:
        async with self._database.driver() as conn:
            return await find(conn, ticker)

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
        record = storing.market_record(row, family, storing.digest(answer.raw), answer.asked_at)
        market = Batch(MARKET_KIND, answer.asked_at, records={row.ticker: record})
        async with self._database.driver() as conn, conn.transaction():
            await market.save(conn)
            await totals.restate(conn, [row.event_ticker])
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
        markets = Batch(MARKET_KIND, as_of)
        for raw in wire.nested_markets(answer.raw):
            market = read(
                wire.Market, raw, endpoint="/events/{event_ticker}", drift=self._kalshi.drift
            )
            if market is not None:
                markets.records[market.ticker] = storing.market_record(
                    market, family, storing.digest(raw), as_of
                )
        # Its row in lists is written otherwise, so no digest of this one will do.
        record = storing.event_record(event, event_words(event, series), 0, as_of)
        itself = Batch(EVENT_KIND, as_of, records={event.event_ticker: record})
        async with self._database.driver() as conn, conn.transaction():
            await itself.save(conn)
            await markets.save(conn)
            await totals.restate(conn, [event.event_ticker])
        _check_kept(itself)
        return family

    async def _fetch_series(self, ticker: str) -> None:
        answer = await self._kalshi.series(ticker)
        series = series_from_wire(answer.value, answer.asked_at)
        record = storing.series_record(
            series, series_words(series), storing.digest(answer.raw), answer.asked_at
        )
        itself = Batch(SERIES_KIND, answer.asked_at, records={series.ticker: record})
        async with self._database.driver() as conn, conn.transaction():
            await itself.save(conn)
        _check_kept(itself)

    def _worth_asking(self, kind: Kind, ticker: str) -> bool:
        if not TICKER.fullmatch(ticker):
            return False
        asked_at = self._unknown.get((kind, ticker), float("-inf"))
        return time.monotonic() - asked_at >= UNKNOWN_FOR_SECONDS

    def _remember_unknown(self, kind: Kind, ticker: str) -> None:
        if len(self._unknown) >= MOST_UNKNOWN:
            self._unknown.clear()
        self._unknown[kind, ticker] = time.monotonic()


def _check_kept(asked_for: Batch) -> None:
    if asked_for.refused:
        raise errors.Nonsense(f"{asked_for.kind.endpoint}: a row that no column can hold")


def _wants_renewal(known: Found | FoundFamily) -> bool:
    """Whether nobody but us will renew it: walks and changes leave combos out."""
    return (
        isinstance(known, Found)
        and known.is_combo
        and known.status != "settled"
        and datetime.now(UTC) - known.as_of > COMBO_FRESH_FOR
    )
