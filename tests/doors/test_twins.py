"""Whole cents and whole contracts beside the exchange's exact amounts."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_gateway.doors import dashboard
from kalshi_gateway.kalshi.errors import Nonsense
from tests.kalshi import recordings

amounts = st.decimals(-10_000, 10_000, places=6)
prices = st.decimals(0, 1, places=4)


def twinned(row: Any) -> Any:
    return msgspec.json.decode(dashboard.with_twins(msgspec.json.encode(row)))


@pytest.mark.parametrize(
    ("name", "exact", "twin"),
    [
        ("yes_ask_dollars", "0.0200", 2),
        ("yes_ask_dollars", "0.0150", 2),
        ("yes_ask_dollars", "0.0101", 2),
        ("yes_ask_dollars", "0.9950", 100),
        ("yes_bid_dollars", "0.0199", 1),
        ("yes_bid_dollars", "0.0040", 0),
        ("no_ask_dollars", "0.9801", 99),
        ("no_bid_dollars", "0.9899", 98),
        ("previous_yes_bid_dollars", "0.4599", 45),
        ("previous_yes_ask_dollars", "0.4501", 46),
        ("last_price_dollars", "0.0150", 2),
        ("last_price_dollars", "0.0149", 1),
        ("event_exposure_dollars", "8.0000", 800),
        ("event_exposure_dollars", "8.005000", 801),
        ("realized_pnl_dollars", "-0.28", -28),
        ("realized_pnl_dollars", "-0.005", -1),
        ("fees_paid_dollars", "0.000700", 0),
        ("balance_dollars", "1234.5600", 123_456),
        ("position_fp", "12.50", 12),
        ("position_fp", "-12.50", -12),
        ("yes_bid_size_fp", "3.99", 3),
        ("volume_24h_fp", "43107.07", 43_107),
        ("yes_ask_dollars", None, None),
        ("yes_ask_dollars", "", None),
        ("yes_ask_dollars", "NaN", None),
        ("yes_ask_dollars", "1e3", None),
    ],
)
def test_each_twin(name: str, exact: str | None, twin: int | None) -> None:
    """Bids are rounded down, asks up, other amounts to the nearest, counts towards zero."""
    short = name.removesuffix("_dollars").removesuffix("_fp")

    assert twinned({name: exact}) == {name: exact, short: twin}


@given(amounts)
def test_whole_cents_are_exact(amount: Decimal) -> None:
    """What is whole cents is told exactly, and nothing is off by a cent."""
    whole = amount.quantize(Decimal("0.01"))

    for name in ("yes_bid", "yes_ask", "last_price"):
        assert dashboard.whole_cents(name, whole) == whole * 100
        assert abs(dashboard.whole_cents(name, amount) - amount * 100) < 1


@given(prices)
def test_both_sides_agree(price: Decimal) -> None:
    """What a NO ask costs is what the YES bid leaves of a dollar, in whole cents, too."""
    bid, ask = (
        dashboard.whole_cents("yes_bid", price),
        dashboard.whole_cents("no_ask", 1 - price),
    )

    assert bid + ask == 100


@given(prices, prices)
def test_books_do_not_cross(one: Decimal, other: Decimal) -> None:
    """A bid below an ask is below it in whole cents."""
    bid, ask = sorted((one, other))

    if bid < ask:
        assert dashboard.whole_cents("yes_bid", bid) < dashboard.whole_cents("yes_ask", ask)


@given(st.decimals(-1_000_000, 1_000_000, places=2))
def test_whole_contracts(count: Decimal) -> None:
    """Nobody is told of more contracts than there are."""
    whole = dashboard.whole_contracts(count)

    assert abs(whole) <= abs(count) < abs(whole) + 1
    assert whole * count >= 0


def test_what_the_exchange_still_sends_stays() -> None:
    """An integer of the exchange's own is left as it is."""
    row = {"balance": 5, "balance_dollars": "0.0599"}

    assert twinned(row) == row


