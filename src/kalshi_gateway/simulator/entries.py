"""Markets, events and series as the catalogue files them: what filters ask, and the row of JSON."""

from collections.abc import Mapping
from typing import Any

import msgspec

from . import times, wire
from .prices import GRIDS, Grid, grid_of

# docs.kalshi.com/getting_started/market_lifecycle, 2026-06-01
FILED = {
    "initialized": "unopened",
    "active": "open",
    "inactive": "paused",
    "closed": "closed",
    "determined": "closed",
    "disputed": "closed",
    "amended": "closed",
    "finalized": "settled",
}
COMBO_PREFIX = "KXMVE"
# "Non-trading metadata": what moves when people trade is not in it.
TRADED = frozenset(
    {
        "last_price_dollars",
        "no_ask_dollars",
        "no_bid_dollars",
        "open_interest_fp",
        "previous_price_dollars",
        "previous_yes_ask_dollars",
        "previous_yes_bid_dollars",
        "volume_24h_fp",
        "volume_fp",
        "yes_ask_dollars",
        "yes_ask_size_fp",
        "yes_bid_dollars",
        "yes_bid_size_fp",
    }
)


class MarketEntry(msgspec.Struct, gc=False, eq=False):
    """A market in the catalogue; its row is rendered when first asked for."""

    ticker: str
    event_ticker: str
    filed: str
    combo: bool
    created_us: int
    opens_us: int
    closes_us: int
    updated_us: int
    settled_us: int | None
    market: wire.Market | None
    row: bytes | None = None
    # Recorded rows say by where they were recorded in which tier they live.
    archived: bool | None = None

    def bytes(self) -> bytes:
        """The row as sent."""
        if self.row is None:
            self.row = wire.encode(self.market)
        return self.row

    def field(self, name: str) -> Any:
        """One field of the row; None when it is absent."""
        if self.market is None:
            return msgspec.json.decode(self.bytes()).get(name)
        value = getattr(self.market, name)
        return None if value is wire.ABSENT else value

    @property
    def grid(self) -> Grid:
        """The prices it takes: whole cents, valid everywhere, where the row does not say."""
        ranges = self.field("price_ranges") or GRIDS["linear_cent"]
        if self.market is None:
            ranges = msgspec.convert(ranges, tuple[wire.PriceRange, ...])
        return grid_of(ranges)

    def change(self, fields: Mapping[str, Any]) -> None:
        """Put new values into the row; ABSENT takes a field away."""
        if self.market is None:
            row = {**msgspec.json.decode(self.bytes()), **fields}
            self.row = wire.encode({k: v for k, v in row.items() if v is not wire.ABSENT})
            read(self, row)
            return
        for name, value in fields.items():
            setattr(self.market, name, value)
        self.row = None
        read(self, {name: self.field(name) for name in READ})


READ = (
    "status",
    "created_time",
    "open_time",
    "close_time",
    "updated_time",
    "settlement_ts",
)


def read(entry: MarketEntry, row: Mapping[str, Any]) -> None:
    """Learn from a row what filters ask about."""
    entry.filed = FILED.get(row["status"], "open")
    entry.closes_us = times.parse(row["close_time"])
    entry.opens_us = times.parse(row["open_time"]) if row.get("open_time") else entry.closes_us
    created = row.get("created_time")
    entry.created_us = times.parse(created) if created else entry.opens_us
    updated = row.get("updated_time")
    entry.updated_us = times.parse(updated) if updated else entry.created_us
    settled = row.get("settlement_ts")
    entry.settled_us = times.parse(settled) if settled else None
    if entry.settled_us is None and entry.filed == "settled":
        entry.settled_us = entry.closes_us  # older recordings do not say when they settled


def market_entry(row: Mapping[str, Any], market: wire.Market | None = None) -> MarketEntry:
    """The entry of a row."""
    event_ticker: str = row["event_ticker"]
    combo = bool(row.get("mve_collection_ticker")) or event_ticker.startswith(COMBO_PREFIX)
    entry = MarketEntry(row["ticker"], event_ticker, "open", combo, 0, 0, 0, 0, None, market)
    read(entry, row)
    return entry


class EventEntry(msgspec.Struct, eq=False):
    """An event in the catalogue, with its markets."""

    ticker: str
    series_ticker: str
    combo: bool
    created_us: int
    updated_us: int
    event: wire.Event | None
    row: bytes | None = None
    markets: list[MarketEntry] = msgspec.field(default_factory=list)

    def bytes(self) -> bytes:
        """The row as sent, without markets."""
        if self.row is None:
            self.row = wire.encode(self.event)
        return self.row


class SeriesEntry(msgspec.Struct, eq=False):
    """A series in the catalogue, with the tickers of its events."""

    ticker: str
    categories: tuple[str, ...]
    tags: tuple[str, ...]
    updated_us: int
    series: wire.Series | None
    row: bytes | None = None
    events: list[str] = msgspec.field(default_factory=list)

    def bytes(self) -> bytes:
        """The row as sent, without its volume."""
        if self.row is None:
            self.row = wire.encode(self.series)
        return self.row
