"""One market's contracts: what closes, what opens, what it cost."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from kalshi_gateway.accounts.book import Book, Execution, dollars, known
from kalshi_gateway.accounts.ledger import replay

from . import measured

START = datetime(2026, 7, 20, tzinfo=UTC)


def fills(*steps: str, fee: str | None = "0") -> list[Execution]:
    """Fills out of `contracts@price`: above zero buys YES, below sells it."""
    found = []
    for number, step in enumerate(steps):
        contracts, price = step.split("@")
        found.append(
            Execution(
                fill_id=f"f{number}",
                ticker="T",
                at=START + timedelta(minutes=number),
                contracts=Decimal(contracts),
                yes_price=Decimal(price),
                fee=None if fee is None else Decimal(fee),
            )
        )
    return found


def book(*steps: str, fee: str | None = "0") -> Book:
    found = replay(fills(*steps, fee=fee)).book("T")
    assert found is not None
    return found


@pytest.mark.parametrize("ticker", measured.POSITIONS)
def test_production_counts_as_we_do(ticker: str) -> None:
    """The exchange's own position and realized P&L come out of its own fills, exactly."""
    contracts, realized = measured.POSITIONS[ticker]

    found = replay(measured.fills(ticker)).book(ticker)

    assert found is not None
    assert found.contracts == Fraction(contracts)
    assert found.realized == Fraction(realized)


def test_the_demo_counts_as_we_do() -> None:
    """Three contracts bought at two prices cost what the exchange says, fees apart."""
    found = replay(
        [
            Execution("a", "T", START, Decimal(1), Decimal("0.99"), Decimal("0.0007")),
            Execution("b", "T", START, Decimal(1), Decimal("0.99"), Decimal("0.0007")),
            Execution("c", "T", START, Decimal(1), Decimal("0.52"), Decimal("0.0175")),
        ]
    ).book("T")

    assert found is not None
    assert dollars(found.cost) == Decimal("2.5")
    assert known(found.fees) == Decimal("0.0189")
    assert found.realized == 0
    assert dollars(found.average_price) == Decimal("0.833333")


@pytest.mark.parametrize(
    ("steps", "contracts", "average_price", "cost", "realized"),
    [
        (["10@0.40"], 10, "0.40", "4", "0"),
        (["-10@0.40"], -10, "0.60", "6", "0"),
        (["10@0.40", "-10@0.45"], 0, "0", "0", "0.5"),
        (["-10@0.40", "10@0.45"], 0, "0", "0", "-0.5"),
        (["10@0.40", "-4@0.45"], 6, "0.40", "2.4", "0.2"),
        (["10@0.40", "10@0.50", "-15@0.45"], 5, "0.45", "2.25", "0"),
        (["5@0.30", "-10@0.35"], -5, "0.65", "3.25", "0.25"),
        (["-5@0.30", "10@0.35"], 5, "0.35", "1.75", "-0.25"),
        (["0.01@0.0001", "-0.01@0.9999"], 0, "0", "0", "0.009998"),
        (["8.11@0.83"], "8.11", "0.83", "6.7313", "0"),
        (["1@0.999999", "-1@0.000001"], 0, "0", "0", "-0.999998"),
    ],
)
def test_what_closes_and_what_opens(
    steps: list[str], contracts: int | str, average_price: str, cost: str, realized: str
) -> None:
    """What is open closes first, at its average; the rest opens the other side at its price."""
    found = book(*steps)

    assert found.contracts == Fraction(contracts)
    assert found.average_price == Fraction(average_price)
    assert found.cost == Fraction(cost)
    assert found.realized == Fraction(realized)


def test_first_in_first_out_is_not_how_it_is_counted() -> None:
    """Half of what was bought at two prices closes at their average."""
    found = book("1@0.20", "1@0.40", "-1@0.40")

    assert found.realized == Fraction("0.10")


def test_fees_of_a_flip_go_to_both_sides() -> None:
    """Of a fill that closes 5 and opens 5, half of the fee belongs to what is open."""
    ledger = replay(fills("5@0.30", "-10@0.35", fee="0.10"))

    closing = ledger.entries[1]
    found = ledger.book("T")

    assert found is not None
    assert (closing.closed, closing.opening_fees, closing.closing_fee) == (
        Fraction(5),
        Fraction("0.10"),
        Fraction("0.05"),
    )
    assert found.opening_fees == Fraction("0.05")
    assert found.fees == Fraction("0.20")
    assert found.opened_at == closing.at


def test_a_rebate_is_a_fee_below_zero() -> None:
    """What the exchange gives back counts like what it takes."""
    found = book("5@0.30", fee="-0.02")

    assert found.fees == Fraction("-0.02")


def test_an_unknown_fee_is_not_a_fee_of_nothing() -> None:
    """One fill without its fee makes the sum unknown; what was realized is not."""
    told = fills("5@0.30", "-5@0.35")
    found = replay([told[0], *fills("5@0.30", "-5@0.35", fee=None)[1:]]).book("T")

    assert found is not None
    assert found.fees is None
    assert found.realized == Fraction("0.25")


def test_an_unknown_opening_fee_is_forgotten_with_its_contracts() -> None:
    """Once flat, what is opened next has a fee that is known."""
    unknown = fills("5@0.30", fee=None)
    ledger = replay([*unknown, *fills("0@0.5", "-5@0.35", "-2@0.35", fee="0.01")])

    found = ledger.book("T")

    assert found is not None
    assert found.fees is None
    assert found.opening_fees == Fraction("0.01")
    assert ledger.entries[1].opening_fees is None


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (Fraction(1, 3), "0.333333"),
        (Fraction("0.0000005"), "0"),
        (Fraction("0.0000015"), "0.000002"),
        (Fraction("-12.5"), "-12.5"),
        (Fraction(10), "10"),
    ],
)
def test_rounding_is_to_the_microdollar_and_only_at_the_end(amount: Fraction, shown: str) -> None:
    """As finely as the exchange tells money; halves go to the even one."""
    assert str(dollars(amount)) == shown
