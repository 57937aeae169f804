"""The promise of the cursors: a walk neither skips nor repeats a row that did not change."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kalshi_gateway.db import Database
from kalshi_gateway.kalshi import wire

from .builders import a_market, note_all_walked, store
from .gateway import Shared

pytestmark = pytest.mark.asyncio(loop_scope="module")

SORTS = ("volume_24h", "close_time", "open_interest", "last_price", "change", "created")
STATES = {
    "open": "active",
    "paused": "inactive",
    "unopened": "initialized",
    "closed": "closed",
    "settled": "finalized",
}
MARKETS = 24
#: One market on each, and as many again for those that move ahead of the walk.
MOST_PAGES = 100

#: Few different figures, so that many markets have the same; and now and then none at all.
counts = st.sampled_from(["0.00", "1.00", "2.50", "2.51", ...])
prices = st.sampled_from(["0.0000", "0.1000", "0.1001", "0.9000", ...])
times = st.sampled_from(["2027-01-01T00:00:00Z", "2027-01-01T00:00:01Z", "1901-01-01T00:00:00Z"])
figures = st.fixed_dictionaries(
    {
        "status": st.sampled_from(list(STATES.values())),
        "volume_24h_fp": counts,
        "open_interest_fp": counts,
        "last_price_dollars": prices,
        "previous_price_dollars": prices,
        "close_time": times,
        "created_time": times,
    }
)
#: A market by its number: numbers beyond those there are at first are of new ones.
change = st.tuples(st.integers(0, MARKETS + 6), figures)

Client = httpx.AsyncClient
Figures = dict[str, Any]


@dataclass(frozen=True)
class Story:
    """What there is at first, what is asked, and what happens before each further page."""

    markets: list[Figures]
    asked: dict[str, Any]
    limits: list[int]
    between: list[list[tuple[int, Figures]]]


stories = st.builds(
    Story,
    markets=st.lists(figures, min_size=MARKETS, max_size=MARKETS),
    asked=st.fixed_dictionaries(
        {
            "sort": st.sampled_from(SORTS),
            "order": st.sampled_from(["asc", "desc"]),
            "status": st.lists(st.sampled_from(list(STATES)), min_size=1, max_size=5, unique=True),
        },
        optional={"q": st.just("temp"), "min_volume": st.just("0")},
    ).map(lambda asked: asked | ({"sort": "relevance"} if "q" in asked else {})),
    limits=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    between=st.lists(st.lists(change, max_size=5), max_size=12),
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(story=stories)
async def test_a_walk_shows_each_market_that_did_not_change_exactly_once(
    shared: Shared, story: Story
) -> None:
    """While markets appear, move and close between its pages, a walk skips and repeats no other."""
    await begin(shared.database, story)
    changed: set[str] = set()
    changes = iter(story.between)

    seen: list[str] = []
    cursor: str | None = ""
    for page in range(MOST_PAGES):
        limit = story.limits[page % len(story.limits)]
        params = {**story.asked, "limit": limit} | ({"cursor": cursor} if cursor else {})
        tickers, cursor = await a_page(shared.client, params)
        seen += tickers
        if cursor is None:
            break
        changed |= await go_on(shared.database, next(changes, []))

    assert cursor is None
    unchanged = [ticker for ticker in seen if ticker not in changed]
    assert sorted(unchanged) == sorted(wanted(story) - changed)
    whole, _ = await a_page(shared.client, {**story.asked, "limit": 1000})
    assert unchanged == [ticker for ticker in whole if ticker not in changed]


def wanted(story: Story) -> set[str]:
    """The tickers that the list has at first."""
    states = {STATES[status] for status in story.asked["status"]}
    return {
        numbered(number, fields).ticker
        for number, fields in enumerate(story.markets)
        if fields["status"] in states
    }


async def begin(database: Database, story: Story) -> None:
    async with database.driver() as conn:
        await conn.execute("TRUNCATE instruments")
    await note_all_walked(database)
    rows = enumerate(story.markets)
    await store(database, *(numbered(number, fields) for number, fields in rows))


async def go_on(database: Database, changes: list[tuple[int, Figures]]) -> set[str]:
    """Let this happen; the tickers it happens to."""
    last = dict(changes)  # a market changes once between two pages
    markets = [numbered(number, fields) for number, fields in last.items()]
    await store(database, *markets)
    return {market.ticker for market in markets}


async def a_page(client: Client, params: dict[str, Any]) -> tuple[list[str], str | None]:
    # What the application gave a moment ago it may give again, unless it is asked for more.
    response = await client.get(
        "/kalshi/markets", params=params, headers={"Cache-Control": "no-cache"}
    )
    assert response.status_code == 200, response.text
    page = response.json()
    return [market["ticker"] for market in page["markets"]], page["next_cursor"]


def numbered(number: int, fields: Figures) -> wire.Market:
    return a_market(f"KXMOVE-{number % 3}-{number:02}", **fields)
