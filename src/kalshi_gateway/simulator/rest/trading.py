"""Books, trades and candles of the live tier."""

from itertools import islice
from typing import Any

from kalshi_gateway.simulator import books, candles, refusals, wire
from kalshi_gateway.simulator.calls import Answer, Call, joined
from kalshi_gateway.simulator.shelves import Shelf, cursor, merged, place
from kalshi_gateway.simulator.spoiling import half
from kalshi_gateway.simulator.tape import Trade, newest_first
from kalshi_gateway.simulator.times import LAST_SECOND

MOST_MARKETS = 100
MOST_CANDLES = 10_000


async def orderbook(call: Call) -> Answer:
    """The book of one market."""
    depth = call.integer("depth") or 0
    if depth > 100:
        raise call.unvalidated("depth", "max")
    book = _book(call, call.path["ticker"])
    if book is None:
        raise refusals.not_found()
    return Answer(wire.encode(books.best(book, depth)))


async def orderbooks(call: Call) -> Answer:
    """The books of several markets; the parameter is repeated, a comma is part of a name."""
    tickers = call.query.getlist("tickers")
    if not tickers:
        raise call.unvalidated("tickers", "required")
    if len(tickers) > MOST_MARKETS:
        raise call.unvalidated("tickers", "max")
    found = {ticker: _book(call, ticker) for ticker in tickers}
    rows = [
        wire.encode({**book, "ticker": ticker})
        for ticker, book in found.items()
        if book is not None
    ]
    return Answer(joined("orderbooks", rows))


def _book(call: Call, ticker: str) -> dict[str, Any] | None:
    """A book given or derived; one may have been recorded where its market was not."""
    catalogue = call.exchange.catalogue
    if ticker in catalogue.books and catalogue.archived(ticker) is None:
        return catalogue.books[ticker]
    entry = catalogue.live(ticker)
    return None if entry is None else books.derived(entry, call.exchange.seed)


async def trades(call: Call) -> Answer:
    """Public trades since the cutoff, newest first; unknown markets simply have none."""
    return listed_trades(call, archived=False)


def listed_trades(call: Call, *, archived: bool) -> Answer:
    """A page of trades on one side of the cutoff."""
    limit = call.limit(default=100, maximum=1000)
    ticker, block = call.text("ticker"), call.text("is_block_trade")
    wanted_block = None if block is None else call.flag("is_block_trade")
    first, last = call.integer("min_ts"), call.integer("max_ts")
    exchange = call.exchange

    def wanted(trade: Trade) -> bool:
        if (trade.at_us < exchange.trades_cutoff_us) is not archived:
            return False
        if first is not None and trade.at_us < first * 1_000_000:
            return False
        if last is not None and trade.at_us > last * 1_000_000:
            return False
        return wanted_block in (None, trade.block)

    start = place(call.text("cursor") or "")
    if ticker is None:
        shelves = exchange.tape.shelves(archived=archived)
    else:
        shelves = [Shelf(newest_first, exchange.tape.of(ticker))]
    chosen = list(islice(filter(wanted, merged(shelves, start)), limit + 1))
    more = len(chosen) > limit
    chosen = chosen[:limit]
    if call.halved and len(chosen) > 1:
        chosen, more = chosen[: half(len(chosen))], True
    onward = cursor(newest_first(chosen[-1])) if more else ""
    rows = [trade.row() for trade in chosen]
    return Answer(joined("trades", rows, cursor=b'"%s"' % onward.encode()))


async def market_candles(call: Call) -> Answer:
    """The candles of one market of a series."""
    ticker, catalogue = call.path["ticker"], call.exchange.catalogue
    entry = catalogue.live(ticker)
    if entry is None and (catalogue.archived(ticker) or not catalogue.has_candles(ticker)):
        raise refusals.not_found()
    if entry and catalogue.series_of(entry) not in (None, call.path["series_ticker"]):
        raise refusals.not_found()
    return Answer(wire.encode({"candlesticks": candle_rows(call, ticker), "ticker": ticker}))


async def batch_candles(call: Call) -> Answer:
    """The candles of several markets, comma-separated."""
    tickers = call.names("market_tickers")
    if not tickers:
        raise call.unvalidated("market_tickers", "required")
    if len(tickers) > MOST_MARKETS:
        raise refusals.invalid(f"at most {MOST_MARKETS} market_tickers")
    _range(call)
    live = [call.exchange.catalogue.live(ticker) for ticker in dict.fromkeys(tickers)]
    rows = [
        {"candlesticks": candle_rows(call, entry.ticker), "market_ticker": entry.ticker}
        for entry in live
        if entry is not None
    ]
    if sum(len(row["candlesticks"]) for row in rows) > MOST_CANDLES:
        raise refusals.invalid(f"at most {MOST_CANDLES} candlesticks")
    return Answer(wire.encode({"markets": rows}))


async def event_candles(call: Call) -> Answer:
    """The candles of all markets of an event; a range too long is cut and says where."""
    event = call.exchange.catalogue.events.get(call.path["ticker"])
    if event is None or event.series_ticker != call.path["series_ticker"]:
        raise refusals.not_found()
    start, end, minutes = _range(call)
    live = [entry for entry in event.markets if call.exchange.catalogue.live(entry.ticker)]
    longest = MOST_CANDLES // max(len(live), 1) * minutes * 60
    end = min(end, start + longest)
    rows = [rows_between(call, entry.ticker, minutes, start, end) for entry in live]
    body = {
        "adjusted_end_ts": end,
        "market_candlesticks": rows,
        "market_tickers": [entry.ticker for entry in live],
    }
    return Answer(wire.encode(body))


def candle_rows(call: Call, ticker: str, *, archived: bool = False) -> list[dict[str, Any]]:
    """A market's candles in the range the request names."""
    start, end, minutes = _range(call)
    rows = rows_between(call, ticker, minutes, start, end, archived=archived)
    if not archived and call.flag("include_latest_before_start"):
        first = rows[0]["end_period_ts"] if rows else None
        before = _before(call, ticker, minutes, start)
        # Where something ends at the first boundary already, it carries the price itself.
        rows = [*(row for row in before if row["end_period_ts"] != first), *rows]
    return rows


def rows_between(
    call: Call, ticker: str, minutes: int, start: int, end: int, *, archived: bool = False
) -> list[dict[str, Any]]:
    """Candles ending in a range, recorded or made of trades."""
    given = call.exchange.catalogue.candles.get((ticker, minutes))
    if given is not None:
        return [row for row in given if start <= row["end_period_ts"] <= end]
    as_row = candles.archived_row if archived else candles.live_row
    return [as_row(candle) for candle in _made(call, ticker, minutes, start, end)]


def _before(call: Call, ticker: str, minutes: int, start: int) -> list[dict[str, Any]]:
    made = _made(call, ticker, minutes, 0, start - 1)
    return [candles.live_row(candles.carried(made[-1], start, minutes))] if made else []


def _made(call: Call, ticker: str, minutes: int, start: int, end: int) -> list[candles.Candle]:
    """Candles made of trades; recorded trades are too few to make any."""
    entry = call.exchange.catalogue.markets.get(ticker)
    if entry is None or call.exchange.tape.recorded is not None:
        return []
    traded = call.exchange.tape.of(ticker)
    return candles.candles(entry, traded, minutes, start, end, call.now_us)


def _range(call: Call) -> tuple[int, int, int]:
    start, end = (min(call.required(name), LAST_SECOND) for name in ("start_ts", "end_ts"))
    minutes = call.required("period_interval")
    if minutes not in candles.MINUTES:
        raise call.unvalidated("period_interval", "oneof")
    return start, end, minutes
