"""Account and positions: marks, sums, and what is not known."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from kalshi_gateway.accounts.account import account, position, totals
from kalshi_gateway.accounts.ledger import replay
from kalshi_gateway.accounts.marks import Mark, MarketFacts, Side, mark
from kalshi_gateway.kalshi import portfolio_wire as wire
from kalshi_gateway.units import to_json

from .test_book import book, fills

BID = MarketFacts(
    event_ticker="E",
    display_name="Who wins? Ada",
    close_time=datetime(2026, 8, 1, 12, 0, 0, 500_000, tzinfo=UTC),
    exchange_index=3,
    yes_bid=Decimal("0.80"),
    yes_ask=Decimal("0.85"),
    last_price=Decimal("0.70"),
)


def a_row(contracts: str = "3.00", **fields: Any) -> wire.MarketPosition:
    row = {
        "market_exposure_dollars": Decimal("2.500000"),
        "realized_pnl_dollars": Decimal("0.10"),
        "fees_paid_dollars": Decimal("0.018900"),
        **fields,
    }
    return wire.MarketPosition(ticker="T", position_fp=Decimal(contracts), **row)


@pytest.mark.parametrize(
    ("side", "facts", "expected"),
    [
        ("yes", BID, Mark(Decimal("0.80"), "bid")),
        ("no", BID, Mark(Decimal("0.15"), "bid")),
        ("yes", MarketFacts(yes_ask=Decimal("0.85")), Mark(None, "none")),
        ("no", MarketFacts(yes_ask=Decimal("0.85")), Mark(Decimal("0.15"), "bid")),
        ("yes", MarketFacts(last_price=Decimal("0.7")), Mark(Decimal("0.7"), "last")),
        ("no", MarketFacts(last_price=Decimal("0.7")), Mark(Decimal("0.3"), "last")),
        ("yes", MarketFacts(yes_bid=Decimal(0)), Mark(None, "none")),
        (
            "no",
            MarketFacts(yes_ask=Decimal(1), last_price=Decimal("0.7")),
            Mark(Decimal("0.3"), "last"),
        ),
        ("yes", MarketFacts(), Mark(None, "none")),
    ],
)
def test_a_mark_is_what_somebody_bids(side: Side, facts: MarketFacts, expected: Mark) -> None:
    """The best bid for what is held, else the last price and a word on it, else nothing."""
    assert mark(side, facts) == expected


def test_a_position_at_its_mark() -> None:
    """3 YES that cost 2.50 would bring 2.40: a loss of 0.10, fees apart."""
    found = position(a_row(), book("2@0.99", "1@0.52"), BID)

    assert found is not None
    assert (found.side, found.contracts, found.cost) == ("yes", Decimal(3), Decimal("2.5"))
    assert found.average_price == Decimal("0.833333")
    assert (found.mark_price, found.mark_source) == (Decimal("0.80"), "bid")
    assert (found.market_value, found.unrealized_pnl) == (Decimal("2.40"), Decimal("-0.10"))
    assert (found.realized_pnl, found.exchange_realized_pnl) == (Decimal(0), Decimal("0.10"))
    assert found.fees_paid == Decimal("0.0189")
    assert found.close_time == datetime(2026, 8, 1, 12, tzinfo=UTC)
    assert found.exchange_index == 3


def test_a_no_position_has_a_no_price() -> None:
    """NO sold at 0.30 in YES terms cost 0.70 a contract, and is marked by who would buy NO."""
    row = a_row("-13.00", market_exposure_dollars=Decimal("9.10"))

    found = position(row, book("-13@0.30"), BID)

    assert found is not None
    assert (found.side, found.contracts) == ("no", Decimal(13))
    assert found.average_price == Decimal("0.7")
    assert found.market_value == Decimal("1.95")
    assert found.unrealized_pnl == Decimal("-7.15")


def test_realized_is_before_fees_as_the_exchange_tells_it() -> None:
    """Like stands beside like: fees are told apart."""
    found = position(a_row(), book("5@0.40", "-2@0.45", fee="0.03"), BID)

    assert found is not None
    assert found.realized_pnl == Decimal("0.1") == found.exchange_realized_pnl


def test_nothing_held_is_no_position() -> None:
    """A flat market that the exchange still lists is none."""
    assert position(a_row("0.00"), None, BID) is None


@pytest.mark.parametrize("known", [None, "2@0.5"])
def test_fills_that_do_not_add_up_say_nothing_of_realized(known: str | None) -> None:
    """Without all fills our figure is unknown, the exchange's stands, and names fall back."""
    found = position(a_row(), None if known is None else book(known))

    assert found is not None
    assert found.realized_pnl is None
    assert found.exchange_realized_pnl == Decimal("0.10")
    assert found.display_name == "T"
    assert (found.mark_price, found.mark_source, found.market_value) == (None, "none", None)
    assert found.unrealized_pnl is None


