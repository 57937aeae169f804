"""CCXT, pointed at the gateway, and nothing else of it changed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from . import environment
from .client import Client, Side, led
from .comparing import EXCHANGE, GATEWAY, passes, the_same
from .ground import Ground

pytestmark = [environment.needed("ccxt")]


@pytest.fixture
async def ccxt(at_exchange: Side, at_gateway: Side) -> AsyncIterator[Client]:
    async with led("ccxt_kalshi", **{EXCHANGE: at_exchange, GATEWAY: at_gateway}) as client:
        yield client


async def test_catalogue(ccxt: Client, asked: Ground) -> None:
    """Markets and events as CCXT lists them, which it asks for without a signature."""
    event = asked.open.event_ticker
    await passes(ccxt, "load_markets")
    await passes(ccxt, "fetch_markets", params={"limit": 5, "status": "closed"})
    await passes(ccxt, "fetch_tickers", outcomes=[asked.open.ticker])
    await passes(ccxt, "fetch_ticker", outcome=asked.open.ticker)
    await passes(ccxt, "fetch_ticker", outcome=f"{asked.open.ticker}-NO")
    await passes(ccxt, "fetch_events", params={"series_ticker": asked.series})
    await passes(ccxt, "fetch_events", params={"category": "Climate and Weather", "limit": 3})
    await passes(ccxt, "fetch_event", id=event)
    await passes(ccxt, "fetch_status")


async def test_books_trades_and_candles(ccxt: Client, asked: Ground) -> None:
    """Both outcomes' books, the tape, and hourly candles."""
    ticker = asked.open.ticker
    yesterday = datetime.now(UTC) - timedelta(days=1)
    since = int(yesterday.timestamp()) * 1000
    await passes(ccxt, "fetch_order_book", outcome=ticker)
    await passes(ccxt, "fetch_order_book", outcome=f"{ticker}-NO")
    await passes(ccxt, "fetch_trades", outcome=ticker, limit=5)
    await passes(ccxt, "fetch_ohlcv", outcome=ticker, timeframe="1h", since=since, limit=10)


async def test_balance_positions_and_orders(ccxt: Client, asked: Ground) -> None:
    """What the member has, wants, bought and was paid, which CCXT signs for."""
    ticker = asked.open.ticker
    balance = await passes(ccxt, "fetch_balance")
    positions = await passes(ccxt, "fetch_positions")
    open_orders = await passes(ccxt, "fetch_open_orders")
    fills = await passes(ccxt, "fetch_my_trades", outcome=ticker, limit=100)
    settlements = await passes(ccxt, "fetch_settlements")
    await passes(ccxt, "fetch_positions", outcomes=[ticker])
    await passes(ccxt, "fetch_orders")
    await passes(ccxt, "fetch_closed_orders")
    await passes(ccxt, "fetch_order", id=asked.order_id)

    assert balance.body["balance"] == asked.member.total // 10_000
    assert ids(positions, "market_positions", "ticker") == {ticker}
    assert ids(open_orders, "orders", "order_id") == {asked.order_id}
    assert len(ids(fills, "fills", "fill_id")) == 2
    assert ids(settlements, "settlements", "ticker") == {asked.settled.ticker}


async def test_operations_by_their_own_names(ccxt: Client, asked: Ground) -> None:
    """CCXT's own methods per operation, for what it has no word of its own."""
    event = asked.open.event_ticker
    await passes(ccxt, "kalshiPublicGetEventsEventTickerMetadata", params={"event_ticker": event})
    await passes(ccxt, "kalshiPublicGetMarketsOrderbooks", params={"tickers": asked.open.ticker})
    await passes(ccxt, "kalshiPublicGetExchangeSchedule")
    await passes(ccxt, "kalshiPublicGetMilestones", params={"limit": 10})
    await passes(ccxt, "kalshiPublicGetHistoricalMarkets", params={"limit": 10})
    await passes(ccxt, "kalshiPrivateGetPortfolioDeposits")
    await passes(ccxt, "kalshiPrivateGetHistoricalFills")


async def test_refusals(ccxt: Client, asked: Ground) -> None:
    """What the exchange refuses raises the same exception, with the same body."""
    unknown = await the_same(ccxt, "fetch_order", id="7f1a8d6e-0000-4000-8000-000000000000")
    too_many = await the_same(ccxt, "kalshiPublicGetMarkets", params={"limit": 100_000})
    gone = await the_same(ccxt, "kalshiPublicGetExchangeAnnouncements")
    # An exception of CCXT's own, whatever it is pointed at.
    mistaken = await the_same(ccxt, "fetch_open_interest", outcome=asked.open.ticker)

    assert [told.failed for told in (unknown, too_many, gone)] == [
        "BadSymbol",
        "BadRequest",
        "BadSymbol",
    ]
    assert mistaken.failed == "KeyError"


def ids(told: Any, rows: str, name: str) -> set[str]:
    return {row[name] for row in told.body[rows]}
