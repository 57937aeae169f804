"""What a market looks like: exact numbers, whole seconds, and null for what is not known."""

import json
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from pydantic import TypeAdapter

from kalshi_gateway.markets.answers import MarketDetail, MarketList
from kalshi_gateway.markets.market import STATUSES

from .builders import a_market, a_series, ago, an_event, note_all_walked, store
from .gateway import Shared
from .shapes import differences

pytestmark = pytest.mark.asyncio(loop_scope="module")

tickers = (f"KXHIGHNY-26JUN15-T{number}" for number in count(1))


async def shown(shared: Shared, **fields: Any) -> dict[str, Any]:
    """The detail of a new market with these fields, each number as the text it was written in."""
    ticker = next(tickers)
    await store(shared.database, a_market(ticker, **fields))
    response = await shared.client.get(f"/kalshi/markets/{ticker}")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = json.loads(response.text, parse_float=str, parse_int=str)
    return body


async def test_whole_market(shared: Shared) -> None:
    """A market reads as it does in the contract, named and placed by its event and series."""
    await store(shared.database, a_series(), an_event())

    market = await shown(shared)

    assert market | {"meta": None, "updated_at": None} == {
        "ticker": market["ticker"],
        "event_ticker": "KXHIGHNY-26JUN15",
        "series_ticker": "KXHIGHNY",
        "title": "Will the high temp in NYC be >85° on Jun 15, 2026?",
        "outcome": "86° or above",
        "display_name": market["display_name"],
        "category": "Climate and Weather",
        "tags": ["Daily temperature"],
        "status": "open",
        "exchange_status": "active",
        "yes_bid": "0.4100",
        "yes_ask": "0.4300",
        "no_bid": "0.5700",
        "no_ask": "0.5900",
        "yes_bid_size": "120.00",
        "yes_ask_size": "75.50",
        "last_price": "0.4200",
        "previous_price": "0.3900",
        "volume": "1500.00",
        "volume_24h": "306.24",
        "open_interest": "800.00",
        "result": None,
        "settlement_value": None,
        "open_time": "2026-06-02T14:00:00Z",
        "close_time": "2099-06-16T03:59:00Z",
        "expected_expiration_time": "2099-06-16T14:00:00Z",
        "strike": {"type": "greater", "floor": "85", "cap": None},
        "price_steps": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
        "is_combo": False,
        "legs": [],
        "exchange_index": "0",
        "updated_at": None,
        "rules_primary": "If the highest temperature is above 85°, then Yes.",
        "rules_secondary": "Not all weather data is the same.",
        "meta": None,
    }
    assert "86°" in market["display_name"]


@pytest.mark.parametrize(
    ("field", "said", "name", "written"),
    [
        ("yes_bid_dollars", "0.1234", "yes_bid", "0.1234"),
        ("yes_bid_dollars", "0.0001", "yes_bid", "0.0001"),
        ("yes_ask_dollars", "0.9999", "yes_ask", "0.9999"),
        ("yes_ask_dollars", "0.123456", "yes_ask", "0.123456"),
        ("yes_bid_size_fp", "0.01", "yes_bid_size", "0.01"),
        ("volume_fp", "9999999999999.99", "volume", "9999999999999.99"),
        ("volume_fp", "123456789012345", "volume", "123456789012345"),
        ("volume_24h_fp", "202329.86", "volume_24h", "202329.86"),
        ("open_interest_fp", "0.00", "open_interest", "0.00"),
        ("settlement_value_dollars", "0.5000", "settlement_value", "0.5000"),
        ("settlement_value_dollars", "0.0000", "settlement_value", "0.0000"),
    ],
)
async def test_exact_numbers(
    shared: Shared, field: str, said: str, name: str, written: str
) -> None:
    """A figure has all the digits that the exchange gave it, in the list and in the detail."""
    detail = await shown(shared, **{field: said})
    params = {"tickers": detail["ticker"]}
    listed = await shared.client.get("/kalshi/markets", params=params)

    assert detail[name] == written
    (market,) = json.loads(listed.text, parse_float=str, parse_int=str)["markets"]
    assert market[name] == written


