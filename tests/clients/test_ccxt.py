"""CCXT, pointed at the gateway, and nothing else of it changed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from . import environment
from .client import Side, led
from .ground import Ground, HandSet
from .twice import EXCHANGE, GATEWAY, Twice

pytestmark = [environment.needed("ccxt")]


@pytest.fixture
async def ccxt(clock: HandSet, at_exchange: Side, at_gateway: Side) -> AsyncIterator[Twice]:
    async with led("ccxt_kalshi", **{EXCHANGE: at_exchange, GATEWAY: at_gateway}) as client:
        yield Twice(client, clock)


async def test_catalogue(ccxt: Twice, asked: Ground) -> None:
    """Markets and events as CCXT lists them, which it asks for without a signature."""
    event = asked.open.event_ticker
    await ccxt.read("load_markets")
    await ccxt.read("fetch_markets", params={"limit": 5, "status": "closed"})
    await ccxt.read("fetch_tickers", outcomes=[asked.open.ticker])
    await ccxt.read("fetch_ticker", outcome=asked.open.ticker)
    await ccxt.read("fetch_ticker", outcome=f"{asked.open.ticker}-NO")
    await ccxt.read("fetch_events", params={"series_ticker": asked.series})
    await ccxt.read("fetch_events", params={"category": "Climate and Weather", "limit": 3})
    await ccxt.read("fetch_event", id=event)
    await ccxt.read("fetch_status")


async def test_books_trades_and_candles(ccxt: Twice, asked: Ground) -> None:
    """Both outcomes' books, the tape, and hourly candles."""
    ticker = asked.open.ticker
    yesterday = datetime.now(UTC) - timedelta(days=1)
    since = int(yesterday.timestamp()) * 1000
    await ccxt.read("fetch_order_book", outcome=ticker)
    await ccxt.read("fetch_order_book", outcome=f"{ticker}-NO")
    await ccxt.read("fetch_trades", outcome=ticker, limit=5)
    await ccxt.read("fetch_ohlcv", outcome=ticker, timeframe="1h", since=since, limit=10)


async def test_balance_positions_and_orders(ccxt: Twice, asked: Ground) -> None:
    """What the member has, wants, bought and was paid, which CCXT signs for."""
    ticker = asked.open.ticker
    balance = await ccxt.read("fetch_balance")
    positions = await ccxt.read("fetch_positions")
    open_orders = await ccxt.read("fetch_open_orders")
    fills = await ccxt.read("fetch_my_trades", outcome=ticker, limit=100)
    settlements = await ccxt.read("fetch_settlements")
    await ccxt.read("fetch_positions", outcomes=[ticker])
    await ccxt.read("fetch_orders")
    await ccxt.read("fetch_closed_orders")
    await ccxt.read("fetch_order", id=asked.order_id)

    assert balance.body["balance"] == asked.member.total // 10_000
    assert ids(positions, "market_positions", "ticker") == {ticker}
    assert ids(open_orders, "orders", "order_id") == {asked.order_id}
    assert len(ids(fills, "fills", "fill_id")) == 2
    assert ids(settlements, "settlements", "ticker") == {asked.settled.ticker}


async def test_operations_by_their_own_names(ccxt: Twice, asked: Ground) -> None:
    """CCXT's own methods per operation, for what it has no word of its own."""
    event = asked.open.event_ticker
    await ccxt.read("kalshiPublicGetEventsEventTickerMetadata", params={"event_ticker": event})
    await ccxt.read("kalshiPublicGetMarketsOrderbooks", params={"tickers": asked.open.ticker})
    await ccxt.read("kalshiPublicGetExchangeSchedule")
    await ccxt.read("kalshiPublicGetMilestones", params={"limit": 10})
    await ccxt.read("kalshiPublicGetHistoricalMarkets", params={"limit": 10})
    await ccxt.read("kalshiPrivateGetPortfolioDeposits")
    await ccxt.read("kalshiPrivateGetHistoricalFills")


async def test_refusals(ccxt: Twice, asked: Ground) -> None:
    """What the exchange refuses raises the same exception, with the same body."""
    unknown = await ccxt.ask("fetch_order", id="7f1a8d6e-0000-4000-8000-000000000000")
    too_many = await ccxt.ask("kalshiPublicGetMarkets", params={"limit": 100_000})
    gone = await ccxt.ask("kalshiPublicGetExchangeAnnouncements")
    # An exception of CCXT's own, whatever it is pointed at.
    mistaken = await ccxt.ask("fetch_open_interest", outcome=asked.open.ticker)

    assert [told.failed for told in (unknown, too_many, gone)] == [
        "BadSymbol",
        "BadRequest",
        "BadSymbol",
    ]
    assert mistaken.failed == "KeyError"


def ids(told: Any, rows: str, name: str) -> set[str]:
    return {row[name] for row in told.body[rows]}
