"""Settlements: what they pay, and what they must not count twice."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from kalshi_gateway.accounts.ledger import Ledger, execution, payout, replay
from kalshi_gateway.accounts.settling import Gap, Payout, lifetime
from kalshi_gateway.kalshi import portfolio_wire as wire

from . import measured
from .test_book import START, fills

LATER = START + timedelta(days=1)
SETTLEMENTS = measured.settlements()
TAPED = ["KXAAAGASD-26JUL23-4.090", "KXAAAGASD-26JUL23-4.105"]


def net(ledger: Ledger) -> Fraction:
    return sum((book.realized - (book.fees or 0) for book in ledger.books.values()), Fraction(0))


def test_rows_carry_lifetimes_not_positions() -> None:
    """28 YES for 26.32 and 28 NO for 2.72 lost 1.1426: the pairs had paid a dollar each."""
    row = SETTLEMENTS["KXAAAGASD-26JUL21-4.010"]

    ledger = replay([], [row])

    assert lifetime(row) == Fraction("-1.04")
    assert net(ledger) == Fraction("-1.1426")


def test_every_measured_revenue_is_for_what_was_held() -> None:
    """In all 51 settlements the revenue is a dollar for each contract left on the side that won."""
    for row in SETTLEMENTS.values():
        assert None not in (row.yes_count, row.no_count, row.revenue)
        held = (row.yes_count or 0) - (row.no_count or 0)
        assert row.revenue == max(Decimal(0), held if row.yes_value else -held), row.ticker


def test_the_measured_account_comes_out_exactly() -> None:
    """51 settlements lost 87.5946 together, 7.4656 of that in the last event."""
    last = [row for row in SETTLEMENTS.values() if row.ticker.startswith(measured.LAST_EVENT)]

    assert len(SETTLEMENTS) == 51
    assert net(replay([], SETTLEMENTS.values())) == Fraction("-87.5946")
    assert len(last) == 4
    assert net(replay([], last)) == Fraction("-7.4656")


@pytest.mark.parametrize("ticker", TAPED)
def test_fills_and_settlement_tell_the_same(ticker: str) -> None:
    """Replayed fill by fill, a settled market comes to what its settlement alone says."""
    row = SETTLEMENTS[ticker]

    ledger = replay(measured.fills(ticker), [row])

    found = ledger.book(ticker)
    assert found is not None
    assert ledger.gaps == ()
    assert found.realized == lifetime(row)
    assert found.contracts == 0


@pytest.mark.parametrize(
    ("steps", "value", "realized"),
    [
        (["10@0.40"], "1", "6"),
        (["10@0.40"], "0", "-4"),
        (["-10@0.40"], "0", "4"),
        (["-10@0.40"], "1", "-6"),
        (["10@0.40"], "0.4559", "0.559"),
        (["-10@0.40"], "0.4559", "-0.559"),
        (["0.29@0.0101"], "0.0003", "-0.002842"),
        (["10@0.40", "-10@0.45"], "1", "0.5"),
    ],
)
def test_what_is_held_is_paid_at_the_settlement_value(
    steps: list[str], value: str, realized: str
) -> None:
    """YES gets the value, NO a dollar less it, whatever part of a cent that is."""
    paid = Payout("T", LATER, yes_value=Decimal(value))

    ledger = replay(fills(*steps), [paid])

    found = ledger.book("T")
    assert found is not None
    assert found.realized == Fraction(realized)
    assert found.settled
    assert found.balance == Fraction(realized)


def test_a_void_gives_back_what_the_market_says() -> None:
    """A scalar result at the price paid is neither won nor lost."""
    row = wire.Settlement(ticker="T", market_result="scalar", revenue=400, value=40)

    ledger = replay(fills("10@0.40"), [payout(row, Decimal("0.40"))])

    assert net(ledger) == 0


def test_a_value_nobody_tells_is_worked_out_of_the_revenue() -> None:
    """10 YES and 4 NO of another subaccount got 8.40 together: a YES got 0.7333."""
    told = [*fills("10@0.40"), replace(fills("-4@0.40")[0], subaccount=1)]
    paid = Payout("T", LATER, revenue=Decimal("8.40"))

    ledger = replay(told, [paid])

    yes, no = ledger.book("T", 0), ledger.book("T", 1)
    assert yes is not None
    assert no is not None
    assert yes.realized + no.realized == Fraction("8.40") - 4 - Fraction("2.40")
    assert yes.realized / 10 + Fraction("0.40") == Fraction("4.40") / 6


@pytest.mark.parametrize("revenue", [None, Decimal(11)])
def test_a_payout_nobody_can_know_is_a_gap(revenue: Decimal | None) -> None:
    """Without value and sensible revenue the contracts stay as they are, and we say so."""
    ledger = replay(fills("10@0.40"), [Payout("T", LATER, revenue=revenue)])

    found = ledger.book("T")
    assert found is not None
    assert found.contracts == 10
    [gap] = ledger.gaps
    assert (gap.ticker, gap.since, gap.only_when) == ("T", START, False)


def a_row(**more: Any) -> Payout:
    """Of a market in which 10 YES were bought at 0.40 and 4 sold at 0.45, and YES won."""
    return replace(
        Payout(
            ticker="T",
            at=LATER,
            yes_value=Decimal(1),
            revenue=Decimal(6),
            yes_count=Decimal(10),
            no_count=Decimal(4),
            yes_cost=Decimal("4.00"),
            no_cost=Decimal("2.20"),
            fees=Decimal("0.02"),
        ),
        **more,
    )


def test_fees_of_fills_are_not_paid_again() -> None:
    """A settlement's fees are those of its fills; only what is beyond them is new."""
    told = fills("10@0.40", "-4@0.45", fee="0.01")

    same = replay(told, [a_row()])
    more = replay(told, [a_row(fees=Decimal("0.025"))])

    assert same.entries[-1].fee == 0
    assert net(same) == Fraction("3.78")
    assert more.entries[-1].fee == Fraction("0.005")
    assert net(more) == Fraction("3.775")


