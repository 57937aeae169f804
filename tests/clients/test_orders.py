"""Orders: the same story told at an exchange, and through the gateway at its twin.

Twins have the same markets, the same members, and give the same ids for the same requests, so that
each answer can be held to the other's.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kalshi_gateway.simulator.exchange import Exchange

from . import environment, ground
from .client import Side, led
from .ground import Ground, HandSet
from .twice import EXCHANGE, GATEWAY, Twice

official = environment.needed("kalshi_python_async")
ccxts = environment.needed("ccxt")


@pytest.fixture
def twin(clock: HandSet) -> Exchange:
    """The exchange that is asked without the gateway."""
    return ground.an_exchange(clock)


@pytest.fixture
async def at_exchange(twin: Exchange, asked: Ground) -> AsyncIterator[Side]:
    """The twin, where the same member has done the same, and a key of his there."""
    joined = twin.desk.join("ada", deposit_cents=100_000)
    assert ground.trodden(twin, joined.member).order_id == asked.order_id
    key_id, pem = twin.keys.issue("rsa", member=joined.member)
    async with ground.listening(twin) as url:
        yield Side(url, key_id, pem)


@pytest.fixture
async def sdk(clock: HandSet, at_exchange: Side, at_gateway: Side) -> AsyncIterator[Twice]:
    sides = {EXCHANGE: at_exchange, GATEWAY: at_gateway}
    async with led("official", "kalshi_python_async", **sides) as client:
        yield Twice(client, clock)


@pytest.fixture
async def ccxt(clock: HandSet, at_exchange: Side, at_gateway: Side) -> AsyncIterator[Twice]:
    async with led("ccxt_kalshi", **{EXCHANGE: at_exchange, GATEWAY: at_gateway}) as client:
        yield Twice(client, clock)


def a_bid(asked: Ground, **fields: Any) -> dict[str, Any]:
    """A bid at a cent, which nobody meets."""
    return {
        "ticker": asked.open.ticker,
        "side": "bid",
        "count": "2.00",
        "price": "0.0100",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        **fields,
    }


@official
async def test_an_order_of_the_sdk(sdk: Twice, asked: Ground) -> None:
    """It rests, is changed, made smaller, taken back, and is not there any more."""
    placed = await sdk.read("create_order_v2", **a_bid(asked, client_order_id="first"))
    order = {"order_id": placed.body["order_id"]}
    listed = await sdk.read("get_orders", status="resting")
    await sdk.read("get_order_queue_position", **order)
    await sdk.read("get_order_queue_positions", market_tickers=asked.open.ticker)
    amended = a_bid(asked, count="3.00", price="0.0200")
    del amended["time_in_force"], amended["self_trade_prevention_type"]
    await sdk.read("amend_order_v2", **order, **amended)
    await sdk.read("get_order", **order)
    await sdk.read("decrease_order_v2", **order, reduce_to="1.00")
    canceled = await sdk.read("cancel_order_v2", **order)
    gone = await sdk.ask("cancel_order_v2", **order)
    told = await sdk.read("get_order", **order)

    assert order["order_id"] in {row["order_id"] for row in listed.body["orders"]}
    assert canceled.body["reduced_by"] == "1.00"
    assert gone.failed == "NotFoundException"
    assert told.body["order"]["status"] == "canceled"


@official
async def test_what_the_sdk_buys_is_seen_at_once(sdk: Twice, asked: Ground) -> None:
    """What was read a moment before the order is not given again after it."""
    private: list[tuple[str, dict[str, Any]]] = [
        ("get_balance", {}),
        ("get_positions", {}),
        ("get_fills", {"ticker": asked.open.ticker}),
        ("get_orders", {}),
    ]
    for call, arguments in private:
        await sdk.read(call, **arguments)
    price = asked.open.field("yes_ask_dollars")

    bought = await sdk.read(
        "create_order_v2",
        **a_bid(asked, count="1.00", price=price, time_in_force="immediate_or_cancel"),
    )
    seen = [await sdk.read(call, **arguments) for call, arguments in private]

    assert bought.body["fill_count"] == "1.00"
    assert len(seen[2].body["fills"]) == 3


@official
async def test_many_orders_of_the_sdk(sdk: Twice, asked: Ground) -> None:
    """Batches with a result or an error for each, and everything taken back at once."""
    orders = [a_bid(asked, client_order_id="a"), a_bid(asked, client_order_id="b", price="0.0150")]
    batch = await sdk.read("batch_create_orders_v2", orders=orders)
    first, second = batch.body["orders"]
    cancels = [{"order_id": first["order_id"]}, {"order_id": "nothing"}]
    await sdk.read("batch_cancel_orders_v2", orders=cancels)
    await sdk.read("create_order_v2", **a_bid(asked))
    await sdk.read("cancel_all_orders")
    left = await sdk.read("get_orders", status="resting")

    assert second["error"]["code"] == "invalid_price"
    assert left.body["orders"] == []


@official
async def test_order_groups_of_the_sdk(sdk: Twice, asked: Ground) -> None:
    """Orders that are taken down together, by their group's limit or by hand."""
    made = await sdk.read("create_order_group", contracts_limit=5)
    group = {"order_group_id": made.body["order_group_id"]}
    order = await sdk.read("create_order_v2", **a_bid(asked, **group))
    inside = await sdk.read("get_order_group", **group)
    await sdk.read("get_order_groups")
    await sdk.read("update_order_group_limit", **group, contracts_limit=10)
    await sdk.read("trigger_order_group", **group)
    triggered = await sdk.ask("create_order_v2", **a_bid(asked, **group))
    await sdk.read("reset_order_group", **group)
    await sdk.read("create_order_v2", **a_bid(asked, **group))
    await sdk.read("delete_order_group", **group)
    left = await sdk.read("get_orders", status="resting")

    assert inside.body["orders"] == [order.body["order_id"]]
    assert triggered.failed == "BadRequestException"
    assert [row["order_id"] for row in left.body["orders"]] == [asked.order_id]


