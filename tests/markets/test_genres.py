"""Genres: what they tell apart, what is found by them, and how much of all they have."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_gateway.db import Database
from kalshi_gateway.markets import genres
from kalshi_gateway.markets.genres import genre_of

from .builders import a_market, a_series, an_event, store

NAMES = st.text(min_size=1, max_size=20)
CATEGORIES = st.none() | NAMES
TAGS = st.lists(NAMES, max_size=4).map(tuple)


@given(category=CATEGORIES, tags=TAGS, others=st.data())
def test_tags_in_another_order(category: str | None, tags: tuple[str, ...], others: Any) -> None:
    """In which order tags come, and how often, makes no other genre."""
    shuffled = others.draw(st.permutations([*tags, *tags[:1]]))

    assert genre_of(category, tuple(shuffled)) == genre_of(category, tags)


@given(one=st.tuples(CATEGORIES, TAGS), other=st.tuples(CATEGORIES, TAGS))
def test_other_genres(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    """Two are the same exactly if category and tags are."""
    same = one[0] == other[0] and set(one[1]) == set(other[1])

    assert (genre_of(*one).id == genre_of(*other).id) == same


def test_what_runs_together() -> None:
    """A category is no tag, and two tags are not one."""
    told: list[tuple[str | None, tuple[str, ...]]] = [
        ("A", ("B",)),
        (None, ("A", "B")),
        ("AB", ()),
        ("A", ()),
    ]

    assert len({genre_of(*one).id for one in told}) == len(told)


@pytest.mark.parametrize(
    ("category", "tag", "found"),
    [
        ("Sports", None, {"soccer", "golf"}),
        ("sPORTS", "Golf", {"golf"}),
        (None, "golf", {"golf", "clubs"}),
        ("Économie", None, {"économie"}),
        ("économie", "none", set()),
        ("Weather", None, set()),
    ],
)
async def test_found_in_any_case(
    database: Database, category: str | None, tag: str | None, found: set[str]
) -> None:
    """Those that have the category and the tag, however either is written."""
    known = {
        "soccer": genre_of("Sports", ("Soccer",)),
        "golf": genre_of("Sports", ("Golf", "Soccer")),
        "clubs": genre_of("Companies", ("GOLF",)),
        "économie": genre_of("ÉCONOMIE", ()),
        "alone": genre_of(None, ()),
    }
    async with database.driver() as conn:
        await genres.learn(conn, known.values())
        await genres.learn(conn, known.values())

        having = await genres.having(conn, category, tag)

    assert {name for name, genre in known.items() if genre.id in having.ids} == found
    assert len(having.ids) == len(found)


async def test_counted_anew(database: Database) -> None:
    """A genre's share is of open markets, combos aside."""
    await store(
        database,
        *(a_series(f"KX{name}", category="Sports", tags=[name]) for name in ("GOLF", "POLO")),
        *(an_event(f"KX{name}-1", series_ticker=f"KX{name}") for name in ("GOLF", "POLO")),
        *(a_market(f"KXPOLO-1-{n}") for n in range(3)),
        a_market("KXGOLF-1-1"),
        *(a_market(f"KXGOLF-1-{n}", status="finalized") for n in range(2, 9)),
    )
    async with database.driver() as conn:
        before = await genres.having(conn, "Sports", None)
        await genres.recount(conn)
        sports = await genres.having(conn, "Sports", None)
        golf = await genres.having(conn, None, "golf")

    assert (before.share, sports.share, golf.share) == (0, 1, 0.25)


async def test_a_genre_that_has_gone(database: Database) -> None:
    """It has no share any more."""
    await store(
        database,
        a_series("KXGOLF", category="Sports", tags=["Golf"]),
        an_event("KXGOLF-1", series_ticker="KXGOLF"),
        a_market("KXGOLF-1-1"),
    )
    async with database.driver() as conn:
        await genres.recount(conn)
        await conn.execute("DELETE FROM instruments")
        await genres.recount(conn)

        assert (await genres.having(conn, "Sports", None)).share == 0


async def test_more_genres_than_are_read_one_by_one(
    client: httpx.AsyncClient, database: Database
) -> None:
    """A category of very many genres is listed whole, and so is a tag of all of them."""
    names = [f"KX{n:02}" for n in range(40)]
    await store(
        database,
        *(a_series(name, category="Sports", tags=["All", name]) for name in names),
        *(an_event(f"{name}-1", series_ticker=name) for name in names),
        *(a_market(f"{name}-1-A") for name in names),
    )
    for asked in ({"category": "sports"}, {"tag": "all"}, {"category": "sports", "tag": "all"}):
        response = await client.get("/kalshi/markets", params={**asked, "count": "exact"})

        assert response.json()["meta"]["total"] == len(response.json()["markets"]) == 40
