"""Rows on their way into the catalogue's tables: new ones by COPY, others by one upsert."""

from collections.abc import Collection, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec
from sqlalchemy import Table

from kalshi_gateway import tables
from kalshi_gateway.db import Driver
from kalshi_gateway.kalshi import wire
from kalshi_gateway.units import centicontracts, microdollars, moment, to_json

from .family import Event, Series
from .genres import genre_of
from .market import Family, change, from_wire, rules_from_wire
from .words import ticker_words, words

#: Part of every digest: raise it when the same row of the exchange shall read differently.
RENDERING = b"1"

Record = tuple[Any, ...]


def digest(raw: msgspec.Raw | bytes) -> int:
    """64 bits that tell whether the exchange's row is the one we know."""
    return int.from_bytes(blake2b(raw, digest_size=8, key=RENDERING).digest(), signed=True)


class Stage:
    """The way into one table: its columns, the first of them its key."""

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self._table = table.name
        self._incoming = f"incoming_{table.name}"
        key, listed = columns[0], ", ".join(columns)
        # What was stored just before in the same transaction is not stored once more.
        self._empty = (
            f"CREATE TEMP TABLE IF NOT EXISTS {self._incoming} ON COMMIT DELETE ROWS "
            f"AS SELECT {listed} FROM {table.name} WITH NO DATA; DELETE FROM {self._incoming}"
        )
        kept = ", ".join(f"{c} = excluded.{c}" for c in columns if c != key)
        self._upsert = (
            f"INSERT INTO {table.name} ({listed}) "
            f"SELECT {listed} FROM {self._incoming} ORDER BY {key} "
            f"ON CONFLICT ({key}) DO UPDATE SET {kept} "
            f"WHERE {table.name}.as_of <= excluded.as_of RETURNING {key}"
        )

    async def add(self, conn: Driver, records: Collection[Record]) -> None:
        """Keep what is new, at half the price of `renew`; `UniqueViolationError` if it is not."""
        if records:
            await conn.copy_records_to_table(self._table, records=records, columns=self.columns)

    async def renew(self, conn: Driver, records: Collection[Record]) -> set[str]:
        """Keep all, new or not; the keys of which something newer is kept."""
        if not records:
            return set()
        await conn.execute(self._empty)
        await conn.copy_records_to_table(self._incoming, records=records, columns=self.columns)
        kept = {row[0] for row in await conn.fetch(self._upsert)}
        return {record[0] for record in records} - kept


MARKETS = Stage(
    tables.instruments,
    (
        "ticker",
        "event_ticker",
        "series_ticker",
        "category",
        "genre",
        "status",
        "is_combo",
        "last_price_microdollars",
        "change_microdollars",
        "volume_24h_centicontracts",
        "open_interest_centicontracts",
        "volume_centicontracts",
        "created_time",
        "open_time",
        "close_time",
        "search",
        "body",
        "rules",
        "digest",
        "as_of",
    ),
)

EVENTS = Stage(
    tables.events,
    (
        "event_ticker",
        "series_ticker",
        "title",
        "sub_title",
        "category",
        "genre",
        "search",
        "body",
        "digest",
        "as_of",
    ),
)

SERIES = Stage(
    tables.series,
    (
        "ticker",
        "title",
        "category",
        "categories",
        "tags",
        "genre",
        "search",
        "body",
        "digest",
        "as_of",
    ),
)


def market_record(row: wire.Market, family: Family, row_digest: int, as_of: datetime) -> Record:
    """The exchange's market as a record for `MARKETS`."""
    market = from_wire(row, family, as_of)
    # An event's words include those of its ticker; who has no event has none of them.
    named = ticker_words(market.ticker, market.event_ticker if family.words else market.ticker)
    own = words(market.title, market.outcome)
    return (
        market.ticker,
        market.event_ticker,
        market.series_ticker,
        market.category,
        genre_of(market.category, market.tags).id,
        market.status,
        market.is_combo,
        microdollars(market.last_price),
        microdollars(change(market)),
        centicontracts(market.volume_24h),
        centicontracts(market.open_interest),
        centicontracts(market.volume),
        moment(row.created_time),
        market.open_time,
        market.close_time,
        # dict, not set: the order in which a row was written does not change what it says
        list(dict.fromkeys([*named, *own, *family.words])),
        to_json(market).decode(),
        to_json(rules_from_wire(row))[1:-1].decode(),
        row_digest,
        as_of,
    )


def event_record(event: Event, found_by: list[str], row_digest: int, as_of: datetime) -> Record:
    """An event as a record for `EVENTS`."""
    return (
        event.event_ticker,
        event.series_ticker,
        event.title,
        event.sub_title,
        event.category,
        genre_of(event.category, event.tags).id,
        found_by,
        to_json(event).decode(),
        row_digest,
        as_of,
    )


def series_record(series: Series, found_by: list[str], row_digest: int, as_of: datetime) -> Record:
    """A series as a record for `SERIES`."""
    return (
        series.ticker,
        series.title,
        series.category,
        list(series.categories),
        list(series.tags),
        genre_of(series.category, series.tags).id,
        found_by,
        to_json(series).decode(),
        row_digest,
        as_of,
    )
