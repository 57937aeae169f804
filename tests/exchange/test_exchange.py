"""GET /kalshi/exchange: shards, schedule, next pause; the last known answer if need be."""

import asyncio
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from kalshi_gateway.exchange.exchange import ExchangeDetail
from tests.kalshi import recordings
from tests.markets.gateway import a_gateway
from tests.markets.shapes import differences
from tests.markets.upstream import Upstream

Client = httpx.AsyncClient

ALL_DAY = [{"open_time": "00:00", "close_time": "00:00"}]
THURSDAY = [
    {"open_time": "00:00", "close_time": "03:00"},
    {"open_time": "05:00", "close_time": "00:00"},
]
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def a_status(**fields: Any) -> dict[str, Any]:
    return {
        "exchange_active": True,
        "trading_active": True,
        "intra_exchange_transfers_active": True,
        "exchange_index_statuses": [
            {
                "exchange_index": index,
                "description": description,
                "exchange_active": True,
                "trading_active": index != 1,
                "intra_exchange_transfers_active": True,
            }
            for index, description in enumerate(("Default", "Combos"))
        ],
        **fields,
    }


def a_schedule(**fields: Any) -> dict[str, Any]:
    week = {"start_time": "2024-12-01T00:00:00Z", "end_time": "2200-12-01T00:00:00Z"}
    hours = week | dict.fromkeys(DAYS, ALL_DAY) | {"thursday": THURSDAY}
    return {"schedule": {"standard_hours": [hours], "maintenance_windows": [], **fields}}


@pytest.fixture
def database_url() -> str:
    """Of no database: what the exchange says of itself is kept in memory."""
    return "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture(autouse=True)
def open_exchange(upstream: Upstream) -> None:
    upstream.answers["/exchange/status"] = a_status()
    upstream.answers["/exchange/schedule"] = a_schedule()


async def the_exchange(client: Client) -> dict[str, Any]:
    response = await client.get("/kalshi/exchange")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


async def test_open(client: Client) -> None:
    """The exchange, shard by shard, with its week and the pause to come."""
    exchange = await the_exchange(client)

    assert (exchange["exchange_active"], exchange["trading_active"]) == (True, True)
    assert exchange["shards"][1] == {
        "exchange_index": 1,
        "description": "Combos",
        "exchange_active": True,
        "trading_active": False,
        "transfers_active": True,
    }
    assert exchange["schedule"][3:5] == [
        {"day": "thursday", "opens": "00:00", "closes": "03:00"},
        {"day": "thursday", "opens": "05:00", "closes": "00:00"},
    ]
    assert exchange["next_pause"]["starts_at"].endswith(":00:00Z")
    assert exchange["resumes_at"] is None
    meta = exchange["meta"]
    assert (meta["stale"], meta["complete"], meta["warnings"]) == (False, True, [])


async def test_bare_status(client: Client, upstream: Upstream) -> None:
    """Two flags are all that must be there (measured 2026-06 on demo)."""
    upstream.answers["/exchange/status"] = {"exchange_active": True, "trading_active": False}
    upstream.answers["/exchange/schedule"] = {"schedule": {}}

    exchange = await the_exchange(client)

    assert (exchange["trading_active"], exchange["shards"]) == (False, [])
    assert (exchange["schedule"], exchange["next_pause"]) == ([], None)


async def test_closed(client: Client, upstream: Upstream) -> None:
    """A closed exchange says so with a 503, which is its answer and no failure."""
    upstream.answers["/exchange/status"] = httpx.Response(
        503,
        json=a_status(
            exchange_active=False,
            trading_active=False,
            exchange_estimated_resume_time="2026-06-18T09:00:00Z",
        ),
    )

    exchange = await the_exchange(client)

    assert (exchange["exchange_active"], exchange["resumes_at"]) == (False, "2026-06-18T09:00:00Z")
    assert exchange["meta"]["stale"] is False


async def test_maintenance(client: Client, upstream: Upstream) -> None:
    """Windows of maintenance are told in UTC."""
    window = {"start_datetime": "2099-01-01T05:00:00-05:00", "end_datetime": "2099-01-02T00:00:00Z"}
    upstream.answers["/exchange/schedule"] = a_schedule(maintenance_windows=[window])

    exchange = await the_exchange(client)

    assert exchange["maintenance_windows"] == [
        {"starts_at": "2099-01-01T10:00:00Z", "ends_at": "2099-01-02T00:00:00Z"}
    ]


async def test_asked_for_once(client: Client, upstream: Upstream) -> None:
    """Many who look at the same time make one question of each kind."""
    await asyncio.gather(*(the_exchange(client) for _ in range(20)))

    assert sorted(upstream.asked) == ["/exchange/schedule", "/exchange/status"]


def long_ago(answer: dict[str, Any]) -> httpx.Response:
    """The same answer, two hours old: it has lain in a cache on the way."""
    return httpx.Response(200, json=answer, headers={"Age": "7200"})


async def test_last_known(client: Client, upstream: Upstream) -> None:
    """The last status outlives the exchange; it is called stale, with the reason."""
    upstream.answers["/exchange/status"] = long_ago(a_status())
    before = await the_exchange(client)
    upstream.down = True

    after = await the_exchange(client)

    assert after["shards"] == before["shards"]
    assert after["meta"]["stale"] is True
    assert after["meta"]["as_of"] == before["meta"]["as_of"]
    assert "503" in after["meta"]["warnings"][0]


