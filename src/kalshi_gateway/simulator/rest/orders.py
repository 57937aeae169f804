"""Orders of the second version as members write them: one book, in YES, with texts for numbers."""

import re
from typing import Any, Literal, TypeVar

import msgspec

from kalshi_gateway.simulator import refusals, wire
from kalshi_gateway.simulator.accounts import Member
from kalshi_gateway.simulator.bank import known
from kalshi_gateway.simulator.calls import Answer, Call
from kalshi_gateway.simulator.entries import MarketEntry
from kalshi_gateway.simulator.ledger import BookSide, shard_of
from kalshi_gateway.simulator.matching import Taken
from kalshi_gateway.simulator.prices import contracts, dollars
from kalshi_gateway.simulator.refusals import Refused
from kalshi_gateway.simulator.rows import Fill, Order
from kalshi_gateway.simulator.times import LAST_SECOND, SECOND

from .private import allowed_subaccount, member_of, refuse_paused, subaccount_of, tickers_of

TimeInForce = Literal["fill_or_kill", "good_till_canceled", "immediate_or_cancel"]
SelfTradePrevention = Literal["taker_at_cross", "maker"]
#: What the exchange's decoder calls what ours has found.
GO_KINDS = {"int": "number", "float": "number", "str": "string"}
#: Wherever the market's ticker leads.
BY_TICKER = -1

T = TypeVar("T")


class CreateOrderV2Request(msgspec.Struct, kw_only=True):
    """A new order."""

    ticker: str
    side: BookSide
    count: str
    price: str
    time_in_force: TimeInForce
    self_trade_prevention_type: SelfTradePrevention
    client_order_id: str | None = None
    expiration_time: int | None = None
    post_only: bool = False
    reduce_only: bool = False
    cancel_order_on_pause: bool = False
    subaccount: int | None = None
    order_group_id: str | None = None
    exchange_index: int | None = None


class AmendOrderV2Request(msgspec.Struct, kw_only=True):
    """Another price, and how much may be filled in all."""

    ticker: str
    side: BookSide
    price: str
    count: str
    client_order_id: str | None = None
    updated_client_order_id: str | None = None
    expiration_time: int | None = None
    exchange_index: int | None = None


class DecreaseOrderV2Request(msgspec.Struct, kw_only=True):
    """How much less, or how much is to be left."""

    reduce_by: str | None = None
    reduce_to: str | None = None
    exchange_index: int | None = None
    market_ticker: str | None = None


class Cancelled(msgspec.Struct, kw_only=True):
    """One order of a batch to be taken down."""

    order_id: str
    subaccount: int | None = None
    exchange_index: int | None = None
    market_ticker: str | None = None


class Batch(msgspec.Struct):
    """Several orders, each by itself."""

    orders: list[msgspec.Raw]


async def create(call: Call) -> Answer:
    """A new order, taken, put into the book, or refused."""
    return Answer(wire.encode(_created(call, read_body(call.body, CreateOrderV2Request))), 201)


async def create_batch(call: Call) -> Answer:
    """Several new orders; one refused does not stand in the others' way."""
    rows = []
    for raw in read_body(call.body, Batch).orders:
        try:
            rows.append(_created(call, read_body(raw, CreateOrderV2Request)))
        except Refused as refused:
            rows.append(_named(raw, "client_order_id") | {"error": _flat(refused)})
    return Answer(wire.encode({"orders": rows}), 201)


async def cancel(call: Call) -> Answer:
    """What is left of an order is taken down; it is looked for on one shard."""
    order = _sought(
        call,
        call.path["order_id"],
        subaccount_of(call, 0),
        call.integer("exchange_index"),
        call.text("market_ticker"),
    )
    return Answer(wire.encode(_taken_down(call, order)))


async def cancel_batch(call: Call) -> Answer:
    """Several orders are taken down, each on its own shard."""
    rows = []
    for raw in read_body(call.body, Batch).orders:
        try:
            asked = read_body(raw, Cancelled)
            order = _sought(
                call,
                asked.order_id,
                subaccount_in_body(call, asked.subaccount),
                asked.exchange_index,
                asked.market_ticker,
            )
            rows.append(_taken_down(call, order))
        except Refused as refused:
            failed = {"reduced_by": contracts(0), "error": _flat(refused)}
            rows.append(_named(raw, "order_id") | failed)
    return Answer(wire.encode({"orders": rows}))


