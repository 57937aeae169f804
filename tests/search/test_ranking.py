"""What comes first, and that a walk through it is the whole of it."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from kalshi_gateway.markets.listing import MarketListing, Place, cursor_after
from kalshi_gateway.markets.search import Reading
from tests.markets.gateway import Shared

from .stock import days, found, put, titled

pytestmark = pytest.mark.asyncio(loop_scope="module")

Client = httpx.AsyncClient

MANY = 400


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(shared: Shared) -> Client:
    await put(
        shared.database,
        titled("KXRANK-26-WORD", "Quokka", volume_24h_fp="1.00"),
        titled("KXRANK-26-WORD2", "Quokka again", volume_24h_fp="7.00"),
        titled("KXRANK-26-BEGINS", "Quokkas", volume_24h_fp="100.00"),
        titled("KXRANK-26-SYNONYM", "Setonix", volume_24h_fp="1000.00"),
        titled("KXRANK-26-NEAR", "Emu", volume_24h_fp="5.00", close_time=days(1)),
        titled("KXRANK-26-FAR", "Emu", volume_24h_fp="5.00", close_time=days(9)),
        titled("KXRANK-26-NONE", "Emu", volume_24h_fp="0.00"),
        titled("KXRANK-26-UNKNOWN", "Emu", volume_24h_fp=..., close_time=days(0)),
        titled("NOKX-26-T4", "Wombat", volume_24h_fp="1.00"),
        titled("NOKX-26-T4.5", "Wombat 26 nokx t4", volume_24h_fp="99.00"),
        *[
            titled(
                f"KXMANY-{n}",
                "Common things" + (" seldom" if n % 40 == 0 else ""),
                volume_24h_fp=... if n % 9 == 0 else f"{n % 7}.00",
                close_time=... if n % 5 == 0 else days(n % 3),
                status=("active", "closed", "initialized")[n % 3],
            )
            for n in range(MANY)
        ],
    )
    async with shared.database.driver() as conn:
        await conn.execute(
            "INSERT INTO search_synonyms (typed, means) VALUES ('quokka', 'setonix'),"
            " ('common', 'winner')"
        )
        await conn.execute("ANALYZE instruments")
    return shared.client


async def test_closest_match_first(client: Client) -> None:
    """Whole words come before beginnings, and these before synonyms, whatever is traded."""
    assert await found(client, "quokka") == [
        "KXRANK-26-WORD2",
        "KXRANK-26-WORD",
        "KXRANK-26-BEGINS",
        "KXRANK-26-SYNONYM",
    ]


async def test_mended_typos_last(client: Client) -> None:
    """Where the very letters are found too, a mended typo comes after them."""
    assert await found(client, "quoka") == ["KXRANK-26-WORD2", "KXRANK-26-WORD"]


async def test_most_traded_then_next_to_close(client: Client) -> None:
    """Among equals the most traded come first, then those that close soon; unknowns are last."""
    assert await found(client, "emu") == [
        "KXRANK-26-NEAR",
        "KXRANK-26-FAR",
        "KXRANK-26-NONE",
        "KXRANK-26-UNKNOWN",
    ]


@pytest.mark.parametrize("typed", ["NOKX-26-T4", "nokx-26-t4", " NOKX-26-T4 "])
async def test_whole_ticker_first(client: Client, typed: str) -> None:
    """A ticker typed in full comes first, though another market has the same words and more."""
    assert await found(client, typed) == ["NOKX-26-T4", "NOKX-26-T4.5"]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("status", [["open"], ["open", "closed", "unopened"]])
@pytest.mark.parametrize("typed", ["common", "common seldom", "c", "comon", "kxmany"])
async def test_walk(client: Client, typed: str, status: list[str], order: str) -> None:
    """Pages of any size are one list: looked up or read in order, nothing skipped or repeated."""
    asked: dict[str, Any] = {"q": typed, "status": status, "order": order, "limit": 1000}
    whole = (await client.get("/kalshi/markets", params={**asked, "count": "exact"})).json()
    tickers = [market["ticker"] for market in whole["markets"]]

    assert len(tickers) == len(set(tickers)) == whole["meta"]["total"] > 3
    for limit in (1, 7, 100):
        assert await walked(client, {**asked, "limit": limit}, pages=40) == tickers[: 40 * limit]


async def test_both_directions(client: Client) -> None:
    """From the end the list is the same list backwards."""
    assert (
        await found(client, "common", order="asc", limit=1000)
        == (await found(client, "common", limit=1000))[::-1]
    )


async def test_every_sort_finds_the_same(client: Client) -> None:
    """Synonyms and mended typos are found in any order that is asked for."""
    by_relevance = await found(client, "quoka", limit=1000)

    assert sorted(by_relevance) == sorted(await found(client, "quoka", sort="close_time"))


async def test_walk_of_words_that_change(client: Client, shared: Shared) -> None:
    """What a word was taken for on the first page holds to the end of the walk."""
    asked: dict[str, Any] = {"q": "wombatt", "limit": 1}
    first = (await client.get("/kalshi/markets", params=asked)).json()

    async with shared.database.driver() as conn:
        await conn.execute("INSERT INTO vocabulary (word) VALUES ('wombatt')")
    rest = await client.get("/kalshi/markets", params={**asked, "cursor": first["next_cursor"]})

    assert [market["ticker"] for market in rest.json()["markets"]] == ["NOKX-26-T4"]
    assert await found(client, "wombatt  ") == []


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FORGED: dict[str, tuple[tuple[int | datetime, ...], Reading | None]] = {
    "a number for a time": ((3, 1, 1), None),
    "a time for a number": ((NOON, NOON, NOON), None),
    "too few keys": ((3, 1), None),
    "too large": ((3, 2**63, NOON), None),
    "an operator": ((3, 1, NOON), Reading(synonyms={"emu": (("a' | 'b",),)})),
    "another operator": ((3, 1, NOON), Reading(mended={"emu": ("!emu",)})),
    "no word": ((3, 1, NOON), Reading(mended={"emu": ("",)})),
    "too long a word": ((3, 1, NOON), Reading(mended={"emu": ("a" * 2_100,)})),
    "a synonym without words": ((3, 1, NOON), Reading(synonyms={"emu": ((),)})),
}


@pytest.mark.parametrize("what", FORGED)
async def test_forged_cursor(client: Client, what: str) -> None:
    """A cursor that no page of ours can have given is refused."""
    keys, reading = FORGED[what]
    listing = MarketListing(q="emu")
    cursor = cursor_after(Place(keys, "KXRANK-26-NEAR", reading), listing)

    response = await client.get("/kalshi/markets", params={"q": "emu", "cursor": cursor})

    assert response.status_code == 422
    assert response.json()["code"] == "cursor_invalid"


async def test_longest_cursor(client: Client, shared: Shared) -> None:
    """However much a search was taken for, its cursor fits into a request."""
    names = [f"long{chr(97 + n)}" for n in range(16)]
    async with shared.database.driver() as conn:
        await conn.executemany(
            "INSERT INTO search_synonyms (typed, means) VALUES ($1, $2)",
            [(name, f"common {name * 6} {n}") for name in names for n in range(20)],
        )
        await conn.executemany(
            "INSERT INTO search_synonyms (typed, means) VALUES ($1, 'common')",
            [(name,) for name in names],
        )
    asked: dict[str, Any] = {"q": " ".join(names), "limit": 1}

    first = (await client.get("/kalshi/markets", params=asked)).json()
    second = await client.get("/kalshi/markets", params={**asked, "cursor": first["next_cursor"]})

    assert first["markets"]
    assert second.status_code == 200


async def walked(client: Client, asked: dict[str, Any], *, pages: int) -> list[str]:
    """The tickers on so many pages, in the order they came."""
    tickers: list[str] = []
    for _ in range(pages):
        page = (await client.get("/kalshi/markets", params=asked)).json()
        tickers += [market["ticker"] for market in page["markets"]]
        if page["next_cursor"] is None:
            break
        asked = {**asked, "cursor": page["next_cursor"]}
    return tickers
