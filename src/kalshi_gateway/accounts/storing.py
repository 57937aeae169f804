"""Rows of the exchange on their way into a ledger: each once, by one upsert per kind."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec

from kalshi_gateway.db import Driver
from kalshi_gateway.kalshi import portfolio_wire as wire
from kalshi_gateway.units import moment, to_json

from . import ledger, records
from .records import Transfer

_settlement = msgspec.json.Decoder(wire.Settlement)

#: Where a row stands that does not say when it is from: behind all others.
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
#: What an account was worth is kept in full for so long, then the last of each hour.
ALL_FOR = timedelta(days=30)
#: A settlement that was not asked for one subaccount.
ALL_SUBACCOUNTS = -1

Source = Literal["deposits", "withdrawals", "subaccounts", "shards"]


class Progress(NamedTuple):
    """How far one of a member's lists has been read."""

    since: datetime | None = None
    cursor: str | None = None
    until: datetime | None = None


NOT_BEGUN = Progress()


@dataclass(slots=True)
class Harvest:
    """What was read of a member's lists and is not stored yet."""

    fills: dict[tuple[str, int, int], tuple[Any, ...]] = field(default_factory=dict)
    orders: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    settlements: dict[tuple[str, int], tuple[Any, ...]] = field(default_factory=dict)
    transfers: dict[tuple[str, str], tuple[Any, ...]] = field(default_factory=dict)
    progress: dict[str, Progress] = field(default_factory=dict)
    tickers: set[str] = field(default_factory=set)
    set_aside: int = 0

    def fill(self, row: wire.Fill) -> None:
        """Take in a fill; one that cannot be counted is kept all the same, as a gap."""
        counted = ledger.execution(row)
        direction = 0 if counted is None else (counted.contracts > 0) - (counted.contracts < 0)
        at, subaccount = row.filled_at, row.subaccount_number or 0
        self.tickers.add(row.ticker)
        self.fills[row.fill_id, subaccount, direction] = (
            row.fill_id,
            subaccount,
            direction,
            row.ticker,
            row.order_id,
            at,
            _listed(at),
            None if counted is None else counted.contracts,
            None if counted is None else counted.yes_price,
            row.fee_cost,
            _text(records.fill(row)),
        )

    def order(self, row: wire.Order) -> None:
        """Take in an order; of two states of it the later one."""
        known = self.orders.get(row.order_id)
        at = row.last_update_time
        if known is not None and (known[4] or LONG_AGO) > (at or LONG_AGO):
            return
        self.tickers.add(row.ticker)
        self.orders[row.order_id] = (
            row.order_id,
            row.ticker,
            row.subaccount_number or 0,
            row.status,
            at,
            _listed(row.created_time),
            _text(records.order(row)),
        )

    def settlement(self, row: wire.Settlement, raw: bytes, subaccount: int | None) -> None:
        """Take in what a market paid."""
        of = ALL_SUBACCOUNTS if subaccount is None else subaccount
        self.tickers.add(row.ticker)
        text = _as_read(row, raw)
        self.settlements[row.ticker, of] = (row.ticker, of, _listed(row.settled_time), text)

    def transfer(self, source: Source, row: Transfer) -> None:
        """Take in money that moved."""
        self.transfers[source, row.transfer_id] = (
            source,
            row.transfer_id,
            _listed(row.created_time),
            _text(row),
        )

    def taken(self) -> "Harvest":
        """All that is to be stored, taken out: what is read meanwhile is stored later."""
        taken = Harvest(self.fills, self.orders, self.settlements, self.transfers, self.progress)
        self.fills, self.orders, self.settlements = {}, {}, {}
        self.transfers, self.progress = {}, {}
        return taken


async def progress_of(conn: Driver, ledger_id: UUID) -> dict[str, Progress]:
    """How far each list has been read."""
    rows = await conn.fetch(
        "SELECT scope, since, cursor, until FROM kalshi_ledger_walks WHERE ledger_id = $1",
        ledger_id,
    )
    return {row["scope"]: Progress(row["since"], row["cursor"], row["until"]) for row in rows}