async def cancel_all(call: Call) -> Answer:
    """All that rests, on all shards; of all subaccounts unless one is named."""
    member, subaccount = member_of(call), subaccount_of(call, None)
    refuse_paused(call, *call.exchange.reference.shards)
    call.exchange.matching.cancel_all(member, subaccount, call.now_us)
    return Answer(b"", 204)


async def amend(call: Call) -> Answer:
    """Another price or size; the place in the queue is kept only by what shrinks."""
    member, asked = member_of(call), read_body(call.body, AmendOrderV2Request)
    matching = call.exchange.matching
    entry = _market(call, asked.ticker, asked.exchange_index)
    _trades(call, shard_of(entry))
    order = member.orders.now.get(call.path["order_id"])
    if order is None or order.status != "resting" or order.subaccount != subaccount_of(call, 0):
        raise refusals.not_found()
    if order.ticker != asked.ticker:
        raise refusals.enveloped(400, "order_ticker_mismatch")
    if order.bid is not (asked.side == "bid"):
        raise refusals.enveloped(400, "order_side_mismatch")
    if asked.client_order_id not in (None, order.client_order_id):
        raise refusals.enveloped(400, "order_id_and_client_order_id_mismatch")
    _unused(member, asked.updated_client_order_id)
    price, count = matching.price(entry, asked.price), matching.count(asked.count)
    remaining = count - order.filled
    if remaining <= 0:
        raise refusals.enveloped(400, "invalid_order_size")
    after = msgspec.structs.replace(
        order,
        price=price,
        remaining=remaining,
        initial=count,
        client_order_id=asked.updated_client_order_id or order.client_order_id,
        expires_us=_expires_us(call, asked.expiration_time, order.expires_us),
        updated_us=call.now_us,
        reason="Amend",
        recorded=None,
    )
    matching.afford(member, after)
    shrinks = price == order.price and remaining <= order.remaining
    call.exchange.ledger.change(member, after, keeps_its_place=shrinks)
    taken = Taken(after, []) if shrinks else matching.place(member, entry, after, rests=True)
    told = _told(taken, call.now_us)
    if taken.order.remaining == order.remaining and not taken.fills:
        # Counts are told only where one of them has changed.
        del told["fill_count"], told["remaining_count"]
    return Answer(wire.encode(told))


async def decrease(call: Call) -> Answer:
    """Less of an order; none of it left is an order taken down."""
    asked = read_body(call.body, DecreaseOrderV2Request)
    if (asked.reduce_by is None) is (asked.reduce_to is None):
        raise refusals.invalid("either reduce_by or reduce_to")
    order = _sought(
        call,
        call.path["order_id"],
        subaccount_of(call, 0),
        asked.exchange_index,
        asked.market_ticker,
    )
    _trades(call, order.shard)
    member, matching = member_of(call), call.exchange.matching
    if asked.reduce_by is not None:
        left = max(0, order.remaining - matching.count(asked.reduce_by))
    elif re.fullmatch(r"0+(\.0{1,2})?", asked.reduce_to or ""):
        left = 0
    else:
        left = min(order.remaining, matching.count(asked.reduce_to or ""))
    if left:
        less = msgspec.structs.replace(
            order, remaining=left, updated_us=call.now_us, reason="Decrease", recorded=None
        )
        call.exchange.ledger.change(member, less, keeps_its_place=True)
    else:
        call.exchange.ledger.cancel(member, order.order_id, "Decrease")
    return Answer(
        wire.encode(
            {
                "client_order_id": order.client_order_id,
                "order_id": order.order_id,
                "remaining_count": contracts(left),
                "ts_ms": call.now_us // 1_000,
            }
        )
    )


async def queue_position(call: Call) -> Answer:
    """How many contracts come before an order's own."""
    order = member_of(call).orders.now.get(call.path["order_id"])
    if order is None or order.status != "resting":
        raise refusals.not_found()
    ahead = call.exchange.matching.ahead(order)
    return Answer(wire.encode({"queue_position_fp": contracts(ahead)}))


