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
    """Four series of three categories, and what gathers them, by some names in some cases."""
    families = {
        "KXGOLF": ("Sports", ["Golf"]),
        "KXPOLO": ("Sports", ["Polo"]),
        "KXFED": ("Economics", ["Fed"]),
        "KXCLUB": ("Companies", ["GOLF", "golf"]),
    }
    for series, (category, tags) in families.items():
        await store(
            database,
            a_series(
                series, category=category, categories=[category], tags=tags, title=f"The {tags[0]}"
            ),
            an_event(f"{series}-1", category=category, title=f"Some {tags[0]}"),
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
                ("SPORTS", None, "Fed"),
            ],
        )


async def listed(client: Client, what: str, key: str, **asked: Any) -> set[str]:
    response = await client.get(f"/kalshi/{what}", params=asked)
    assert response.status_code == 200, response.text
    return {row[key] for row in response.json()[what]}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"category": "mine"}, ["KXCLUB", "KXFED", "KXGOLF"]),
        ({"category": "Mine", "tag": "fed"}, ["KXFED"]),
        ({"category": "economics"}, ["KXFED", "KXPOLO"]),
        ({"category": "Sports"}, ["KXFED", "KXGOLF", "KXPOLO"]),
        ({"tag": "Golf"}, ["KXCLUB", "KXGOLF"]),
        ({"category": "mine", "q": "golf"}, ["KXCLUB", "KXGOLF"]),
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
    golf = {"Companies": False, "Mine": True, "Sports": False}
    everything = {"Companies": False, "Economics": False, "MINE": True, "Sports": False}
    assert told == (golf if q else everything)
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
