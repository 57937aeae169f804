"""What the exchange says about itself, and the lists beside its catalogue."""

from collections.abc import Callable, Iterable
from typing import Any

from kalshi_gateway.simulator import refusals, times, wire
from kalshi_gateway.simulator.calls import Answer, Call, joined
from kalshi_gateway.simulator.entries import EventEntry
from kalshi_gateway.simulator.shelves import Shelf, cursor, place
from kalshi_gateway.simulator.spoiling import half

Row = tuple[dict[str, Any], bytes]
DELAY_US = 300_000  # reads lag writes by some hundred milliseconds (demo, 2026-06)


def _given(call: Call, made: Callable[[], dict[str, Any]]) -> Answer:
    """A recorded answer where there is one, else our own."""
    recorded = call.exchange.reference.recorded.get(call.operation.name)
    return Answer(recorded if recorded is not None else wire.encode(made()))


async def status(call: Call) -> Answer:
    """Open or not, per shard; a closed exchange says so with a 503."""
    answer = _given(call, call.exchange.reference.status)
    closed = not call.exchange.reference.shards[0].exchange_active
    return Answer(answer.body, 503 if closed else 200)


async def schedule(call: Call) -> Answer:
    """The opening hours."""
    return _given(call, call.exchange.reference.schedule)


async def user_data_timestamp(call: Call) -> Answer:
    """Up to when members' own data is current."""
    behind = max(DELAY_US, call.exchange.lag.longest_us)
    return _given(call, lambda: {"as_of_time": times.rfc3339(call.now_us - behind)})


async def tags_by_categories(call: Call) -> Answer:
    """Categories and tags."""
    return _given(call, call.exchange.reference.tags_by_categories)


async def filters_by_sport(call: Call) -> Answer:
    """Sports and competitions."""
    return _given(call, call.exchange.reference.filters_by_sport)


async def series_fee_changes(call: Call) -> Answer:
    """Fee changes of series: those to come, or all."""
    series, historical = call.text("series_ticker"), call.flag("show_historical")
    now = times.rfc3339(call.now_us)
    rows = [
        change
        for change in call.exchange.reference.series_fee_changes
        if series in (None, change["series_ticker"])
        and (historical or change["scheduled_ts"] > now)
    ]
    return Answer(wire.encode({"series_fee_change_arr": rows}))


async def event_fee_changes(call: Call) -> Answer:
    """Fee changes of events."""
    event = call.text("event_ticker")
    rows = [
        (change, wire.encode(change))
        for change in call.exchange.reference.event_fee_changes
        if event in (None, change["event_ticker"])
    ]
    return paged(call, "event_fee_changes", rows, "id", call.limit(default=100, maximum=1000))


async def milestones(call: Call) -> Answer:
    """One page of milestones; their limit has no default."""
    call.required("limit")
    limit = call.limit(default=100, maximum=500)
    wanted = {
        "category": call.text("category"),
        "type": call.text("type"),
        "source_id": call.text("source_id"),
    }
    related_to, updated = call.text("related_event_ticker"), call.integer("min_updated_ts")
    competition, starts = call.text("competition"), call.moment("minimum_start_date")
    rows = [
        (row, raw)
        for row, raw in call.exchange.reference.known_milestones()
        if all(value is None or row.get(name) == value for name, value in wanted.items())
        and (related_to is None or related_to in row["related_event_tickers"])
        and (updated is None or times.parse(row["last_updated_ts"]) > updated * 1_000_000)
        and (competition is None or row["details"].get("league") == competition)
        and (starts is None or times.parse(row["start_date"]) >= starts)
    ]
    return paged(call, "milestones", rows, "id", limit)


async def milestone(call: Call) -> Answer:
    """One milestone."""
    for row, raw in call.exchange.reference.known_milestones():
        if row["id"] == call.path["milestone_id"]:
            return Answer(b'{"milestone":' + raw + b"}")
    raise refusals.not_found()


async def collections(call: Call) -> Answer:
    """One page of the collections combos are made in."""
    limit = call.limit(default=100, maximum=200)
    status = call.choice("status", ("unopened", "open", "closed"))
    series, event = call.text("series_ticker"), call.text("associated_event_ticker")
    rows = [
        (row, raw)
        for row, raw in call.exchange.reference.known_collections()
        if series in (None, row["series_ticker"])
        and (event is None or event in row["associated_event_tickers"])
        and status in (None, _status(row, call.now_us))
    ]
    return paged(call, "multivariate_contracts", rows, "collection_ticker", limit)


async def collection(call: Call) -> Answer:
    """One collection."""
    for row, raw in call.exchange.reference.known_collections():
        if row["collection_ticker"] == call.path["collection_ticker"]:
            return Answer(b'{"multivariate_contract":' + raw + b"}")
    raise refusals.not_found()


def _status(row: dict[str, Any], now_us: int) -> str:
    if now_us < times.parse(row["open_date"]):
        return "unopened"
    return "open" if now_us < times.parse(row["close_date"]) else "closed"


def related(call: Call, events: Iterable[EventEntry]) -> list[bytes]:
    """The milestones of some events."""
    wanted = {event.ticker for event in events}
    known = call.exchange.reference.known_milestones()
    return [raw for row, raw in known if wanted & set(row["related_event_tickers"])]


def paged(call: Call, name: str, rows: list[Row], key: str, limit: int) -> Answer:
    """A page of rows ordered by one of their fields."""
    shelf = Shelf(lambda row: (0, str(row[0][key])), rows)
    chosen = shelf.run(place(call.text("cursor") or ""), limit + 1)
    more = len(chosen) > limit
    chosen = chosen[:limit]
    if call.halved and len(chosen) > 1:
        chosen, more = chosen[: half(len(chosen))], True
    onward = cursor(shelf.key(chosen[-1])) if more else ""
    return Answer(joined(name, [raw for _, raw in chosen], cursor=b'"%s"' % onward.encode()))
