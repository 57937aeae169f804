"""Whether it adds up, or by how much not."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from kalshi_gateway.accounts.ledger import replay
from kalshi_gateway.accounts.reconcile import (
    PositionDifference,
    compare_cash,
    compare_positions,
    gaps,
    reconcile,
)
from kalshi_gateway.accounts.records import Transfer, TransferKind
from kalshi_gateway.accounts.settling import Payout
from kalshi_gateway.kalshi import portfolio_wire as wire

from .test_book import START, fills


def a_transfer(kind: TransferKind, amount: str | None, status: str = "applied") -> Transfer:
    return Transfer(
        transfer_id="t",
        kind=kind,
        status=status,
        method="ach",
        amount=None if amount is None else Decimal(amount),
        fee=None,
        from_subaccount=0,
        to_subaccount=1,
        from_shard=None,
        to_shard=None,
        created_time=START,
        finalized_time=None,
    )


def a_position(contracts: str, cost: str | None = None) -> wire.MarketPosition:
    return wire.MarketPosition(
        ticker="T",
        position_fp=Decimal(contracts),
        market_exposure_dollars=None if cost is None else Decimal(cost),
        last_updated_ts=START + timedelta(hours=1),
    )


DEPOSIT = a_transfer("deposit", "100")


def test_the_demo_balance_adds_up() -> None:
    """100 dollars less two contracts at 0.99 and their fees are the 98.0186 that were recorded."""
    ledger = replay(fills("1@0.99", "1@0.99", fee="0.0007"))

    cash = compare_cash(ledger, [DEPOSIT], Decimal("98.0186"))

    assert cash.adds_up
    assert (cash.deposits, cash.fills, cash.fees) == (
        Decimal(100),
        Decimal("-1.98"),
        Decimal("0.0014"),
    )
    assert (cash.expected, cash.difference) == (Decimal("98.0186"), Decimal(0))


def test_what_is_locked_up_for_no_is_gone_from_cash() -> None:
    """5 NO at 0.65 cost 3.25, and bring 5 when NO wins."""
    told = fills("-5@0.35")

    held = compare_cash(replay(told), [DEPOSIT], Decimal("96.75"))
    paid = compare_cash(
        replay(told, [Payout("T", START, yes_value=Decimal(0))]), [DEPOSIT], Decimal("101.75")
    )

    assert held.adds_up
    assert paid.adds_up
    assert (paid.fills, paid.settlements) == (Decimal("-3.25"), Decimal(5))


def test_a_difference_is_told_to_the_microdollar() -> None:
    """Money from nowhere is neither hidden nor explained away."""
    cash = compare_cash(replay([]), [DEPOSIT], Decimal("100.000001"))

    assert cash.adds_up is False
    assert cash.difference == Decimal("0.000001")
    assert cash.explained_by == ()


def test_sums_that_may_stand_between() -> None:
    """What rests may be held back, a fee may be on top: the fewest that fit are named."""
    between = {"resting_orders": Decimal(-5), "fees_of_transfers": Decimal(-2), "other": None}

    for balance, explained_by in [
        ("100", ()),
        ("95", ("resting_orders",)),
        ("93", ("resting_orders", "fees_of_transfers")),
    ]:
        cash = compare_cash(replay([]), [DEPOSIT], Decimal(balance), between=between)
        assert cash.adds_up
        assert cash.explained_by == explained_by
    assert not compare_cash(replay([]), [DEPOSIT], Decimal(94), between=between).adds_up


def test_only_money_that_arrived_counts() -> None:
    """What is pending or returned has not come; what left is gone; between subaccounts it stays."""
    moved = [
        DEPOSIT,
        a_transfer("deposit", "7", "pending"),
        a_transfer("deposit", "7", "returned"),
        a_transfer("withdrawal", "30"),
        a_transfer("shard", "40", "complete"),
        a_transfer("subaccount", "10", "complete"),
    ]

    whole = compare_cash(replay([]), moved, Decimal(70))

    assert whole.adds_up
    assert (whole.deposits, whole.withdrawals) == (Decimal(100), Decimal(30))


@pytest.mark.parametrize("fee", ["0.01", None])
def test_an_unknown_part_leaves_it_open(fee: str | None) -> None:
    """Without an amount or a fee nobody knows whether it adds up."""
    amount = None if fee else "100"

    cash = compare_cash(
        replay(fills("1@0.50", fee=fee)), [a_transfer("deposit", amount)], Decimal("99.49")
    )

    assert (cash.expected, cash.difference, cash.adds_up) == (None, None, None)


# Positions


@pytest.mark.parametrize(
    ("told", "row"),
    [
        (["3@0.50"], a_position("3.00", "1.500000")),
        (["3@0.50"], a_position("3.00")),
        (["-3@0.40"], a_position("-3.00", "1.80")),
        (["3@0.50", "-3@0.60"], None),
        (["3@0.50", "-3@0.60"], a_position("0.00", "0")),
        (["1@0.1", "1@0.2", "1@0.2"], a_position("3.00", "0.500000")),
        ([], a_position("0.00")),
    ],
)
def test_positions_that_add_up(told: list[str], row: wire.MarketPosition | None) -> None:
    """Fills lead to the contracts and the cost that the exchange tells."""
    assert compare_positions(replay(fills(*told)), [row] if row else []) == []


@pytest.mark.parametrize(
    ("told", "row", "expected"),
    [
        (["3@0.50"], a_position("5.00", "2.5"), ("3", "5.00", "1.5", "2.5")),
        (["3@0.50"], a_position("3.00", "1.6"), ("3", "3.00", "1.5", "1.6")),
        (["3@0.50"], None, ("3", "0", "1.5", None)),
        ([], a_position("-2.00"), ("0", "-2.00", "0", None)),
    ],
)
def test_positions_that_do_not(
    told: list[str], row: wire.MarketPosition | None, expected: tuple[str | None, ...]
) -> None:
    """Both counts and both costs are told, ours and the exchange's."""
    [found] = compare_positions(replay(fills(*told)), [row] if row else [])

    contracts, exchange_contracts, cost, exchange_cost = (
        None if figure is None else Decimal(figure) for figure in expected
    )
    assert (found.contracts, found.exchange_contracts) == (contracts, exchange_contracts)
    assert (found.cost, found.exchange_cost) == (cost, exchange_cost)


