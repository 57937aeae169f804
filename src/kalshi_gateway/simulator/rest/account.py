"""What members ask about their budgets and keys, and what the exchange tells all about costs."""

from kalshi_gateway.simulator import refusals, wire
from kalshi_gateway.simulator.budgets import COSTS, DEFAULT_COST
from kalshi_gateway.simulator.calls import Answer, Call
from kalshi_gateway.simulator.times import SECOND

from .private import member_of, whole_member

PREFIX = "/trade-api/v2"


async def limits(call: Call) -> Answer:
    """The member's budget."""
    member = member_of(call)
    recorded = member.recorded.get(call.operation.name)
    if recorded is not None:
        return Answer(recorded)
    return Answer(wire.encode(call.exchange.limits.describe(member)))


async def api_keys(call: Call) -> Answer:
    """The member's keys, and until when the exchange knows where he is."""
    member = whole_member(call)
    rows = []
    for key in call.exchange.keys.of(member):
        row: dict[str, object] = {"api_key_id": key.key_id, "name": key.name, "scopes": key.scopes}
        if key.subaccount is not None:
            row["subaccount"] = key.subaccount
        rows.append(row)
    body: dict[str, object] = {"api_keys": rows}
    if member.attested_us is not None:
        body["api_key_region_expiration_ts"] = member.attested_us // SECOND
    return Answer(wire.encode(body))


async def endpoint_costs(call: Call) -> Answer:
    """What does not cost the default."""
    recorded = call.exchange.reference.recorded.get(call.operation.name)
    if recorded is not None:
        return Answer(recorded)
    costs = [
        {"cost": cost, "method": method, "path": PREFIX + path}
        for (method, path), cost in sorted(COSTS.items(), key=lambda item: item[0][::-1])
    ]
    return Answer(wire.encode({"default_cost": DEFAULT_COST, "endpoint_costs": costs}))


async def legacy_order(call: Call) -> Answer:
    """Order writes of the first version are gone."""
    raise refusals.legacy_order()


async def unknown(call: Call) -> Answer:
    """Nothing here."""
    raise refusals.not_found()