async def resting(conn: Driver, ledger_id: UUID) -> dict[str, str]:
    """Orders that rest as far as we know, and the markets they are in."""
    rows = await conn.fetch(
        "SELECT order_id, ticker FROM kalshi_orders WHERE ledger_id = $1 AND status = 'resting'",
        ledger_id,
    )
    return {row["order_id"]: row["ticker"] for row in rows}


async def save(conn: Driver, ledger_id: UUID, harvest: Harvest) -> bool:
    """Keep all of it, in the caller's transaction; whether anything of it was news."""
    changed = 0
    if harvest.fills:
        changed += await _save_fills(conn, ledger_id, harvest.fills.values())
    for statement, rows in (
        (_ORDERS, harvest.orders.values()),
        (_SETTLEMENTS, harvest.settlements.values()),
        (_TRANSFERS, harvest.transfers.values()),
    ):
        if rows:
            changed += len(await conn.fetch(statement, ledger_id, *_columns(rows)))
    if harvest.progress:
        steps = [(scope, *step) for scope, step in harvest.progress.items()]
        await conn.execute(_PROGRESS, ledger_id, *_columns(steps))
    return changed > 0


async def _save_fills(conn: Driver, ledger_id: UUID, rows: Iterable[Sequence[Any]]) -> int:
    columns = _columns(rows)
    saved = await conn.fetch(_FILLS, ledger_id, *columns)
    # What can be read by now takes the place of what could not.
    read = [fill for fill, direction in zip(columns[0], columns[2], strict=True) if direction]
    gone = await conn.fetch(
        "DELETE FROM kalshi_fills WHERE ledger_id = $1 AND fill_id = ANY($2) AND direction = 0"
        " RETURNING fill_id",
        ledger_id,
        read,
    )
    return len(saved) + len(gone)


async def value_settlements(conn: Driver, ledger_id: UUID) -> bool:
    """Take over what markets say one YES contract got, where that was not known yet."""
    valued = await conn.fetch(
        "UPDATE kalshi_settlements s SET yes_value = (i.body::json ->> 'settlement_value')::numeric"
        " FROM instruments i WHERE s.ledger_id = $1 AND s.yes_value IS NULL"
        " AND i.ticker = s.ticker AND i.body::json ->> 'settlement_value' IS NOT NULL"
        " RETURNING s.ticker",
        ledger_id,
    )
    return bool(valued)


async def snapshot(
    conn: Driver,
    ledger_id: UUID,
    at: datetime,
    balance: Decimal,
    worth: Decimal | None,
    at_least_every: timedelta,
) -> None:
    """Remember what the account was worth, unless that has just been said; thin out what is old."""
    noted = await conn.execute(
        "INSERT INTO kalshi_account_snapshots (ledger_id, at, balance, portfolio_value)"
        " SELECT $1, $2, $3, $4 WHERE NOT EXISTS ("
        "   SELECT FROM (SELECT at, balance, portfolio_value FROM kalshi_account_snapshots"
        "     WHERE ledger_id = $1 ORDER BY at DESC LIMIT 1) AS last"
        "   WHERE last.at >= $2 OR (last.at > $2 - $5::interval AND last.balance = $3"
        "     AND last.portfolio_value IS NOT DISTINCT FROM $4))"
        " ON CONFLICT DO NOTHING",
        ledger_id,
        at,
        balance,
        worth,
        at_least_every,
    )
    if noted == "INSERT 0 1":
        await conn.execute(_THIN_OUT, ledger_id, at - ALL_FOR)


def _columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _listed(at: datetime | None) -> datetime:
    return at if at is not None and moment(at) is not None else LONG_AGO


def settlement_row(text: str) -> wire.Settlement:
    """A settlement as it was taken in."""
    return _settlement.decode(text)


