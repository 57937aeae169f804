"""A member's positions: by market and, added up, by event."""

from collections.abc import Iterable
from itertools import groupby

import msgspec

from kalshi_gateway.simulator import wire
from kalshi_gateway.simulator.calls import Answer, Call
from kalshi_gateway.simulator.catalogue import Catalogue
from kalshi_gateway.simulator.holdings import Holding
from kalshi_gateway.simulator.prices import contracts, six_decimals
from kalshi_gateway.simulator.shelves import Place, place

from .private import member_of, page, shard_of, subaccount_of

STATUSES = ("unsettled", "settled", "all")
COUNTS = ("position", "total_traded")
Group = tuple[str, list[Holding]]


async def positions(call: Call) -> Answer:
    """Positions of the live tier; settled ones are listed event by event."""
    status = call.choice("settlement_status", STATUSES) or "unsettled"
    shard, counted = shard_of(call), call.names("count_filter") or []
    if not set(counted) <= set(COUNTS):
        raise call.unvalidated("count_filter", "oneof")
    chosen = [
        holding
        for holding in _holdings(call, archived=False)
        if status in ("all", "unsettled" if holding.settled_us is None else "settled")
        and shard in (None, holding.shard)
        and (not counted or any(_counts(holding, name) for name in counted))
    ]
    return _answer(call, chosen, STATUSES.index(status))


async def archived_positions(call: Call) -> Answer:
    """Positions of events that have been handed over whole."""
    return _answer(call, _holdings(call, archived=True), len(STATUSES))


def _holdings(call: Call, *, archived: bool) -> list[Holding]:
    """The member's rows in one subaccount and one tier, by event and ticker."""
    ticker, event = call.text("ticker"), call.text("event_ticker")
    subaccount = subaccount_of(call, 0)
    known = member_of(call).holdings.as_of(call.now_us - call.exchange.lag.positions_us)
    catalogue = call.exchange.catalogue
    found = [
        holding
        for (of, _), holding in known.items()
        if of == subaccount
        and ticker in (None, holding.ticker)
        and event in (None, holding.event_ticker)
        and _handed_over(catalogue, holding) is archived
    ]
    return sorted(found, key=lambda holding: (holding.event_ticker, holding.ticker))


def _handed_over(catalogue: Catalogue, holding: Holding) -> bool:
    """Positions go to the historical tier with the last market of their event."""
    if holding.settled_us is None:
        return False
    markets = catalogue.by_event.get(holding.event_ticker, [])
    return all(catalogue.file(market) == "archived" for market in markets)


def _counts(holding: Holding, name: str) -> bool:
    return bool(holding.position if name == "position" else holding.traded)


def _answer(call: Call, holdings: list[Holding], listing: int) -> Answer:
    """One page; a cursor of another listing is as good as none."""
    limit = call.limit(default=100, maximum=1000)
    start = place(call.text("cursor") or "")
    behind = start[1] if start is not None and start[0] == listing else ""
    groups = _groups(holdings, by_event=listing > 0)
    rest = (group for group in groups if group[0] > behind)

    def where(group: Group) -> Place:
        return listing, group[0]

    chosen, onward = page(call, rest, where, limit)
    rows = [holding for _, group in chosen for holding in group]
    events = {holding.event_ticker for holding in rows}
    by_event = groupby(holdings, key=lambda holding: holding.event_ticker)
    body = {
        "cursor": onward,
        "event_positions": [
            event_row(ticker, group) for ticker, group in by_event if ticker in events
        ],
        "market_positions": [_sent(holding) for holding in rows],
    }
    return Answer(wire.encode(body))


def _sent(holding: Holding) -> dict[str, object] | msgspec.Raw:
    return holding.row() if holding.recorded is None else msgspec.Raw(holding.recorded)


def _groups(holdings: list[Holding], *, by_event: bool) -> list[Group]:
    """What a page counts: markets, or whole events."""
    if by_event:
        grouped = groupby(holdings, key=lambda holding: holding.event_ticker)
        return [(ticker, list(group)) for ticker, group in grouped]
    return sorted((holding.ticker, [holding]) for holding in holdings)


def event_row(ticker: str, group: Iterable[Holding]) -> dict[str, object]:
    """An event's row: its markets added up."""
    holdings = list(group)
    shares = sum(holding.bought_yes + holding.bought_no for holding in holdings)
    return {
        "event_exposure_dollars": six_decimals(sum(h.exposure for h in holdings)),
        "event_ticker": ticker,
        "fees_paid_dollars": six_decimals(sum(h.fees for h in holdings)),
        "realized_pnl_dollars": six_decimals(sum(h.realized for h in holdings)),
        "total_cost_dollars": six_decimals(sum(h.traded for h in holdings)),
        "total_cost_shares_fp": contracts(shares),
    }
