"""What the catalogue's one writer knows, so that unchanged rows cost it next to nothing."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from kalshi_gateway.db import Driver
from kalshi_gateway.kalshi import wire
from kalshi_gateway.kalshi.drift import Drift
from kalshi_gateway.kalshi.reading import Shape, read

from . import family as families
from . import hearsay, storing
from .batch import EVENT_KIND, MARKET_KIND, SERIES_KIND, Batch
from .family import Event, Series
from .genres import genre_of
from .market import Family
from .wanted import Wanted

T = TypeVar("T")
S = TypeVar("S", bound=Shape)

#: Rows that are read before other work gets a turn: about half a millisecond.
ROWS_PER_TURN = 8

#: The digest of no row, remembered of one that is in the table and will be news, whatever it says.
UNLIKE_ANY = 0

NO_FAMILY = Family()
COMBO_PREFIX = "KXMVE"

#: Where a market's record says it.
EVENT_TICKER = storing.MARKETS.columns.index("event_ticker")
STATUS = storing.MARKETS.columns.index("status")


class _Named(msgspec.Struct):
    ticker: str


class _NamedEvent(msgspec.Struct):
    event_ticker: str


_named = msgspec.json.Decoder(_Named)
_named_event = msgspec.json.Decoder(_NamedEvent)


class Catalogue:
    """Digests of rows, the names that markets inherit, and what has to be asked for by name.

    What has to be asked for is marked in the tables, too: an event whose series was renamed has
    the digest 0, a market whose event was renamed, or that was opened or closed by the clock,
    has none. So nothing is forgotten when a process ends between the one and the other. Of a
    series or event that somebody looked up, and that was renamed, the digest is 0 as well: its
    own name is no news then for a writer that begins, yet what bears it has the old one.
    """

    def __init__(self, drift: Drift) -> None:
        self._drift = drift
        self._digests: dict[str, int] = {}
        self._event_digests: dict[str, int] = {}
        self._series_digests: dict[str, int] = {}
        self._known = {
            SERIES_KIND.table: self._series_digests,
            EVENT_KIND.table: self._event_digests,
            MARKET_KIND.table: self._digests,
        }
        self._series: dict[str, Series] = {}
        #: Series whose events may have other names from them than we remember.
        self._outdated_series: set[str] = set()
        self._families: dict[str, Family] = {}
        #: Events whose markets may be called by other names than we remember.
        self._outdated: set[str] = set()
        self._settled: set[str] = set()
        self._words: set[str] = set()
        #: Events that markets name and nobody has shown us yet, or whose series was renamed.
        self.wanted_events = Wanted()
        #: Markets to be read again: renamed, turned by the clock, or gone from where they were.
        self.wanted_markets = Wanted()

    def __len__(self) -> int:
        return len(self._digests)

    async def load(self, conn: Driver) -> None:
        """Learn what the database holds, and from now on what others put there."""
        await hearsay.listen(conn, self._doubt)
        # What is stored meanwhile is heard of at the end, when all else is known.
        async with conn.transaction():
            await self._load(conn)

    async def _load(self, conn: Driver) -> None:
        for row in await conn.fetch("SELECT ticker, body, digest FROM series"):
            series = decoded(row["body"], Series)
            self._series_digests[row["ticker"]] = row["digest"] if series else UNLIKE_ANY
            if row["digest"] == UNLIKE_ANY:
                self._outdated_series.add(row["ticker"])
            if series is not None:
                self._series[series.ticker] = series
        for row in await conn.fetch("SELECT event_ticker, body, digest FROM events"):
            event = decoded(row["body"], Event)
            outdated = event is None or event.series_ticker in self._outdated_series
            digest = UNLIKE_ANY if outdated else row["digest"]
            self._event_digests[row["event_ticker"]] = digest
            if digest == UNLIKE_ANY:
                self.wanted_events.add([row["event_ticker"]])
                self._outdated.add(row["event_ticker"])
            if event is not None:
                self._families[event.event_ticker] = self._family_of(event)
        # What is settled changes no more, and would only fill the memory.
        rows = conn.cursor(
            "SELECT ticker, digest FROM instruments WHERE status <> 'settled' OR digest IS NULL",
            prefetch=5000,
        )
        async for ticker, digest in rows:
            self._digests[ticker] = UNLIKE_ANY if digest is None else digest
            if digest is None:
                self.wanted_markets.add([ticker])
        self.wanted_events.add(
            await conn.fetchval(
                "SELECT coalesce(array_agg(DISTINCT i.event_ticker), '{}') FROM instruments i"
                " LEFT JOIN events e USING (event_ticker)"
                " WHERE e.event_ticker IS NULL AND NOT i.is_combo"
            )
        )

    def read_again(self, tickers: Iterable[str]) -> None:
        """Take the next row of these markets for new, whatever it says, and ask for it."""
        tickers = list(tickers)
        self._digests.update(dict.fromkeys(tickers, UNLIKE_ANY))
        self.wanted_markets.renew(tickers)

    def _read_events_again(self, tickers: Iterable[str]) -> None:
        tickers = list(tickers)
        self._event_digests.update(dict.fromkeys(tickers, UNLIKE_ANY))
        self.wanted_events.renew(tickers)

    def release_settled(self, seen: set[str]) -> None:
        """Forget what is settled, but for what the exchange may show once more."""
        _forget(self._digests, self._settled - seen)
        self._settled &= seen

    async def series(self, rows: Sequence[msgspec.Raw], as_of: datetime) -> Batch:
        """A page of series, and what it changes for their events."""
        batch = Batch(SERIES_KIND, as_of, known_words=self._words)
        fresh: dict[str, Series] = {}
        digests: dict[str, int] = {}
        for raw, digest in await self._new(rows, batch, _named, self._series_digests):
            row = self._read(wire.Series, raw, batch)
            if row is None:
                continue
            series = families.series_from_wire(row, as_of)
            fresh[series.ticker] = series
            digests[series.ticker] = digest
            batch.genres[series.ticker] = genre_of(series.category, series.tags)
            batch.records[series.ticker] = storing.series_record(
                series, families.series_words(series), digest, as_of
            )
        moved: list[str] = []

        async def spread(conn: Driver, batch: Batch) -> None:
            renamed = [
                t
                for t in batch.stored
                if t in self._outdated_series or differs(self._series.get(t), fresh[t])
            ]
            found = await conn.fetch(
                "UPDATE events SET digest = 0 WHERE series_ticker = ANY($1) RETURNING event_ticker",
                renamed,
            )
            moved.extend(row["event_ticker"] for row in found)

        def remember(batch: Batch) -> None:
            kept = self._kept(batch, self._series_digests, digests)
            self._series.update({ticker: fresh[ticker] for ticker in kept})
            self._outdated_series.difference_update(kept)
            self._read_events_again(moved)

        batch.spread, batch.remember = spread, remember
        return batch

    async def events(self, rows: Sequence[msgspec.Raw], as_of: datetime) -> Batch:
        """A page of events, and what it changes for their markets."""
        batch = Batch(EVENT_KIND, as_of, known_words=self._words)
        fresh: dict[str, Family] = {}
        named_by: dict[str, Series | None] = {}
        digests: dict[str, int] = {}
        for raw, digest in await self._new(rows, batch, _named_event, self._event_digests):
            row = self._read(wire.Event, raw, batch)
            if row is None:
                continue
            series = named_by[row.event_ticker] = self._series.get(row.series_ticker or "")
            event = families.event_from_wire(row, series, as_of)
            family = fresh[event.event_ticker] = families.family_of(event, series)
            digests[event.event_ticker] = digest
            batch.genres[event.event_ticker] = genre_of(event.category, event.tags)
            batch.records[event.event_ticker] = storing.event_record(
                event, list(family.words), digest, as_of
            )
        outdated: list[str] = []
        left_behind: list[str] = []

        def renamed(tickers: Iterable[str]) -> list[str]:
            return [t for t in tickers if t in self._outdated or self._families.get(t) != fresh[t]]

        async def reserve(conn: Driver, batch: Batch) -> None:
            # Markets before their events, like who stores markets, or looks up an event: nobody
            # waits for somebody who waits for him. (What has a NUL in its name will be refused.)
            if names := renamed(t for t in batch.records if "\0" not in t):
                await conn.execute(
                    "SELECT FROM instruments WHERE event_ticker = ANY($1)"
                    " ORDER BY ticker FOR UPDATE",
                    names,
                )

        async def spread(conn: Driver, batch: Batch) -> None:
            if names := renamed(batch.stored):
                found = await conn.fetch(
                    "UPDATE instruments SET digest = NULL WHERE event_ticker = ANY($1)"
                    " RETURNING ticker",
                    names,
                )
                outdated.extend(row["ticker"] for row in found)
            # Their series was stored after they were read.
            series = {t: self._series.get(fresh[t].series_ticker or "") for t in batch.stored}
            left_behind.extend(t for t in series if series[t] is not named_by[t])
            if left_behind:
                await conn.execute(
                    "UPDATE events SET digest = 0 WHERE event_ticker = ANY($1)", left_behind
                )

        def remember(batch: Batch) -> None:
            kept = self._kept(batch, self._event_digests, digests)
            self._families.update({ticker: fresh[ticker] for ticker in kept})
            self._outdated.difference_update(kept)
            self.wanted_events.drop(kept)
            self._read_events_again(left_behind)
            self.read_again(outdated)

        batch.reserve, batch.spread, batch.remember = reserve, spread, remember
        return batch

    async def markets(self, rows: Sequence[msgspec.Raw], as_of: datetime) -> Batch:
        """A page of markets."""
        batch = Batch(MARKET_KIND, as_of, known_words=self._words)
        digests: dict[str, int] = {}
        named_by: dict[str, Family | None] = {}
        for raw, digest in await self._new(rows, batch, _named, self._digests):
            row = self._read(wire.Market, raw, batch)
            if row is None:
                continue
            family = self._families.get(row.event_ticker)
            named_by.setdefault(row.event_ticker, family)
            digests[row.ticker] = digest
            batch.records[row.ticker] = storing.market_record(
                row, family or NO_FAMILY, digest, as_of
            )
            if len(batch.records) % ROWS_PER_TURN == 0:
                await asyncio.sleep(0)

        left_behind: list[str] = []

        async def spread(conn: Driver, batch: Batch) -> None:
            # Their event was named, or renamed, after they were read.
            renamed = {e for e, family in named_by.items() if self._families.get(e) != family}
            if renamed:
                records = batch.records
                left_behind.extend(t for t in batch.stored if records[t][EVENT_TICKER] in renamed)
                await hearsay.read_again(conn, left_behind)

        def remember(batch: Batch) -> None:
            kept = self._kept(batch, self._digests, digests)
            settled = {t for t in kept if batch.records[t][STATUS] == "settled"}
            self._settled = (self._settled | settled) - (set(kept) - settled)
            self.wanted_markets.drop(kept)
            unknown = [event for event in named_by if event not in self._families]
            self.wanted_events.add(t for t in unknown if not t.startswith(COMBO_PREFIX))
            self.read_again(left_behind)

        batch.spread, batch.remember = spread, remember
        batch.listen()
        return batch

    def _doubt(self, table: str, key: str) -> None:
        """Another has stored this row: take the exchange's next for new, whatever it says."""
        known = self._known[table]
        if key in known:
            known[key] = UNLIKE_ANY

    async def _new(
        self,
        rows: Sequence[msgspec.Raw],
        batch: Batch,
        name: msgspec.json.Decoder[_Named] | msgspec.json.Decoder[_NamedEvent],
        known: dict[str, int],
    ) -> list[tuple[msgspec.Raw, int]]:
        """The rows that say something we do not know, with digests; all with a name are seen."""
        new = []
        for number, raw in enumerate(rows):
            if number % 64 == 63:
                await asyncio.sleep(0)
            digest = storing.digest(raw)
            try:
                named = name.decode(raw)
            except msgspec.MsgspecError:
                new.append((raw, digest))  # `read` will say what is wrong with it
                continue
            key = named.ticker if isinstance(named, _Named) else named.event_ticker
            batch.seen.append(key)
            stored = known.get(key)
            if stored != digest:
                new.append((raw, digest))
            if stored is None:
                batch.unheard_of.add(key)
        return new

    def _read(self, kind: type[S], raw: msgspec.Raw, batch: Batch) -> S | None:
        """The row, or None when it is set aside."""
        row = read(kind, raw, endpoint=batch.kind.endpoint, drift=self._drift)
        if row is None:
            batch.set_aside += 1
        return row

    def _kept(self, batch: Batch, known: dict[str, int], digests: dict[str, int]) -> list[str]:
        """Remember what was stored as it is stored, and nothing of what was not."""
        for key in batch.refused:
            self._drift.note(batch.kind.endpoint, batch.kind.key, "set_aside", key)
        self._words |= batch.listen()
        _forget(known, batch.refused)
        known.update(dict.fromkeys(batch.overtaken, UNLIKE_ANY))
        stored = batch.stored
        known.update({key: digests[key] for key in stored})
        return stored

    def _family_of(self, event: Event) -> Family:
        return families.family_of(event, self._series.get(event.series_ticker or ""))


def differs(before: Series | None, after: Series) -> bool:
    """Whether events and markets of the series read otherwise now."""
    if before is None or (before.category, before.tags) != (after.category, after.tags):
        return True
    return families.series_words(before) != families.series_words(after)


def decoded(body: str, kind: type[T]) -> T | None:
    """What a body says, unless an earlier release wrote it without something we need."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        return None


def _forget(digests: dict[str, int], keys: Iterable[str]) -> None:
    for key in keys:
        digests.pop(key, None)