async def queue_positions(call: Call) -> Answer:
    """The same of all that rests, in some markets or in all."""
    subaccount, tickers = subaccount_of(call, 0), tickers_of(call, "market_tickers")
    event = call.text("event_ticker")
    rows = [
        {
            "market_ticker": order.ticker,
            "order_id": order.order_id,
            "queue_position_fp": contracts(call.exchange.matching.ahead(order)),
        }
        for order in member_of(call).orders.now.values()
        if order.status == "resting"
        and order.subaccount == subaccount
        and (tickers is None or order.ticker in tickers)
        and event in (None, order.event_ticker)
    ]
    return Answer(wire.encode({"queue_positions": rows}))


def items(body: bytes) -> int:
    """How many orders a batch is of; what cannot be read is refused later, for the price of one."""
    try:
        return max(1, len(msgspec.json.decode(body, type=Batch).orders))
    except msgspec.DecodeError:
        return 1


def _created(call: Call, asked: CreateOrderV2Request) -> dict[str, Any]:
    member, matching = member_of(call), call.exchange.matching
    subaccount = subaccount_in_body(call, asked.subaccount)
    known(member, subaccount)
    entry = _market(call, asked.ticker, asked.exchange_index)
    _trades(call, shard_of(entry))
    price, count = matching.price(entry, asked.price), matching.count(asked.count)
    rests = asked.time_in_force == "good_till_canceled"
    if asked.expiration_time is not None and not rests:
        raise refusals.invalid("expiration_time goes with good_till_canceled")
    if asked.reduce_only and asked.time_in_force != "immediate_or_cancel":
        raise refusals.enveloped(400, "invalid_order", details="reduce only needs IOC")
    _unused(member, asked.client_order_id)
    if asked.order_group_id is not None:
        call.exchange.groups.check(member, asked.order_group_id, subaccount, shard_of(entry))
    if asked.reduce_only:
        holding = member.holdings.now.get((subaccount, entry.ticker))
        bid = asked.side == "bid"
        count = 0 if holding is None else holding.closing(bid=bid, count=count)
        if not count:
            raise refusals.enveloped(400, "invalid_order", details="nothing to reduce")
    order = call.exchange.ledger.order(
        member,
        entry,
        asked.side,
        price,
        count,
        subaccount=subaccount,
        client_order_id=asked.client_order_id,
        expires_us=_expires_us(call, asked.expiration_time, None),
        self_trade_prevention=asked.self_trade_prevention_type,
        order_group_id=asked.order_group_id,
        cancel_on_pause=asked.cancel_order_on_pause,
        at_us=call.now_us,
    )
    matching.afford(member, order)
    available = matching.available(member, entry, asked.side, price)
    if asked.post_only and matching.crosses(entry, asked.side, price):
        if not matching.post_only_cancels:
            raise refusals.enveloped(400, "invalid_order", details="post only cross")
        call.exchange.ledger.rest(member, order)
        ended = call.exchange.ledger.cancel(member, order.order_id, "PostOnlyCrossCancel")
        return _told(Taken(ended, []), call.now_us)
    if asked.time_in_force == "fill_or_kill" and available < count:
        raise refusals.enveloped(400, "fill_or_kill_insufficient_resting_volume")
    return _told(matching.place(member, entry, order, rests=rests), call.now_us)


def _told(taken: Taken, now_us: int) -> dict[str, Any]:
    """What a create or an amend answers; averages only of what was filled by it."""
    order, fills = taken
    row: dict[str, Any] = {
        "client_order_id": order.client_order_id,
        "fill_count": contracts(sum(fill.count for fill in fills)),
        "order_id": order.order_id,
        "remaining_count": contracts(order.remaining),
        "ts_ms": now_us // 1_000,
    }
    if fills:
        row["average_fill_price"] = dollars(
            _average([fill.price * fill.count for fill in fills], fills)
        )
        # Fees are millionths for counts of hundredths: a hundredth of one is what prices are in.
        row["average_fee_paid"] = dollars(_average([fill.fee for fill in fills], fills))
    return row


def _average(amounts: list[int], fills: list[Fill]) -> int:
    count = sum(fill.count for fill in fills)
    return (2 * sum(amounts) + count) // (2 * count)


def _market(call: Call, ticker: str, shard: int | None) -> MarketEntry:
    """The market, on the shard that was named, if one was."""
    entry = call.exchange.matching.market(ticker)
    if shard not in (None, BY_TICKER, shard_of(entry)):
        raise refusals.enveloped(404, "market_not_found")
    return entry


