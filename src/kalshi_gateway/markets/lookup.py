"""One market or event that the catalogue does not have: asked for, stored, answered."""

import re
import time
from datetime import datetime

from kalshi_gateway.db import Database
from kalshi_gateway.errors import NotFound
from kalshi_gateway.kalshi import errors, wire
from kalshi_gateway.kalshi.client import Answer, Kalshi
from kalshi_gateway.kalshi.reading import read

from . import repository, storing, totals
from .catalogue import NO_FAMILY
from .family import (
    event_from_wire,
    event_words,
    family_of,
    series_from_wire,
    series_words,
)
from .market import Family
from .repository import Found

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


class Lookup:
    """Finds what is known, and fetches what only the exchange knows."""

    def __init__(self, database: Database, kalshi: Kalshi) -> None:
        self._database = database
        self._kalshi = kalshi
        self._unknown: dict[str, float] = {}

    async def market(self, ticker: str) -> Found:
        """The market, from the catalogue or from either tier of the exchange."""
        async with self._database.driver() as conn:
            found = await repository.find(conn, ticker)
        if found is not None:
            return found
        await self._fetch(ticker)
        async with self._database.driver() as conn:
            found = await repository.find(conn, ticker)
        if found is None:
            raise MarketNotFound(f"There is no market {ticker[:120]}.")
        return found

    async def series_of(self, ticker: str) -> str | None:
        """The series that the market belongs to, as far as anybody says."""
        await self.market(ticker)
        async with self._database.driver() as conn:
            return await repository.series_of(conn, ticker)

    async def event(self, event_ticker: str) -> tuple[str, datetime]:
        """The event's finished JSON and its age, from the catalogue or from the exchange."""
        async with self._database.driver() as conn:
            found = await repository.find_event(conn, event_ticker)
        if found is None and self._worth_asking(event_ticker):
            try:
                await self._store_event(await self._kalshi.event(event_ticker))
            except errors.NotFound:
                self._remember_unknown(event_ticker)
            async with self._database.driver() as conn:
                found = await repository.find_event(conn, event_ticker)
        if found is None:
            raise EventNotFound(f"There is no event {event_ticker[:120]}.")
        return found

    async def series(self, ticker: str) -> tuple[str, datetime]:
        """The series' finished JSON and its age, from the catalogue or from the exchange."""
        async with self._database.driver() as conn:
            found = await repository.find_series(conn, ticker)
        if found is None and self._worth_asking(ticker):
            try:
                await self._store_series(await self._kalshi.series(ticker))
            except errors.NotFound:
                self._remember_unknown(ticker)
            async with self._database.driver() as conn:
                found = await repository.find_series(conn, ticker)
        if found is None:
            raise SeriesNotFound(f"There is no series {ticker[:120]}.")
        return found

    async def _fetch(self, ticker: str) -> None:
        if not self._worth_asking(ticker):
            return
        try:
            answer = await self._kalshi.market(ticker)
        except errors.NotFound:
            try:
                answer = await self._kalshi.historical_market(ticker)
            except errors.NotFound:
                self._remember_unknown(ticker)
                return
        row = answer.value
        async with self._database.driver() as conn:
            family = await repository.family_of(conn, row.event_ticker)
        if family is None:
            family = await self._fetch_family(row.event_ticker)
        record = storing.market_record(row, family, storing.digest(answer.raw), answer.asked_at)
        async with self._database.driver() as conn, conn.transaction():
            await storing.MARKETS.save(conn, [record])

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
        markets = []
        for raw in wire.nested_markets(answer.raw):
            market = read(
                wire.Market, raw, endpoint="/events/{event_ticker}", drift=self._kalshi.drift
            )
            if market is not None:
                markets.append(storing.market_record(market, family, storing.digest(raw), as_of))
        async with self._database.driver() as conn, conn.transaction():
            # Its row in lists is written otherwise, so no digest of this one will do.
            record = storing.event_record(event, event_words(event, series), 0, as_of)
            await storing.EVENTS.save(conn, [record])
            await storing.MARKETS.save(conn, markets)
            await totals.restate(conn, [event.event_ticker])
        return family

    async def _store_series(self, answer: Answer[wire.Series]) -> None:
        series = series_from_wire(answer.value, answer.asked_at)
        record = storing.series_record(
            series, series_words(series), storing.digest(answer.raw), answer.asked_at
        )
        async with self._database.driver() as conn, conn.transaction():
            await storing.SERIES.save(conn, [record])

    def _worth_asking(self, ticker: str) -> bool:
        if not TICKER.fullmatch(ticker):
            return False
        return time.monotonic() - self._unknown.get(ticker, float("-inf")) >= UNKNOWN_FOR_SECONDS

    def _remember_unknown(self, ticker: str) -> None:
        if len(self._unknown) >= MOST_UNKNOWN:
            self._unknown.clear()
        self._unknown[ticker] = time.monotonic()
