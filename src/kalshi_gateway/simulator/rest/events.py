"""GET /events and its kin."""

from collections.abc import Iterable
from itertools import islice

from kalshi_gateway.simulator import refusals
from kalshi_gateway.simulator.calls import Answer, Call, joined
from kalshi_gateway.simulator.catalogue import Catalogue, event_by_creation
from kalshi_gateway.simulator.entries import EventEntry, MarketEntry
from kalshi_gateway.simulator.shelves import Shelf, cursor, place
from kalshi_gateway.simulator.spoiling import half

from .reference import related

STATUSES = ("unopened", "open", "closed", "settled")


async def page(call: Call) -> Answer:
    """One page of events; combos are never among them."""
    limit = call.limit(default=200, maximum=200)
    status = call.choice("status", STATUSES)
    close_ts, updated_ts = call.integer("min_close_ts"), call.integer("min_updated_ts")
    series, nested = call.text("series_ticker"), call.flag("with_nested_markets")
    catalogue = call.exchange.catalogue

    def wanted(event: EventEntry) -> bool:
        if series is not None and event.series_ticker != series:
            return False
        if updated_ts is not None and event.updated_us <= updated_ts * 1_000_000:
            return False
        # An event matches when any of its markets does.
        if status is not None and not any(m.filed == status for m in event.markets):
            return False
        return close_ts is None or any(m.closes_us > close_ts * 1_000_000 for m in event.markets)

    shelf = _shelf(catalogue, call, combo=0)
    chosen, onward = _cut(
        call, filter(wanted, shelf.after(place(call.text("cursor") or ""))), limit
    )
    rows = [row(catalogue, event, nested=nested) for event in chosen]
    milestones = related(call, chosen) if call.flag("with_milestones") else []
    body = joined(
        "events",
        rows,
        cursor=b'"%s"' % onward.encode(),
        milestones=b"[" + b",".join(milestones) + b"]",
    )
    return Answer(body)


async def multivariate(call: Call) -> Answer:
    """One page of combo events."""
    limit = call.limit(default=100, maximum=200)
    series, collection = call.text("series_ticker"), call.text("collection_ticker")
    if series and collection:
        raise refusals.invalid("collection_ticker cannot be used together with series_ticker")
    nested = call.flag("with_nested_markets")
    catalogue = call.exchange.catalogue

    def wanted(event: EventEntry) -> bool:
        if collection is not None and not any(
            market.field("mve_collection_ticker") == collection for market in event.markets
        ):
            return False
        return series is None or event.series_ticker == series

    shelf = _shelf(catalogue, call, combo=1)
    chosen, onward = _cut(
        call, filter(wanted, shelf.after(place(call.text("cursor") or ""))), limit
    )
    rows = [row(catalogue, event, nested=nested) for event in chosen]
    return Answer(joined("events", rows, cursor=b'"%s"' % onward.encode()))


async def one(call: Call) -> Answer:
    """One event with its markets beside it, inside it, or without them."""
    nested, without = call.flag("with_nested_markets"), call.flag("exclude_markets")
    if nested and without:
        raise refusals.invalid("exclude_markets cannot be combined with with_nested_markets")
    catalogue = call.exchange.catalogue
    event = _find(call)
    # Markets inside the event leave an empty list beside it (measured 2026-10 on production).
    beside = [] if nested or without else [market.bytes() for market in _live(catalogue, event)]
    return Answer(joined("markets", beside, event=row(catalogue, event, nested=nested)))


async def metadata(call: Call) -> Answer:
    """Pictures, sources and competition of an event."""
    event = _find(call)
    known = call.exchange.reference.event_metadata(event)
    if known is None:
        raise refusals.not_found()
    return Answer(known)


def row(catalogue: Catalogue, event: EventEntry, *, nested: bool) -> bytes:
    """An event's row, with its live markets inside when asked for."""
    plain = event.bytes()
    if not nested:
        return plain
    markets = b",".join(market.bytes() for market in _live(catalogue, event))
    return plain[:-1] + b',"markets":[' + markets + b"]}"


def _find(call: Call) -> EventEntry:
    event = call.exchange.catalogue.events.get(call.path["event_ticker"])
    if event is None:
        raise refusals.not_found()
    return event


def _live(catalogue: Catalogue, event: EventEntry) -> list[MarketEntry]:
    return [market for market in event.markets if catalogue.file(market) != "archived"]


def _shelf(catalogue: Catalogue, call: Call, *, combo: int) -> Shelf[EventEntry]:
    tickers = call.names("tickers")
    if tickers is None:
        return catalogue.listed_events[combo]
    known = (catalogue.events.get(ticker) for ticker in dict.fromkeys(tickers))
    return Shelf(event_by_creation, (e for e in known if e is not None and e.combo == combo))


def _cut(call: Call, events: Iterable[EventEntry], limit: int) -> tuple[list[EventEntry], str]:
    """A page of events and the cursor behind it."""
    chosen = list(islice(events, limit + 1))
    more = len(chosen) > limit
    chosen = chosen[:limit]
    if call.halved and len(chosen) > 1:
        chosen, more = chosen[: half(len(chosen))], True
    return chosen, cursor(event_by_creation(chosen[-1])) if more else ""