@pytest.mark.parametrize("row", [None, a_position("3.00", "1.5"), a_position("0.00")])
def test_a_settlement_is_not_a_lost_position(row: wire.MarketPosition | None) -> None:
    """Paid out, a position is gone from our books, whatever the exchange still lists."""
    ledger = replay(fills("3@0.50"), [Payout("T", START, yes_value=Decimal(1))])

    assert compare_positions(ledger, [row] if row else []) == []


def test_subaccounts_are_compared_apart() -> None:
    """Two subaccounts on both sides of a market are not flat."""
    bought = fills("3@0.50")[0]
    ledger = replay([bought, replace(bought, contracts=Decimal(-3), subaccount=1)])

    assert compare_positions(ledger, [a_position("3.00")], subaccount=0) == []
    assert compare_positions(ledger, [a_position("-3.00")], subaccount=1) == []
    [found] = compare_positions(ledger, [], subaccount=1)
    assert (found.subaccount, found.contracts) == (1, Decimal(-3))


def test_a_difference_is_a_gap_in_the_history() -> None:
    """Since our first fill of the market, or since the position moved if we know none."""
    known = replay(fills("3@0.50"))
    unknown = replay([])
    row = a_position("5.00")

    [of_known] = gaps(compare_positions(known, [row]), known, [row])
    [of_unknown] = gaps(compare_positions(unknown, [row]), unknown, [row])

    assert (of_known.ticker, of_known.since) == ("T", START)
    assert of_unknown.since == START + timedelta(hours=1)
    assert known.lacking([of_known]).gaps == (of_known,)


def test_the_line_that_says_whether_all_adds_up() -> None:
    """Cash and positions together; one that does not is enough, and without cash nobody knows."""
    cash = compare_cash(replay([]), [DEPOSIT], Decimal(100))
    wrong = PositionDifference("T", 0, Decimal(3), Decimal(5), Decimal(1), None)

    assert reconcile(cash, []).adds_up is True
    assert reconcile(cash, [wrong]).adds_up is False
    assert reconcile(None, []).adds_up is None
    assert reconcile(None, [wrong]).positions == (wrong,)
