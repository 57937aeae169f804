"""Inputs that are no numbers, no times or no shards: refused, never taken and never a 500."""

from typing import Any

import httpx
import pytest

from kalshi_gateway.simulator.entries import MarketEntry
from kalshi_gateway.simulator.exchange import Exchange

from .members import a_market, a_member
from .moments import Moment
from .test_desk import DESK
from .test_orders import ORDERS, QUOTED, Trader, an_order

NO_NUMBERS = ["²", "٣", "9" * 5_000, "1_0", "+1", " 1", "1.", ".5", ""]


@pytest.fixture
def market(exchange: Exchange) -> MarketEntry:
    return a_market(exchange, **QUOTED)


@pytest.fixture
def ada(exchange: Exchange, client: httpx.AsyncClient, moment: Moment) -> Trader:
    return Trader(client, a_member(exchange), moment)


@pytest.mark.parametrize("text", NO_NUMBERS)
async def test_counts_are_of_ascii_digits(ada: Trader, market: MarketEntry, text: str) -> None:
    """Of a length that a count may have."""
    refused = await ada.refused("POST", ORDERS, an_order(market.ticker, count=text))

    assert refused[:2] == (400, "invalid_order_size")


@pytest.mark.parametrize("text", [*NO_NUMBERS, "0.٣", "0.²", "0." + "3" * 5_000])
async def test_prices_are_of_ascii_digits(
    ada: Trader, client: httpx.AsyncClient, market: MarketEntry, text: str
) -> None:
    """For members, and at the desk."""
    refused = await ada.refused("POST", ORDERS, an_order(market.ticker, price=text))
    body = {"ticker": market.ticker, "side": "bid", "price": text, "count": "1"}
    at_desk = await client.post(f"{DESK}/members/{ada.member.user_id}/orders", json=body)

    assert refused[:2] == (400, "invalid_price")
    assert at_desk.status_code == 400


@pytest.mark.parametrize("text", ["²", "٣", "1_0", "1e3", "1.0", " 1", "9" * 19, "9" * 5_000])
async def test_parameters_are_of_ascii_digits(client: httpx.AsyncClient, text: str) -> None:
    """And go into 64 bits."""
    asked = [
        await client.get(path, params={name: text})
        for path, name in (("/markets", "min_created_ts"), ("/milestones", "limit"))
    ]

    assert [(a.status_code, "msg" in a.json()) for a in asked] == [(400, True)] * 2


@pytest.mark.parametrize("text", ["abc", "2026-01-01T00:00:00", "2026-01-01", "1796083200"])
async def test_times_have_an_offset(client: httpx.AsyncClient, text: str) -> None:
    """Without one it is no moment: in parameters, and at the desk."""
    asked = await client.get("/milestones", params={"limit": 1, "minimum_start_date": text})
    archived = await client.post(f"{DESK}/archive", json={"before": text})

    assert (asked.status_code, "msg" in asked.json()) == (400, True)
    assert archived.status_code == 400


async def test_milestones_from_a_moment_on(client: httpx.AsyncClient) -> None:
    """Those that start then or later."""
    every = (await client.get("/milestones?limit=500")).json()["milestones"]
    starts = sorted(row["start_date"] for row in every)
    since = starts[len(starts) // 2]

    found = await client.get("/milestones", params={"limit": 500, "minimum_start_date": since})

    later = [row for row in every if row["start_date"] >= since]
    assert 0 < len(later) < len(every)
    assert found.json()["milestones"] == later


async def test_the_calendar_has_an_end(
    ada: Trader, exchange: Exchange, market: MarketEntry
) -> None:
    """An order that would expire behind it is refused; candles there are the last known price."""
    forever = an_order(market.ticker, expiration_time=10**15)
    entry = exchange.catalogue.created["open", 0].things[0]
    path = f"/series/{exchange.catalogue.series_of(entry)}/markets/{entry.ticker}/candlesticks"
    query: dict[str, Any] = {"start_ts": 10**18, "end_ts": 10**18, "period_interval": 1440}

    refused = await ada.refused("POST", ORDERS, forever)
    status, _ = await ada.ask("GET", path, **query, include_latest_before_start=True)

    assert refused[:2] == (400, "invalid_parameters")
    assert status == 200


@pytest.mark.parametrize("kind", ["rows", "repeat_cursor"])
async def test_nothing_cannot_be_spoiled(
    ada: Trader, exchange: Exchange, client: httpx.AsyncClient, kind: str
) -> None:
    """An answer without a body stays as it is, whatever is to go wrong with rows."""
    await client.post(f"{DESK}/faults", json={"kind": kind, "unknown": {"mood": "bullish"}})

    answer = await client.delete(ORDERS, auth=ada.auth)

    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("shards", [{"to_shard": 9}, {"from_shard": -1}, {"to_shard": 4}])
async def test_money_stays_on_shards_that_are(
    client: httpx.AsyncClient, exchange: Exchange, shards: dict[str, int]
) -> None:
    """It is not moved where nobody could find it."""
    member = a_member(exchange).member
    body = {"amount_dollars": "5", **shards}

    refused = await client.post(f"{DESK}/members/{member.user_id}/transfers", json=body)

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_parameters")
    assert member.held(0, 0) == member.total == 100_000_000
