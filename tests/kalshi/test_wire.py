"""Every recorded answer of the exchange is read, and read exactly."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from kalshi_gateway.kalshi import wire
from kalshi_gateway.kalshi.drift import Drift
from kalshi_gateway.kalshi.reading import Shape

from . import recordings

pytestmark = recordings.needed

# Read with exact digits, to compare with.
plainly = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def market_rows(name: str) -> list[bytes]:
    """Every market in a recording, those inside events included."""
    parts = recordings.parts(name)
    if "market" in parts:
        return [bytes(parts["market"])]
    rows = recordings.rows(parts["markets"]) if "markets" in parts else []
    for event in event_rows(name):
        rows += [bytes(row) for row in wire.nested_markets(event)]
    return rows


def event_rows(name: str) -> list[bytes]:
    parts = recordings.parts(name)
    if "event" in parts:
        return [bytes(parts["event"])]
    return recordings.rows(parts["events"]) if "events" in parts else []


def series_rows(name: str) -> list[bytes]:
    series = recordings.parts(name)["series"]
    return recordings.rows(series) if bytes(series)[:1] == b"[" else [bytes(series)]


def read(kind: type[Shape], row: bytes) -> Any:
    value = wire.read(kind, row, endpoint="/test", drift=Drift())
    assert value is not None
    return value


def same(read_value: object, recorded: object) -> bool:
    """Whether a field says what was recorded, in its better type."""
    if isinstance(read_value, Decimal):
        return read_value == Decimal(str(recorded))
    if isinstance(read_value, datetime):
        return read_value == datetime.fromisoformat(str(recorded))
    if isinstance(read_value, Shape):
        return isinstance(recorded, dict) and all(
            same(getattr(read_value, name), recorded.get(name))
            for name in read_value.__struct_fields__
        )
    if isinstance(read_value, tuple):
        return (
            isinstance(recorded, list)
            and len(read_value) == len(recorded)
            and all(map(same, read_value, recorded))
        )
    return read_value == recorded


def assert_fields(value: Shape, recorded: dict[str, Any], *, besides: Iterable[str] = ()) -> None:
    for name in value.__struct_fields__:
        if name not in besides:
            assert same(getattr(value, name), recorded.get(name)), name


MARKET_FILES = recordings.files("market", "markets", "historical_markets", "events", "event")


@pytest.mark.parametrize("name", MARKET_FILES)
def test_markets_of_every_generation_are_read_exactly(name: str) -> None:
    """Each figure and time of each recorded market is the recording's."""
    for row in market_rows(name):
        recorded = plainly.decode(row)
        older = {new for new in wire.Market.formerly if new not in recorded}

        market = read(wire.Market, row)

        assert_fields(market, recorded, besides=older)
        for new in older:
            old, unit = wire.Market.formerly[new]
            if old in recorded and unit == "count":
                assert getattr(market, new) == recorded[old]
            elif old in recorded:
                assert getattr(market, new) * 100 == recorded[old]


def test_there_are_thousands_of_markets_to_read() -> None:
    """The recordings hold what the test above is about."""
    assert sum(len(market_rows(name)) for name in MARKET_FILES) > 4000


@pytest.mark.parametrize("name", MARKET_FILES)
def test_cents_alone_make_a_usable_market(name: str) -> None:
    """A market as it came before dollars were text still has its exact prices and counts."""
    for row in market_rows(name)[:50]:
        today = read(wire.Market, row)
        cents = plainly.decode(row)
        for new, (old, unit) in wire.Market.formerly.items():
            figure = cents.pop(new, None)
            if figure is not None and Decimal(figure) * 100 % 1 == 0:
                whole = Decimal(figure) * (100 if unit == "dollars" else 1)
                cents[old] = int(whole) if whole % 1 == 0 else cents.pop(old, None)

        market = read(wire.Market, msgspec.json.encode(cents))

        for new, (old, _) in wire.Market.formerly.items():
            if cents.get(old) is not None:
                assert getattr(market, new) == getattr(today, new), new


@pytest.mark.parametrize("name", recordings.files("events", "event", "events_multivariate"))
def test_events_are_read_exactly(name: str) -> None:
    """Each recorded event is read; its markets stay verbatim."""
    for row in event_rows(name):
        recorded = plainly.decode(row)

        event = read(wire.Event, row)

        assert_fields(event, recorded)
        assert len(wire.nested_markets(row)) == len(recorded.get("markets") or [])


@pytest.mark.parametrize("name", recordings.files("series", "series_list"))
def test_series_are_read_exactly(name: str) -> None:
    """Each recorded series is read, with and without tags."""
    for row in series_rows(name):
        assert_fields(read(wire.Series, row), plainly.decode(row))


