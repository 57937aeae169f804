"""The historical tier: markets settled before the cutoff, their candles, old trades."""

from kalshi_gateway.simulator import refusals, times, wire
from kalshi_gateway.simulator.calls import Answer, Call
from kalshi_gateway.simulator.entries import MarketEntry
from kalshi_gateway.simulator.selection import Selection

from .markets import listed
from .trading import candle_rows, listed_trades

ARCHIVED = ("archived",)


async def cutoff(call: Call) -> Answer:
    """Where the live tier begins."""
    settled = times.rfc3339(call.exchange.catalogue.cutoff_us)
    body = {
        "market_positions_last_updated_ts": settled,
        "market_settled_ts": settled,
        "orders_updated_ts": times.rfc3339(call.exchange.orders_cutoff_us),
        "trades_created_ts": times.rfc3339(call.exchange.trades_cutoff_us),
    }
    return Answer(wire.encode(body))


async def page(call: Call) -> Answer:
    """One page of archived markets, newest settlement first; filters exclude each other."""
    limit = call.limit(default=100, maximum=1000)
    tickers = call.names("tickers")
    event, series = call.text("event_ticker"), call.text("series_ticker")
    if sum(given is not None for given in (tickers, event, series)) > 1:
        raise refusals.invalid("tickers, event_ticker and series_ticker are mutually exclusive")
    chosen = Selection(
        files=ARCHIVED,
        tickers=None if tickers is None else tuple(tickers),
        event_ticker=event,
        series_ticker=series,
        combos=False if call.choice("mve_filter", ("exclude",)) else None,
    )
    return listed(call, chosen, limit)


async def one(call: Call) -> Answer:
    """One archived market."""
    return Answer(b'{"market":' + _archived(call).bytes() + b"}")


async def candles(call: Call) -> Answer:
    """The candles of an archived market."""
    entry = _archived(call)
    rows = candle_rows(call, entry.ticker, archived=True)
    return Answer(wire.encode({"candlesticks": rows, "ticker": entry.ticker}))


async def trades(call: Call) -> Answer:
    """Public trades older than the cutoff."""
    return listed_trades(call, archived=True)


def _archived(call: Call) -> MarketEntry:
    entry = call.exchange.catalogue.archived(call.path["ticker"])
    if entry is None:
        raise refusals.not_found()
    return entry
