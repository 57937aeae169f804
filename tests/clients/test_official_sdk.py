"""The exchange's own SDK, pointed at the gateway, and nothing else of it changed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from kalshi_gateway.simulator.desk import KeyKind

from . import environment
from .client import Client, Side, led
from .comparing import EXCHANGE, GATEWAY, passes, the_same
from .ground import Ground

#: Its packages, each with another kind of key.
KINDS: dict[str, KeyKind] = {"kalshi_python_async": "ed25519", "kalshi_python_sync": "rsa"}

pytestmark = [
    environment.needed("kalshi_python_async"),
    pytest.mark.parametrize("package", KINDS),
]


@pytest.fixture
def kind(package: str) -> KeyKind:
    return KINDS[package]


@pytest.fixture
async def sdk(package: str, at_exchange: Side, at_gateway: Side) -> AsyncIterator[Client]:
    sides = {EXCHANGE: at_exchange, GATEWAY: at_gateway}
    async with led("official", package, **sides) as client:
        yield client


def a_day() -> dict[str, int]:
    """The last day by the hour."""
    now = int(datetime.now(UTC).timestamp())
    return {"start_ts": now - 86_400, "end_ts": now, "period_interval": 60}


async def test_markets(sdk: Client, asked: Ground) -> None:
    """Markets of every status, page by page and one by one."""
    for status in ("unopened", "open", "paused", "closed", "settled"):
        await passes(sdk, "get_markets", limit=1000, status=status)
    first = await passes(sdk, "get_markets", limit=5)
    await passes(sdk, "get_markets", limit=5, cursor=first.body["cursor"])
    await passes(sdk, "get_markets", tickers=f"{asked.open.ticker},{asked.settled.ticker}")
    await passes(sdk, "get_markets", event_ticker=asked.open.event_ticker, mve_filter="exclude")
    await passes(sdk, "get_markets", mve_filter="only", limit=10)
    await passes(sdk, "get_market", ticker=asked.open.ticker)
    await passes(sdk, "get_market", ticker=asked.settled.ticker)


async def test_events_and_series(sdk: Client, asked: Ground) -> None:
    """Families of markets, and what is told about them."""
    event, series = asked.open.event_ticker, asked.series
    await passes(sdk, "get_events", limit=20, with_nested_markets=True, with_milestones=True)
    await passes(sdk, "get_events", status="open", series_ticker=series)
    await passes(sdk, "get_event", event_ticker=event)
    await passes(sdk, "get_event", event_ticker=event, with_nested_markets=True)
    await passes(sdk, "get_event_metadata", event_ticker=event)
    await passes(sdk, "get_event_fee_changes")
    await passes(sdk, "get_multivariate_events", limit=10, with_nested_markets=True)
    await passes(sdk, "get_multivariate_event_collections")
    await passes(sdk, "get_series", series_ticker=series, include_volume=True)
    await passes(sdk, "get_series_list")
    await passes(sdk, "get_series_fee_changes", show_historical=True)
    await passes(sdk, "get_milestones", limit=100)
    await passes(sdk, "get_filters_for_sports")


async def test_books_trades_and_candles(sdk: Client, asked: Ground) -> None:
    """What moves; here it stands still."""
    ticker, event, series = asked.open.ticker, asked.open.event_ticker, asked.series
    day = a_day()
    await passes(sdk, "get_market_orderbook", ticker=ticker)
    await passes(sdk, "get_market_orderbook", ticker=ticker, depth=2)
    await passes(sdk, "get_market_orderbooks", tickers=[ticker, asked.settled.ticker])
    await passes(sdk, "get_trades", limit=5)
    await passes(sdk, "get_trades", ticker=ticker, min_ts=day["start_ts"], max_ts=day["end_ts"])
    await passes(sdk, "get_market_candlesticks", series_ticker=series, ticker=ticker, **day)
    await passes(sdk, "batch_get_market_candlesticks", market_tickers=ticker, **day)
    await passes(sdk, "get_market_candlesticks_by_event", series_ticker=series, ticker=event, **day)


async def test_the_archive(sdk: Client, asked: Ground) -> None:
    """What has left the live tier."""
    ticker = asked.archived.ticker
    await passes(sdk, "get_historical_cutoff")
    await passes(sdk, "get_historical_markets", limit=100)
    await passes(sdk, "get_historical_market", ticker=ticker)
    await passes(sdk, "get_market_candlesticks_historical", ticker=ticker, **a_day())
    await passes(sdk, "get_trades_historical", limit=100)
    await passes(sdk, "get_fills_historical")
    await passes(sdk, "get_historical_orders")
    await passes(sdk, "get_historical_positions")


async def test_the_exchange_about_itself(sdk: Client) -> None:
    """Status, hours, costs, and what is current."""
    await passes(sdk, "get_exchange_status")
    await passes(sdk, "get_exchange_schedule")
    await passes(sdk, "get_user_data_timestamp")
    await passes(sdk, "get_account_endpoint_costs")
    await passes(sdk, "get_account_api_limits")


async def test_balance_positions_and_orders(sdk: Client, asked: Ground) -> None:
    """What the member has, wants, bought and was paid; something of each."""
    ticker = asked.open.ticker
    balance = await passes(sdk, "get_balance")
    positions = await passes(sdk, "get_positions", settlement_status="all")
    orders = await passes(sdk, "get_orders", status="resting")
    fills = await passes(sdk, "get_fills", ticker=ticker, limit=100)
    settlements = await passes(sdk, "get_settlements")
    await passes(sdk, "get_balance", exchange_index=0)
    await passes(sdk, "get_positions", ticker=ticker, count_filter="position")
    await passes(sdk, "get_orders")
    await passes(sdk, "get_order", order_id=asked.order_id)
    await passes(sdk, "get_deposits")
    await passes(sdk, "get_withdrawals")
    await passes(sdk, "get_subaccount_balances")
    await passes(sdk, "get_subaccount_transfers")
    await passes(sdk, "get_intra_exchange_instance_transfers")

    assert balance.body["balance"] == asked.member.total // 10_000
    assert {row["ticker"] for row in positions.body["market_positions"]} == {
        ticker,
        asked.settled.ticker,
    }
    assert [row["order_id"] for row in orders.body["orders"]] == [asked.order_id]
    assert len(fills.body["fills"]) == 2
    assert [row["ticker"] for row in settlements.body["settlements"]] == [asked.settled.ticker]


async def test_refusals(sdk: Client) -> None:
    """What the exchange refuses raises the same exception, with the same body."""
    refused = [
        await the_same(sdk, "get_market", ticker="KXNOTHING-1"),
        await the_same(sdk, "get_event", event_ticker="KXNOTHING"),
        await the_same(sdk, "get_order", order_id="7f1a8d6e-0000-4000-8000-000000000000"),
        await the_same(sdk, "get_markets", status="open", min_close_ts=1),
        await the_same(sdk, "get_target_balance_allocation"),
        await the_same(sdk, "get_markets", cursor="garbage", limit=1),
    ]

    assert [told.failed for told in refused] == [
        *["NotFoundException"] * 3,
        "BadRequestException",
        "ForbiddenException",
        None,
    ]


async def test_what_it_cannot_read(sdk: Client) -> None:
    """Where the SDK fails on what the exchange really says, it fails here, too, and on the same."""
    told = await the_same(sdk, "get_tags_for_series_categories")

    assert told.failed == "ValidationError"
    assert None in told.body["tags_by_categories"].values()
