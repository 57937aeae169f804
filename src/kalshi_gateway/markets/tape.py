"""OrderBook, Trade and Candle: what trades in one market, as a client sees it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from kalshi_gateway.kalshi import wire
from kalshi_gateway.units import Contracts, Moment, Price, moment

_ONE = Decimal(1)
_SIDES = {"yes": "bid", "no": "ask"}

#: One level of a book: its price in YES dollars, and all contracts that wait there.
Level = tuple[Price, Contracts]


@dataclass(frozen=True, slots=True)
class OrderBook:
    """Both sides of the one book, best level first, in YES prices."""

    ticker: str
    bids: Annotated[tuple[Level, ...], Field(description="[price, count], highest first.")]
    asks: Annotated[tuple[Level, ...], Field(description="[price, count], lowest first.")]


@dataclass(frozen=True, slots=True)
class Trade:
    """What the public tape printed."""

    trade_id: str
    ticker: str
    price: Annotated[Price | None, Field(description="In YES terms.")]
    count: Contracts | None
    taker_side: Annotated[str | None, Field(description="bid: the taker bought YES; or ask.")]
    is_block_trade: bool | None
    created_time: Moment | None
    ts_ms: Annotated[int | None, Field(description="The same in milliseconds.")]


@dataclass(frozen=True, slots=True)
class Moves:
    """How a price moved in a candle's time; null where there was none."""

    open: Price | None
    high: Price | None
    low: Price | None
    close: Price | None


@dataclass(frozen=True, slots=True)
class Candle:
    """One minute, hour or day of trading."""

    end_time: Annotated[Moment, Field(description="The last second that it counts.")]
    price: Moves
    mean_price: Price | None
    previous_price: Annotated[Price | None, Field(description="Of the last trade before.")]
    yes_bid: Moves
    yes_ask: Moves
    volume: Contracts | None
    open_interest: Contracts | None


def book_from_wire(ticker: str, book: wire.OrderbookFp) -> OrderBook:
    """Bids of both outcomes as one book: a NO bid at p is a YES ask at 1 - p."""
    return OrderBook(
        ticker=ticker,
        bids=tuple(sorted(book.yes_dollars, reverse=True)),
        asks=tuple(sorted((_ONE - price, count) for price, count in book.no_dollars)),
    )


def trade_from_wire(trade: wire.Trade) -> Trade:
    """The exchange's row as ours."""
    side = trade.taker_book_side or _SIDES.get(trade.taker_outcome_side or trade.taker_side or "")
    created_time = moment(trade.created_time)
    return Trade(
        trade_id=trade.trade_id,
        ticker=trade.ticker,
        price=trade.yes_price_dollars,
        count=trade.count_fp,
        taker_side=side,
        is_block_trade=trade.is_block_trade,
        created_time=created_time,
        ts_ms=None if created_time is None else _milliseconds(trade.created_time),
    )


def candle_from_wire(candle: wire.Candle) -> Candle | None:
    """The exchange's row as ours, unless it is of no known time.

    An empty side of the book is sent as 0 or 1.
    """
    end_time = _end_of(candle)
    if end_time is None:
        return None
    price = candle.price or wire.PriceMoves()
    return Candle(
        end_time=end_time,
        price=Moves(
            price.open_dollars,
            price.high_dollars,
            price.low_dollars,
            price.close_dollars,
        ),
        mean_price=price.mean_dollars,
        previous_price=price.previous_dollars or None,
        yes_bid=_quotes(candle.yes_bid),
        yes_ask=_quotes(candle.yes_ask),
        volume=candle.volume_fp,
        open_interest=candle.open_interest_fp,
    )


def _quotes(side: wire.BidAsk | None) -> Moves:
    if side is None:
        return Moves(None, None, None, None)
    return Moves(
        *(
            quote if quote is not None and 0 < quote < 1 else None
            for quote in (
                side.open_dollars,
                side.high_dollars,
                side.low_dollars,
                side.close_dollars,
            )
        )
    )


def _end_of(candle: wire.Candle) -> datetime | None:
    try:
        return moment(candle.ends_at)
    except (OverflowError, ValueError, OSError):  # beyond what a clock can show
        return None


def _milliseconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp()) * 1000 + at.microsecond // 1000
