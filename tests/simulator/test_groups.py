"""Order groups: too much of them matched at once takes them down."""

from typing import Any

import httpx
import pytest

from kalshi_gateway.simulator.entries import MarketEntry
from kalshi_gateway.simulator.exchange import Exchange

from .members import a_market, a_member
from .moments import Moment
from .test_orders import ORDERS, QUOTED, Trader, an_order

GROUPS = "/portfolio/order_groups"


@pytest.fixture
def market(exchange: Exchange) -> MarketEntry:
    return a_market(exchange, **QUOTED)


@pytest.fixture
def ada(exchange: Exchange, client: httpx.AsyncClient, moment: Moment) -> Trader:
    return Trader(client, a_member(exchange), moment)


async def a_group(trader: Trader, **given: Any) -> str:
    status, told = await trader.ask("POST", f"{GROUPS}/create", given)
    assert status == 201, told
    assert told.keys() == {"exchange_index", "order_group_id", "subaccount"}
    group_id: str = told["order_group_id"]
    return group_id


async def test_a_group_and_its_orders(ada: Trader, market: MarketEntry) -> None:
    """A group tells its limit and what rests of it, and is in the member's list."""
    group_id = await a_group(ada, contracts_limit=5)
    placed = await ada.place(ticker=market.ticker, order_group_id=group_id)

    _, group = await ada.ask("GET", f"{GROUPS}/{group_id}")
    _, groups = await ada.ask("GET", GROUPS)
    order = await ada.order(placed["order_id"])

    assert group["orders"] == [placed["order_id"]]
    assert (group["contracts_limit_fp"], group["is_auto_cancel_enabled"]) == ("5.00", False)
    assert [row["id"] for row in groups["order_groups"]] == [group_id]
    assert order["order_group_id"] == group_id


async def test_too_much_takes_it_down(ada: Trader, market: MarketEntry, moment: Moment) -> None:
    """More than its limit within fifteen seconds takes down what rests, until it is reset."""
    group_id = await a_group(ada, contracts_limit_fp="4.00")
    given = {"ticker": market.ticker, "order_group_id": group_id}
    resting = await ada.place(**given)
    taking = {**given, "price": "0.45", "time_in_force": "immediate_or_cancel"}
    await ada.place(**taking)
    moment.move(seconds=16)
    await ada.place(**taking)
    before = (await ada.order(resting["order_id"]))["status"]

    await ada.place(**taking, count="2")

    after = (await ada.order(resting["order_id"]))["status"]
    refused = await ada.refused("POST", ORDERS, an_order(**given))
    reset = await ada.ask("PUT", f"{GROUPS}/{group_id}/reset", {})
    again = await ada.place(**given)
    assert (before, after) == ("resting", "canceled")
    assert refused == (400, "invalid_order", "order group is triggered")
    assert reset == (200, {})
    assert again["remaining_count"] == "3.00"


@pytest.mark.parametrize("how", ["trigger", "limit", "delete"])
async def test_taken_down_by_hand(ada: Trader, market: MarketEntry, how: str) -> None:
    """So do a trigger, a limit below what was just matched, and the group's end."""
    group_id = await a_group(ada)
    given = {"ticker": market.ticker, "order_group_id": group_id}
    resting = await ada.place(**given)
    await ada.place(**given, price="0.45", time_in_force="immediate_or_cancel")
    path = f"{GROUPS}/{group_id}"

    if how == "delete":
        done = await ada.ask("DELETE", path)
    else:
        done = await ada.ask("PUT", f"{path}/{how}", {"contracts_limit": 2})

    refused = await ada.refused("POST", ORDERS, an_order(**given))
    assert done == (200, {})
    assert (await ada.order(resting["order_id"]))["status"] == "canceled"
    assert refused[0] == (404 if how == "delete" else 400)


async def test_nobody_elses(
    ada: Trader, exchange: Exchange, client: httpx.AsyncClient, moment: Moment, market: MarketEntry
) -> None:
    """Another member knows nothing of a group; one of another shard takes no order of this one."""
    bob = Trader(client, a_member(exchange), moment)
    own, far = await a_group(ada), await a_group(ada, exchange_index=2)

    unknown = [
        await bob.refused("GET", f"{GROUPS}/{own}"),
        await bob.refused("PUT", f"{GROUPS}/{own}/trigger", {}),
        await ada.refused("DELETE", f"{GROUPS}/{own}", exchange_index=1),
    ]
    foreign = await bob.refused("POST", ORDERS, an_order(market.ticker, order_group_id=own))
    elsewhere = await ada.refused("POST", ORDERS, an_order(market.ticker, order_group_id=far))

    assert {refused[:2] for refused in unknown} == {(404, "not_found")}
    assert foreign[:2] == (404, "order_group_not_found")
    assert elsewhere[:2] == (400, "invalid_parameters")


@pytest.mark.parametrize(
    "given",
    [
        {"contracts_limit": 0},
        {"contracts_limit": 1_000_001},
        {"contracts_limit": 2, "contracts_limit_fp": "3.00"},
        {"exchange_index": 9},
        {"subaccount": 7},
    ],
)
async def test_groups_that_cannot_be(ada: Trader, given: dict[str, Any]) -> None:
    """A limit is one to a million, said once; a group lives where there is something."""
    assert (await ada.refused("POST", f"{GROUPS}/create", given))[0] == 400