@pytest.mark.parametrize(
    ("fields", "quotes"),
    [
        # bid, ask, no bid, no ask
        ({}, ["0.4100", "0.4300", "0.5700", "0.5900"]),
        (
            {"yes_bid_dollars": "0.0000", "yes_bid_size_fp": "0.00", "no_ask_dollars": "1.0000"},
            [None, "0.4300", "0.5700", None],
        ),
        (
            {"yes_ask_dollars": "1.0000", "yes_ask_size_fp": "0.00", "no_bid_dollars": "0.0000"},
            ["0.4100", None, None, "0.5900"],
        ),
        # not yet opened, an empty side was seen as 0 and as 1 (measured 2026-06 on demo)
        (
            {"yes_ask_dollars": "0.0000", "yes_ask_size_fp": "0.00", "no_bid_dollars": "1.0000"},
            ["0.4100", None, None, "0.5900"],
        ),
        # nobody stands behind a price that is left over
        ({"yes_bid_size_fp": "0.00"}, [None, "0.4300", "0.5700", None]),
        ({"yes_ask_size_fp": "0.00"}, ["0.4100", None, None, "0.5900"]),
        # rows from before March 2026 have no sizes, and a price is then all there is to go by
        (
            {"yes_bid_size_fp": ..., "yes_ask_size_fp": ...},
            ["0.4100", "0.4300", "0.5700", "0.5900"],
        ),
        (
            {
                "yes_bid_size_fp": ...,
                "yes_ask_size_fp": ...,
                "yes_bid_dollars": "0.0000",
                "yes_ask_dollars": "1.0000",
                "no_bid_dollars": "0.0000",
                "no_ask_dollars": "1.0000",
            },
            [None, None, None, None],
        ),
        ({"yes_bid_dollars": ..., "no_ask_dollars": ...}, [None, "0.4300", "0.5700", None]),
        ({"no_bid_dollars": ..., "no_ask_dollars": ...}, ["0.4100", "0.4300", None, None]),
    ],
)
async def test_quotes(shared: Shared, fields: dict[str, Any], quotes: list[str | None]) -> None:
    """No quote is null, for NO as for YES: there is one book, and its sides are seen twice."""
    market = await shown(shared, **fields)

    assert [market[name] for name in ("yes_bid", "yes_ask", "no_bid", "no_ask")] == quotes


async def test_older_sizes(shared: Shared) -> None:
    """Sizes that were never sent are unknown, not zero."""
    market = await shown(shared, yes_bid_size_fp=..., yes_ask_size_fp=...)

    assert market["yes_bid_size"] is None
    assert market["yes_ask_size"] is None


async def test_nothing_traded(shared: Shared) -> None:
    """A market without a trade has no last price, and a volume of exactly nothing."""
    market = await shown(
        shared,
        last_price_dollars="0.0000",
        previous_price_dollars="0.0000",
        volume_fp="0.00",
    )

    assert market["last_price"] is None
    assert market["previous_price"] is None
    assert Decimal(market["volume"]) == 0


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("2026-06-16T03:59:00Z", "2026-06-16T03:59:00Z"),
        ("2026-06-16T03:59:00.987654Z", "2026-06-16T03:59:00Z"),
        ("2026-06-15T23:59:00-04:00", "2026-06-16T03:59:00Z"),
        ("0001-01-01T00:00:00Z", None),
        ("1969-12-31T23:59:59Z", None),
        ("2201-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59Z", None),
        (None, None),
        ("soon", None),
        (..., None),
    ],
)
async def test_times(shared: Shared, said: str | None, told: str | None) -> None:
    """A time is told in UTC and whole seconds; one of an odd year is not known."""
    market = await shown(shared, close_time=said, expected_expiration_time=said)

    assert market["close_time"] == told
    assert market["expected_expiration_time"] == told