def test_our_book_steps_in_for_what_the_exchange_leaves_out() -> None:
    """Cost and fees come of our fills where those add up to the position."""
    row = a_row(market_exposure_dollars=None, fees_paid_dollars=None)

    ours = position(row, book("3@0.50", fee="0.01"), BID)
    nobodys = position(row, book("2@0.50", fee="0.01"), BID)

    assert ours is not None
    assert (ours.cost, ours.fees_paid) == (Decimal("1.5"), Decimal("0.01"))
    assert nobodys is not None
    assert (nobodys.cost, nobodys.average_price, nobodys.fees_paid) == (None, None, None)
    assert nobodys.unrealized_pnl is None


def test_an_unknown_part_makes_the_sum_unknown() -> None:
    """A total is never silently less: what lacks a mark has no market value, nor have all."""
    marked = position(a_row(), book("2@0.99", "1@0.52"), BID)
    unmarked = position(a_row(), book("2@0.99", "1@0.52"))
    assert marked is not None
    assert unmarked is not None

    both, one, none = totals([marked, unmarked]), totals([marked]), totals([])

    assert (both.cost, both.market_value, both.unrealized_pnl) == (Decimal(5), None, None)
    assert (both.realized_pnl, both.fees_paid) == (Decimal(0), Decimal("0.0378"))
    assert one.market_value == Decimal("2.40")
    assert none.cost == none.market_value == 0


def test_equity_is_cash_and_positions() -> None:
    """The exchange's value of positions is whole cents; unknown, it makes equity unknown."""
    balance = wire.Balance(
        balance_dollars=Decimal("98.0186"),
        portfolio_value=198,
        balance_breakdown=(wire.IndexedBalance(exchange_index=0, balance=Decimal("98.0186")),),
    )

    known = account("ada", balance, [])
    unknown = account("ada", wire.Balance(balance_dollars=Decimal(5)), [])

    assert known.equity == Decimal("99.9986")
    assert [(s.exchange_index, s.balance) for s in known.balance_by_shard] == [
        (0, Decimal("98.0186"))
    ]
    assert (unknown.portfolio_value, unknown.equity, unknown.balance_by_shard) == (None, None, ())


def test_an_account_is_written_with_exact_digits() -> None:
    """Money is JSON numbers, times are whole seconds."""
    found = position(a_row(), book("2@0.99", "1@0.52"), BID)
    assert found is not None

    text = to_json(account("ada", wire.Balance(balance_dollars=Decimal("98.0186")), [found]))

    assert b'"balance":98.0186,' in text
    assert b'"contracts":3.00,"average_price":0.833333,"cost":2.500000,' in text
    assert b'"close_time":"2026-08-01T12:00:00Z"' in text


def test_a_ledger_is_asked_by_market_and_subaccount() -> None:
    """The primary subaccount unless another is named."""
    ledger = replay(fills("1@0.5"))

    assert ledger.book("T") is ledger.book("T", 0)
    assert ledger.book("T", 1) is None
