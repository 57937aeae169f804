"""GET /markets and its kin."""

from kalshi_gateway.simulator import refusals
from kalshi_gateway.simulator.calls import Answer, Call, joined
from kalshi_gateway.simulator.selection import ANY, LIVE, Selection
from kalshi_gateway.simulator.shelves import cursor, place
from kalshi_gateway.simulator.spoiling import half

STATUSES = ("unopened", "open", "paused", "closed", "settled")
# docs.kalshi.com/api-reference/market/get-markets: each family of timestamps with the statuses
# it goes together with.
FAMILIES = {
    "created": ("unopened", "open"),
    "close": ("closed",),
    "settled": ("settled",),
    "updated": (),
}


async def page(call: Call) -> Answer:
    """One page of markets."""
    limit = call.limit(default=100, maximum=1000)
    return listed(call, selection(call), limit)


def listed(call: Call, chosen: Selection, limit: int) -> Answer:
    """The page a selection has behind the request's cursor."""
    start = place(call.text("cursor") or "")
    entries = chosen.page(call.exchange.catalogue, start, limit + 1)
    more = len(entries) > limit
    entries = entries[:limit]
    if call.halved and len(entries) > 1:
        entries, more = entries[: half(len(entries))], True
    onward = cursor(chosen.key(entries[-1])) if more else ""
    rows = [entry.row or entry.bytes() for entry in entries]
    return Answer(joined("markets", rows, cursor=b'"%s"' % onward.encode()))


def selection(call: Call) -> Selection:
    """The filters of a request, if they go together."""
    status = call.choice("status", STATUSES)
    windows = {family: call.window(family) for family in FAMILIES}
    given = [family for family, window in windows.items() if window != ANY]
    mve = call.choice("mve_filter", ("only", "exclude"))
    if len(given) > 1:
        raise refusals.invalid("timestamp filters are mutually exclusive")
    if given and status is not None and status not in FAMILIES[given[0]]:
        raise refusals.invalid(f"{given[0]} timestamps cannot be combined with status {status}")
    if given == ["updated"]:
        _alone(call, mve)
    tickers = call.names("tickers")
    return Selection(
        files=LIVE if status is None else (status,),
        tickers=None if tickers is None else tuple(tickers),
        event_ticker=call.text("event_ticker"),
        series_ticker=call.text("series_ticker"),
        combos=None if mve is None else mve == "only",
        created=windows["created"],
        closes=windows["close"],
        settled=windows["settled"],
        updated=windows["updated"],
    )


def _alone(call: Call, mve: str | None) -> None:
    """Updates may be asked of one series, and of everything but combos."""
    if mve != "exclude" or call.text("tickers") or call.text("event_ticker"):
        raise refusals.invalid("updated timestamps may only be combined with mve_filter=exclude")


async def one(call: Call) -> Answer:
    """One market of the live tier."""
    entry = call.exchange.catalogue.live(call.path["ticker"])
    if entry is None:
        raise refusals.not_found()
    return Answer(b'{"market":' + entry.bytes() + b"}")