@pytest.mark.parametrize(
    ("exchange_status", "status"),
    [*STATUSES.items(), ("hibernating", "hibernating"), ("", "unknown"), (..., "unknown")],
)
async def test_statuses(shared: Shared, exchange_status: Any, status: str) -> None:
    """A status has the word that its filter has; one that is new is kept as it came."""
    market = await shown(shared, status=exchange_status)

    assert market["status"] == status
    assert market["exchange_status"] == (None if exchange_status is ... else exchange_status)


async def test_combo(shared: Shared) -> None:
    """A combo is told by its legs, and each leg by how it ended."""
    legs = [
        {"event_ticker": "KXA-1", "market_ticker": "KXA-1-X", "side": "yes"},
        {
            "event_ticker": "KXB-1",
            "market_ticker": "KXB-1-Y",
            "side": "no",
            "yes_settlement_value_dollars": "0.0000",
        },
    ]

    market = await shown(shared, mve_collection_ticker="KXMVESPORTS-R", mve_selected_legs=legs)

    assert market["is_combo"] is True
    assert market["legs"] == [
        {"event_ticker": "KXA-1", "ticker": "KXA-1-X", "side": "yes", "settlement_value": None},
        {"event_ticker": "KXB-1", "ticker": "KXB-1-Y", "side": "no", "settlement_value": "0.0000"},
    ]


SPARSE = dict.fromkeys(
    (
        "title",
        "yes_sub_title",
        "created_time",
        "open_time",
        "close_time",
        "expected_expiration_time",
        "status",
        "yes_bid_dollars",
        "yes_ask_dollars",
        "no_bid_dollars",
        "no_ask_dollars",
        "yes_bid_size_fp",
        "yes_ask_size_fp",
        "last_price_dollars",
        "previous_price_dollars",
        "volume_fp",
        "volume_24h_fp",
        "open_interest_fp",
        "result",
        "strike_type",
        "floor_strike",
        "rules_primary",
        "rules_secondary",
        "price_ranges",
        "exchange_index",
    ),
    ...,
)

EVERY_KIND: list[dict[str, Any]] = [
    {},
    SPARSE,
    {"status": "finalized", "result": "scalar", "settlement_value_dollars": "0.3300"},
    {"strike_type": ..., "floor_strike": ..., "cap_strike": 12.5},
    {"mve_collection_ticker": "KXMVE-R", "mve_selected_legs": [{"side": "yes"}, {}]},
    {"title": 'Quotes " and \\ and \u2028 and 🏈 and **stars**', "yes_sub_title": "::  ::"},
]


@pytest.mark.parametrize("fields", EVERY_KIND, ids=lambda fields: ",".join(fields)[:40])
async def test_as_described(shared: Shared, fields: dict[str, Any]) -> None:
    """Every key is always there, null where nothing is known, and no other key is."""
    ticker = next(tickers)
    await store(shared.database, a_market(ticker, **fields))
    await note_all_walked(shared.database)

    detail = await shared.client.get(f"/kalshi/markets/{ticker}")
    params = {"tickers": ticker, "count": "exact"}
    listed = await shared.client.get("/kalshi/markets", params=params)

    assert differences(shared.app, "/kalshi/markets/{ticker}", detail.json()) == []
    assert differences(shared.app, "/kalshi/markets", listed.json()) == []
    TypeAdapter(MarketDetail).validate_json(detail.content)
    TypeAdapter(MarketList).validate_json(listed.content)
    (market,) = listed.json()["markets"]
    assert market.keys() == detail.json().keys() - {"rules_primary", "rules_secondary", "meta"}


async def test_newer_is_kept(shared: Shared) -> None:
    """What the exchange said later is not overwritten by what it said before."""
    ticker = next(tickers)
    later, before = a_market(ticker), a_market(ticker, last_price_dollars="0.9900")
    await store(shared.database, later, as_of=ago(seconds=1))
    await store(shared.database, before, as_of=ago(seconds=9))

    market = (await shared.client.get(f"/kalshi/markets/{ticker}")).json()

    assert market["last_price"] == 0.42