def test_a_settlement_knows_fees_that_fills_did_not() -> None:
    """The sum is known then, but not the day each was paid on."""
    ledger = replay(fills("10@0.40", "-4@0.45", fee=None), [a_row()])

    assert net(ledger) == Fraction("3.78")
    assert [gap.only_when for gap in ledger.gaps] == [True]


@pytest.mark.parametrize(
    "known",
    [[], ["10@0.40"], ["-4@0.45"], ["10@0.40", "-4@0.45", "3@0.10"], ["10@0.60", "-4@0.45"]],
)
def test_lost_and_foreign_fills_do_not_change_a_settled_sum(known: list[str]) -> None:
    """Where fills do not tally with the settlement, it has the last word on the market."""
    ledger = replay(fills(*known), [a_row()])

    found = ledger.book("T")
    assert found is not None
    assert found.realized == lifetime(a_row()) == Fraction("3.80")
    assert found.fees == Fraction("0.02")
    assert sum(entry.realized for entry in ledger.entries) == found.realized
    [gap] = ledger.gaps
    assert gap.only_when
    assert gap.since == (START if known else LATER)


def test_a_gap_that_a_settlement_has_filled_is_about_days_only() -> None:
    """A fill that could not be read no longer spoils the sum of its market."""
    told = Gap(START, "fill x cannot be read", "T")

    ledger = replay(fills("10@0.40"), [a_row()], [told, replace(told, ticker="U")])

    assert [(gap.ticker, gap.only_when) for gap in ledger.gaps] == [
        ("T", True),
        ("U", False),
        ("T", True),
    ]


def test_a_settlement_is_counted_once_however_often_it_is_told() -> None:
    """The same row twice, and once more without its subaccount, pays once."""
    told = fills("10@0.40", "-4@0.45", fee="0.01")
    named = a_row(subaccount=0)

    ledger = replay(told, [a_row(), named, named])

    assert net(ledger) == Fraction("3.78")
    assert ledger.gaps == ()


def test_revenue_that_differs_by_a_cent_is_believed() -> None:
    """Held 6 YES at 1 would be 6.00; the exchange says 5.00, so our count is not its."""
    ledger = replay(fills("10@0.40", "-4@0.45", fee="0.01"), [a_row(revenue=Decimal(5))])

    assert net(ledger) == Fraction("2.78")
    assert len(ledger.gaps) == 1


