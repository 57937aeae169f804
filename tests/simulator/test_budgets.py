"""Token buckets: what they hold, what they refuse, and how they say so."""

import httpx
import pytest

from kalshi_gateway.simulator.exchange import Exchange

from .asking import Signed
from .moments import Moment

STATUS = "/exchange/status"


@pytest.fixture
def limited(exchange: Exchange) -> Exchange:
    """The exchange with its limits on."""
    exchange.limits.on = True
    return exchange


async def passing(client: httpx.AsyncClient, path: str, auth: httpx.Auth | None, calls: int) -> int:
    statuses = [(await client.get(path, auth=auth)).status_code for _ in range(calls)]
    assert set(statuses) <= {200, 429}
    return statuses.count(200)


async def test_basic_reads_twenty_times_a_second(
    client: httpx.AsyncClient, limited: Exchange, moment: Moment
) -> None:
    """Two hundred tokens, ten a call, refilled at two hundred a second, never saved up further."""
    basic = Signed(*limited.keys.issue("ed25519"), moment)

    assert await passing(client, STATUS, basic, 25) == 20
    moment.move(seconds=0.5)
    assert await passing(client, STATUS, basic, 25) == 10
    moment.move(hours=1)
    assert await passing(client, STATUS, basic, 25) == 20
    assert limited.counters.refused == 5 + 15 + 5
    assert limited.counters.tokens["read"] == 500


async def test_a_refusal_says_nothing_about_when_to_come_back(
    client: httpx.AsyncClient, limited: Exchange, moment: Moment
) -> None:
    """No Retry-After; three bodies are known for one status."""
    basic = Signed(*limited.keys.issue("ed25519"), moment)
    await passing(client, STATUS, basic, 20)
    bodies = {}

    for shape in ("object", "string", "flat"):
        limited.limits.refusal = shape
        response = await client.get(STATUS, auth=basic)
        assert response.status_code == 429
        assert "retry-after" not in response.headers
        bodies[shape] = response.json()

    words = {"code": "too_many_requests", "message": "too many requests"}
    assert bodies == {
        "object": {"error": words},
        "string": {"error": "too many requests"},
        "flat": words,
    }


async def test_the_balance_has_a_bucket_of_its_own(
    client: httpx.AsyncClient, limited: Exchange, moment: Moment
) -> None:
    """One call a second on Basic, without burst, and without touching the reads."""
    basic = Signed(*limited.keys.issue("ed25519"), moment)

    assert await passing(client, "/portfolio/balance", basic, 3) == 1
    assert await passing(client, STATUS, basic, 25) == 20
    moment.move(seconds=1)
    assert await passing(client, "/portfolio/balance", basic, 2) == 1


async def test_writes_are_charged_apart(
    client: httpx.AsyncClient, limited: Exchange, moment: Moment
) -> None:
    """Ten writes at once on Basic."""
    basic = Signed(*limited.keys.issue("ed25519"), moment)

    statuses = [(await client.post("/portfolio/orders", auth=basic)).status_code for _ in range(12)]

    assert statuses == [410] * 10 + [429] * 2
    assert await passing(client, STATUS, basic, 1) == 1


async def test_signing_buys_the_tiers_budget(
    client: httpx.AsyncClient, limited: Exchange, moment: Moment
) -> None:
    """Who does not sign shares what his address gets."""
    advanced = Signed(*limited.keys.issue("ed25519", tier="advanced"), moment)

    assert await passing(client, STATUS, None, 30) == 20
    assert await passing(client, STATUS, advanced, 95) == 90
    described = await client.get("/account/limits", auth=Signed(*limited.keys.issue(), moment))
    assert described.json() == {
        "grants": [],
        "read": {"bucket_capacity": 200, "refill_rate": 200},
        "usage_tier": "basic",
        "write": {"bucket_capacity": 100, "refill_rate": 100},
    }


async def test_costs_are_told_to_everyone(client: httpx.AsyncClient) -> None:
    """With the prefix and colon parameters of the real list."""
    costs = (await client.get("/account/endpoint_costs")).json()

    assert costs["default_cost"] == 10
    assert {
        "cost": 2,
        "method": "DELETE",
        "path": "/trade-api/v2/portfolio/events/orders/:order_id",
    } in costs["endpoint_costs"]


async def test_limits_can_be_switched_off(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """Benchmarks measure the client, not the bucket."""
    assert await passing(client, STATUS, None, 100) == 100
