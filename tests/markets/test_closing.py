"""Markets that open or close by the clock, since the exchange announces neither."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from kalshi_gateway.db import Database
from kalshi_gateway.markets import closing

from .builders import a_market, an_event, note_all_walked, store

Client = httpx.AsyncClient

HOUR = datetime(2026, 6, 16, 4, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
BEFORE = HOUR - DAY

TURNED = "2026-06-16T04:00:00Z"
LATER = "2099-01-01T00:00:00Z"


async def turn(database: Database, now: datetime) -> set[str]:
    async with database.driver() as conn, conn.transaction():
        return set(await closing.turn(conn, now))


async def statuses(client: Client) -> dict[str, str]:
    """By ticker, where body, column and filter agree."""
    found = {}
    for status in ("unopened", "open", "paused", "closed", "settled"):
        page = (await client.get("/kalshi/markets", params={"status": status})).json()
        for market in page["markets"]:
            assert market["status"] == status
            assert market["ticker"] not in found
            found[market["ticker"]] = status
    return found


@pytest.fixture(autouse=True)
async def walked(database: Database) -> None:
    await note_all_walked(database)


async def test_by_the_clock(client: Client, database: Database) -> None:
    """What is due opens or closes; what is not, or is over anyway, stays as it is."""
    await store(
        database,
        a_market("KXA-1-OPENING", status="initialized", open_time=TURNED, close_time=LATER),
        a_market("KXA-1-UNOPENED", status="initialized", open_time=LATER, close_time=LATER),
        a_market("KXA-1-CLOSING", status="active", close_time=TURNED),
        a_market("KXA-1-PAUSED", status="inactive", close_time=TURNED),
        a_market("KXA-1-OPEN", status="active", close_time=LATER),
        a_market("KXA-1-ENDLESS", status="active", close_time=...),
        a_market("KXA-1-CLOSED", status="closed", close_time=TURNED),
        a_market("KXA-1-SETTLED", status="finalized", close_time=TURNED),
        as_of=BEFORE,
    )

    turned = await turn(database, HOUR)

    assert turned == {"KXA-1-OPENING", "KXA-1-CLOSING", "KXA-1-PAUSED"}
    assert await statuses(client) == {
        "KXA-1-OPENING": "open",
        "KXA-1-UNOPENED": "unopened",
        "KXA-1-CLOSING": "closed",
        "KXA-1-PAUSED": "closed",
        "KXA-1-OPEN": "open",
        "KXA-1-ENDLESS": "open",
        "KXA-1-CLOSED": "closed",
        "KXA-1-SETTLED": "settled",
    }


@pytest.mark.parametrize(
    ("now", "as_of", "status"),
    [
        (HOUR - SECOND, BEFORE, "open"),
        (HOUR, BEFORE, "closed"),
        (HOUR + DAY, HOUR - SECOND, "closed"),
        # what the exchange said once the hour had come is believed: it may have been put off
        (HOUR + DAY, HOUR, "open"),
        (HOUR + DAY, HOUR + SECOND, "open"),
    ],
)
async def test_to_the_second(
    client: Client, database: Database, now: datetime, as_of: datetime, status: str
) -> None:
    """A market closes at its hour, unless the exchange has said otherwise since."""
    await store(database, a_market("KXA-1-X", close_time=TURNED), as_of=as_of)

    await turn(database, now)

    assert await statuses(client) == {"KXA-1-X": status}


async def test_once(database: Database) -> None:
    """What has been turned is not due again."""
    await store(database, a_market("KXA-1-X", close_time=TURNED), as_of=BEFORE)

    assert await turn(database, HOUR) == {"KXA-1-X"}
    assert await turn(database, HOUR + SECOND) == set()


async def test_nothing_else_changes(client: Client, database: Database) -> None:
    """But for its status a market that closed reads to the last digit as it did before."""
    fields: dict[str, Any] = {
        "close_time": TURNED,
        "yes_bid_dollars": "0.1230",
        "volume_fp": "123456789012.50",
        "title": 'Quotes " and \\ and ☃',
    }
    await store(database, an_event("KXA-1"), a_market("KXA-1-X", **fields), as_of=BEFORE)
    before = await client.get("/kalshi/markets/KXA-1-X")

    await turn(database, HOUR)

    after = await client.get("/kalshi/markets/KXA-1-X")
    assert read(after) == {**read(before), "status": "closed"}


async def test_believed_again(client: Client, database: Database) -> None:
    """What the exchange says after a market was closed by the clock is believed as ever."""
    await store(database, a_market("KXA-1-X", close_time=TURNED), as_of=BEFORE)
    await turn(database, HOUR)

    await store(database, a_market("KXA-1-X", close_time=LATER), as_of=HOUR + SECOND)

    assert await statuses(client) == {"KXA-1-X": "open"}


def read(response: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(response.text, parse_float=str, parse_int=str)
    return {name: value for name, value in body.items() if name != "meta"}
