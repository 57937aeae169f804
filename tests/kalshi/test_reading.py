"""One bad field or row never costs the others."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_gateway.kalshi import wire
from kalshi_gateway.kalshi.drift import Drift
from kalshi_gateway.kalshi.reading import Shape
from kalshi_gateway.kalshi.wire import Candle, Event, Market, OrderbookFp, Trade

TIME = "2026-10-11T00:15:00.5Z"


def a_market(**fields: Any) -> dict[str, Any]:
    """A market with every field the exchange promises, as it sends them."""
    figures = {name: "0.1200" for name in Market.formerly if name != "settlement_value_dollars"}
    times = ("created_time", "updated_time", "open_time", "close_time", "latest_expiration_time")
    texts = ("yes_sub_title", "no_sub_title", "expiration_value", "rules_primary")
    return {
        "ticker": "KXNFLGAME-26OCT08TBDAL-TB",
        "event_ticker": "KXNFLGAME-26OCT08TBDAL",
        "market_type": "binary",
        "status": "active",
        "result": "",
        "can_close_early": True,
        "settlement_timer_seconds": 60,
        "settlement_bounds_type": "default",
        "price_level_structure": "linear_cent",
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
        "rules_secondary": "",
        "yes_bid_size_fp": "1.00",
        "yes_ask_size_fp": "2.50",
        **dict.fromkeys(times, TIME),
        **dict.fromkeys(texts, "text"),
        **figures,
        **fields,
    }


def read_market(row: object, drift: Drift | None = None) -> Market | None:
    raw = row if isinstance(row, bytes) else msgspec.json.encode(row)
    return wire.read(Market, raw, endpoint="/markets", drift=drift or Drift())


def differences(drift: Drift) -> set[tuple[str, str]]:
    return {(d.field, d.kind) for d in drift.snapshot()}


def test_a_market_as_documented_is_no_drift() -> None:
    """What the exchange promises is read and nothing is counted."""
    drift = Drift()

    market = read_market(a_market(), drift)

    assert market is not None
    assert market.yes_bid_dollars == Decimal("0.1200")
    assert market.close_time == datetime(2026, 10, 11, 0, 15, 0, 500_000, UTC)
    assert market.price_ranges == (
        wire.PriceRange(start=Decimal(0), end=Decimal(1), step=Decimal("0.01")),
    )
    assert market.floor_strike is None
    assert drift.snapshot() == []


def test_new_fields_are_counted_and_otherwise_ignored() -> None:
    """A field nobody knows yet changes nothing about the market, and is counted each time."""
    drift = Drift()

    markets = [read_market(a_market(mood="bullish"), drift) for _ in range(3)]

    assert markets == [read_market(a_market())] * 3
    [mood] = drift.snapshot()
    assert (mood.field, mood.kind, mood.count) == ("mood", "unknown", 3)


@pytest.mark.parametrize(
    ("kind", "row", "unknown"),
    [
        (
            Market,
            a_market(price_ranges=[{"start": "0", "end": "1", "step": "0.01", "tick": "0.01"}]),
            {"price_ranges[].tick"},
        ),
        (
            Event,
            {"event_ticker": "E", "settlement_sources": [{"name": "x"}, {"title": "x", "href": 1}]},
            {"settlement_sources[].title", "settlement_sources[].href"},
        ),
        (
            Candle,
            {"end_period_ts": 1, "price": {"open_dollars": None, "close": 7, "mood": "bullish"}},
            {"price.mood"},
        ),
        (
            wire.Schedule,
            {"standard_hours": [{"monday": [{"open_time": "", "close_time": "", "zone": "ET"}]}]},
            {"standard_hours[].monday[].zone"},
        ),
        (Candle, {"end_period_ts": 1, "yes_bid": "7", "price": None}, set()),
    ],
)
def test_new_fields_inside_others_are_counted_now_and_then(
    kind: type[Shape], row: dict[str, Any], unknown: set[str]
) -> None:
    """From the first row on, however deep they are; what is known of old is none of them."""
    drift, raw = Drift(), msgspec.json.encode(row)

    for _ in range(200):
        assert wire.read(kind, raw, endpoint="/markets", drift=drift) is not None

    inside = [d for d in drift.snapshot() if "." in d.field and d.kind == "unknown"]
    assert {d.field for d in inside} == unknown
    assert all(1 < d.count < 20 for d in inside)


def test_promised_fields_that_do_not_come_are_unknown_not_zero() -> None:
    """A missing field is None and counted; an optional one is just None."""
    row = a_market()
    del row["volume_fp"]
    drift = Drift()

    market = read_market(row, drift)

    assert market is not None
    assert market.volume_fp is None
    assert differences(drift) == {("volume_fp", "missing")}


@pytest.mark.parametrize(
    ("field", "sent", "read"),
    [
        (b'"yes_bid_dollars"', b"0.12", Decimal("0.12")),
        (b'"yes_bid_dollars"', b"0.123456789012345678", Decimal("0.123456789012345678")),
        (b'"yes_bid_dollars"', b"1", Decimal(1)),
        (b'"volume_fp"', b"306.24", Decimal("306.24")),
        (b'"yes_bid_dollars"', b'""', None),
        (b'"yes_bid_dollars"', b'"NaN"', None),
        (b'"yes_bid_dollars"', b'"sNaN"', None),
        (b'"yes_bid_dollars"', b'"Infinity"', None),
        (b'"yes_bid_dollars"', b'"1e999999"', None),
        (b'"yes_bid_dollars"', b"1e999999", None),
        (b'"yes_bid_dollars"', b"true", None),
        (b'"yes_bid_dollars"', b"{}", None),
        (b'"yes_bid_dollars"', b'["0.12"]', None),
        (b'"floor_strike"', b'"84.5"', Decimal("84.5")),
        (b'"can_close_early"', b'"true"', True),
        (b'"can_close_early"', b'"perhaps"', None),
        (b'"settlement_timer_seconds"', b'"60"', 60),
        (b'"settlement_timer_seconds"', b"60.0", 60),
        (b'"settlement_timer_seconds"', b"60.5", None),
        (b'"settlement_timer_seconds"', b"1e400", None),
        (b'"settlement_timer_seconds"', b"1e100000", None),
        (b'"exchange_index"', b"true", None),
        (b'"status"', b"7", "7"),
        (b'"status"', b"[]", None),
        (b'"close_time"', b"1790000000", None),
        (b'"close_time"', b'"2026-10-11T00:15:00"', None),
        (b'"close_time"', b'"soon"', None),
        (b'"close_time"', b'""', None),
        (b'"custom_strike"', b'"word"', None),
        (b'"price_ranges"', b"{}", None),
        (b'"price_ranges"', b'[{"start":"0","end":"1","step":"?"}]', ()),
        (b'"price_ranges"', b'[{"start":"0","end":"1"},"x"]', ()),
        (b'"price_ranges"', b'[{"start":"0","end":"1e4000","step":"0.01"}]', ()),
    ],
)
def test_a_field_of_another_type_costs_only_itself(field: bytes, sent: bytes, read: object) -> None:
    """What can be converted without guessing is, exactly; else it is None; the rest stays."""
    name = field.strip(b'"').decode()
    row = a_market()
    row.pop(name, None)
    raw = msgspec.json.encode(row)[:-1] + b"," + field + b":" + sent + b"}"
    drift = Drift()

    market = read_market(raw, drift)

    assert market is not None
    assert getattr(market, name) == read
    assert type(getattr(market, name)) is type(read)
    others = [n for n in Market.__struct_fields__ if n != name]
    expected = read_market(a_market())
    assert [getattr(market, n) for n in others] == [getattr(expected, n) for n in others]
    counted_as = {d.kind for d in drift.snapshot() if d.field.startswith(name)}
    normal = name == "floor_strike"  # the exchange sends a number; text is as exact
    assert counted_as <= {"retyped", "set_aside"}
    assert counted_as or normal


def test_numbers_for_text_are_counted_while_they_last() -> None:
    """Prices sent as numbers are noticed on the first such row and counted from then on."""
    drift = Drift()

    for _ in range(5):
        read_market(a_market(yes_bid_dollars=0.5), drift)

    [retyped] = drift.snapshot()
    assert (retyped.field, retyped.kind, retyped.count) == ("yes_bid_dollars", "retyped", 5)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"text"',
        b'{"ticker":',
        b"\xff\xfe",
        b'{"ticker":null,"event_ticker":"E"}',
        b'{"ticker":"","event_ticker":"E"}',
        b'{"ticker":{},"event_ticker":"E"}',
        b'{"event_ticker":"E"}',
        b'{"ticker":"T"}',
        b'{"a":' * 100_000,
    ],
)
def test_rows_that_are_no_market_are_set_aside(raw: bytes) -> None:
    """A row without its identity is None and counted; nothing is raised."""
    drift = Drift()

    market = read_market(raw, drift)

    assert market is None
    assert "set_aside" in {kind for _, kind in differences(drift)}


def test_a_raw_row_reads_like_its_bytes() -> None:
    """Rows as pages carry them are read without copying."""
    row = msgspec.json.encode(a_market())

    market = wire.read(Market, msgspec.Raw(row), endpoint="/markets", drift=Drift())

    assert market == read_market(row)


def test_cents_are_exact_dollars() -> None:
    """Before 2026-03 prices were whole cents and counts whole numbers; both are read exactly."""
    row = {
        "ticker": "T",
        "event_ticker": "E",
        "yes_bid": 7,
        "yes_ask": 100,
        "last_price": 0,
        "volume": 35001,
        "settlement_value": None,
    }
    drift = Drift()

    market = read_market(row, drift)

    assert market is not None
    assert str(market.yes_bid_dollars) == "0.07"
    assert market.yes_ask_dollars == 1
    assert market.last_price_dollars == 0
    assert market.volume_fp == 35001
    assert market.settlement_value_dollars is None
    assert ("yes_bid_dollars", "missing") in differences(drift)
    assert ("yes_bid", "unknown") in differences(drift)


def test_text_wins_over_cents() -> None:
    """Where both generations are sent, the exact one counts."""
    market = read_market(a_market(yes_bid=12, yes_bid_dollars="0.1234"))

    assert market is not None
    assert market.yes_bid_dollars == Decimal("0.1234")


def test_fields_long_gone_are_mentioned_once() -> None:
    """What we know as legacy is listed when first seen, not counted on every row."""
    drift = Drift()

    for _ in range(10):
        read_market(a_market(liquidity_dollars="0.0000"), drift)

    [gone] = drift.snapshot()
    assert (gone.field, gone.kind, gone.count) == ("liquidity_dollars", "unknown", 1)


ODD = ("NaN", "sNaN", "Infinity", "-inf", "1e400")


def test_a_book_with_a_hole_is_no_book() -> None:
    """A level that cannot be read, or is beyond all measure, makes the book unusable."""
    good: dict[str, Any] = {"yes_dollars": [["0.1", "2"]], "no_dollars": []}
    bad: list[dict[str, Any]] = [
        {**good, "no_dollars": [["0.1", "2"], ["?", "3"]]},
        {**good, "no_dollars": None},
        *({**good, "no_dollars": [[odd, "3"], ["0.1", "2"]]} for odd in ODD),
        *({**good, "yes_dollars": [["0.1", odd], ["0.2", "2"]]} for odd in ODD),
        {"yes_dollars": []},
    ]

    read = [
        wire.read(OrderbookFp, msgspec.json.encode(book), endpoint="/book", drift=Drift())
        for book in (good, *bad)
    ]

    assert read[0] is not None
    assert read[0].yes_dollars == ((Decimal("0.1"), Decimal(2)),)
    assert read[1:] == [None] * len(bad)


def test_books_are_put_in_order() -> None:
    """Levels come ascending, whatever order they were sent in."""
    book = OrderbookFp(
        yes_dollars=((Decimal("0.4"), Decimal(1)), (Decimal("0.3"), Decimal(2))), no_dollars=()
    )

    assert [price for price, _ in book.in_order().yes_dollars] == [Decimal("0.3"), Decimal("0.4")]


def test_a_quiet_candle_has_no_price() -> None:
    """When nothing was traded the prices are unknown, but for the previous one."""
    side = {"open_dollars": "0", "low_dollars": "0", "high_dollars": "0", "close_dollars": "0"}
    row = {
        "end_period_ts": 1784386800,
        "yes_bid": side,
        "yes_ask": side,
        "price": {"previous_dollars": "0.2000"},
        "volume_fp": "0.00",
        "open_interest_fp": "3.00",
    }
    drift = Drift()

    candle = wire.read(Candle, msgspec.json.encode(row), endpoint="/candles", drift=drift)

    assert candle is not None
    assert candle.price is not None
    assert candle.price.close_dollars is None
    assert candle.price.previous_dollars == Decimal("0.2")
    assert drift.snapshot() == []


def test_an_events_markets_stay_verbatim() -> None:
    """The markets inside an event are handed on as they were written, and are no drift."""
    raw = b'{"event_ticker":"E","markets":[{"ticker" : "T"},{}]}'
    drift = Drift()

    event = wire.read(Event, raw, endpoint="/events", drift=drift)

    assert event is not None
    assert [bytes(row) for row in wire.nested_markets(raw)] == [b'{"ticker" : "T"}', b"{}"]
    assert ("markets", "unknown") not in differences(drift)
    assert wire.nested_markets(b'{"event_ticker":"E"}') == ()
    assert wire.nested_markets(b'{"markets":7}') == ()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["NaN", "1e999999", "-0", "0.10", TIME]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    fields=st.dictionaries(
        st.sampled_from(sorted({*Market.__struct_fields__, *Market.legacy, "mood"})),
        json_values,
        max_size=6,
    ),
    dropped=st.sets(st.sampled_from(sorted(a_market())), max_size=4),
)
@settings(max_examples=150, deadline=None)
def test_whatever_comes_nothing_is_raised(fields: dict[str, Any], dropped: set[str]) -> None:
    """Any mixture of fields gives a sound market or none; figures can always be written out."""
    row = {name: value for name, value in a_market(**fields).items() if name not in dropped}

    market = read_market(row)

    if market is not None:
        assert market.ticker
        for name in Market.__struct_fields__:
            value = getattr(market, name)
            if isinstance(value, Decimal):
                assert value.is_finite()
                assert abs(value) < 10**16
            if isinstance(value, datetime):
                assert value.tzinfo is not None


@given(cents=st.integers(0, 100), count=st.integers(0, 10**9))
def test_old_trades_are_exact(cents: int, count: int) -> None:
    """A trade in whole cents is read as exactly so many hundredths."""
    row = {"trade_id": "a", "ticker": "T", "yes_price": cents, "count": count, "price": cents / 100}

    trade = wire.read(Trade, msgspec.json.encode(row), endpoint="/markets/trades", drift=Drift())

    assert trade is not None
    assert trade.yes_price_dollars == Decimal(cents) / 100
    assert trade.count_fp == count
