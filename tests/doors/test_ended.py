"""Keys and tokens that end while a write is under way, or just before."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from kalshi_gateway.app import create_app
from kalshi_gateway.audit import repository as audit
from kalshi_gateway.audit.entry import Author
from kalshi_gateway.db import Database
from kalshi_gateway.keys import keeping as keys
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator import app as simulator
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.tokens import keeping as tokens

from .people import GATEWAY_URL, People
from .test_writes import asking
from .trading import ORDERS, PREFIX, Watched, a_market, an_order, told

CREATE = "POST /portfolio/events/orders"
TEST = Author("test")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"kalshi_trading_enabled": True})


@pytest.fixture
def transport(exchange: Exchange) -> Watched:
    return Watched(httpx.ASGITransport(simulator.create_app(exchange)))


@pytest.fixture
def market(exchange: Exchange) -> str:
    return a_market(exchange)


class SlowBody:
    """A body that comes in two parts, the second when it is told to."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._written = json.dumps(order).encode()
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._written[:9]
        self.begun.set()
        await self.go_on.wait()
        yield self._written[9:]


def sent(people: People, body: SlowBody, headers: dict[str, str]) -> asyncio.Task[httpx.Response]:
    return asyncio.create_task(people.client.post(ORDERS, content=body, headers=headers))


async def written(database: Database) -> list[str]:
    """What the audit log says of orders."""
    async with database.connect() as conn:
        lines = [line async for line in audit.lines(conn)]
    return [line.outcome for line in lines if line.action == "exchange.write"]


async def test_key_revoked_while_a_body_comes(
    people: People, exchange: Exchange, database: Database, market: str
) -> None:
    """An order whose key is revoked before all of it has come is not placed."""
    await people.admit()
    signer = await people.key()
    headers = signer.headers("POST", httpx.URL(GATEWAY_URL + ORDERS))
    body = SlowBody(an_order(market))

    answering = sent(people, body, headers)
    await body.begun.wait()
    await keys.revoke(database, UUID(signer.key.key_id), TEST)
    body.go_on.set()
    answer = await answering

    assert told(answer) == (401, "authentication_error", "NOT_FOUND")
    assert exchange.counters.requests[CREATE] == 0
    assert await written(database) == []


async def test_token_revoked_while_a_body_comes(
    people: People, exchange: Exchange, database: Database, market: str
) -> None:
    """Nor is one by a token."""
    ada = await people.admit()
    body = SlowBody(an_order(market))

    answering = sent(people, body, ada.token)
    await body.begun.wait()
    await tokens.revoke(database, "of ada", TEST)
    body.go_on.set()
    answer = await answering
    again = await people.client.post(ORDERS, json=an_order(market), headers=ada.token)

    assert answer.status_code == 401
    assert answer.json() == again.json()
    assert exchange.counters.requests[CREATE] == 0
    assert await written(database) == []


async def test_slow_bodies_are_taken(
    people: People, exchange: Exchange, database: Database, market: str
) -> None:
    """An order that comes slowly by a key or a token that holds is placed."""
    ada, signer = await people.admit(), await people.key()
    signed = signer.headers("POST", httpx.URL(GATEWAY_URL + ORDERS))

    for headers in (signed, ada.token):
        body = SlowBody(an_order(market))
        body.go_on.set()
        assert (await sent(people, body, headers)).status_code == 201

    assert exchange.counters.requests[CREATE] == 2
    assert await written(database) == ["begun", "done"] * 2


@pytest.mark.parametrize("change", ["deleted", "replaced"])
async def test_keys_of_the_exchange(
    people: People,
    exchange: Exchange,
    settings: Settings,
    database_url: str,
    transport: Watched,
    market: str,
    change: str,
) -> None:
    """Once a user's key is deleted or replaced, no gateway signs with it any more."""
    ada = await people.admit()
    path = "/kalshi/users/ada/credentials"
    apps = [create_app(settings, database_url=database_url, exchange=transport) for _ in range(2)]
    joined = exchange.desk.join("ada again", deposit_cents=100_000)
    new = {"api_key_id": joined.key_id, "private_key": joined.private_pem}

    async with asking(apps[0]) as one, asking(apps[1]) as two:
        while not all(app.state.resources.reads.hears for app in apps):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # nobody tells when both listen
        await two.get(f"{PREFIX}/portfolio/balance", headers=ada.token)
        if change == "deleted":
            assert (await one.delete(path, headers=ada.token)).status_code == 204
        else:
            assert (await one.put(path, json=new, headers=ada.token)).status_code == 200
        order = await two.post(ORDERS, json=an_order(market), headers=ada.token)

    signed_with = [request.headers["kalshi-access-key"] for request in transport.writes]
    expected = (403, []) if change == "deleted" else (201, [joined.key_id])
    assert (order.status_code, signed_with) == expected
