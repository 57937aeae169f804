"""Every recorded answer about a member is read, and read exactly."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from kalshi_gateway.kalshi import portfolio_wire, wire
from kalshi_gateway.kalshi.drift import Drift
from kalshi_gateway.kalshi.reading import Shape

from . import recordings

recorded = recordings.needed

LISTS: Mapping[str, type[Shape]] = {
    "market_positions": portfolio_wire.MarketPosition,
    "fills": portfolio_wire.Fill,
    "orders": portfolio_wire.Order,
    "settlements": portfolio_wire.Settlement,
}
FILES = recordings.files(
    "portfolio_positions", "portfolio_fills", "portfolio_orders", "portfolio_settlements"
)

plainly = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def read(kind: type[Shape], row: bytes, drift: Drift | None = None) -> Any:
    value = wire.read(kind, row, endpoint="/portfolio/test", drift=drift or Drift())
    assert value is not None
    return value


def rows(name: str) -> list[tuple[type[Shape], bytes]]:
    parts = recordings.parts(name)
    return [
        (kind, row)
        for member, kind in LISTS.items()
        if member in parts
        for row in recordings.rows(parts[member])
    ]


@recorded
@pytest.mark.parametrize("name", FILES)
def test_rows_of_every_generation_are_read_exactly(name: str) -> None:
    """Each figure, word and time is the recording's, whether it came as dollars or as cents."""
    for kind, row in rows(name):
        said = plainly.decode(row)

        value = read(kind, row)

        for field in value.__struct_fields__:
            old, unit = kind.formerly.get(field, ("", "count"))
            expected = said.get(field, said.get(old))
            cents = field not in said and unit == "dollars" and isinstance(expected, int)
            got = getattr(value, field)
            if isinstance(got, Decimal):
                assert got == Decimal(str(expected)) / (100 if cents else 1), field
            elif isinstance(got, datetime):
                assert got == datetime.fromisoformat(str(expected)), field
            else:
                assert got == expected, field


@recorded
def test_there_are_rows_of_each_kind_to_read() -> None:
    """The recordings hold what the test above is about."""
    assert {kind for name in FILES for kind, _ in rows(name)} == set(LISTS.values())


@recorded
@pytest.mark.parametrize(
    "name",
    [
        "portfolio_positions/demo-2026-06-11.json",
        "portfolio_fills/demo-2026-06-11.json",
        "portfolio_orders/demo-2026-06-11.json",
    ],
)
def test_the_newest_recordings_hold_nothing_new(name: str) -> None:
    """Nothing is unknown but what was dropped since, nothing missing but the later shard."""
    drift = Drift()

    for kind, row in rows(name):
        read(kind, row, drift)

    found = {(difference.field, difference.kind) for difference in drift.snapshot()}
    assert found <= {("exchange_index", "missing"), ("resting_orders_count", "unknown")}


@recorded
def test_balances_are_read_exactly() -> None:
    """Dollars where they are told, else the cents; parts by shard where they are told."""
    today = read(portfolio_wire.Balance, recordings.body("portfolio_balance/demo-2026-06-11.json"))
    before = read(portfolio_wire.Balance, recordings.body("portfolio_balance/prod-2026-01-12.json"))

    assert today.balance_dollars == Decimal("98.0186")
    assert today.portfolio_value == 198
    assert [(part.exchange_index, part.balance) for part in today.balance_breakdown] == [
        (0, Decimal("98.0186"))
    ]
    assert before.balance_dollars == 100
    assert before.balance_breakdown is None


@recorded
@pytest.mark.parametrize("name", recordings.files("portfolio_order"))
def test_a_resting_order_has_no_empty_fields(name: str) -> None:
    """What the exchange leaves out of an order is unknown to us."""
    order = read(portfolio_wire.Order, bytes(recordings.parts(name)["order"]))

    assert order.status == "resting"
    assert order.remaining_count_fp == 1
    assert order.expiration_time is None


@recorded
def test_the_time_of_user_data_is_read() -> None:
    """How current the exchange's answers are, to the microsecond."""
    [name] = recordings.files("exchange_user_data_timestamp")

    value = read(portfolio_wire.UserDataTimestamp, recordings.body(name))

    assert value.as_of_time == datetime(2026, 1, 15, 14, 2, 18, 848643, tzinfo=UTC)


def test_a_fill_without_a_time_has_its_second() -> None:
    """The older field steps in for the finer one."""
    fill = read(portfolio_wire.Fill, b'{"fill_id":"f","ticker":"T","ts":1781159370}')

    assert fill.filled_at == datetime(2026, 6, 11, 6, 29, 30, tzinfo=UTC)


def test_payments_are_whole_cents() -> None:
    """Deposits and withdrawals have one shape."""
    row = (
        b'{"id":"d","status":"applied","type":"ach","amount_cents":12345,"fee_cents":0,'
        b'"created_ts":1781159370,"finalized_ts":null}'
    )
    drift = Drift()

    payment = read(portfolio_wire.Payment, row, drift)

    assert (payment.amount_cents, payment.fee_cents, payment.finalized_ts) == (12345, 0, None)
    assert drift.snapshot() == []


def test_keys_carry_what_they_may_do() -> None:
    """Scopes, the subaccount a key is bound to, and when the word on the place lapses."""
    row = (
        b'{"api_keys":[{"api_key_id":"k","name":"n","scopes":["read"],"subaccount":3}],'
        b'"api_key_region_expiration_ts":1781159370}'
    )

    keys = read(portfolio_wire.ApiKeys, row)

    assert keys.api_keys[0].scopes == ("read",)
    assert keys.api_keys[0].subaccount == 3
    assert keys.api_key_region_expiration_ts == 1781159370


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        (portfolio_wire.MarketPosition, b'{"ticker":"T","position_fp":"many"}'),
        (portfolio_wire.MarketPosition, b'{"ticker":"T","position_fp":"NaN"}'),
        (portfolio_wire.Fill, b'{"ticker":"T"}'),
        (portfolio_wire.Settlement, b'{"ticker":""}'),
    ],
)
def test_a_row_that_cannot_be_meant_is_set_aside(kind: type[Shape], row: bytes) -> None:
    """A position of unknown size is none; who reads it must be told, so it is counted."""
    drift = Drift()

    value = wire.read(kind, row, endpoint="/portfolio/test", drift=drift)

    assert value is None
    assert "set_aside" in {difference.kind for difference in drift.snapshot()}
