"""What the gateway answers is what the exchange itself knows, to the last digit."""

from decimal import Decimal
from typing import Any

import pytest

from kalshi_gateway.simulator.exchange import Exchange
from tests.accounts.users import User, Users
from tests.simulator.moments import Moment

#: The exchange rounds each closing to the microdollar, we only their sum.
ROUNDING = Decimal("0.000001")


@pytest.fixture
def exchange(moment: Moment) -> Exchange:
    """A small exchange whose members trade by themselves, and have a past."""
    exchange = Exchange.generated(120, seed=5, now=moment, members=4)
    exchange.limits.on = False
    return exchange


async def walked(users: Users, user: User, what: str, name: str) -> list[Any]:
    """All rows of a list, page by page."""
    rows: list[Any] = []
    asked: dict[str, Any] = {"limit": 40}
    while True:
        page = await users.get(user, what, params=asked)
        rows += page[name]
        if page["next_cursor"] is None:
            return rows
        asked["cursor"] = page["next_cursor"]


async def lived(users: Users, moment: Moment, minutes: int) -> None:
    """Let the exchange live for so long."""
    for _ in range(minutes * 2):
        moment.move(seconds=30)
        users.exchange.step()


async def checked(users: Users, user: User) -> None:
    """Hold the account against the truth."""
    truth = users.truth(user)
    answer = await users.get(user)
    assert answer["balance"] == Decimal(truth["balance_dollars"])
    assert sum(s["balance"] for s in answer["balance_by_shard"]) == answer["balance"]
    held = {
        row["ticker"]: row
        for row in truth["positions"]
        if not row["settled"] and Decimal(row["position_fp"])
    }
    assert {p["ticker"] for p in answer["positions"]} == set(held)
    for position in answer["positions"]:
        row = held[position["ticker"]]
        sign = 1 if position["side"] == "yes" else -1
        assert sign * position["contracts"] == Decimal(row["position_fp"])
        assert position["cost"] == Decimal(row["market_exposure_dollars"])
        assert position["fees_paid"] == Decimal(row["fees_paid_dollars"])
        assert position["exchange_realized_pnl"] == Decimal(row["realized_pnl_dollars"])
        ours = position["realized_pnl"] - Decimal(row["realized_pnl_dollars"])
        assert abs(ours) <= ROUNDING * 5


async def test_an_hour_of_trading(users: Users, exchange: Exchange, moment: Moment) -> None:
    """After every ten minutes of trading and settlements, and of a whole past before that."""
    members = [
        User(f"user-{n}", member, *exchange.keys.issue("ed25519", member=member))
        for n, member in enumerate(exchange.members)
    ]
    for user in members:
        await users.hand_over(user)
        await checked(users, user)

    for _ in range(6):
        await lived(users, moment, minutes=10)
        for user in members:
            response = await users.client.post(f"{user.path}/account/refresh")
            assert response.status_code == 200, response.text
            await checked(users, user)

    for user in members:
        truth = users.truth(user)
        fills = await walked(users, user, "fills", "fills")
        orders = await walked(users, user, "orders", "orders")
        settlements = await walked(users, user, "settlements", "settlements")
        assert sorted(f["fill_id"] for f in fills) == sorted(f["fill_id"] for f in truth["fills"])
        assert sorted((o["order_id"], o["status"]) for o in orders) == sorted(
            (o["order_id"], o["status"]) for o in truth["orders"]
        )
        live = {s["ticker"] for s in truth["settlements"]}
        assert {s["ticker"] for s in settlements} <= live
        pnl = await users.get(user, "pnl")
        gross = Decimal(truth["realized_pnl_dollars"])
        assert pnl["complete"] is True, (pnl["missing_since"], pnl["reconciliation"])
        assert pnl["totals"]["fees_paid"] == Decimal(truth["fees_paid_dollars"])
        assert abs(pnl["totals"]["realized_gross"] - gross) <= ROUNDING * len(truth["fills"])
        assert pnl["reconciliation"]["adds_up"] is True, pnl["reconciliation"]
        assert pnl["reconciliation"]["cash"]["difference"] == 0
