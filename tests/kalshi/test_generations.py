"""Three generations of the exchange's answers: none loses a row, and how each differs is known.

Prices were whole cents beside dollars until early 2026; dollars and contracts as text alone, with
fields coming and going, until August; since October 2026 they are what `wire.py` describes.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import pytest

from kalshi_gateway.kalshi import wire
from kalshi_gateway.kalshi.drift import Difference, Drift
from kalshi_gateway.kalshi.reading import Shape

from . import recordings
from .test_wire import event_rows, market_rows, series_rows

pytestmark = recordings.needed

FIRST, SECOND, NEWEST = "2026-01", "2026-03 to 2026-08", "2026-10"
MONTHS = {"01": FIRST, "10": NEWEST}


class Answers(NamedTuple):
    """What one endpoint answered, in the recordings of these folders."""

    kind: type[Shape]
    rows: Callable[[str], list[bytes]]
    folders: tuple[str, ...]


def trade_rows(name: str) -> list[bytes]:
    return recordings.rows(recordings.parts(name)["trades"])


def candle_rows(name: str) -> list[bytes]:
    return recordings.rows(recordings.parts(name)["candlesticks"])


def whole(name: str) -> list[bytes]:
    return [recordings.body(name)]


ENDPOINTS = {
    "/markets": Answers(
        wire.Market, market_rows, ("market", "markets", "historical_markets", "event", "events")
    ),
    "/events": Answers(wire.Event, event_rows, ("event", "events", "events_multivariate")),
    "/series": Answers(wire.Series, series_rows, ("series", "series_list")),
    "/markets/trades": Answers(wire.Trade, trade_rows, ("markets_trades",)),
    "/markets/candlesticks": Answers(
        wire.Candle, candle_rows, ("market_candlesticks", "historical_market_candlesticks")
    ),
    "/exchange/status": Answers(wire.ExchangeStatus, whole, ("exchange_status",)),
}

#: How many rows are recorded of each; that none of them is lost would mean little of none.
RECORDED = {
    "/markets": {FIRST: 12, SECOND: 4_900, NEWEST: 3},
    "/events": {FIRST: 11, SECOND: 39, NEWEST: 4},
    "/series": {FIRST: 242, SECOND: 3, NEWEST: 4},
    "/markets/trades": {FIRST: 5, SECOND: 15, NEWEST: 3},
    "/markets/candlesticks": {FIRST: 90, SECOND: 8},
    "/exchange/status": {FIRST: 1, SECOND: 1, NEWEST: 1},
}

CENTS = (
    "last_price liquidity no_ask no_bid notional_value open_interest previous_price "
    "previous_yes_ask previous_yes_bid volume volume_24h yes_ask yes_bid"
)
CANDLES = {"unknown": "open_interest volume", "missing": "open_interest_fp volume_fp"}

#: Field by field, how each generation differs from the newest one, which differs in nothing.
DIFFERENCES: dict[str, dict[str, dict[str, str]]] = {
    "/markets": {
        FIRST: {
            "unknown": f"{CENTS} liquidity_dollars response_price_units tick_size",
            "missing": "open_interest_fp settlement_bounds_type updated_time volume_24h_fp "
            "volume_fp yes_ask_size_fp yes_bid_size_fp",
        },
        SECOND: {
            "unknown": f"{CENTS} fractional_trading_enabled liquidity_dollars "
            "response_price_units settlement_value tick_size",
            "missing": "settlement_bounds_type updated_time yes_ask_size_fp yes_bid_size_fp",
        },
    },
    "/events": {
        FIRST: {"unknown": "available_on_brokers", "missing": "settlement_sources"},
        SECOND: {
            "unknown": "available_on_brokers",
            "missing": "mutually_exclusive settlement_sources",
        },
    },
    "/series": {FIRST: {"missing": "categories"}, SECOND: {"missing": "categories"}},
    "/markets/trades": {
        FIRST: {
            "unknown": "count no_price price yes_price",
            "missing": "count_fp is_block_trade taker_book_side taker_outcome_side",
        }
    },
    "/markets/candlesticks": {FIRST: CANDLES, SECOND: CANDLES},
}

every_generation = pytest.mark.parametrize("generation", [FIRST, SECOND, NEWEST])
every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS)


def generation_of(name: str) -> str:
    dated = re.search(r"2026-(\d\d|spring)", name)
    assert dated is not None, name
    return MONTHS.get(dated[1], SECOND)


def recorded(endpoint: str, generation: str) -> list[bytes]:
    """Every row of this endpoint in the recordings of this generation."""
    answers = ENDPOINTS[endpoint]
    names = recordings.files(*answers.folders)
    return [
        row for name in names if generation_of(name) == generation for row in answers.rows(name)
    ]


def read_all(endpoint: str, generation: str) -> tuple[list[Shape | None], list[Difference]]:
    drift = Drift()
    kind = ENDPOINTS[endpoint].kind
    rows = recorded(endpoint, generation)
    read = [wire.read(kind, row, endpoint=endpoint, drift=drift) for row in rows]
    return read, drift.snapshot()


@every_endpoint
@every_generation
def test_no_row_is_lost(endpoint: str, generation: str) -> None:
    """Each recorded row becomes a row of ours, whatever it lacks or has besides."""
    read, _ = read_all(endpoint, generation)

    assert None not in read
    assert len(read) >= RECORDED[endpoint].get(generation, 0)


@every_endpoint
@every_generation
def test_the_differences_are_known(endpoint: str, generation: str) -> None:
    """What is counted as drift is exactly this: no field more, none less, none of another type."""
    _, differences = read_all(endpoint, generation)

    found = defaultdict(set)
    for difference in differences:
        found[difference.kind].add(difference.field)
    expected = DIFFERENCES.get(endpoint, {}).get(generation, {})
    assert found == {kind: set(fields.split()) for kind, fields in expected.items()}


@every_endpoint
@every_generation
def test_each_difference_is_counted_row_by_row(endpoint: str, generation: str) -> None:
    """A missing field is counted for each row without it, and shown by no made-up example."""
    _, differences = read_all(endpoint, generation)

    rows = len(recorded(endpoint, generation))
    for difference in differences:
        assert 1 <= difference.count <= rows
        assert difference.first_at <= difference.last_at
        assert (difference.example is None) == (difference.kind == "missing")