@pytest.mark.parametrize("name", recordings.files("markets_trades"))
def test_trades_are_read_exactly(name: str) -> None:
    """Each recorded trade has its price and count, whole cents or not."""
    for row in recordings.rows(recordings.parts(name)["trades"]):
        recorded = plainly.decode(row)

        trade = read(wire.Trade, row)

        assert_fields(trade, recorded, besides=["count_fp"])
        assert trade.count_fp == Decimal(
            recorded["count_fp" if "count_fp" in recorded else "count"]
        )


@pytest.mark.parametrize("name", recordings.files("market_orderbook"))
def test_books_are_read_exactly(name: str) -> None:
    """Each recorded book has every level, best bid last; an old empty one is no book."""
    parts = recordings.parts(name)
    books = [parts["orderbook_fp"]] if "orderbook_fp" in parts else []
    if "orderbooks" in parts:
        entries = msgspec.json.decode(parts["orderbooks"], type=list[dict[str, msgspec.Raw]])
        books = [entry["orderbook_fp"] for entry in entries]
    for raw in books:
        recorded = plainly.decode(raw)

        book = read(wire.OrderbookFp, bytes(raw))

        assert book == book.in_order()
        for side in ("yes_dollars", "no_dollars"):
            levels = [(Decimal(price), Decimal(count)) for price, count in recorded[side]]
            assert list(getattr(book, side)) == levels
    if "orderbook" in parts:
        drift = Drift()
        book = wire.read(wire.OrderbookFp, parts["orderbook"], endpoint="/x", drift=drift)
        assert book is None
        assert drift.snapshot()


CANDLE_FILES = recordings.files("market_candlesticks", "historical_market_candlesticks")


@pytest.mark.parametrize("name", CANDLE_FILES)
def test_candles_of_both_tiers_have_one_shape(name: str) -> None:
    """Live, archived and old candles come out alike, with the recording's figures."""
    for row in recordings.rows(recordings.parts(name)["candlesticks"]):
        recorded = plainly.decode(row)

        candle = read(wire.Candle, row)

        assert candle.end_period_ts == recorded["end_period_ts"]
        assert candle.ends_at == datetime.fromtimestamp(recorded["end_period_ts"], UTC)
        for now, then in (("volume_fp", "volume"), ("open_interest_fp", "open_interest")):
            assert getattr(candle, now) == Decimal(recorded[now if now in recorded else then])
        for part in ("yes_bid", "yes_ask", "price"):
            shape = getattr(candle, part)
            for field in shape.__struct_fields__:
                old = recorded[part].get(field.removesuffix("_dollars"))
                figure = recorded[part].get(field, old)
                expected = None if figure is None else Decimal(figure)
                assert getattr(shape, field) == expected


@pytest.mark.parametrize(
    ("folder", "kind", "member"),
    [
        ("exchange_status", wire.ExchangeStatus, None),
        ("exchange_schedule", wire.Schedule, "schedule"),
        ("account_limits", wire.AccountLimits, None),
        ("account_endpoint_costs", wire.EndpointCosts, None),
    ],
)
def test_the_exchange_on_itself_is_read_exactly(
    folder: str, kind: type[Shape], member: str | None
) -> None:
    """Status, hours, limits and costs are read as recorded."""
    for name in recordings.files(folder):
        row = bytes(recordings.parts(name)[member]) if member else recordings.body(name)

        assert_fields(read(kind, row), plainly.decode(row))


def test_the_newest_recordings_hold_nothing_new() -> None:
    """In the newest recorded format no field is unknown, missing or of another type."""
    drift = Drift()
    newest: dict[type[Shape], list[bytes]] = {
        wire.Market: market_rows("market/prod-2026-10-06-kxnflgame.json")
        + market_rows("event/prod-2026-10-06-kxnflgame-nested.json"),
        wire.Event: event_rows("event/prod-2026-10-06-kxnflgame-nested.json")
        + event_rows("events/prod-2026-10-06-kxnflgame.json"),
        wire.Series: series_rows("series/prod-2026-10-06-kxnflgame.json")
        + series_rows("series_list/prod-2026-10-06-sports.json"),
        wire.ExchangeStatus: [recordings.body("exchange_status/prod-2026-10-06.json")],
        wire.Trade: recordings.rows(
            recordings.parts("markets_trades/prod-2026-10-06-kxnflgame.json")["trades"]
        ),
    }

    for kind, rows in newest.items():
        for row in rows:
            assert wire.read(kind, row, endpoint=kind.__name__, drift=drift)

    assert drift.snapshot() == []
