"""Books, trades and candles: from the live tier or the archive, whichever holds them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from kalshi_gateway.freshness import Kept
from kalshi_gateway.kalshi import errors, wire
from kalshi_gateway.kalshi.client import Kalshi, Page
from kalshi_gateway.kalshi.reading import read

from . import tape
from .lookup import Lookup
from .tape import Candle, OrderBook, Trade

Tier = Literal["live", "archive"]
Period = Literal["1m", "1h", "1d"]
MINUTES: dict[Period, int] = {"1m": 1, "1h": 60, "1d": 1440}

#: The exchange moves its cutoff about once a day.
CUTOFF_FRESH_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class TapePlace:
    """Where the tape goes on: in which tier, and after which page of the exchange's."""

    tier: Tier
    cursor: str | None = None


NEWEST = TapePlace("live")


@dataclass(frozen=True, slots=True)
class Trades:
    """Some trades, newest first, and where the older ones are."""

    trades: list[Trade]
    older: TapePlace | None
    as_of: datetime
    set_aside: int


@dataclass(frozen=True, slots=True)
class Candles:
    """A run of candles, oldest first."""

    candles: list[Candle]
    as_of: datetime
    set_aside: int


class Tiers:
    """Asks the tier that holds what is wanted."""

    def __init__(self, kalshi: Kalshi, lookup: Lookup) -> None:
        self._kalshi = kalshi
        self._lookup = lookup
        self._cutoff = Kept(self._ask_cutoff, CUTOFF_FRESH_FOR)

    async def book(self, ticker: str, depth: int) -> tuple[OrderBook, datetime]:
        """The best `depth` levels of each side, 0 for all; an archived market has none left."""
        await self._lookup.market(ticker)
        try:
            answer = await self._kalshi.orderbook(ticker, depth=depth)
        except errors.NotFound:
            archived = await self._kalshi.historical_market(ticker)
            return OrderBook(ticker, (), ()), archived.asked_at
        return tape.book_from_wire(ticker, answer.value), answer.asked_at

    async def trades(
        self,
        ticker: str,
        *,
        start: datetime | None,
        end: datetime | None,
        place: TapePlace,
        limit: int,
    ) -> Trades:
        """A page of trades between two moments; the archive goes on where the live tier ends."""
        await self._lookup.market(ticker)
        (cutoff, _) = await self._cutoff.get()
        tier = place.tier
        asked: dict[str, Any] = {
            "cursor": place.cursor,
            "limit": limit,
            "min_ts": None if start is None else int(start.timestamp()),
            "max_ts": None if end is None else int(end.timestamp()),
        }
        if tier == "live":
            page = await self._kalshi.trades(ticker, **asked)
        else:
            page = await self._kalshi.historical_trades(ticker, **asked)
        rows, set_aside = self._trades(page)
        # Near the cutoff both tiers may hold a trade: each is asked for its own side only.
        kept = [row for row in rows if _in_tier(row, tier, cutoff.trades_created_ts)]
        older = None
        if page.cursor is not None:
            older = TapePlace(tier, page.cursor)
        elif tier == "live" and _reaches(cutoff.trades_created_ts, start):
            older = TapePlace("archive")
        return Trades([tape.trade_from_wire(row) for row in kept], older, page.asked_at, set_aside)

    async def candles(
        self, ticker: str, *, start: datetime, end: datetime, period: Period
    ) -> Candles:
        """Candles between two moments; all of a market's lie in one tier."""
        series_ticker = await self._lookup.series_of(ticker)
        asked: dict[str, Any] = {
            "start_ts": int(start.timestamp()),
            "end_ts": int(end.timestamp()),
            "period_minutes": MINUTES[period],
        }
        try:
            # The series is part of the path; where nobody names it, only the archive can answer.
            if series_ticker is None:
                page = await self._kalshi.historical_candles(ticker, **asked)
            else:
                page = await self._kalshi.candles(series_ticker, ticker, **asked)
        except errors.NotFound:
            page = await self._kalshi.historical_candles(ticker, **asked)
        rows = [
            read(
                wire.Candle,
                raw,
                endpoint="/markets/{ticker}/candlesticks",
                drift=self._kalshi.drift,
            )
            for raw in page.rows
        ]
        found = [tape.candle_from_wire(row) for row in rows if row is not None]
        return Candles(
            sorted(found, key=lambda candle: candle.end_time),
            page.asked_at,
            len(rows) - len(found),
        )

    def _trades(self, page: Page) -> tuple[list[wire.Trade], int]:
        rows = [
            read(wire.Trade, raw, endpoint="/markets/trades", drift=self._kalshi.drift)
            for raw in page.rows
        ]
        kept = [row for row in rows if row is not None]
        return kept, len(rows) - len(kept)

    async def _ask_cutoff(self) -> tuple[wire.HistoricalCutoff, datetime]:
        answer = await self._kalshi.historical_cutoff()
        return answer.value, answer.asked_at


def _in_tier(trade: wire.Trade, tier: Tier, cutoff: datetime | None) -> bool:
    if cutoff is None or trade.created_time is None:
        return True
    return (trade.created_time >= cutoff) == (tier == "live")


def _reaches(cutoff: datetime | None, start: datetime | None) -> bool:
    """Whether what is asked for begins before what the live tier holds."""
    return cutoff is not None and (start is None or start < cutoff)
