"""Everything listed on the exchange, and the ways it changes."""

from collections.abc import Callable, Iterable
from typing import Any

from . import prices, times, wire
from .clock import Clock
from .entries import TRADED, EventEntry, MarketEntry, SeriesEntry, market_entry
from .shelves import Shelf

FILES = ("unopened", "open", "paused", "closed", "settled", "archived")


def by_creation(entry: MarketEntry) -> tuple[int, str]:
    """Newest first."""
    return -entry.created_us, entry.ticker


def by_settlement(entry: MarketEntry) -> tuple[int, str]:
    """Newest settlement first."""
    return -(entry.settled_us or 0), entry.ticker


def by_update(entry: MarketEntry) -> tuple[int, str]:
    """Newest metadata first."""
    return -entry.updated_us, entry.ticker


def event_by_creation(entry: EventEntry) -> tuple[int, str]:
    """Newest first."""
    return -entry.created_us, entry.ticker


class Catalogue:
    """Series, events and markets, filed so that every listing of the exchange is quick."""

    def __init__(self, clock: Clock, cutoff_us: int) -> None:
        self.clock = clock
        self.series: dict[str, SeriesEntry] = {}
        self.events: dict[str, EventEntry] = {}
        self.markets: dict[str, MarketEntry] = {}
        # Markets whose event is not known still know its ticker.
        self.by_event: dict[str, list[MarketEntry]] = {}
        self.created = {(file, combo): Shelf(by_creation) for file in FILES for combo in (0, 1)}
        self.settled = {
            (file, combo): Shelf(by_settlement)
            for file in ("settled", "archived")
            for combo in (0, 1)
        }
        # Books and candles that are known rather than derived, as they are sent.
        self.books: dict[str, dict[str, Any]] = {}
        self.candles: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self.listed_events = {combo: Shelf(event_by_creation) for combo in (0, 1)}
        # Told of every market whose status has changed.
        self.followers: list[Callable[[MarketEntry], None]] = []
        self._updated: dict[int, Shelf[MarketEntry]] | None = None
        self._cutoff_us = cutoff_us

    # What is listed

    @property
    def cutoff_us(self) -> int:
        """Markets settled before this moment live in the historical tier."""
        return self._cutoff_us

    @cutoff_us.setter
    def cutoff_us(self, moment: int) -> None:
        moved = [entry for entry in self.markets.values() if entry.filed == "settled"]
        for entry in moved:
            self._take_down(entry)
        self._cutoff_us = moment
        for entry in moved:
            self._put_up(entry)

    def file(self, entry: MarketEntry) -> str:
        """The shelf a market stands on: its status filter, or `archived`."""
        if entry.archived is not None:
            return "archived" if entry.archived else entry.filed
        old = entry.settled_us is not None and entry.settled_us < self._cutoff_us
        return "archived" if old and entry.filed == "settled" else entry.filed

    def live(self, ticker: str) -> MarketEntry | None:
        """A market of the live tier."""
        entry = self.markets.get(ticker)
        return None if entry is None or self.file(entry) == "archived" else entry

    def archived(self, ticker: str) -> MarketEntry | None:
        """A market of the historical tier."""
        entry = self.markets.get(ticker)
        return entry if entry is not None and self.file(entry) == "archived" else None

    def has_candles(self, ticker: str) -> bool:
        """Whether candles of a market are known, listed or not."""
        return any(known == ticker for known, _ in self.candles)

    def updated(self, combo: int) -> Shelf[MarketEntry]:
        """Live markets by their metadata's age."""
        if self._updated is None:
            live = [entry for entry in self.markets.values() if self.file(entry) != "archived"]
            self._updated = {
                kind: Shelf(by_update, (entry for entry in live if entry.combo == kind))
                for kind in (0, 1)
            }
        return self._updated[combo]

    def series_of(self, entry: MarketEntry) -> str | None:
        """The ticker of a market's series, when its event is known."""
        event = self.events.get(entry.event_ticker)
        return None if event is None else event.series_ticker

    # Listing

    def file_series(self, entry: SeriesEntry) -> None:
        """List a series."""
        self.series[entry.ticker] = entry

    def file_event(self, entry: EventEntry) -> None:
        """List an event."""
        self.events[entry.ticker] = entry
        entry.markets = self.by_event.setdefault(entry.ticker, entry.markets)
        self.listed_events[entry.combo].add(entry)
        series = self.series.get(entry.series_ticker)
        if series is not None:
            series.events.append(entry.ticker)

    def file_market(self, entry: MarketEntry) -> None:
        """List a market."""
        self.markets[entry.ticker] = entry
        self.by_event.setdefault(entry.event_ticker, []).append(entry)
        self._put_up(entry)

    def file_many(self, events: Iterable[EventEntry], entries: Iterable[MarketEntry]) -> None:
        """List many at once; sorting once is what makes half a million quick."""
        shelves: dict[tuple[str, int], list[MarketEntry]] = {}
        for entry in entries:
            self.markets[entry.ticker] = entry
            self.by_event.setdefault(entry.event_ticker, []).append(entry)
            shelves.setdefault((self.file(entry), entry.combo), []).append(entry)
        for place, standing in shelves.items():
            self.created[place].extend(standing)
            if place in self.settled:
                self.settled[place].extend(standing)
        kinds: dict[int, list[EventEntry]] = {0: [], 1: []}
        for event in events:
            self.events[event.ticker] = event
            event.markets = self.by_event.setdefault(event.ticker, event.markets)
            kinds[event.combo].append(event)
            series = self.series.get(event.series_ticker)
            if series is not None:
                series.events.append(event.ticker)
        for combo, standing_events in kinds.items():
            self.listed_events[combo].extend(standing_events)

    def _put_up(self, entry: MarketEntry) -> None:
        place = (self.file(entry), int(entry.combo))
        self.created[place].add(entry)
        if place in self.settled:
            self.settled[place].add(entry)
        if self._updated is not None and place[0] != "archived":
            self._updated[entry.combo].add(entry)

    def _take_down(self, entry: MarketEntry) -> None:
        place = (self.file(entry), int(entry.combo))
        self.created[place].remove(entry)
        if place in self.settled:
            self.settled[place].remove(entry)
        if self._updated is not None and place[0] != "archived":
            self._updated[entry.combo].remove(entry)

    # Changing

    def add_series(self, ticker: str, **fields: Any) -> SeriesEntry:
        """List a new series; what is not given has a plain value."""
        given = {"category": "Politics", "title": ticker, "last_updated_ts": self._now(), **fields}
        series = wire.Series(ticker=ticker, **given)
        series.categories = series.categories or [series.category]
        entry = series_entry(series, self.clock.micros())
        self.file_series(entry)
        return entry

    def add_event(self, ticker: str, series_ticker: str, **fields: Any) -> EventEntry:
        """List a new event."""
        given = {"title": ticker, "last_updated_ts": self._now(), "strike_period": "", **fields}
        event = wire.Event(event_ticker=ticker, series_ticker=series_ticker, **given)
        now = self.clock.micros()
        combo = series_ticker.startswith("KXMVE")
        entry = EventEntry(ticker, series_ticker, combo, now, now, event)
        self.file_event(entry)
        return entry

    def add_market(self, ticker: str, event_ticker: str, **fields: Any) -> MarketEntry:
        """List a new market, open from now for a week unless the fields say otherwise."""
        now = self.clock.micros()
        closing = fields.get("close_time", times.rfc3339(now + 7 * times.DAY))
        if "price_ranges" not in fields:
            label = fields.get("price_level_structure", "linear_cent")
            fields["price_ranges"] = prices.GRIDS[label]
        given = {
            "created_time": times.rfc3339(now),
            "open_time": times.rfc3339(now),
            "updated_time": times.rfc3339(now),
            "close_time": closing,
            "latest_expiration_time": closing,
            "title": ticker,
            **fields,
        }
        market = wire.Market(ticker=ticker, event_ticker=event_ticker, **_mirrored(given))
        entry = market_entry(wire.plain(market), market)
        self.file_market(entry)
        return entry

    def change(self, ticker: str, **fields: Any) -> MarketEntry:
        """Change fields of a market; anything but trading moves `updated_time`."""
        entry = self.markets[ticker]
        fields = _mirrored(fields)
        if fields.keys() <= TRADED:
            entry.change(fields)
            return entry
        fields.setdefault("updated_time", self._now())
        self._take_down(entry)
        entry.change(fields)
        self._put_up(entry)
        if "status" in fields:
            for follower in self.followers:
                follower(entry)
        return entry

    def change_event(self, ticker: str, **fields: Any) -> EventEntry:
        """Change fields of an event and when it was last updated."""
        entry = self.events[ticker]
        fields.setdefault("last_updated_ts", self._now())
        if entry.event is None:
            raise TypeError("recorded events do not change")
        for name, value in fields.items():
            setattr(entry.event, name, value)
        entry.updated_us, entry.row = times.parse(fields["last_updated_ts"]), None
        return entry

    def change_series(self, ticker: str, **fields: Any) -> SeriesEntry:
        """Change fields of a series and when it was last updated."""
        entry = self.series[ticker]
        fields.setdefault("last_updated_ts", self._now())
        if entry.series is None:
            raise TypeError("recorded series do not change")
        for name, value in fields.items():
            setattr(entry.series, name, value)
        fresh = series_entry(entry.series, times.parse(fields["last_updated_ts"]))
        fresh.events = entry.events
        self.series[ticker] = fresh
        return fresh

    # The life of a market (docs.kalshi.com/getting_started/market_lifecycle)

    def open(self, ticker: str) -> MarketEntry:
        """Open a market now, after a pause or for the first time."""
        entry = self.markets[ticker]
        opening = {} if entry.filed == "paused" else {"open_time": self._now()}
        return self.change(ticker, status="active", **opening)

    def pause(self, ticker: str) -> MarketEntry:
        """Stop trading in a market for a while."""
        return self.change(ticker, status="inactive")

    def close(self, ticker: str) -> MarketEntry:
        """Close a market; its book is emptied, and when it was open its close time is now."""
        entry = self.markets[ticker]
        now = self.clock.micros()
        early = {"close_time": times.rfc3339(now)} if entry.closes_us > now else {}
        return self.change(ticker, status="closed", **early, **NO_QUOTE)

    def determine(self, ticker: str, result: str, value_dollars: str | None = None) -> MarketEntry:
        """Say how a market ended; the money moves when it settles."""
        entry = self.markets[ticker]
        if entry.filed in ("unopened", "open", "paused"):
            self.close(ticker)
        value = value_dollars or {"yes": "1.0000", "no": "0.0000"}.get(result)
        if value is None:
            raise ValueError(f"a {result} result needs the value that is paid")
        return self.change(
            ticker, status="determined", result=result, settlement_value_dollars=value
        )

    def settle(self, ticker: str, result: str, value_dollars: str | None = None) -> MarketEntry:
        """Pay a market out."""
        self.determine(ticker, result, value_dollars)
        return self.finalize(ticker)

    def finalize(self, ticker: str) -> MarketEntry:
        """Pay out a market whose result is known."""
        return self.change(ticker, status="finalized", settlement_ts=self._now())

    def _now(self) -> str:
        return times.rfc3339(self.clock.micros())


NO_QUOTE = {
    "yes_bid_dollars": "0.0000",
    "yes_ask_dollars": "1.0000",
    "yes_bid_size_fp": "0.00",
    "yes_ask_size_fp": "0.00",
}


def series_entry(series: wire.Series, updated_us: int) -> SeriesEntry:
    """The entry of a series."""
    return SeriesEntry(
        series.ticker, tuple(series.categories), tuple(series.tags or ()), updated_us, series
    )


def _mirrored(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields with NO's prices following from YES's, unless they are given."""
    mirrored = dict(fields)
    for yes, no in (("yes_bid_dollars", "no_ask_dollars"), ("yes_ask_dollars", "no_bid_dollars")):
        if yes in fields:
            price = prices.DOLLAR - prices.ten_thousandths(fields[yes])
            mirrored.setdefault(no, prices.dollars(price))
    return mirrored