async def test_last_known_schedule(client: Client, upstream: Upstream) -> None:
    """A schedule that could not be renewed makes the whole answer stale."""
    upstream.answers["/exchange/schedule"] = long_ago(a_schedule())
    await the_exchange(client)
    upstream.answers["/exchange/schedule"] = httpx.Response(503)

    after = await the_exchange(client)

    assert len(after["schedule"]) == 8
    assert after["meta"]["stale"] is True


async def test_back_again(client: Client, upstream: Upstream) -> None:
    """Once the exchange is back, so is what it says."""
    upstream.answers["/exchange/status"] = long_ago(a_status())
    await the_exchange(client)
    upstream.answers["/exchange/status"] = httpx.Response(503)
    await the_exchange(client)
    upstream.answers["/exchange/status"] = a_status(trading_active=False)

    exchange = await the_exchange(client)

    assert exchange["trading_active"] is False
    assert (exchange["meta"]["stale"], exchange["meta"]["warnings"]) == (False, [])


async def test_nothing_known(client: Client, upstream: Upstream) -> None:
    """An exchange that never answered is neither open nor closed."""
    upstream.down = True

    response = await client.get("/kalshi/exchange")

    assert response.status_code == 503
    assert response.json()["code"] == "upstream_unavailable"
    assert "Retry-After" in response.headers


async def test_schedule_never_known(client: Client, upstream: Upstream) -> None:
    """Whether the exchange is open is told also where nobody has ever heard its schedule."""
    upstream.answers["/exchange/schedule"] = httpx.Response(503)

    exchange = await the_exchange(client)

    assert exchange["exchange_active"] is True
    assert (exchange["schedule"], exchange["next_pause"]) == ([], None)
    assert exchange["meta"]["complete"] is False
    assert exchange["meta"]["warnings"] == ["the exchange's schedule could not be read"]


async def test_old_schedule_and_young_status(client: Client, upstream: Upstream) -> None:
    """How old an answer may be is a matter of the status: the schedule holds for an hour."""
    half_an_hour = httpx.Response(200, json=a_schedule(), headers={"Age": "1800"})
    upstream.answers["/exchange/schedule"] = half_an_hour
    await the_exchange(client)
    upstream.asked.clear()

    cached = {"Cache-Control": "only-if-cached, max-age=60"}
    young = [
        await client.get("/kalshi/exchange", headers=cached),
        await client.get("/kalshi/exchange?max_age=60"),
    ]
    asked_of_young = [*upstream.asked]
    anew = await client.get("/kalshi/exchange?refresh=true")

    assert [answer.headers["x-cache"] for answer in (*young, anew)] == ["HIT", "HIT", "BYPASS"]
    assert asked_of_young == []
    assert sorted(upstream.asked) == ["/exchange/schedule", "/exchange/status"]


async def test_refreshed_in_vain(client: Client, upstream: Upstream) -> None:
    """A status that could not be had anew is the last known one, however the schedule came."""
    await the_exchange(client)
    upstream.answers["/exchange/status"] = httpx.Response(503)

    after = await client.get("/kalshi/exchange?refresh=true")

    assert after.headers["x-cache"] == "STALE"
    assert after.json()["meta"]["source"] == "cache"
    assert after.json()["meta"]["stale"] is True


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, {"error": {"code": "authentication_error", "message": "ada@example.com is out"}}),
        (400, {"error": "user ada@example.com may not"}),
        (403, {"code": "forbidden:ada@example.com", "msg": "no"}),
    ],
)
async def test_its_own_words(
    client: Client, upstream: Upstream, status: int, said: dict[str, Any]
) -> None:
    """The exchange's own words may name an account: who reads of its refusal is told its number."""
    await the_exchange(client)
    upstream.answers["/exchange/status"] = httpx.Response(status, json=said)

    after = await client.get("/kalshi/exchange?refresh=true")

    assert str(status) in after.json()["meta"]["warnings"][0]
    assert "ada" not in after.text


@pytest.mark.parametrize("friday", [[{"open_time": "soon", "close_time": "late"}], "always"])
async def test_unreadable_week(client: Client, upstream: Upstream, friday: Any) -> None:
    """Of a week that cannot be read the next pause is unknown, and that is said."""
    schedule = a_schedule()
    schedule["schedule"]["standard_hours"][0]["friday"] = friday
    upstream.answers["/exchange/schedule"] = schedule

    exchange = await the_exchange(client)

    assert exchange["next_pause"] is None
    assert exchange["meta"]["complete"] is False
    assert exchange["meta"]["warnings"] == ["the exchange's schedule could not be read"]


@recordings.needed
async def test_as_recorded(client: Client, upstream: Upstream) -> None:
    """What the exchange has really said is read whole."""
    status = recordings.body("exchange_status/prod-2026-10-06.json")
    schedule = recordings.body("exchange_schedule/prod-2026-01-15.json")
    upstream.answers["/exchange/status"] = httpx.Response(200, content=status)
    upstream.answers["/exchange/schedule"] = httpx.Response(200, content=schedule)

    exchange = await the_exchange(client)

    told = [shard["description"] for shard in exchange["shards"]]
    assert told == ["Default", "Combos", "Crypto & Commodities"]
    assert len(exchange["schedule"]) == 8
    assert exchange["meta"]["complete"] is True


async def test_as_described(client: Client) -> None:
    """Every key is always there, and no other key is."""
    response = await client.get("/kalshi/exchange")

    app = a_gateway("postgresql://nobody@127.0.0.1:1/nothing")
    assert differences(app, "/kalshi/exchange", response.json()) == []
    TypeAdapter(ExchangeDetail).validate_json(response.content)
