"""The exchange's own SDK, pointed at the gateway, and nothing else of it changed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from kalshi_gateway.simulator.desk import KeyKind

from . import environment
from .client import Side, led
from .ground import Ground, HandSet
from .twice import EXCHANGE, GATEWAY, Twice

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
async def sdk(
    package: str, clock: HandSet, at_exchange: Side, at_gateway: Side
) -> AsyncIterator[Twice]:
    sides = {EXCHANGE: at_exchange, GATEWAY: at_gateway}
    async with led("official", package, **sides) as client:
        yield Twice(client, clock)


def a_day() -> dict[str, int]:
    """The last day by the hour."""
    now = int(datetime.now(UTC).timestamp())
    return {"start_ts": now - 86_400, "end_ts": now, "period_interval": 60}


async def test_markets(sdk: Twice, asked: Ground) -> None:
    """Markets of every status, page by page and one by one."""
    for status in ("unopened", "open", "paused", "closed", "settled"):
        await sdk.read("get_markets", limit=1000, status=status)
    first = await sdk.read("get_markets", limit=5)
    await sdk.read("get_markets", limit=5, cursor=first.body["cursor"])
    await sdk.read("get_markets", tickers=f"{asked.open.ticker},{asked.settled.ticker}")
    await sdk.read("get_markets", event_ticker=asked.open.event_ticker, mve_filter="exclude")
    await sdk.read("get_markets", mve_filter="only", limit=10)
    await sdk.read("get_market", ticker=asked.open.ticker)
    await sdk.read("get_market", ticker=asked.settled.ticker)


async def test_events_and_series(sdk: Twice, asked: Ground) -> None:
    """Families of markets, and what is told about them."""
    event, series = asked.open.event_ticker, asked.series
    await sdk.read("get_events", limit=20, with_nested_markets=True, with_milestones=True)
    await sdk.read("get_events", status="open", series_ticker=series)
    await sdk.read("get_event", event_ticker=event)
    await sdk.read("get_event", event_ticker=event, with_nested_markets=True)
    await sdk.read("get_event_metadata", event_ticker=event)
    await sdk.read("get_event_fee_changes")
    await sdk.read("get_multivariate_events", limit=10, with_nested_markets=True)
    await sdk.read("get_multivariate_event_collections")
    await sdk.read("get_series", series_ticker=series, include_volume=True)
    await sdk.read("get_series_list")
    await sdk.read("get_series_fee_changes", show_historical=True)
    await sdk.read("get_milestones", limit=100)
    await sdk.read("get_filters_for_sports")


async def test_books_trades_and_candles(sdk: Twice, asked: Ground) -> None:
    """What moves; here it stands still."""
    ticker, event, series = asked.open.ticker, asked.open.event_ticker, asked.series
    day = a_day()
    await sdk.read("get_market_orderbook", ticker=ticker)
    await sdk.read("get_market_orderbook", ticker=ticker, depth=2)
    await sdk.read("get_market_orderbooks", tickers=[ticker, asked.settled.ticker])
    await sdk.read("get_trades", limit=5)
    await sdk.read("get_trades", ticker=ticker, min_ts=day["start_ts"], max_ts=day["end_ts"])
    await sdk.read("get_market_candlesticks", series_ticker=series, ticker=ticker, **day)
    await sdk.read("batch_get_market_candlesticks", market_tickers=ticker, **day)
    await sdk.read("get_market_candlesticks_by_event", series_ticker=series, ticker=event, **day)


async def test_the_archive(sdk: Twice, asked: Ground) -> None:
    """What has left the live tier."""
    ticker = asked.archived.ticker
    await sdk.read("get_historical_cutoff")
    await sdk.read("get_historical_markets", limit=100)
    await sdk.read("get_historical_market", ticker=ticker)
    await sdk.read("get_market_candlesticks_historical", ticker=ticker, **a_day())
    await sdk.read("get_trades_historical", limit=100)
    await sdk.read("get_fills_historical")
    await sdk.read("get_historical_orders")
    await sdk.read("get_historical_positions")


async def test_the_exchange_about_itself(sdk: Twice) -> None:
    """Status, hours, costs, and what is current."""
    await sdk.read("get_exchange_status")
    await sdk.read("get_exchange_schedule")
    await sdk.read("get_user_data_timestamp")
    await sdk.read("get_account_endpoint_costs")
    await sdk.read("get_account_api_limits")


async def test_balance_positions_and_orders(sdk: Twice, asked: Ground) -> None:
    """What the member has, wants, bought and was paid; something of each."""
    ticker = asked.open.ticker
    balance = await sdk.read("get_balance")
    positions = await sdk.read("get_positions", settlement_status="all")
    orders = await sdk.read("get_orders", status="resting")
    fills = await sdk.read("get_fills", ticker=ticker, limit=100)
    settlements = await sdk.read("get_settlements")
    await sdk.read("get_balance", exchange_index=0)
    await sdk.read("get_positions", ticker=ticker, count_filter="position")
    await sdk.read("get_orders")
    await sdk.read("get_order", order_id=asked.order_id)
    await sdk.read("get_deposits")
    await sdk.read("get_withdrawals")
    await sdk.read("get_subaccount_balances")
    await sdk.read("get_subaccount_transfers")
    await sdk.read("get_intra_exchange_instance_transfers")

    assert balance.body["balance"] == asked.member.total // 10_000
    assert {row["ticker"] for row in positions.body["market_positions"]} == {
        ticker,
        asked.settled.ticker,
    }
    assert [row["order_id"] for row in orders.body["orders"]] == [asked.order_id]
    assert len(fills.body["fills"]) == 2
    assert [row["ticker"] for row in settlements.body["settlements"]] == [asked.settled.ticker]


async def test_refusals(sdk: Twice) -> None:
    """What the exchange refuses raises the same exception, with the same body."""
    refused = [
        await sdk.ask("get_market", ticker="KXNOTHING-1"),
        await sdk.ask("get_event", event_ticker="KXNOTHING"),
        await sdk.ask("get_order", order_id="7f1a8d6e-0000-4000-8000-000000000000"),
        await sdk.ask("get_markets", status="open", min_close_ts=1),
        await sdk.ask("get_target_balance_allocation"),
        await sdk.ask("get_markets", cursor="garbage", limit=1),
    ]

    assert [told.failed for told in refused] == [
        *["NotFoundException"] * 3,
        "BadRequestException",
        "ForbiddenException",
        None,
    ]


async def test_what_it_cannot_read(sdk: Twice) -> None:
    """Where the SDK fails on what the exchange really says, it fails here, too, and on the same."""
    told = await sdk.ask("get_tags_for_series_categories")

    assert told.failed == "ValidationError"
    assert None in told.body["tags_by_categories"].values()
