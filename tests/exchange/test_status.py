"""GET /kalshi/status: catalogue, budget, breaker, drift at one glance."""

import httpx
from pydantic import TypeAdapter

from kalshi_gateway.db import Database
from kalshi_gateway.exchange.status import GatewayStatus
from tests.markets.builders import a_row, an_event_row, note_all_walked
from tests.markets.gateway import a_gateway
from tests.markets.shapes import differences
from tests.markets.upstream import Upstream

Client = httpx.AsyncClient


async def test_at_first(client: Client) -> None:
    """Before anything has been read the catalogue is not complete, and all the budget is there."""
    response = await client.get("/kalshi/status")

    status = response.json()
    assert status["catalogue"] == {"complete": False, "walks": []}
    assert status["exchange"]["breaker"] == "closed"
    assert status["exchange"]["base_url"] == "http://127.0.0.1:1/trade-api/v2"
    assert {bucket["name"] for bucket in status["exchange"]["budget"]} >= {"read", "write"}
    assert all(b["tokens_left"] <= b["capacity"] for b in status["exchange"]["budget"])
    assert status["drift"] == []


async def test_all_walked(client: Client, database: Database) -> None:
    """Once every walk has reached its end the catalogue is complete."""
    await note_all_walked(database)

    assert (await client.get("/kalshi/status")).json()["catalogue"]["complete"] is True


async def test_dead_exchange(client: Client, upstream: Upstream) -> None:
    """An exchange that fails again and again is left alone, and that can be seen here."""
    upstream.down = True
    for number in range(5):
        await client.get(f"/kalshi/markets/KXNONE-{number}")

    exchange = (await client.get("/kalshi/status")).json()["exchange"]

    assert exchange["breaker"] in ("open", "half_open")
    assert exchange["failures_in_a_row"] >= 5


async def test_drift(client: Client, upstream: Upstream) -> None:
    """What the exchange sends otherwise than before is counted, field by field."""
    upstream.answers["/markets/KXA-1-X"] = {"market": a_row("KXA-1-X", colour="red")}
    upstream.answers["/events/KXA-1"] = {"event": an_event_row("KXA-1")}
    await client.get("/kalshi/markets/KXA-1-X")

    drift = (await client.get("/kalshi/status")).json()["drift"]

    colours = [difference for difference in drift if difference["field"] == "colour"]
    assert [(d["kind"], d["count"]) for d in colours] == [("unknown", 1)]


async def test_as_described(client: Client, database: Database, upstream: Upstream) -> None:
    """Every key is always there, and no other key is."""
    await note_all_walked(database)
    upstream.answers["/markets/KXA-1-X"] = {"market": a_row("KXA-1-X", colour="red")}
    await client.get("/kalshi/markets/KXA-1-X")

    response = await client.get("/kalshi/status")

    app = a_gateway("postgresql://nobody@127.0.0.1:1/nothing")
    assert differences(app, "/kalshi/status", response.json()) == []
    TypeAdapter(GatewayStatus).validate_json(response.content)