def test_settlements_come_after_all_fills() -> None:
    """A fill told with a later time than its settlement is still one of those settled."""
    late = [replace(one, at=LATER + timedelta(hours=1)) for one in fills("10@0.40")]

    ledger = replay(late, [Payout("T", LATER, yes_value=Decimal(1))])

    found = ledger.book("T")
    assert found is not None
    assert found.contracts == 0
    assert found.realized == 6


# What the exchange's rows count as


def a_fill(**fields: Any) -> wire.Fill:
    row: dict[str, Any] = {
        "fill_id": "f",
        "ticker": "T",
        "outcome_side": "yes",
        "book_side": "bid",
        "count_fp": Decimal("2.50"),
        "yes_price_dollars": Decimal("0.40"),
        "created_time": START,
        "fee_cost": Decimal("0.01"),
    }
    return wire.Fill(**{**row, **fields})


@pytest.mark.parametrize(
    ("outcome_side", "book_side", "contracts"),
    [
        ("yes", "bid", "2.50"),
        ("no", "ask", "-2.50"),
        ("yes", None, "2.50"),
        (None, "ask", "-2.50"),
        ("no", None, "-2.50"),
        (None, "bid", "2.50"),
        (None, None, None),
        ("yes", "ask", None),
        ("maybe", None, None),
    ],
)
def test_the_direction_of_a_fill(
    outcome_side: str | None, book_side: str | None, contracts: str | None
) -> None:
    """Either word will do; words at odds with each other, or none, are no direction."""
    found = execution(a_fill(outcome_side=outcome_side, book_side=book_side))

    assert (found and str(found.contracts)) == contracts


def test_the_price_of_a_fill_is_in_yes_terms() -> None:
    """Whichever side was bought; a NO price steps in where that is all there is."""
    sold = execution(a_fill(outcome_side="no", book_side="ask"))
    no_only = execution(a_fill(yes_price_dollars=None, no_price_dollars=Decimal("0.3")))

    assert sold is not None
    assert sold.yes_price == Decimal("0.40")
    assert no_only is not None
    assert no_only.yes_price == Decimal("0.7")


@pytest.mark.parametrize("lacking", ["count_fp", "yes_price_dollars", "created_time"])
def test_a_fill_that_lacks_something_is_none(lacking: str) -> None:
    """It is not counted as a fill of nothing, or at nothing."""
    assert execution(a_fill(**{lacking: None})) is None


def test_settlement_rows_are_read_in_dollars() -> None:
    """Revenue is whole cents; a scalar value comes from the market, for cents cannot say it."""
    row = wire.Settlement(ticker="T", market_result="scalar", revenue=136, value=45)

    assert payout(row, Decimal("0.4559")).yes_value == Decimal("0.4559")
    assert payout(row).yes_value is None
    assert payout(row).revenue == Decimal("1.36")
    assert payout(wire.Settlement(ticker="T", market_result="no")).yes_value == 0


@pytest.mark.parametrize("subaccount", [0, 1])
def test_a_trade_with_oneself_is_two_fills(subaccount: int) -> None:
    """Both sides of one trade share its id, and are two fills, wherever they are booked."""
    bought = fills("5@0.30")[0]
    sold = replace(bought, contracts=Decimal(-5), subaccount=subaccount)

    ledger = replay([bought, sold, bought, sold])

    assert sum(book.fills for book in ledger.books.values()) == 2
    assert sum(book.contracts for book in ledger.books.values()) == 0


@pytest.mark.parametrize("first", [0, 1])
def test_of_a_fill_told_twice_the_fee_is_kept(first: int) -> None:
    """Where only one of the two tiers tells the fee, that one is believed."""
    told = [fills("5@0.30", fee="0.01")[0], fills("5@0.30", fee=None)[0]]

    found = replay([told[first], told[1 - first]]).book("T")

    assert found is not None
    assert (found.contracts, found.fees) == (Fraction(5), Fraction("0.01"))
