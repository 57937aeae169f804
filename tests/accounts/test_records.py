"""Fills, orders, settlements and transfers as a client sees them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from kalshi_gateway.accounts import records
from kalshi_gateway.kalshi import portfolio_wire as wire

AT = datetime(2026, 6, 11, 6, 29, 30, 164956, tzinfo=UTC)
SECOND = datetime(2026, 6, 11, 6, 29, 30, tzinfo=UTC)
SECONDS = 1781159370


def test_a_fill() -> None:
    """Whole seconds, exact figures; what is not told is null."""
    row = wire.Fill(
        fill_id="f",
        ticker="T",
        outcome_side="no",
        book_side="ask",
        count_fp=Decimal("1.00"),
        yes_price_dollars=Decimal("0.5200"),
        created_time=AT,
        fee_cost=Decimal("0.017500"),
    )

    fill = records.fill(row)

    assert (fill.outcome_side, fill.book_side) == ("no", "ask")
    assert (fill.count, fill.yes_price, fill.no_price) == (Decimal(1), Decimal("0.52"), None)
    assert (fill.fee, fill.created_time, fill.subaccount) == (Decimal("0.0175"), SECOND, None)


def test_an_order() -> None:
    """Costs and fees of taking and making together; an empty id is none."""
    row = wire.Order(
        order_id="o",
        ticker="T",
        client_order_id="",
        status="executed",
        taker_fill_cost_dollars=Decimal("0.52"),
        maker_fill_cost_dollars=Decimal("0.01"),
        taker_fees_dollars=Decimal("0.0175"),
        created_time=AT,
    )

    order = records.order(row)

    assert order.client_order_id is None
    assert (order.fill_cost, order.fees) == (Decimal("0.53"), None)
    assert order.created_time == SECOND


def test_a_settlement_says_what_the_market_brought() -> None:
    """Out of lifetime counts come what was held and what all of it brought."""
    row = wire.Settlement(
        ticker="T",
        event_ticker="E",
        market_result="no",
        yes_count_fp=Decimal("50.71"),
        no_count_fp=Decimal("51.00"),
        yes_total_cost_dollars=Decimal("33.634400"),
        no_total_cost_dollars=Decimal("18.460000"),
        revenue=29,
        fee_cost=Decimal("0.221800"),
        settled_time=AT,
    )

    settlement = records.settlement(row)

    assert (settlement.result, settlement.settlement_value) == ("no", Decimal(0))
    assert (settlement.side, settlement.contracts) == ("no", Decimal("0.29"))
    assert settlement.revenue == Decimal("0.29")
    assert settlement.realized_gross == Decimal("-1.0944")
    assert settlement.realized_net == Decimal("-1.3162")
    assert settlement.settled_time == SECOND


def test_a_settlement_that_says_little_is_mostly_unknown() -> None:
    """Nothing is made up of what is missing."""
    settlement = records.settlement(wire.Settlement(ticker="T", market_result="scalar", value=45))

    assert settlement.settlement_value is None
    assert (settlement.side, settlement.contracts) == (None, None)
    assert (settlement.realized_gross, settlement.realized_net) == (None, None)


def test_payments() -> None:
    """Whole cents become dollars, seconds become moments."""
    row = wire.Payment(
        id="d", status="applied", type="ach", amount_cents=12345, fee_cents=0, created_ts=SECONDS
    )

    deposit, withdrawal = records.deposit(row), records.withdrawal(row)

    assert (deposit.kind, deposit.amount, deposit.fee) == (
        "deposit",
        Decimal("123.45"),
        Decimal(0),
    )
    assert (deposit.created_time, deposit.finalized_time) == (SECOND, None)
    assert (deposit.from_subaccount, deposit.to_subaccount) == (None, 0)
    assert (withdrawal.kind, withdrawal.from_subaccount) == ("withdrawal", 0)


@pytest.mark.parametrize(
    ("source", "destination", "kind", "method"),
    [
        ("event_contract", "event_contract", "shard", None),
        ("event_contract", "margined", "withdrawal", "margined"),
        ("margined", "event_contract", "deposit", "margined"),
    ],
)
def test_what_moves_between_shards(
    source: str, destination: str, kind: str, method: str | None
) -> None:
    """Within event contracts it stays ours; to or from perpetuals it leaves or comes."""
    row = wire.ShardTransfer(
        transfer_id="t",
        source=source,
        destination=destination,
        source_exchange_shard=0,
        destination_exchange_shard=2,
        amount=Decimal("5.25"),
        status="complete",
    )

    transfer = records.shard_transfer(row)

    assert (transfer.kind, transfer.method) == (kind, method)
    assert (transfer.from_shard, transfer.to_shard) == (0, 2)
    assert transfer.amount == Decimal("5.25")


def test_what_moves_between_subaccounts() -> None:
    """It is done when it is listed."""
    row = wire.SubaccountTransfer(
        transfer_id="t", from_subaccount=0, to_subaccount=3, amount_cents=150, created_ts=SECONDS
    )

    transfer = records.subaccount_transfer(row)

    assert (transfer.kind, transfer.status, transfer.amount) == (
        "subaccount",
        "complete",
        Decimal("1.5"),
    )
    assert (transfer.from_subaccount, transfer.to_subaccount) == (0, 3)
