"""Who may see what, and when: lag, archive, subaccounts, scopes, the balance bucket."""

import httpx

from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.times import DAY

from .asking import Signed
from .members import a_market, a_member, asked, signed
from .moments import Moment

A = "KXCALM-26-A"


async def test_reads_lag_behind_writes(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """Each kind as far as it is told to; then the exchange says how far it is current."""
    a_market(exchange, fee_multiplier=0)
    ada, desk = a_member(exchange), exchange.desk
    auth = signed(ada, moment)
    resting = desk.rest(ada.member, A, "bid", "0.2000", "1")
    moment.move(seconds=10)
    exchange.lag.set(500)
    exchange.lag.set(200, "fills")

    desk.trade(ada.member, A, "bid", "0.5000", "2")
    exchange.ledger.cancel(ada.member, resting.order_id)

    async def seen() -> tuple[str, int, str, int]:
        balance = await asked(client, "/portfolio/balance", auth)
        positions = await asked(client, "/portfolio/positions", auth)
        one = await asked(client, f"/portfolio/orders/{resting.order_id}", auth)
        fills = await asked(client, "/portfolio/fills", auth)
        return (
            balance["balance_dollars"],
            len(positions["market_positions"]),
            one["order"]["status"],
            len(fills["fills"]),
        )

    assert await seen() == ("100.0000", 0, "resting", 0)
    current = (await client.get("/exchange/user_data_timestamp")).json()
    assert current == {"as_of_time": "2026-11-20T15:30:09.5Z"}
    moment.move(milliseconds=200)
    assert await seen() == ("100.0000", 0, "resting", 1)
    moment.move(milliseconds=300)
    assert await seen() == ("99.0000", 1, "canceled", 1)


async def test_lag_shows_the_state_between_two_changes(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """Not only before and after all of them."""
    a_market(exchange, fee_multiplier=0)
    ada = a_member(exchange)
    exchange.lag.set(1_000)
    seen = []

    for _ in range(4):
        exchange.desk.trade(ada.member, A, "bid", "0.5000", "2")
        moment.move(milliseconds=500)
        body = await asked(client, "/portfolio/positions", signed(ada, moment))
        seen.append([row["position_fp"] for row in body["market_positions"]])

    assert seen == [[], ["2.00"], ["4.00"], ["6.00"]]


async def test_what_is_old_moves_to_the_historical_tier(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """Fills and orders change places; a settlement row is gone; the position moves with the event.

    What rests stays live, however old it is.
    """
    a_market(exchange)
    a_market(exchange, "KXCALM-26-B")
    ada = a_member(exchange)
    auth = signed(ada, moment)
    exchange.desk.trade(ada.member, A, "bid", "0.5000", "2")
    resting = exchange.desk.rest(ada.member, "KXCALM-26-B", "bid", "0.1000", "1")
    exchange.desk.settle(A, "yes")
    moment.move(hours=1)

    async def count(path: str, name: str, **params: str) -> int:
        return len((await asked(client, path, auth, **params))[name])

    async def counts() -> dict[str, int]:
        return {
            "fills": await count("/portfolio/fills", "fills"),
            "old fills": await count("/historical/fills", "fills"),
            "orders": await count("/portfolio/orders", "orders"),
            "old orders": await count("/historical/orders", "orders"),
            "settlements": await count("/portfolio/settlements", "settlements"),
            "positions": await count(
                "/portfolio/positions", "market_positions", settlement_status="all"
            ),
            "old positions": await count("/historical/positions", "market_positions"),
        }

    before = await counts()
    exchange.archive(exchange.clock.micros() - 1)
    after = await counts()
    exchange.ledger.cancel(ada.member, resting.order_id)
    exchange.desk.settle("KXCALM-26-B", "no")
    moment.move(hours=1)
    exchange.archive(exchange.clock.micros() - 1)
    at_last = await counts()

    names = list(before)
    assert [before[name] for name in names] == [1, 0, 2, 0, 1, 1, 0]
    assert [after[name] for name in names] == [0, 1, 1, 1, 0, 1, 0]
    assert [at_last[name] for name in names] == [0, 1, 0, 2, 0, 0, 1]


async def test_near_the_cutoff_both_tiers_may_answer(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """Clients have to merge by id."""
    a_market(exchange)
    ada = a_member(exchange)
    exchange.desk.trade(ada.member, A, "bid", "0.5000", "2")
    exchange.archive(exchange.clock.micros())
    exchange.overlap_us = DAY

    live = await asked(client, "/portfolio/fills", signed(ada, moment))
    archived = await asked(client, "/historical/fills", signed(ada, moment))

    assert live["fills"] == archived["fills"] != []


async def test_money_is_kept_per_shard(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """A rich member can have nothing where it counts; the balance adds all shards up."""
    a_market(exchange, "KXTALL-26-A", exchange_index=2, fee_multiplier=0)
    ada = a_member(exchange)
    auth = signed(ada, moment)
    desk = f"http://exchange/_simulator/members/{ada.member.user_id}/trades"
    body = {"ticker": "KXTALL-26-A", "side": "bid", "price": "0.5000", "count": "2"}

    poor = await client.post(desk, json=body)
    exchange.ledger.bank.transfer(ada.member, 40_018_600, to_shard=2)
    rich = await client.post(desk, json=body)

    assert poor.json()["error"]["code"] == "insufficient_balance"
    assert rich.json()["exchange_index"] == 2
    whole = await asked(client, "/portfolio/balance", auth)
    assert whole["balance_dollars"] == "99.0000"
    assert whole["portfolio_value"] == 100
    assert [row["balance"] for row in whole["balance_breakdown"]] == [
        "59.9814",
        "0.0000",
        "39.0186",
        "0.0000",
    ]
    one = await asked(client, "/portfolio/balance", auth, exchange_index=2)
    assert (one["balance"], one["portfolio_value"]) == (3901, 100)
    none = await asked(client, "/portfolio/positions", auth, exchange_index=0)
    assert none["market_positions"] == []


async def test_what_an_omitted_subaccount_means_differs(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """All of them for fills, orders and settlements; the primary for positions and balance."""
    a_market(exchange)
    ada = a_member(exchange)
    auth = signed(ada, moment)
    bank = exchange.ledger.bank
    other = bank.open_subaccount(ada.member)
    bank.transfer(ada.member, 50_000_000, to_subaccount=other)
    exchange.desk.trade(ada.member, A, "bid", "0.5000", "2", subaccount=other)

    async def count(path: str, name: str, **params: int) -> int:
        return len((await asked(client, path, auth, **params))[name])

    assert await count("/portfolio/fills", "fills") == 1
    assert await count("/portfolio/fills", "fills", subaccount=0) == 0
    assert await count("/portfolio/orders", "orders") == 1
    assert await count("/portfolio/positions", "market_positions") == 0
    assert await count("/portfolio/positions", "market_positions", subaccount=1) == 1
    assert (await asked(client, "/portfolio/balance", auth))["balance_dollars"] == "50.0000"
    exchange.desk.settle(A, "yes")
    assert await count("/portfolio/settlements", "settlements") == 1
    assert await count("/portfolio/settlements", "settlements", subaccount=0) == 0


async def test_a_key_of_one_subaccount_sees_no_other(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """Nor what is the whole member's; its balance comes without a breakdown."""
    ada = a_member(exchange)
    other = exchange.ledger.bank.open_subaccount(ada.member)
    exchange.ledger.bank.transfer(ada.member, 30_000_000, to_subaccount=other)
    issued = exchange.keys.issue("ed25519", member=ada.member, subaccount=other)
    locked = Signed(*issued, moment)

    balance = await asked(client, "/portfolio/balance", locked)

    assert balance["balance_dollars"] == "30.0000"
    assert "balance_breakdown" not in balance
    rows = (await asked(client, "/portfolio/subaccounts/balances", locked))["subaccount_balances"]
    assert {row["subaccount_number"] for row in rows} == {other}
    for path in ("/portfolio/balance?subaccount=0", "/portfolio/deposits", "/api_keys"):
        refused = await client.get(path, auth=locked)
        assert refused.status_code == 403
        assert "single sub-account" in refused.json()["error"]["message"]


async def test_reading_takes_the_scope_for_it(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """A key for trading alone reads nothing; what is for institutions, nobody else does."""
    ada = a_member(exchange, scopes=["write::trade"])
    bob = a_member(exchange)

    for path in (
        "/portfolio/positions",
        "/portfolio/fills",
        "/portfolio/orders",
        "/portfolio/settlements",
        "/historical/fills",
        "/api_keys",
    ):
        assert (await client.get(path, auth=signed(ada, moment))).status_code == 403
        assert (await client.get(path, auth=signed(bob, moment))).status_code == 200
        assert (await client.get(path)).status_code == 401
    for path in ("target_balance_allocation", "summary/total_resting_order_value"):
        refused = await client.get(f"/portfolio/{path}", auth=signed(bob, moment))
        assert refused.json() == {
            "error": {"code": "permission_denied", "message": "permission denied"}
        }


async def test_reads_cost_what_they_cost(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """A balance from its own bucket, one order two tokens, everything else ten."""
    a_market(exchange)
    ada = a_member(exchange)
    auth = signed(ada, moment)
    order = exchange.desk.rest(ada.member, A, "bid", "0.1000", "1")
    exchange.limits.on = True

    await asked(client, "/portfolio/balance", auth)
    await asked(client, f"/portfolio/orders/{order.order_id}", auth)
    await asked(client, "/portfolio/positions", auth)

    assert exchange.counters.tokens == {"balance": 1, "read": 12}
    assert (await client.get("/portfolio/balance", auth=auth)).status_code == 429