def _as_read(row: wire.Settlement, raw: bytes) -> str:
    """A row as it came, or as it was read, if it could be read only by mending it."""
    try:
        came_whole = _settlement.decode(raw) == row
    except msgspec.ValidationError:
        came_whole = False
    return raw.decode() if came_whole else msgspec.json.encode(row).decode()


def _text(row: object) -> str:
    return to_json(row).decode()


_FILLS = """
    INSERT INTO kalshi_fills AS known (ledger_id, fill_id, subaccount, direction, ticker, order_id,
        at, listed_at, contracts, yes_price, fee, body)
    SELECT $1, * FROM unnest($2::text[], $3::int[], $4::smallint[], $5::text[], $6::text[],
        $7::timestamptz[], $8::timestamptz[], $9::numeric[], $10::numeric[], $11::numeric[],
        $12::text[])
    ON CONFLICT (ledger_id, fill_id, subaccount, direction) DO UPDATE
    SET ticker = excluded.ticker, order_id = excluded.order_id, at = excluded.at,
        listed_at = excluded.listed_at, contracts = excluded.contracts,
        yes_price = excluded.yes_price, fee = excluded.fee, body = excluded.body
    WHERE known.body <> excluded.body AND (excluded.fee IS NOT NULL OR known.fee IS NULL)
    RETURNING fill_id
"""
# Reads lag behind writes: what has ended does not rest again by an answer of the same moment.
_ORDERS = """
    INSERT INTO kalshi_orders AS known (ledger_id, order_id, ticker, subaccount, status,
        updated_at, listed_at, body)
    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::int[], $5::text[], $6::timestamptz[],
        $7::timestamptz[], $8::text[])
    ON CONFLICT (ledger_id, order_id) DO UPDATE
    SET ticker = excluded.ticker, subaccount = excluded.subaccount, status = excluded.status,
        updated_at = excluded.updated_at, listed_at = excluded.listed_at, body = excluded.body
    WHERE known.body <> excluded.body
        AND coalesce(excluded.updated_at >= known.updated_at, true)
        AND NOT (known.status <> 'resting' AND excluded.status = 'resting'
            AND coalesce(excluded.updated_at <= known.updated_at, true))
    RETURNING order_id
"""
_SETTLEMENTS = """
    INSERT INTO kalshi_settlements AS known (ledger_id, ticker, subaccount, listed_at, row)
    SELECT $1, * FROM unnest($2::text[], $3::int[], $4::timestamptz[], $5::text[])
    ON CONFLICT (ledger_id, ticker, subaccount) DO UPDATE
    SET listed_at = excluded.listed_at, row = excluded.row, yes_value = NULL
    WHERE known.row <> excluded.row
    RETURNING ticker
"""
_TRANSFERS = """
    INSERT INTO kalshi_transfers AS known (ledger_id, source, transfer_id, listed_at, body)
    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::text[])
    ON CONFLICT (ledger_id, source, transfer_id) DO UPDATE
    SET listed_at = excluded.listed_at, body = excluded.body
    WHERE known.body <> excluded.body
    RETURNING transfer_id
"""
# Of the last week before, since an account may not be read for days.
_THIN_OUT = """
    DELETE FROM kalshi_account_snapshots s
    WHERE ledger_id = $1 AND at < $2 AND at >= $2 - interval '7 days' AND EXISTS (
        SELECT FROM kalshi_account_snapshots later
        WHERE later.ledger_id = s.ledger_id AND later.at > s.at
        AND later.at < date_trunc('hour', s.at, 'UTC') + interval '1 hour'
    )
"""
_PROGRESS = """
    INSERT INTO kalshi_ledger_walks AS known (ledger_id, scope, since, cursor, until)
    SELECT $1, * FROM unnest($2::text[], $3::timestamptz[], $4::text[], $5::timestamptz[])
    ON CONFLICT (ledger_id, scope) DO UPDATE
    SET since = excluded.since, cursor = excluded.cursor, until = excluded.until
"""
