"""Categories of the operator's own: what they gather is listed, counted and searched like any."""

from typing import Any

import asyncpg
import httpx
import pytest

from kalshi_gateway.db import Database

from .builders import a_market, a_series, an_event, note_all_walked, store

Client = httpx.AsyncClient


@pytest.fixture(autouse=True)
async def known(database: Database) -> None:
    """Three series of two categories, and three rules that gather them by four names."""
    families = {
        "KXGOLF": ("Sports", "Golf"),
        "KXPOLO": ("Sports", "Polo"),
        "KXFED": ("Economics", "Fed"),
    }
    for series, (category, tag) in families.items():
        await store(
            database,
            a_series(
                series, category=category, categories=[category], tags=[tag], title=f"The {tag}"
            ),
            an_event(f"{series}-1", category=category, title=f"Some {tag}"),
            a_market(f"{series}-1-A"),
            a_market(f"{series}-1-B", status="closed"),
        )
    await note_all_walked(database)
    async with database.driver() as conn:
        await conn.execute("TRUNCATE own_categories")
        await conn.executemany(
            "INSERT INTO own_categories (name, category, tag) VALUES ($1, $2, $3)",
            [
                ("Mine", None, "golf"),
                ("MINE", "ECONOMICS", None),
                ("Economics", None, "Polo"),
                ("Nothing yet", "Sports", "Fed"),
            ],
        )


async def listed(client: Client, what: str, key: str, **asked: Any) -> set[str]:
    response = await client.get(f"/kalshi/{what}", params=asked)
    assert response.status_code == 200, response.text
    return {row[key] for row in response.json()[what]}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"category": "mine"}, ["KXFED", "KXGOLF"]),
        ({"category": "Mine", "tag": "fed"}, ["KXFED"]),
        ({"category": "economics"}, ["KXFED", "KXPOLO"]),
        ({"category": "Sports"}, ["KXGOLF", "KXPOLO"]),
        ({"category": "mine", "q": "golf"}, ["KXGOLF"]),
        ({"category": "nothing yet"}, []),
    ],
    ids=str,
)
async def test_lists(client: Client, asked: dict[str, str], found: list[str]) -> None:
    """Markets, events and series are listed by them, in any case, beside other filters."""
    assert await listed(client, "series", "ticker", **asked) == set(found)
    assert await listed(client, "events", "series_ticker", **asked) == set(found)
    assert await listed(client, "markets", "series_ticker", **asked) == set(found)
    assert await listed(client, "markets", "series_ticker", **asked, status="closed") == set(found)


@pytest.mark.parametrize("q", [{}, {"q": "golf"}], ids=str)
async def test_facets(client: Client, q: dict[str, str]) -> None:
    """They are told with as much as asking for them finds, once, however they are written."""
    answer = (await client.get("/kalshi/categories", params=q)).json()

    told = {category["name"]: category["own"] for category in answer["categories"]}
    everything = {"Economics": False, "MINE": True, "Sports": False}
    assert told == ({"Mine": True, "Sports": False} if q else everything)
    for category in answer["categories"]:
        for facet in (category, *category["tags"]):
            asked = {**q, "category": category["name"]}
            if facet is not category:
                asked["tag"] = facet["name"]
            assert len(await listed(client, "markets", "ticker", **asked)) == facet["open_markets"]
            assert len(await listed(client, "series", "ticker", **asked)) == facet["series"]


async def test_what_gathers_nothing_is_refused(database: Database) -> None:
    """A row without category and tag would gather everything; nor is one there twice."""
    async with database.driver() as conn:
        for row in ("('All', NULL, NULL)", "('Mine', NULL, 'golf')"):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await conn.execute(f"INSERT INTO own_categories VALUES {row}")
