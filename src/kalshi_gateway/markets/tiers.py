"""Books, trades and candles: from the live tier or the archive, whichever holds them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil, floor
from typing import Annotated, Any, Literal

import msgspec

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

#: The exchange moves its cutoff about once a day; what we know of it may be as old as this.
CUTOFF_FRESH_FOR = timedelta(hours=1)
#: By so much it may have moved since we asked.
CUTOFF_MOVES = timedelta(days=2)

#: Pages without a single trade that is wanted, before the client has to ask again.
MOST_EMPTY_PAGES = 4


@dataclass(frozen=True, slots=True)
class TapePlace:
    """Where the tape goes on: in which tier, after which page of the exchange's, and when."""

    tier: Tier
    cursor: str | None = None
    #: Of the oldest trade that was seen: the archive is asked for older ones only.
    seen_from: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


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
        """A page of trades between two moments; the archive goes on where the live tier ends.

        The cutoff between them may move while a client walks, so what says where to go on is the
        oldest trade that was seen, and not the cutoff.
        """
        since = await self._since(ticker, start)
        cutoff = (await self._cutoff.get()).value.trades_created_ts
        # The exchange counts in whole seconds: what it tells beyond these two moments is left out.
        asked: dict[str, Any] = {
            "limit": limit,
            "min_ts": None if start is None else floor(start.timestamp()),
            "max_ts": None if end is None else ceil(end.timestamp()),
        }
        pages = set_aside = 0
        while True:
            page = await self._page_of_trades(ticker, place, asked)
            rows, unreadable = self._trades(page)
            set_aside += unreadable
            kept = [
                row for row in rows if _belongs(row, place, cutoff) and _between(row, start, end)
            ]
            older = _after(place, page, kept, cutoff, since)
            pages += 1
            if kept or older is None or pages == MOST_EMPTY_PAGES:
                shown = [tape.trade_from_wire(row) for row in kept]
                return Trades(shown, older, page.asked_at, set_aside)
            place = older

    async def _since(self, ticker: str, start: datetime | None) -> datetime | None:
        """From when on there can be trades that are asked for, if anybody says."""
        looked = await self._lookup.market(ticker)
        opened_at = msgspec.json.decode(looked.found.body, type=_Opened).open_time
        return max(filter(None, (start, opened_at)), default=None)

    async def _page_of_trades(self, ticker: str, place: TapePlace, asked: dict[str, Any]) -> Page:
        if place.tier == "live":
            return await self._kalshi.trades(ticker, cursor=place.cursor, **asked)
        try:
            return await self._kalshi.historical_trades(ticker, cursor=place.cursor, **asked)
        except errors.NotFound:
            return Page((), None, datetime.now(UTC))

    async def candles(
        self, ticker: str, *, start: datetime, end: datetime, period: Period
    ) -> Candles:
        """Candles between two moments; all of a market's lie in one tier."""
        series_ticker = await self._lookup.series_of(ticker)
        asked: dict[str, Any] = {
            "start_ts": min(ceil(start.timestamp()), floor(end.timestamp())),
            "end_ts": floor(end.timestamp()),
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
        made = [tape.candle_from_wire(row) for row in rows if row is not None]
        found = [candle for candle in made if candle is not None]
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


class _Opened(msgspec.Struct):
    open_time: datetime | None


def _belongs(trade: wire.Trade, place: TapePlace, cutoff: datetime | None) -> bool:
    """Whether it is this tier's to show: near the cutoff both may have it."""
    if trade.created_time is None:
        return True
    if place.tier == "live":
        return cutoff is None or trade.created_time >= cutoff
    return place.seen_from is None or trade.created_time < place.seen_from


def _between(trade: wire.Trade, start: datetime | None, end: datetime | None) -> bool:
    at = trade.created_time
    return at is None or ((start is None or start <= at) and (end is None or at <= end))


def _after(
    place: TapePlace,
    page: Page,
    kept: list[wire.Trade],
    cutoff: datetime | None,
    since: datetime | None,
) -> TapePlace | None:
    """Where the tape goes on after this page, if it does."""
    times = [trade.created_time for trade in kept if trade.created_time is not None]
    seen_from = min(times, default=place.seen_from)
    if page.cursor is not None:
        # What the archive shows is bound by what the live tier has shown, not by its own pages.
        bound = seen_from if place.tier == "live" else place.seen_from
        return TapePlace(place.tier, page.cursor, bound)
    if place.tier == "live" and _archive_reaches(cutoff, since):
        return TapePlace("archive", None, seen_from)
    return None


def _archive_reaches(cutoff: datetime | None, since: datetime | None) -> bool:
    """Whether the archive may hold something from `since` on."""
    return cutoff is not None and (since is None or since < cutoff + CUTOFF_MOVES)
