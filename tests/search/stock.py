"""Markets put into the catalogue as its writer puts them, and what a search finds of them."""

from datetime import UTC, datetime
from typing import Any

import httpx

from kalshi_gateway.db import Database
from kalshi_gateway.kalshi import wire
from kalshi_gateway.markets import vocabulary
from tests.markets.builders import a_market, note_all_walked, store


async def put(database: Database, *markets: wire.Market) -> None:
    """Store markets, and learn their words."""
    await store(database, *markets)
    await note_all_walked(database)
    async with database.driver() as conn:
        found_by = await conn.fetch("SELECT tsvector_to_array(search) FROM instruments")
        await vocabulary.learn(conn, vocabulary.heard(row[0] for row in found_by))


def titled(ticker: str, title: str, **fields: Any) -> wire.Market:
    """A market that says nothing but this."""
    return a_market(ticker, title=title, yes_sub_title="", **fields)


async def found(client: httpx.AsyncClient, typed: str, **asked: Any) -> list[str]:
    """The tickers of the markets that a search finds, in their order."""
    response = await client.get("/kalshi/markets", params={"q": typed, **asked})
    assert response.status_code == 200, response.text
    return [market["ticker"] for market in response.json()["markets"]]


def days(number: int) -> str:
    """A closing time so many days from a fixed day on."""
    return datetime(2099, 1, 1 + number, tzinfo=UTC).isoformat()
