"""What members ask about themselves, and what the exchange tells everyone about costs."""

from decimal import Decimal

from kalshi_gateway.simulator import refusals, wire
from kalshi_gateway.simulator.accounts import Account
from kalshi_gateway.simulator.budgets import COSTS, DEFAULT_COST
from kalshi_gateway.simulator.calls import Answer, Call

PREFIX = "/trade-api/v2"


async def limits(call: Call) -> Answer:
    """The member's budget."""
    return Answer(wire.encode(call.exchange.limits.describe(_account(call))))


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


async def balance(call: Call) -> Answer:
    """The member's money: of all shards, or of one."""
    account, index = _account(call), call.integer("exchange_index")
    held = {
        shard: amount
        for shard, amount in sorted(account.balance_ten_thousandths.items())
        if index in (None, shard)
    }
    total = sum(held.values())
    return Answer(
        wire.encode(
            {
                "balance": total // 100,  # cents, truncated
                "balance_breakdown": [
                    {"balance": _dollars(amount), "exchange_index": shard}
                    for shard, amount in held.items()
                ],
                "balance_dollars": _dollars(total),
                "portfolio_value": account.portfolio_value_cents,
                "updated_ts": call.now_us // 1_000_000,
            }
        )
    )


async def legacy_order(call: Call) -> Answer:
    """Order writes of the first version are gone."""
    raise refusals.legacy_order()


async def unknown(call: Call) -> Answer:
    """Nothing here."""
    raise refusals.not_found()


def _dollars(ten_thousandths: int) -> str:
    return str(Decimal(ten_thousandths).scaleb(-4))


def _account(call: Call) -> Account:
    if call.key is None:
        raise refusals.signature_missing()
    return call.key.account
