"""What the catalogue's one writer knows, so that unchanged rows cost it next to nothing."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import msgspec

from kalshi_gateway.db import Driver
from kalshi_gateway.kalshi import wire
from kalshi_gateway.kalshi.drift import Drift
from kalshi_gateway.kalshi.reading import read

from . import family as families
from . import storing
from .family import Event, Series
from .market import Family
from .storing import Record, Stage

#: Rows that are read before other work gets a turn: about two milliseconds.
ROWS_PER_TURN = 64

#: An event that the exchange does not show may be shown later, though hardly soon.
ASK_AGAIN_AFTER = timedelta(hours=1)
LONG_AGO = datetime.min.replace(tzinfo=UTC)

NO_FAMILY = Family()


@dataclass
class Batch:
    """One page, ready to be stored; `keep` it once the transaction has committed."""

    stage: Stage
    seen: list[str] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    set_aside: int = 0
    keep: Callable[[], None] = lambda: None

    @property
    def changed(self) -> int:
        return len(self.records)

    async def save(self, conn: Driver) -> None:
        if self.records:
            await self.stage.save(conn, self.records.values())


class _Ticker(msgspec.Struct):
    ticker: str


class _EventTicker(msgspec.Struct):
    event_ticker: str


_ticker_of = msgspec.json.Decoder(_Ticker)
_event_ticker_of = msgspec.json.Decoder(_EventTicker)


class Catalogue:
    """Digests of every row, and the series and events that markets inherit from."""

    def __init__(self, drift: Drift) -> None:
        self._drift = drift
        self._digests: dict[str, int] = {}
        self._event_digests: dict[str, int] = {}
        self._series_digests: dict[str, int] = {}
        self._series: dict[str, Series] = {}
        self._events: dict[str, Event] = {}
        self._families: dict[str, Family] = {}
        #: Events that markets name and nobody has shown us yet.
        self._missing_events: set[str] = set()
        self._asked_at: dict[str, datetime] = {}
        self._touched: set[str] = set()
        #: Events whose names or places changed: their markets have to be read again.
        self.renamed_events: set[str] = set()

    def __len__(self) -> int:
        return len(self._digests)

    async def load(self, conn: Driver) -> None:
        """Learn what the database holds."""
        for row in await conn.fetch("SELECT ticker, body, digest FROM series"):
            self._series[row["ticker"]] = msgspec.json.decode(row["body"], type=Series)
            self._series_digests[row["ticker"]] = row["digest"]
        for row in await conn.fetch("SELECT event_ticker, body, digest FROM events"):
            self._know_event(msgspec.json.decode(row["body"], type=Event), row["digest"])
        async with conn.transaction():
            rows = conn.cursor(
                "SELECT ticker, digest FROM instruments WHERE digest IS NOT NULL", prefetch=5000
            )
            async for ticker, digest in rows:
                self._digests[ticker] = digest
        self._missing_events.update(
            await conn.fetchval(
                "SELECT coalesce(array_agg(DISTINCT i.event_ticker), '{}') FROM instruments i"
                " LEFT JOIN events e USING (event_ticker)"
                " WHERE e.event_ticker IS NULL AND NOT i.is_combo"
            )
        )

    def forget(self, tickers: Iterable[str]) -> None:
        """Take the next row of these markets for new, whatever it says."""
        for ticker in tickers:
            self._digests.pop(ticker, None)

    def wanted_events(self) -> list[str]:
        """Events to ask the exchange for; one that it does not know is asked for seldom."""
        now = datetime.now(UTC)
        missing = {
            ticker
            for ticker in self._missing_events
            if now - self._asked_at.get(ticker, LONG_AGO) > ASK_AGAIN_AFTER
        }
        self._asked_at.update(dict.fromkeys(missing, now))
        return sorted(missing | self.renamed_events)

    def take_touched(self) -> set[str]:
        """Events whose markets, or who themselves, are new since the last call."""
        touched, self._touched = self._touched, set()
        return touched

    async def series(self, rows: Sequence[msgspec.Raw], as_of: datetime) -> Batch:
        """A page of series, and what it changes for their events."""
        batch = Batch(storing.SERIES)
        fresh: dict[str, tuple[Series, int]] = {}
        for raw, digest in await self._new(rows, batch, _ticker_of, self._series_digests):
            row = read(wire.Series, raw, endpoint="/series", drift=self._drift)
            if row is None:
                batch.set_aside += 1
                continue
            series = families.series_from_wire(row, as_of)
            batch.seen.append(series.ticker)
            fresh[series.ticker] = series, digest
            batch.records[series.ticker] = storing.series_record(
                series, families.series_words(series), digest, as_of
            )

        def keep() -> None:
            for ticker, (series, digest) in fresh.items():
                self._series[ticker] = series
                self._series_digests[ticker] = digest
            self._move_events(fresh.keys())

        batch.keep = keep
        return batch

    async def events(self, rows: Sequence[msgspec.Raw], as_of: datetime) -> Batch:
        """A page of events."""
        batch = Batch(storing.EVENTS)
        fresh: dict[str, tuple[Event, int]] = {}
        for raw, digest in await self._new(rows, batch, _event_ticker_of, self._event_digests):
            row = read(wire.Event, raw, endpoint="/events", drift=self._drift)
            if row is None:
                batch.set_aside += 1
                continue
            series = self._series.get(row.series_ticker or "")
            event = families.event_from_wire(row, series, as_of)
            batch.seen.append(event.event_ticker)
            fresh[event.event_ticker] = event, digest
            batch.records[event.event_ticker] = storing.event_record(
                event, families.event_words(event, series), digest, as_of
            )

        def keep() -> None:
            for event, digest in fresh.values():
                self._know_event(event, digest)
            self._touched |= fresh.keys()

        batch.keep = keep
        return batch

    async def markets(self, rows: Sequence[msgspec.Raw], as_of: datetime) -> Batch:
        """A page of markets."""
        batch = Batch(storing.MARKETS)
        fresh: dict[str, int] = {}
        missing: set[str] = set()
        touched: set[str] = set()
        for raw, digest in await self._new(rows, batch, _ticker_of, self._digests):
            row = read(wire.Market, raw, endpoint="/markets", drift=self._drift)
            if row is None:
                batch.set_aside += 1
                continue
            family = self._families.get(row.event_ticker)
            if family is None:
                family = NO_FAMILY
                missing.add(row.event_ticker)
            batch.seen.append(row.ticker)
            fresh[row.ticker] = digest
            touched.add(row.event_ticker)
            batch.records[row.ticker] = storing.market_record(row, family, digest, as_of)
            if len(batch.records) % ROWS_PER_TURN == 0:
                await asyncio.sleep(0)

        def keep() -> None:
            self._digests.update(fresh)
            self._missing_events |= missing
            self._touched |= touched

        batch.keep = keep
        return batch

    async def _new(
        self,
        rows: Sequence[msgspec.Raw],
        batch: Batch,
        identity: msgspec.json.Decoder[_Ticker] | msgspec.json.Decoder[_EventTicker],
        known: dict[str, int],
    ) -> list[tuple[msgspec.Raw, int]]:
        """The rows that say something we do not know, with digests; the others are merely seen."""
        new = []
        for number, raw in enumerate(rows):
            if number % 512 == 511:
                await asyncio.sleep(0)
            digest = storing.digest(raw)
            try:
                named = identity.decode(raw)
            except msgspec.MsgspecError:
                new.append((raw, digest))  # `read` will say what is wrong with it
                continue
            key = named.ticker if isinstance(named, _Ticker) else named.event_ticker
            if known.get(key) == digest:
                batch.seen.append(key)
            else:
                new.append((raw, digest))
        return new

    def _know_event(self, event: Event, digest: int) -> None:
        ticker = event.event_ticker
        family = families.family_of(event, self._series.get(event.series_ticker or ""))
        before = self._families.get(ticker)
        if ticker in self._missing_events or (before is not None and before != family):
            self.renamed_events.add(ticker)
        self._events[ticker] = event
        self._event_digests[ticker] = digest
        self._families[ticker] = family
        self._missing_events.discard(ticker)
        self._asked_at.pop(ticker, None)

    def _move_events(self, changed: Iterable[str]) -> None:
        """Place the events of changed series anew; the next look at them stores it."""
        tickers = set(changed)
        for event in [e for e in self._events.values() if e.series_ticker in tickers]:
            series = self._series[event.series_ticker or ""]
            moved = replace(event, category=series.category or event.category, tags=series.tags)
            self._know_event(moved, 0)
