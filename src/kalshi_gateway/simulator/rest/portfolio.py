"""A member's fills, orders and settlements, live and archived."""

from collections.abc import Iterator

from kalshi_gateway.simulator import refusals, wire
from kalshi_gateway.simulator.accounts import newest_fill
from kalshi_gateway.simulator.calls import Answer, Call
from kalshi_gateway.simulator.rows import Fill, Order, Settlement
from kalshi_gateway.simulator.shelves import place

from .private import (
    key_of,
    listed,
    member_of,
    moments_of,
    shard_of,
    subaccount_of,
    tickers_of,
)

STATUSES = ("resting", "canceled", "executed")


async def fills(call: Call) -> Answer:
    """Fills since the cutoff, newest first."""
    return _fills(call, archived=False)


async def archived_fills(call: Call) -> Answer:
    """Fills of trades before the cutoff."""
    return _fills(call, archived=True)


def _fills(call: Call, *, archived: bool) -> Answer:
    limit = call.limit(default=100, maximum=1000)
    tickers = tickers_of(call, "ticker", 1 if archived else 100)
    order_id, within = None if archived else call.text("order_id"), moments_of(call)
    subaccount = subaccount_of(call, None)
    shard = None if archived else shard_of(call)
    exchange = call.exchange
    seen_us = call.now_us - exchange.lag.fills_us
    until_us = exchange.trades_cutoff_us + exchange.overlap_us

    def wanted(fill: Fill) -> bool:
        if fill.at_us > seen_us or not within(fill.at_us):
            return False
        if fill.at_us >= until_us if archived else fill.at_us < exchange.trades_cutoff_us:
            return False
        return (
            (tickers is None or fill.ticker in tickers)
            and order_id in (None, fill.order_id)
            and subaccount in (None, fill.subaccount)
            and shard in (None, fill.shard)
        )

    rows = member_of(call).fills.after(place(call.text("cursor") or ""))
    return listed(call, "fills", filter(wanted, rows), newest_fill, sent, limit)


async def orders(call: Call) -> Answer:
    """Resting orders, and those that have ended since the cutoff; newest first."""
    limit = call.limit(default=100, maximum=1000)
    status, events = call.choice("status", STATUSES), tickers_of(call, "event_ticker")
    shard = shard_of(call)
    chosen = (
        order
        for order in _orders(call)
        if _live(call, order)
        and status in (None, order.status)
        and (events is None or order.event_ticker in events)
        and shard in (None, order.shard)
    )
    return listed(call, "orders", chosen, Order.place, sent, limit)


async def archived_orders(call: Call) -> Answer:
    """Orders that ended before the cutoff."""
    limit = call.limit(default=100, maximum=1000)
    until_us = call.exchange.orders_cutoff_us + call.exchange.overlap_us
    chosen = (
        order
        for order in _orders(call)
        if order.status != "resting" and order.updated_us < until_us
    )
    return listed(call, "orders", chosen, Order.place, sent, limit)


async def order(call: Call) -> Answer:
    """One order of the live tier; it may not know yet what has just become of it."""
    key, seen_us = key_of(call), call.now_us - call.exchange.lag.orders_us
    found = key.member.orders.as_of(seen_us).get(call.path["order_id"])
    if found is None or not _live(call, found):
        raise refusals.not_found()
    if key.subaccount not in (None, found.subaccount):
        raise refusals.restricted()
    return Answer(b'{"order":' + sent(found) + b"}")


def _orders(call: Call) -> Iterator[Order]:
    """The member's orders behind the cursor, by what both tiers let one filter by."""
    ticker, within = call.text("ticker"), moments_of(call)
    subaccount, member = subaccount_of(call, None), member_of(call)
    known = member.orders.as_of(call.now_us - call.exchange.lag.orders_us)
    for _, order_id in member.placed.after(place(call.text("cursor") or "")):
        found = known.get(order_id)
        if (
            found is not None
            and within(found.created_us)
            and ticker in (None, found.ticker)
            and subaccount in (None, found.subaccount)
        ):
            yield found


def _live(call: Call, found: Order) -> bool:
    return found.status == "resting" or found.updated_us >= call.exchange.orders_cutoff_us


async def settlements(call: Call) -> Answer:
    """What markets have paid since the cutoff; what is older is nowhere to be had."""
    limit = call.limit(default=100, maximum=1000)
    ticker, event, within = call.text("ticker"), call.text("event_ticker"), moments_of(call)
    subaccount = subaccount_of(call, None)
    seen_us = call.now_us - call.exchange.lag.settlements_us

    def wanted(row: Settlement) -> bool:
        if not call.exchange.catalogue.cutoff_us <= row.at_us <= seen_us:
            return False
        return (
            within(row.at_us)
            and ticker in (None, row.holding.ticker)
            and event in (None, row.holding.event_ticker)
            and subaccount in (None, row.subaccount)
        )

    rows = member_of(call).settlements.after(place(call.text("cursor") or ""))
    chosen = filter(wanted, rows)
    return listed(call, "settlements", chosen, Settlement.place, sent, limit)


def sent(row: Fill | Order | Settlement) -> bytes:
    """A row as sent: as it was recorded, where it was."""
    return row.recorded if row.recorded is not None else wire.encode(row.row())
