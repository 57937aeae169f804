"""Rows on their way into the catalogue's tables: one COPY and one upsert per batch."""

from collections.abc import Iterable, Sequence
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
from .market import Family, change, from_wire, rules_from_wire
from .words import words

#: Part of every digest: raise it when the same row of the exchange shall read differently.
RENDERING = b"1"

Record = tuple[Any, ...]


def digest(raw: msgspec.Raw | bytes) -> int:
    """64 bits that tell whether the exchange's row is the one we know."""
    return int.from_bytes(blake2b(raw, digest_size=8, key=RENDERING).digest(), signed=True)


class Stage:
    """The way into one table: its columns, and a temporary table of the same shape.

    Search words arrive as one text with blanks between them: COPY's binary form has no tsvector,
    and an array of texts costs three times as much to write.
    """

    def __init__(self, table: Table, key: str, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self._incoming = f"incoming_{table.name}"
        plain = ", ".join(c if c != "search" else "NULL::text AS search" for c in columns)
        self._create = (
            f"CREATE TEMP TABLE IF NOT EXISTS {self._incoming} ON COMMIT DELETE ROWS "
            f"AS SELECT {plain} FROM {table.name} WITH NO DATA"
        )
        words = "array_to_tsvector(string_to_array(search, ' '))"
        taken = ", ".join(c if c != "search" else words for c in columns)
        kept = ", ".join(f"{c} = excluded.{c}" for c in columns if c != key)
        self._upsert = (
            f"INSERT INTO {table.name} ({', '.join(columns)}) "
            f"SELECT {taken} FROM {self._incoming} ORDER BY {key} "
            f"ON CONFLICT ({key}) DO UPDATE SET {kept} "
            f"WHERE {table.name}.as_of <= excluded.as_of"
        )

    async def save(self, conn: Driver, records: Iterable[Record]) -> None:
        """Keep each record unless what we have is newer; inside the caller's transaction."""
        await conn.execute(self._create)
        await conn.copy_records_to_table(self._incoming, records=records, columns=self.columns)
        await conn.execute(self._upsert)


MARKETS = Stage(
    tables.instruments,
    "ticker",
    (
        "ticker",
        "event_ticker",
        "series_ticker",
        "category",
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
    "event_ticker",
    (
        "event_ticker",
        "series_ticker",
        "title",
        "sub_title",
        "category",
        "search",
        "body",
        "digest",
        "as_of",
    ),
)

SERIES = Stage(
    tables.series,
    "ticker",
    (
        "ticker",
        "title",
        "category",
        "categories",
        "tags",
        "search",
        "body",
        "digest",
        "as_of",
    ),
)


def market_record(row: wire.Market, family: Family, row_digest: int, as_of: datetime) -> Record:
    """The exchange's market as a record for `MARKETS`."""
    market = from_wire(row, family, as_of)
    own = words(market.ticker, market.title, market.outcome)
    return (
        market.ticker,
        market.event_ticker,
        market.series_ticker,
        market.category,
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
        " ".join(dict.fromkeys([*own, *family.words])),
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
        " ".join(found_by),
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
        " ".join(found_by),
        to_json(series).decode(),
        row_digest,
        as_of,
    )
