"""Kalshi: one typed method per REST operation we use."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from . import wire
from .budget import Lane
from .calls import Answer as Answer
from .calls import Instant, Operation, segment
from .calls import Page as Page
from .portfolio import Portfolio
from .portfolio import PositionsPage as PositionsPage
from .transport import http_client as http_client

#: With these the exchange says that it is closed, in its status.
CLOSED = frozenset({500, 503, 504})


class Kalshi(Portfolio):
    """The exchange, for one account."""

    # Exchange

    async def exchange_status(
        self, *, lane: Lane = Lane.WAITING, deadline: timedelta | None = None
    ) -> Answer[wire.ExchangeStatus]:
        """Whether the exchange and its shards are open; closed it says so with a 5xx."""
        operation = Operation("/exchange/status", answers=CLOSED)
        return await self._one(operation, wire.ExchangeStatus, None, lane, deadline)

    async def exchange_schedule(
        self, *, lane: Lane = Lane.WAITING, deadline: timedelta | None = None
    ) -> Answer[wire.Schedule]:
        """Its opening hours."""
        operation = Operation("/exchange/schedule")
        return await self._one(operation, wire.Schedule, "schedule", lane, deadline)

    async def account_limits(
        self, *, lane: Lane = Lane.WAITING, deadline: timedelta | None = None
    ) -> Answer[wire.AccountLimits]:
        """What this account may ask per second."""
        operation = Operation("/account/limits")
        return await self._one(operation, wire.AccountLimits, None, lane, deadline)

    async def endpoint_costs(
        self, *, lane: Lane = Lane.WAITING, deadline: timedelta | None = None
    ) -> Answer[wire.EndpointCosts]:
        """What each operation costs."""
        operation = Operation("/account/endpoint_costs")
        return await self._one(operation, wire.EndpointCosts, None, lane, deadline)

    async def historical_cutoff(
        self, *, lane: Lane = Lane.WAITING, deadline: timedelta | None = None
    ) -> Answer[wire.HistoricalCutoff]:
        """From when on things are in the live tier."""
        operation = Operation("/historical/cutoff")
        return await self._one(operation, wire.HistoricalCutoff, None, lane, deadline)

    # Catalogue

    async def series_list(
        self,
        *,
        min_updated_ts: Instant | None = None,
        lane: Lane = Lane.WAITING,
        deadline: timedelta | None = None,
    ) -> Page:
        """All series in one answer (some 18 MB)."""
        operation = Operation("/series")
        params = {"min_updated_ts": min_updated_ts}
        return await self._page(operation, "series", params, lane, deadline)

    async def series(
        self, ticker: str, *, lane: Lane = Lane.WAITING, deadline: timedelta | None = None
    ) -> Answer[wire.Series]:
        """One series."""
        operation = Operation("/series/{series_ticker}")
        return await self._one(operation, wire.Series, "series", lane, deadline, ticker)

    async def events_page(
        self,
        *,
        status: str | None = None,
        cursor: str | None = None,
        tickers: Iterable[str] | None = None,
        series_ticker: str | None = None,
        min_close_ts: Instant | None = None,
        min_updated_ts: Instant | None = None,
        with_nested_markets: bool = False,
        limit: int = 200,
        lane: Lane = Lane.WAITING,
        deadline: timedelta | None = None,
    ) -> Page:
        """Some events; their markets inside when asked for (`wire.nested_markets`)."""
        params = {
            "status": status,
            "cursor": cursor,
            "tickers": tickers,
            "series_ticker": series_ticker,
            "min_close_ts": min_close_ts,
            "min_updated_ts": min_updated_ts,
            "with_nested_markets": with_nested_markets or None,
            "limit": limit,
        }
        return await self._page(Operation("/events"), "events", params, lane, deadline)

    async def event(
        self, ticker: str, *, lane: Lane = Lane.WAITING, deadline: timedelta | None = None
    ) -> Answer[wire.Event]:
        """One event with its markets inside (`wire.nested_markets`)."""
        operation = Operation("/events/{event_ticker}")
        params = {"with_nested_markets": True}
        return await self._one(operation, wire.Event, "event", lane, deadline, ticker, params)

    async def markets_page(
        self,
        *,
        status: str | None = None,
        cursor: str | None = None,
        tickers: Iterable[str] | None = None,
        event_ticker: str | None = None,
        series_ticker: str | None = None,
        min_created_ts: Instant | None = None,
        max_created_ts: Instant | None = None,
        min_updated_ts: Instant | None = None,
        max_updated_ts: Instant | None = None,
        min_close_ts: Instant | None = None,
        max_close_ts: Instant | None = None,
        min_settled_ts: Instant | None = None,
        max_settled_ts: Instant | None = None,
        mve_filter: str | None = "exclude",
        limit: int = 1000,
        lane: Lane = Lane.WAITING,
        deadline: timedelta | None = None,
    ) -> Page:
        """Some markets; without combos, which are 95 % of all, unless asked for."""
        params = {
            "status": status,
            "cursor": cursor,
            "tickers": tickers,
            "event_ticker": event_ticker,
            "series_ticker": series_ticker,
            "min_created_ts": min_created_ts,
            "max_created_ts": max_created_ts,
            "min_updated_ts": min_updated_ts,
            "max_updated_ts": max_updated_ts,
            "min_close_ts": min_close_ts,
            "max_close_ts": max_close_ts,
            "min_settled_ts": min_settled_ts,
            "max_settled_ts": max_settled_ts,
            "mve_filter": mve_filter,
            "limit": limit,
        }
        return await self._page(Operation("/markets"), "markets", params, lane, deadline)

    async def market(
        self, ticker: str, *, lane: Lane = Lane.WAITING, deadline: timedelta | None = None
    ) -> Answer[wire.Market]:
        """One market of the live tier, combos included."""
        operation = Operation("/markets/{ticker}")
        return await self._one(operation, wire.Market, "market", lane, deadline, ticker)

    # Prices

    async def orderbook(
        self,
        ticker: str,
        *,
        depth: int = 0,
        lane: Lane = Lane.WAITING,
        deadline: timedelta | None = None,
    ) -> Answer[wire.OrderbookFp]:
        """The best `depth` levels of each side, 0 for all; best last."""
        operation = Operation("/markets/{ticker}/orderbook")
        params = {"depth": depth or None}
        answer = await self._one(
            operation, wire.OrderbookFp, "orderbook_fp", lane, deadline, ticker, params
        )
        return replace(answer, value=answer.value.in_order())

    async def trades(
        self,
        ticker: str | None = None,
        *,
        cursor: str | None = None,
        limit: int = 100,
        min_ts: Instant | None = None,
        max_ts: Instant | None = None,
        lane: Lane = Lane.WAITING,
        deadline: timedelta | None = None,
    ) -> Page:
        """Public trades of the live tier, newest first."""
        params = _trade_params(ticker, cursor, limit, min_ts, max_ts)
        return await self._page(Operation("/markets/trades"), "trades", params, lane, deadline)

    async def candles(
        self,
        series_ticker: str,
        ticker: str,
        *,
        start_ts: Instant,
        end_ts: Instant,
        period_minutes: int,
        lane: Lane = Lane.WAITING,
        deadline: timedelta | None = None,
    ) -> Page:
        """Candles of 1, 60 or 1440 minutes; quiet periods may be left out."""
        path = f"/series/{segment(series_ticker)}/markets/{segment(ticker)}/candlesticks"
        operation = Operation("/series/{series_ticker}/markets/{ticker}/candlesticks")
        params = _candle_params(start_ts, end_ts, period_minutes)
        return await self._page(operation, "candlesticks", params, lane, deadline, path)

    # Archive

    async def historical_markets_page(
        self,
        *,
        cursor: str | None = None,
        tickers: Iterable[str] | None = None,
        event_ticker: str | None = None,
        series_ticker: str | None = None,
        mve_filter: str | None = "exclude",
        limit: int = 1000,
        lane: Lane = Lane.WAITING,
        deadline: timedelta | None = None,
    ) -> Page:
        """Some markets settled before the cutoff, newest settlement first."""
        params = {
            "cursor": cursor,
            "tickers": tickers,
            "event_ticker": event_ticker,
            "series_ticker": series_ticker,
            "mve_filter": mve_filter,
            "limit": limit,
        }
        operation = Operation("/historical/markets")
        return await self._page(operation, "markets", params, lane, deadline)

    async def historical_market(
        self, ticker: str, *, lane: Lane = Lane.WAITING, deadline: timedelta | None = None
    ) -> Answer[wire.Market]:
        """One market settled before the cutoff."""
        operation = Operation("/historical/markets/{ticker}")
        return await self._one(operation, wire.Market, "market", lane, deadline, ticker)

    async def historical_candles(
        self,
        ticker: str,
        *,
        start_ts: Instant,
        end_ts: Instant,
        period_minutes: int,
        lane: Lane = Lane.WAITING,
        deadline: timedelta | None = None,
    ) -> Page:
        """Candles of a market settled before the cutoff."""
        operation = Operation("/historical/markets/{ticker}/candlesticks")
        path = f"/historical/markets/{segment(ticker)}/candlesticks"
        params = _candle_params(start_ts, end_ts, period_minutes)
        return await self._page(operation, "candlesticks", params, lane, deadline, path)

    async def historical_trades(
        self,
        ticker: str | None = None,
        *,
        cursor: str | None = None,
        limit: int = 100,
        min_ts: Instant | None = None,
        max_ts: Instant | None = None,
        lane: Lane = Lane.WAITING,
        deadline: timedelta | None = None,
    ) -> Page:
        """Public trades older than the cutoff, newest first."""
        params = _trade_params(ticker, cursor, limit, min_ts, max_ts)
        operation = Operation("/historical/trades")
        return await self._page(operation, "trades", params, lane, deadline)


def _trade_params(
    ticker: str | None,
    cursor: str | None,
    limit: int,
    min_ts: Instant | None,
    max_ts: Instant | None,
) -> dict[str, Any]:
    return {
        "ticker": ticker,
        "cursor": cursor,
        "limit": limit,
        "min_ts": min_ts,
        "max_ts": max_ts,
    }


def _candle_params(start_ts: Instant, end_ts: Instant, period_minutes: int) -> dict[str, Any]:
    return {"start_ts": start_ts, "end_ts": end_ts, "period_interval": period_minutes}
