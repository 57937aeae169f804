"""A member's money: balances, deposits, withdrawals and transfers of his own."""

from kalshi_gateway.simulator import refusals, wire
from kalshi_gateway.simulator.accounts import SHARDS, Member
from kalshi_gateway.simulator.bank import CENT
from kalshi_gateway.simulator.calls import Answer, Call
from kalshi_gateway.simulator.catalogue import Catalogue
from kalshi_gateway.simulator.holdings import Holding
from kalshi_gateway.simulator.prices import four_decimals, ten_thousandths
from kalshi_gateway.simulator.rows import Payment, Transfer
from kalshi_gateway.simulator.shelves import Shelf, place
from kalshi_gateway.simulator.times import SECOND

from .private import key_of, listed, member_of, shard_of, subaccount_of, whole_member


async def balance(call: Call) -> Answer:
    """Free money and what positions are worth: of all shards, or of one."""
    subaccount, shard = subaccount_of(call, 0), shard_of(call)
    key, seen_us = key_of(call), call.now_us - call.exchange.lag.balance_us
    recorded = key.member.recorded.get(call.operation.name)
    if recorded is not None and not subaccount and shard is None:
        return Answer(recorded)
    cash = key.member.cash.as_of(seen_us)
    held = {index: cash.get((subaccount or 0, index), 0) for index in SHARDS}
    if shard is not None:
        held = {shard: held.get(shard, 0)}
    worth = sum(
        value(call.exchange.catalogue, holding)
        for (of, _), holding in key.member.holdings.as_of(seen_us).items()
        if of == subaccount and shard in (None, holding.shard)
    )
    total = sum(held.values())
    body = {
        "balance": total // CENT,  # truncated
        "balance_breakdown": [
            {"balance": four_decimals(amount), "exchange_index": index}
            for index, amount in held.items()
        ],
        "balance_dollars": four_decimals(total),
        "portfolio_value": worth // CENT,
        "updated_ts": seen_us // SECOND,
    }
    if key.subaccount is not None:
        del body["balance_breakdown"]
    return Answer(wire.encode(body))


def value(catalogue: Catalogue, holding: Holding) -> int:
    """What a position is worth: by its result, else by the last price, else what it cost."""
    entry = catalogue.markets.get(holding.ticker)
    if holding.position == 0 or entry is None:
        return holding.exposure
    settled = entry.field("settlement_value_dollars")
    price = ten_thousandths(settled or entry.field("last_price_dollars") or "0")
    return holding.worth(price) if settled or price else holding.exposure


async def subaccount_balances(call: Call) -> Answer:
    """The money of each subaccount on each shard."""
    key, seen_us = key_of(call), call.now_us - call.exchange.lag.balance_us
    cash = key.member.cash.as_of(seen_us)
    own = range(key.member.subaccounts) if key.subaccount is None else [key.subaccount]
    rows = [
        {
            "balance": four_decimals(cash.get((subaccount, shard), 0)),
            "exchange_index": shard,
            "subaccount_number": subaccount,
            "updated_ts": seen_us // SECOND,
        }
        for subaccount in own
        for shard in SHARDS
    ]
    return Answer(wire.encode({"subaccount_balances": rows}))


async def deposits(call: Call) -> Answer:
    """Deposits, newest first."""
    return _payments(call, "deposits", deposit=True)


async def withdrawals(call: Call) -> Answer:
    """Withdrawals, newest first."""
    return _payments(call, "withdrawals", deposit=False)


def _payments(call: Call, name: str, *, deposit: bool) -> Answer:
    limit = call.limit(default=100, maximum=500)
    payments = whole_member(call).payments.values()
    shelf = Shelf(Payment.place, (row for row in payments if row.deposit is deposit))
    rows = shelf.after(place(call.text("cursor") or ""))
    return listed(call, name, rows, Payment.place, _sent, limit)


async def subaccount_transfers(call: Call) -> Answer:
    """Transfers between subaccounts, newest first."""
    return _transfers(call, whole_member(call), 1000, between_shards=False)


async def shard_transfers(call: Call) -> Answer:
    """Transfers between shards, newest first."""
    return _transfers(call, whole_member(call), 500, between_shards=True)


def _transfers(call: Call, member: Member, maximum: int, *, between_shards: bool) -> Answer:
    limit = call.limit(default=100, maximum=maximum)
    every = member.transfers.after(place(call.text("cursor") or ""))
    rows = (row for row in every if row.between_shards is between_shards)
    return listed(call, "transfers", rows, Transfer.place, _sent, limit)


async def shard_transfer(call: Call) -> Answer:
    """One transfer between shards."""
    for row in whole_member(call).transfers.things:
        if row.transfer_id == call.path["transfer_id"] and row.between_shards:
            return Answer(b'{"transfer":' + _sent(row) + b"}")
    raise refusals.not_found()


async def institutions_only(call: Call) -> Answer:
    """What is not offered to direct members is refused them (demo, 2026-01)."""
    member_of(call)
    raise refusals.permission_denied()


def _sent(row: Payment | Transfer) -> bytes:
    return wire.encode(row.row())
