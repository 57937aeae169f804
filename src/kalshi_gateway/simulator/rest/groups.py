"""Order groups, as members make, read and change them."""

from typing import Any

import msgspec

from kalshi_gateway.simulator import refusals, wire
from kalshi_gateway.simulator.accounts import SHARDS
from kalshi_gateway.simulator.bank import known
from kalshi_gateway.simulator.calls import Answer, Call
from kalshi_gateway.simulator.groups import MOST_CONTRACTS, Group
from kalshi_gateway.simulator.prices import contracts

from .orders import read_body, subaccount_in_body
from .private import member_of, refuse_paused, shard_of, subaccount_of


class CreateOrderGroupRequest(msgspec.Struct, kw_only=True):
    """A new group."""

    subaccount: int | None = None
    contracts_limit: int | None = None
    contracts_limit_fp: str | None = None
    exchange_index: int = 0


class UpdateOrderGroupLimitRequest(msgspec.Struct, kw_only=True):
    """Another limit."""

    contracts_limit: int | None = None
    contracts_limit_fp: str | None = None


async def create(call: Call) -> Answer:
    """A new group, on the first shard unless another is named."""
    asked = read_body(call.body or b"{}", CreateOrderGroupRequest)
    member, subaccount = member_of(call), subaccount_in_body(call, asked.subaccount)
    known(member, subaccount)
    if asked.exchange_index not in SHARDS:
        raise refusals.invalid("no such exchange_index")
    limit = _limit(call, asked)
    refuse_paused(call, asked.exchange_index)
    group = call.exchange.groups.create(member, subaccount, asked.exchange_index, limit)
    body = {
        "exchange_index": group.shard,
        "order_group_id": group.group_id,
        "subaccount": group.subaccount,
    }
    return Answer(wire.encode(body), 201)


async def page(call: Call) -> Answer:
    """All of a member's groups."""
    found = call.exchange.groups.of(member_of(call), subaccount_of(call, None))
    return Answer(wire.encode({"order_groups": [{"id": g.group_id, **_row(g)} for g in found]}))


async def one(call: Call) -> Answer:
    """A group, and what rests of it."""
    group = _sought(call, None)
    orders = [order.order_id for order in call.exchange.groups.orders(group)]
    return Answer(wire.encode({**_row(group), "orders": orders}))


async def delete(call: Call) -> Answer:
    """A group and its orders are gone."""
    call.exchange.groups.delete(_to_change(call))
    return Answer(b"{}")


async def reset(call: Call) -> Answer:
    """A group takes orders again."""
    call.exchange.groups.reset(_to_change(call))
    return Answer(b"{}")


async def trigger(call: Call) -> Answer:
    """A group's orders are taken down."""
    call.exchange.groups.trigger(_to_change(call))
    return Answer(b"{}")


async def limit(call: Call) -> Answer:
    """A group has another limit."""
    wanted = _limit(call, read_body(call.body, UpdateOrderGroupLimitRequest))
    if wanted is None:
        raise refusals.invalid("contracts_limit is required")
    call.exchange.groups.set_limit(_to_change(call), wanted, call.now_us)
    return Answer(b"{}")


def _sought(call: Call, default: int | None) -> Group:
    """The group of the path, looked for on the shard that is named, if one is."""
    subaccount = subaccount_of(call, default)
    group = call.exchange.groups.find(member_of(call), call.path["order_group_id"], subaccount)
    if shard_of(call) not in (None, group.shard):
        raise refusals.not_found()
    return group


def _to_change(call: Call) -> Group:
    """The group of the path, where its shard is not paused."""
    group = _sought(call, 0)
    refuse_paused(call, group.shard)
    return group


def _limit(call: Call, asked: CreateOrderGroupRequest | UpdateOrderGroupLimitRequest) -> int | None:
    """The limit in hundredths, said as a number, as a text, or as both alike."""
    given = set()
    if asked.contracts_limit is not None:
        given.add(asked.contracts_limit * 100)
    if asked.contracts_limit_fp is not None:
        given.add(call.exchange.matching.count(asked.contracts_limit_fp))
    if len(given) > 1 or any(not 0 < one <= MOST_CONTRACTS * 100 for one in given):
        raise refusals.invalid("contracts_limit")
    return given.pop() if given else None


def _row(group: Group) -> dict[str, Any]:
    """What is said of a group; false was recorded of one that took orders (demo, 2026-01)."""
    row: dict[str, Any] = {
        "exchange_index": group.shard,
        "is_auto_cancel_enabled": group.triggered,
    }
    if group.limit is not None:
        row["contracts_limit_fp"] = contracts(group.limit)
    return row
