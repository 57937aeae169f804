"""Who does not say who they are reads what everybody may, and stops nobody."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from kalshi_gateway.doors.exchange import LONGEST_TARGET
from kalshi_gateway.doors.strangers import MOST_AT_ONCE
from kalshi_gateway.kalshi.client import Kalshi
from kalshi_gateway.simulator.exchange import Exchange

from .people import People

PREFIX = "/trade-api/v2"


def service(app: FastAPI) -> Kalshi:
    kalshi: Kalshi = app.state.resources.kalshi
    return kalshi


async def hanging(exchange: Exchange, count: int) -> None:
    """Wait until so many requests are left without an answer."""
    while len(exchange.faults.hanging) != count:  # noqa: ASYNC110
        await asyncio.sleep(0)


@pytest.fixture
async def crowd(
    client: httpx.AsyncClient, exchange: Exchange
) -> AsyncIterator[list[asyncio.Task[httpx.Response]]]:
    """As many as may ask at once, of an exchange that does not answer them."""
    exchange.faults.hang(operation="GET /markets")
    crowd = [
        asyncio.create_task(client.get(f"{PREFIX}/markets?limit={n}"))
        for n in range(1, MOST_AT_ONCE + 1)
    ]
    await hanging(exchange, MOST_AT_ONCE)
    yield crowd
    for one in crowd:
        one.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)


async def test_what_no_front_lets_pass(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """A query of endless length is refused here, in the exchange's shape."""
    response = await client.get(f"{PREFIX}/markets?x={'x' * LONGEST_TARGET}")

    assert response.status_code == 414
    assert sorted(response.json()) == ["code", "details", "message"]
    assert exchange.counters.requests.total() == 0


async def test_what_fails_for_strangers_fails_for_nobody_else(
    app: FastAPI, client: httpx.AsyncClient, people: People, exchange: Exchange
) -> None:
    """However often the exchange fails at what strangers ask, all others are still served."""
    ada = await people.admit()
    exchange.faults.status(500, operation="GET /markets")

    for limit in range(10):
        await client.get(f"{PREFIX}/markets?limit={limit}")
    read = await client.get(f"{PREFIX}/exchange/schedule", headers=ada.token)

    assert read.status_code == 200
    assert service(app).breakers.failed_in_a_row == 0


@pytest.mark.usefixtures("crowd")
async def test_so_many_strangers_at_once(
    client: httpx.AsyncClient, people: People, exchange: Exchange
) -> None:
    """One too many is told so at once, as the exchange would; who shows a token is served."""
    ada = await people.admit()

    one_more = await client.get(f"{PREFIX}/exchange/schedule")
    member = await client.get(f"{PREFIX}/exchange/schedule", headers=ada.token)
    kept = await client.get(f"{PREFIX}/exchange/schedule")

    assert (one_more.status_code, one_more.json()["error"]["code"]) == (429, "too_many_requests")
    assert [member.status_code, kept.status_code] == [200, 200]
    assert exchange.counters.requests["GET /exchange/schedule"] == 1


async def test_a_seat_is_free_again(
    client: httpx.AsyncClient, exchange: Exchange, crowd: list[asyncio.Task[httpx.Response]]
) -> None:
    """Who goes away, or was answered, makes room."""
    crowd.pop().cancel()
    await hanging(exchange, MOST_AT_ONCE - 1)
    exchange.faults.clear()

    answers = [await client.get(f"{PREFIX}/events?limit={n}") for n in range(1, 4)]

    assert [answer.status_code for answer in answers] == [200] * 3
