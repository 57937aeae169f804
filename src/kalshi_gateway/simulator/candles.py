"""Candles, put together from the trades of a market."""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import msgspec

from . import times
from .entries import MarketEntry
from .prices import DOLLAR, Grid, above, below, contracts, dollars, hundredths, snap
from .tape import Trade

MINUTES = (1, 60, 1440)


class Candle(msgspec.Struct, frozen=True, gc=False):
    """One period: prices of YES in ten-thousandths, open, high, low, close."""

    end_ts: int
    price: tuple[int, int, int, int] | None
    mean: int | None
    previous: int | None
    volume: int
    open_interest: int
    bid: tuple[int, int, int, int]
    ask: tuple[int, int, int, int]


def candles(
    entry: MarketEntry, trades: list[Trade], minutes: int, start_ts: int, end_ts: int, now_us: int
) -> list[Candle]:
    """The candles ending in a range; quiet minutes are left out, quiet hours and days are not."""
    oldest_first = trades[::-1]
    volume = sum(trade.count for trade in oldest_first)
    interest = hundredths(entry.field("open_interest_fp") or "0")
    grid = entry.grid
    last = min(entry.closes_us, now_us) // times.SECOND
    moments = [trade.at_us for trade in oldest_first]
    found: list[Candle] = []
    for end in _ends(oldest_first, minutes, entry.opens_us // times.SECOND, last):
        if not start_ts <= end <= end_ts:
            continue
        first = bisect_left(moments, start_of(end, minutes) * times.SECOND + 1)
        beyond = bisect_left(moments, end * times.SECOND + 1)
        before = oldest_first[first - 1].price if first else None
        traded = sum(trade.count for trade in oldest_first[:beyond])
        held = traded * interest // volume if volume else 0
        found.append(_candle(oldest_first[first:beyond], end, before, held, grid))
    return found


def live_row(candle: Candle) -> dict[str, Any]:
    """A candle of the live tier: what nobody traded at is absent."""
    price: dict[str, str] = {}
    if candle.price is not None and candle.mean is not None:
        named = {**_prices(candle.price), "mean": dollars(candle.mean)}
        price = {f"{name}_dollars": named[name] for name in sorted(named)}
    if candle.previous is not None:
        price["previous_dollars"] = dollars(candle.previous)
    return {
        "end_period_ts": candle.end_ts,
        "open_interest_fp": contracts(candle.open_interest),
        "price": price,
        "volume_fp": contracts(candle.volume),
        "yes_ask": {f"{name}_dollars": text for name, text in _prices(candle.ask).items()},
        "yes_bid": {f"{name}_dollars": text for name, text in _prices(candle.bid).items()},
    }


def archived_row(candle: Candle) -> dict[str, Any]:
    """A candle of the historical tier: plain names, and null where nobody traded."""
    names = ("close", "high", "low", "mean", "open", "previous")
    price: dict[str, str | None] = dict.fromkeys(names)
    if candle.price is not None and candle.mean is not None:
        price.update(_prices(candle.price))
        price["mean"] = dollars(candle.mean)
    if candle.previous is not None:
        price["previous"] = dollars(candle.previous)
    return {
        "end_period_ts": candle.end_ts,
        "open_interest": contracts(candle.open_interest),
        "price": price,
        "volume": contracts(candle.volume),
        "yes_ask": _prices(candle.ask),
        "yes_bid": _prices(candle.bid),
    }


def carried(candle: Candle, start_ts: int, minutes: int) -> Candle:
    """The latest candle before a range, carried to the first period's end inside it."""
    close = candle.previous if candle.price is None else candle.price[3]
    still = (candle.bid[3],) * 4, (candle.ask[3],) * 4
    end = end_of(start_ts + 1, minutes)
    return Candle(end, None, None, close, 0, candle.open_interest, *still)


def end_of(ts: int, minutes: int) -> int:
    """The end of the period a second lies in; it belongs to the period it ends."""
    length = minutes * 60
    shift = _eastern(ts) if minutes == 1440 else 0
    return -(-(ts - shift) // length) * length + shift


def start_of(end: int, minutes: int) -> int:
    """Where the period with this end begins."""
    return end_of(end - minutes * 60, minutes)


def _eastern(ts: int) -> int:
    """Seconds from midnight UTC to midnight in New York, where the exchange's days begin."""
    day = times.moment(ts * times.SECOND).date()
    summer = _sunday(day.year, 3, 2) < day <= _sunday(day.year, 11, 1)
    return (4 if summer else 5) * 3600


def _sunday(year: int, month: int, which: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (which - 1))


def _ends(trades: list[Trade], minutes: int, opens: int, last: int) -> Iterable[int]:
    if minutes == 1:
        return sorted({end_of(-(-trade.at_us // times.SECOND), 1) for trade in trades})
    first = min(opens, trades[0].at_us // times.SECOND) if trades else opens
    ends, end = [], end_of(first, minutes)
    while end <= end_of(last, minutes):
        ends.append(end)
        end = end_of(end + 1, minutes)
    return ends


def _candle(
    trades: list[Trade], end: int, previous: int | None, open_interest: int, grid: Grid
) -> Candle:
    volume = sum(trade.count for trade in trades)
    if not trades:
        bid, ask = _around(previous, grid)
        flat = (bid,) * 4, (ask,) * 4
        return Candle(end, None, None, previous, 0, open_interest, *flat)
    prices = [trade.price for trade in trades]
    ohlc = (prices[0], max(prices), min(prices), prices[-1])
    worth = sum(trade.price * trade.count for trade in trades)
    bids, asks = zip(*(_around(price, grid) for price in ohlc), strict=True)
    mean = (worth + volume // 2) // volume
    return Candle(end, ohlc, mean, previous, volume, open_interest, tuple(bids), tuple(asks))


def _around(price: int | None, grid: Grid) -> tuple[int, int]:
    """Bid and ask about a price; nobody quotes where nobody has traded."""
    if price is None:
        return 0, DOLLAR
    bid = snap(grid, price)
    return below(grid, bid), above(grid, bid)


def _prices(ohlc: tuple[int, int, int, int]) -> dict[str, str]:
    first, high, low, last = ohlc
    return {
        "close": dollars(last),
        "high": dollars(high),
        "low": dollars(low),
        "open": dollars(first),
    }
