"""What the exchange fails at stops that alone: nobody else's reads, and nobody's orders."""

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from kalshi_gateway.kalshi.client import Kalshi
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.desk import Joined
from kalshi_gateway.simulator.exchange import Exchange

from .people import People
from .trading import ORDERS, PREFIX, a_market, an_order

SPORTS = f"{PREFIX}/search/filters_by_sport"
OWN_FILLS = f"{PREFIX}/portfolio/fills"


@pytest.fixture
def own(exchange: Exchange) -> Joined:
    """The member whose key the service itself signs with."""
    return exchange.desk.join("own", deposit_cents=100_000)


@pytest.fixture
def settings(settings: Settings, own: Joined) -> Settings:
    return settings.model_copy(
        update={
            "kalshi_trading_enabled": True,
            "kalshi_user_id": "own",
            "kalshi_api_key_id": own.key_id,
            "kalshi_api_secret": SecretStr(own.private_pem),
        }
    )


def service(app: FastAPI) -> Kalshi:
    kalshi: Kalshi = app.state.resources.kalshi
    return kalshi


async def failing(client: httpx.AsyncClient, path: str, token: dict[str, str]) -> None:
    """Ask for what the exchange fails at until nobody is asked any more."""
    answers = [await client.get(f"{path}?n={n}", headers=token) for n in range(6)]

    codes = [answer.json()["error"]["code"] for answer in answers]
    assert (codes[0], codes[-1]) == ("internal_server_error", "service_unavailable")


async def test_public_reads(app: FastAPI, people: People, exchange: Exchange) -> None:
    """One reader's failing operation is let alone; all others are read and written on."""
    ada, own = await people.admit(), await people.token("own", "read", "trade")
    order = an_order(a_market(exchange))
    exchange.faults.status(500, operation="GET /search/filters_by_sport")

    await failing(people.client, SPORTS, ada.token)
    reads = [
        await people.client.get(f"{PREFIX}/markets", headers=ada.token),
        await people.client.get(f"{PREFIX}/portfolio/balance", headers=own),
    ]
    orders = [await people.client.post(ORDERS, json=order, headers=t) for t in (own, ada.token)]

    assert [answer.status_code for answer in reads + orders] == [200, 200, 201, 201]
    assert service(app).breakers.failed_in_a_row == 0


@pytest.mark.parametrize("user_id", ["own", "ada"])
async def test_private_reads(
    app: FastAPI, people: People, exchange: Exchange, user_id: str
) -> None:
    """A user's failing reads keep neither their orders nor the service from the exchange."""
    await people.admit()
    token = await people.token(user_id, "read", "trade", name="at test")
    exchange.faults.status(500, operation="GET /portfolio/fills")

    await failing(people.client, OWN_FILLS, token)
    balance = await people.client.get(f"{PREFIX}/portfolio/balance", headers=token)
    order = an_order(a_market(exchange))
    placed = await people.client.post(ORDERS, json=order, headers=token)

    assert [balance.status_code, placed.status_code] == [200, 201]
    assert service(app).breakers.failed_in_a_row == 0


async def test_failing_writes(people: People, exchange: Exchange) -> None:
    """An exchange that fails at orders time and again is not sent more, and cancels still go."""
    ada = await people.admit()
    market = a_market(exchange)
    order_id = exchange.desk.rest(ada.member, market, "bid", "0.30", "3").order_id
    fault = exchange.faults.status(503, operation="POST /portfolio/events/orders")
    order = an_order(market)
    for _ in range(5):
        await people.client.post(ORDERS, json=order, headers=ada.token)

    sent = exchange.counters.requests["POST /portfolio/events/orders"]
    refused = await people.client.post(ORDERS, json=order, headers=ada.token)
    exchange.faults.remove(fault)
    cancelled = await people.client.delete(f"{ORDERS}/{order_id}", headers=ada.token)

    assert (refused.status_code, sent) == (503, 5)
    assert exchange.counters.requests["POST /portfolio/events/orders"] == sent
    assert "nothing was sent" in refused.json()["error"]["details"]
    assert cancelled.status_code == 200