def _sought(
    call: Call, order_id: str, subaccount: int | None, shard: int | None, ticker: str | None
) -> Order:
    """A resting order, looked for where it was said to be: without a word on the first shard.

    Cancelled, executed and unknown orders are all the same 404 (demo, 2026-06); from a market's
    close on nothing can be done about any of its orders
    (docs.kalshi.com/getting_started/market_lifecycle, 2026-06-01).
    """
    if shard == BY_TICKER and ticker is None:
        raise refusals.invalid("exchange_index -1 goes with a market_ticker")
    if shard in (None, BY_TICKER):
        entry = None if ticker is None else call.exchange.catalogue.live(ticker)
        if ticker is not None and entry is None:
            raise refusals.enveloped(404, "market_not_found")
        shard = 0 if entry is None else shard_of(entry)
    order = member_of(call).orders.now.get(order_id)
    if order is None or (order.shard, order.subaccount) != (shard, subaccount):
        raise refusals.not_found()
    entry = call.exchange.catalogue.markets.get(order.ticker)
    if entry is not None and call.exchange.matching.is_over(entry):
        raise refusals.enveloped(400, "MARKET_INACTIVE")
    if order.status != "resting":
        raise refusals.not_found()
    refuse_paused(call, order.shard)
    return order


def _taken_down(call: Call, order: Order) -> dict[str, Any]:
    call.exchange.ledger.cancel(member_of(call), order.order_id)
    return {
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
        "reduced_by": contracts(order.remaining),
        "ts_ms": call.now_us // 1_000,
    }


def _trades(call: Call, index: int) -> None:
    """Refuse while the shard is paused; cancels pass while only trading is."""
    refuse_paused(call, index)
    shard = call.exchange.reference.shards.get(index)
    if shard is not None and not shard.trading_active:
        raise refusals.enveloped(409, "trading_is_paused")


def _unused(member: Member, client_order_id: str | None) -> None:
    if client_order_id is not None and client_order_id in member.client_order_ids:
        raise refusals.enveloped(409, "order_already_exists")


def subaccount_in_body(call: Call, asked: int | None) -> int:
    """The subaccount that a body names, else the key's, else the primary one."""
    return allowed_subaccount(call, asked, 0) or 0


def _expires_us(call: Call, seconds: int | None, before: int | None) -> int | None:
    """When an order ends: absent keeps what was, 0 is never, else it lies ahead."""
    if seconds is None:
        return before
    if seconds == 0:
        return None
    if not call.now_us < seconds * SECOND <= LAST_SECOND * SECOND:
        raise refusals.invalid("expiration_time is not ahead")
    return seconds * SECOND


def read_body(body: bytes | msgspec.Raw, shape: type[T]) -> T:
    """A body of this shape, refused in the words of the exchange's decoder."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise _unread(str(error), shape.__name__) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise refusals.flat(400, "bad_request", "invalid JSON") from None


def _unread(error: str, shape: str) -> Refused:
    typed = re.search(r"Expected `(\w+).*`, got `(\w+)` - at `\$\.(\w+)`", error)
    whole = re.fullmatch(r"Expected `object`, got `(\w+)`", error)
    if whole is not None:
        got = GO_KINDS.get(whole[1], whole[1])
        told = f"json: cannot unmarshal {got} into Go value of type {shape}"
        return refusals.flat(400, "bad_request", told)
    if typed is None:
        missing = re.search(r"missing required field `(\w+)`", error)
        field = missing[1] if missing else "body"
        return refusals.invalid(f"{field} is required" if missing else "not one of its values")
    wanted = {"str": "string", "int": "int64", "bool": "bool"}.get(typed[1], typed[1])
    got = GO_KINDS.get(typed[2], typed[2])
    return refusals.flat(
        400,
        "bad_request",
        f"json: cannot unmarshal {got} into Go struct field {shape}.{typed[3]} of type {wanted}",
    )


def _flat(refused: Refused) -> dict[str, Any]:
    """A refusal inside a batch's answer, where it has no envelope."""
    said: dict[str, Any] = msgspec.json.decode(refused.body)
    inner = said.get("error", said)
    return inner if isinstance(inner, dict) else {"code": "bad_request", "message": str(inner)}


def _named(raw: msgspec.Raw, field: str) -> dict[str, Any]:
    """By what an item of a batch was called, if it was."""
    try:
        said = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return {}
    return {field: said[field]} if isinstance(said, dict) and field in said else {}