def test_all_else_stays_to_the_last_digit() -> None:
    """Numbers, nulls and texts go through as they were written."""
    body = b'{"strike":84.50,"small":1.0E-7,"big":123456789012345678,"no":null,"t":"\xc3\xa9"}'

    assert dashboard.with_twins(body) == body


def test_twins_are_found_everywhere() -> None:
    """Rows within rows have theirs, too."""
    row = {"events": [{"markets": [{"yes_ask_dollars": "0.0200"}]}], "cursor": ""}

    assert twinned(row)["events"][0]["markets"] == [{"yes_ask_dollars": "0.0200", "yes_ask": 2}]


def test_positions_lie_in_their_events() -> None:
    """Each event has the positions in its markets; those of no event stay in the list."""
    body = {
        "market_positions": [
            {"ticker": "KXHIGHTPHX-26FEB12-T84", "position_fp": "10.00"},
            {"ticker": "KXHIGHTPHX-26FEB12-B80.5", "position_fp": "-3.50"},
            {"ticker": "KXHIGHTPHX-26FEB13-T84", "position_fp": "1.00"},
            {"ticker": "KXOTHER-1-A", "position_fp": "2.00"},
        ],
        "event_positions": [
            {"event_ticker": "KXHIGHTPHX-26FEB12", "event_exposure_dollars": "8.000000"},
            {"event_ticker": "KXHIGHTPHX-26FEB13", "event_exposure_dollars": "0.500000"},
            {"event_ticker": "KXEMPTY-1", "event_exposure_dollars": "0.000000"},
        ],
    }

    answer = msgspec.json.decode(dashboard.positions_by_event(msgspec.json.encode(body)))

    first, second, empty = answer["event_positions"]
    assert (first["event_ticker"], first["event_exposure"]) == ("KXHIGHTPHX-26FEB12", 800)
    assert [(p["ticker"][-4:], p["position"]) for p in first["positions"]] == [
        ("-T84", 10),
        ("80.5", -3),
    ]
    assert [p["position"] for p in second["positions"]] == [1]
    assert empty["positions"] == []
    assert len(answer["market_positions"]) == 4


@pytest.mark.parametrize("odd", [1, None, "x", [], {}, {"event_ticker": [], "ticker": {}}])
def test_odd_rows_are_left(odd: Any) -> None:
    """A row that is none stays as it came, and the others are put in their events."""
    body = {
        "event_positions": [odd, {"event_ticker": "KX-1"}],
        "market_positions": [odd, {"ticker": "KX-1-A"}],
    }

    answer = msgspec.json.decode(dashboard.positions_by_event(msgspec.json.encode(body)))

    assert answer["event_positions"][1]["positions"] == [{"ticker": "KX-1-A"}]
    assert answer["market_positions"] == body["market_positions"]


@pytest.mark.parametrize("rows", [1, "x", {}, True])
def test_rows_that_are_no_list(rows: Any) -> None:
    """Where a list is due, anything else is nonsense."""
    with pytest.raises(Nonsense):
        dashboard.positions_by_event(msgspec.json.encode({"event_positions": rows}))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_answer(body: bytes) -> None:
    """What is no JSON object is nothing of the exchange's."""
    with pytest.raises(Nonsense):
        dashboard.with_twins(body)


@recordings.needed
@pytest.mark.parametrize("name", recordings.files("market", "markets", "event", "events"))
def test_recorded_answers(name: str) -> None:
    """In answers of the time when the exchange sent both, its own integers are kept."""
    recorded = recordings.body(name)
    before, after = (
        msgspec.json.decode(recorded),
        msgspec.json.decode(dashboard.with_twins(recorded)),
    )

    assert contains(after, before)


def contains(after: Any, before: Any) -> bool:
    if isinstance(before, dict):
        return all(contains(after[name], value) for name, value in before.items())
    if isinstance(before, list):
        return all(contains(*pair) for pair in zip(after, before, strict=True))
    return bool(after == before)
