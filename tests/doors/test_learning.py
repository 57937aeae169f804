"""How much may be asked is learnt by every process, whether it does jobs or not."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from kalshi_gateway import upstream
from kalshi_gateway.app import create_app
from kalshi_gateway.kalshi.budget import Bucket, Budget
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator import budgets
from kalshi_gateway.simulator.exchange import Exchange

from .people import People, Person
from .trading import ORDERS, a_market, an_order

PREFIX = "/trade-api/v2"
#: What a member of the tier premier may save up.
PREMIER = 3_600


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"kalshi_trading_enabled": True})


async def budget_of(app: FastAPI, person: Person) -> Budget:
    reads = app.state.resources.reads
    signer = await reads._vault.open(person.user_id)
    budget: Budget = reads._lines.line(person.user_id, signer, own=False).kalshi.budget
    return budget


async def learnt(budget: Budget, bucket: Bucket, capacity: int) -> None:
    """Wait until it knows that the bucket holds so much."""
    while budget.capacity(bucket) != capacity:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_behind_a_read(app: FastAPI, people: People) -> None:
    """Who reads through the door soon does so within the limits of their own tier."""
    ada = await people.admit()
    ada.member.tier = "premier"

    response = await people.client.get(f"{PREFIX}/portfolio/orders", headers=ada.token)

    assert response.status_code == 200
    await learnt(await budget_of(app, ada), Bucket.READ, PREMIER)


async def test_behind_a_write(app: FastAPI, people: People, exchange: Exchange) -> None:
    """Who only writes through the door, too."""
    ada = await people.admit()
    ada.member.tier = "premier"

    order = an_order(a_market(exchange))
    response = await people.client.post(ORDERS, json=order, headers=ada.token)

    assert response.status_code == 201
    await learnt(await budget_of(app, ada), Bucket.WRITE, PREMIER)


async def test_once(app: FastAPI, people: People, exchange: Exchange) -> None:
    """What is known is not asked for again, and what could not be learnt is soon let be."""
    ada, bob = await people.admit("ada"), await people.admit("bob")
    refused = exchange.faults.status(500, operation="GET /account/limits")
    await people.client.get(f"{PREFIX}/portfolio/orders", headers=bob.token)
    await asyncio.gather(*app.state.resources.reads._lines._learning)
    exchange.faults.remove(refused)
    await people.client.get(f"{PREFIX}/portfolio/orders", headers=ada.token)
    await asyncio.gather(*app.state.resources.reads._lines._learning)
    asked = exchange.counters.requests["GET /account/limits"]

    for person in (ada, bob):
        for limit in range(1, 4):
            path = f"{PREFIX}/portfolio/orders?limit={limit}"
            await people.client.get(path, headers=person.token)

    assert not app.state.resources.reads._lines._learning
    assert exchange.counters.requests["GET /account/limits"] == asked


async def test_not_while_it_fails(people: People, exchange: Exchange) -> None:
    """An exchange that has just failed is asked nothing beside what a client asks."""
    ada = await people.admit()
    before = exchange.counters.requests["GET /account/limits"]
    exchange.faults.status(503)

    response = await people.client.get(f"{PREFIX}/portfolio/orders", headers=ada.token)

    assert response.status_code == 503
    assert exchange.counters.requests["GET /account/limits"] == before


async def test_without_jobs(
    monkeypatch: pytest.MonkeyPatch,
    app: FastAPI,
    exchange: Exchange,
) -> None:
    """A process that leaves jobs to others learns what the service itself may ask."""
    monkeypatch.setattr(upstream, "REPLICAS_LEARN_AFTER", timedelta(0))

    async with app.router.lifespan_context(app):
        while not exchange.counters.requests["GET /account/endpoint_costs"]:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_each_by_itself(
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    database_url: str,
    transport: httpx.ASGITransport,
    exchange: Exchange,
) -> None:
    """What the exchange fails to tell keeps us from nothing else, and is soon asked for again."""
    own = exchange.desk.join("own", deposit_cents=1)
    own.member.tier = "premier"
    keyed = settings.model_copy(
        update={
            "kalshi_api_key_id": own.key_id,
            "kalshi_api_secret": SecretStr(own.private_pem),
        }
    )
    monkeypatch.setattr(upstream, "REPLICAS_LEARN_AFTER", timedelta(0))
    monkeypatch.setattr(upstream, "TRY_AGAIN_EVERY", timedelta(seconds=0.01))
    monkeypatch.setitem(budgets.COSTS, ("GET", "/events"), 3)
    failing = exchange.faults.status(500, operation="GET /account/endpoint_costs")
    app = create_app(keyed, database_url=database_url, exchange=transport)

    async with app.router.lifespan_context(app), asyncio.timeout(10):
        budget: Budget = app.state.resources.kalshi.budget
        await learnt(budget, Bucket.READ, PREMIER)
        before = budget.cost("GET", "/events")
        exchange.faults.remove(failing)
        while budget.cost("GET", "/events") == before:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    assert (before, budget.cost("GET", "/events")) == (10, 3)
    assert exchange.counters.requests["GET /account/limits"] == 1


async def test_costs_are_everybodys(
    app: FastAPI, people: People, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the service learns of costs counts for all users, before and after."""
    ada, bob = await people.admit("ada"), await people.admit("bob")
    monkeypatch.setitem(budgets.COSTS, ("GET", "/portfolio/fills"), 3)
    before = await budget_of(app, ada)
    kalshi = app.state.resources.kalshi

    await upstream.Learning(kalshi, signed=False).learn()

    after = await budget_of(app, bob)
    assert [line.cost("GET", "/portfolio/fills") for line in (before, after)] == [3, 3]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/communications/quotes"),
        ("GET", "/communications/quotes/{quote_id}"),
        ("DELETE", "/communications/quotes/{quote_id}"),
        ("GET", "/communications/rfqs/{rfq_id}/quotes/{quote_id}"),
        ("DELETE", "/communications/rfqs/{rfq_id}/quotes/{quote_id}"),
    ],
)
def test_quotes_are_cheap_from_the_start(method: str, path: str) -> None:
    """Making, reading and taking back a quote costs 2, whichever way it is named."""
    assert Budget().cost(method, path) == 2