@official
async def test_orders_of_the_sdk_that_are_refused(sdk: Twice, asked: Ground) -> None:
    """The same exceptions with the same bodies."""
    await sdk.read("create_order_v2", **a_bid(asked, client_order_id="mine"))

    refused = [
        await sdk.ask("create_order_v2", **a_bid(asked, client_order_id="mine")),
        await sdk.ask("create_order_v2", **a_bid(asked, price="0.0150")),
        await sdk.ask("create_order_v2", **a_bid(asked, ticker="KXNOTHING-1")),
        await sdk.ask("create_order_v2", **a_bid(asked, price="0.9900", count="90000.00")),
        await sdk.ask("decrease_order_v2", order_id="nothing", reduce_by="1.00"),
    ]

    assert [told.heard[-1][0] for told in refused] == [409, 400, 404, 400, 404]
    assert all(told.failed for told in refused)


@ccxts
async def test_an_order_of_ccxt(ccxt: Twice, asked: Ground) -> None:
    """It rests, is replaced by another, taken back, and is not there any more."""
    ticker = asked.open.ticker
    a_limit = {"outcome": ticker, "type": "limit", "side": "buy"}
    placed = await ccxt.read("create_order", **a_limit, amount=2, price=0.01)
    await ccxt.read("fetch_open_orders", outcome=ticker)
    await ccxt.read("kalshiPrivateGetPortfolioOrdersQueuePositions")
    edited = await ccxt.read(
        "edit_order", id=placed.body["order_id"], **a_limit, amount=3, price=0.02
    )
    order_id = edited.body["order_id"]
    await ccxt.read("fetch_order", id=order_id)
    await ccxt.read("cancel_order", id=order_id, outcome=ticker)
    gone = await ccxt.ask("cancel_order", id=order_id, outcome=ticker)
    await ccxt.read("cancel_all_orders")
    left = await ccxt.read("fetch_open_orders")

    assert gone.failed == "BadSymbol"
    assert left.body["orders"] == []


@ccxts
async def test_what_ccxt_buys_and_sells_is_seen_at_once(ccxt: Twice, asked: Ground) -> None:
    """Of both outcomes, at a limit that meets what is quoted."""
    ticker = asked.open.ticker
    now = {"type": "limit", "params": {"timeInForce": "IOC"}}
    await ccxt.read("fetch_balance")
    await ccxt.read("fetch_my_trades")
    yes = float(asked.open.field("yes_ask_dollars"))
    no = float(asked.open.field("no_ask_dollars"))

    bought = await ccxt.read("create_order", outcome=ticker, side="buy", amount=1, price=yes, **now)
    sold = await ccxt.read(
        "create_order", outcome=f"{ticker}-NO", side="buy", amount=1, price=no, **now
    )
    await ccxt.read("fetch_balance")
    await ccxt.read("fetch_positions")
    fills = await ccxt.read("fetch_my_trades")

    assert bought.body["fill_count"] == sold.body["fill_count"] == "1.00"
    assert {bought.body["order_id"], sold.body["order_id"]} <= {
        fill["order_id"] for fill in fills.body["fills"]
    }


@ccxts
async def test_cancels_find_their_market(ccxt: Twice, asked: Ground) -> None:
    """A cancel that does not say its market misses it at the exchange, on all shards but one."""
    ticker = asked.far.ticker
    placed = await ccxt.read(
        "create_order", outcome=ticker, type="limit", side="buy", amount=2, price=0.01
    )
    order_id = placed.body["order_id"]

    direct = await ccxt.client.ask(EXCHANGE, "cancel_order", id=order_id, outcome=ticker)
    through = await ccxt.client.ask(GATEWAY, "cancel_order", id=order_id, outcome=ticker)

    assert direct.failed == "BadSymbol"
    assert (through.failed, through.body["reduced_by"]) == (None, "2.00")
