"""Pages of what is recorded of one member: fills, orders, settlements, and what it was worth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from kalshi_gateway import cursors
from kalshi_gateway.db import Driver
from kalshi_gateway.units import moment, to_json

from . import records
from .answers import Snapshot
from .storing import ALL_SUBACCOUNTS, settlement_row

Every = Literal["all", "hour", "day"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Place:
    """The last row a client has seen: its time in microseconds, and what tells it from others."""

    at: int
    names: tuple[str | int, ...] = ()

    @classmethod
    def of(cls, at: datetime, *names: str | int) -> "Place":
        return cls((at - EPOCH) // MICROSECOND, names)

    @property
    def moment(self) -> datetime:
        try:
            return EPOCH + self.at * MICROSECOND
        except OverflowError:
            raise cursors.CursorInvalid from None


class Row(NamedTuple):
    """One line of a list: its finished JSON, and where it stands."""

    body: str
    place: Place


class Wanted(NamedTuple):
    """A condition of a list, and the value it compares with, which is `{}` in it."""

    condition: str
    value: object


@dataclass(frozen=True)
class Shelf:
    """One kind of records: its table, and what its rows are told apart by, beside their time."""

    table: str
    names: Mapping[str, type]
    columns: Sequence[str]
    body: Callable[[asyncpg.Record], str]

    async def page(
        self,
        conn: Driver,
        ledger_id: UUID,
        wanted: Sequence[Wanted],
        after: Place | None,
        limit: int,
    ) -> list[Row]:
        """One row more than a page, newest first, so that the caller knows if there is a next."""
        values: list[object] = [ledger_id]
        conditions = ["r.ledger_id = $1"]
        for condition, value in wanted:
            values.append(value)
            conditions.append(condition.format(f"${len(values)}"))
        order = ["r.listed_at", *(f"r.{name}" for name in self.names)]
        if after is not None:
            self._check(after)
            first = len(values) + 1
            values += [after.moment, *after.names]
            numbers = ", ".join(f"${n}" for n in range(first, len(values) + 1))
            conditions.append(f"({', '.join(order)}) < ({numbers})")
        query = (
            f"SELECT {', '.join(f'r.{column}' for column in (*self.names, *self.columns))},"
            " r.listed_at, r.ticker, i.event_ticker, i.body::json ->> 'display_name' AS name"
            f" FROM {self.table} r LEFT JOIN instruments i ON i.ticker = r.ticker"
            f" WHERE {' AND '.join(conditions)}"
            f" ORDER BY {', '.join(f'{column} DESC' for column in order)} LIMIT {limit + 1}"
        )
        try:
            rows = await conn.fetch(query, *values)
        except asyncpg.DataError:
            if after is None:
                raise
            raise cursors.CursorInvalid from None  # forged: it names what fits no column
        return [
            Row(self.body(row), Place.of(row["listed_at"], *(row[name] for name in self.names)))
            for row in rows
        ]

    def _check(self, after: Place) -> None:
        """A cursor that was tampered with may name anything."""
        kinds = list(self.names.values())
        if [type(name) for name in after.names] != kinds:
            raise cursors.CursorInvalid


def cut(rows: Sequence[Row], limit: int, asked: object) -> tuple[list[str], str | None]:
    """The page, and the cursor after its last row if one row more was found."""
    page = rows[:limit]
    onward = cursors.pack(page[-1].place, asked) if len(rows) > limit else None
    return [row.body for row in page], onward


async def page_of_history(
    conn: Driver,
    ledger_id: UUID,
    every: Every,
    start: datetime | None,
    end: datetime | None,
    after: Place | None,
    limit: int,
) -> list[Row]:
    """What the account was worth, newest first: each time it was noted, or the last of a span."""
    before = None if after is None else after.moment
    if every == "all":
        select, unique, behind = "at", "", "at < $4"
    else:
        select = f"date_trunc('{every}', at, 'UTC')"
        unique = f"DISTINCT ON ({select})"
        behind = f"{select} < date_trunc('{every}', $4::timestamptz, 'UTC')"
    rows = await conn.fetch(
        f"SELECT {unique} at, balance, portfolio_value FROM kalshi_account_snapshots"
        " WHERE ledger_id = $1 AND ($2::timestamptz IS NULL OR at >= $2)"
        " AND ($3::timestamptz IS NULL OR at < $3)"
        f" AND ($4::timestamptz IS NULL OR {behind})"
        f" ORDER BY {select} DESC, at DESC LIMIT {limit + 1}",
        ledger_id,
        start,
        end,
        before,
    )
    return [Row(_snapshot(row), Place.of(row["at"])) for row in rows]


def named(row: asyncpg.Record) -> str:
    """A finished object with what its market is called."""
    body: str = row["body"]
    event = to_json(row["event_ticker"]).decode()
    return f'{body[:-1]},"event_ticker":{event},"display_name":{_name(row)}}}'


def _settlement(row: asyncpg.Record) -> str:
    of = None if row["subaccount"] == ALL_SUBACCOUNTS else row["subaccount"]
    settled = records.settlement(settlement_row(row["row"]), row["yes_value"], of)
    return f'{to_json(settled)[:-1].decode()},"display_name":{_name(row)}}}'


def _name(row: asyncpg.Record) -> str:
    return to_json(row["name"] or row["ticker"]).decode()


def _snapshot(row: asyncpg.Record) -> str:
    balance, worth = row["balance"], row["portfolio_value"]
    equity = None if worth is None else balance + worth
    at = moment(row["at"]) or EPOCH
    return to_json(Snapshot(at, balance, worth, equity)).decode()


_FILL_NAMES: dict[str, type[Any]] = {"fill_id": str, "subaccount": int, "direction": int}
FILLS = Shelf("kalshi_fills", _FILL_NAMES, ("body",), named)
ORDERS = Shelf("kalshi_orders", {"order_id": str}, ("body",), named)
SETTLEMENTS = Shelf(
    "kalshi_settlements", {"ticker": str, "subaccount": int}, ("row", "yes_value"), _settlement
)


class Spot(NamedTuple):
    """The last position a client has seen."""

    ticker: str
    subaccount: int


class Held(NamedTuple):
    """Which positions are asked for."""

    ticker: str | None
    event: str | None
    subaccount: int | None

    def holds(self, one: "_Position") -> bool:
        return (
            self.ticker in (None, one.ticker)
            and self.event in (None, one.event_ticker)
            and self.subaccount in (None, one.subaccount)
        )


class _Position(msgspec.Struct):
    ticker: str
    event_ticker: str | None
    subaccount: int


class _Account(msgspec.Struct):
    positions: list[msgspec.Raw]


_account = msgspec.json.Decoder(_Account)
_position = msgspec.json.Decoder(_Position)


def cut_positions(
    account: str, held: Held, after: Spot | None, limit: int, asked: object
) -> tuple[list[str], str | None]:
    """A page of an account's finished positions, and the cursor after it."""
    found: list[tuple[Spot, str]] = []
    for raw in _account.decode(account).positions:
        one = _position.decode(raw)
        spot = Spot(one.ticker, one.subaccount)
        if held.holds(one) and (after is None or spot > after):
            found.append((spot, bytes(raw).decode()))
    page = found[:limit]
    onward = cursors.pack(page[-1][0], asked) if len(found) > limit else None
    return [body for _, body in page], onward
