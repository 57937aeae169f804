"""GET /kalshi/events, /kalshi/series, /kalshi/categories."""

import json
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import TypeAdapter

from kalshi_gateway.markets.answers import (
    CategoryList,
    EventDetail,
    EventList,
    SeriesDetail,
    SeriesList,
)

from .builders import a_market, a_series, an_event, note_all_walked, store
from .gateway import Shared
from .shapes import differences

pytestmark = pytest.mark.asyncio(loop_scope="module")

Client = httpx.AsyncClient

WEATHER, FOOTBALL, TENNIS, SEA = "KXHIGHNY-26JUN15", "KXNFL-26OCT08", "KXWTA-26JUN11", "KXSEA-99"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(shared: Shared) -> Client:
    """Five events: two open, one closed, one settled, one that nobody has a market of yet."""
    sports: dict[str, Any] = {"category": "Sports", "categories": ["Sports"]}
    await store(
        shared.database,
        a_series("KXHIGHNY"),
        a_series("KXNFL", title="Pro Football Game", tags=["Football", "Ball games"], **sports),
        a_series("KXWTA", title="Tennis Match", tags=["Tennis", "Ball games"], **sports),
        a_series("KXODD", title="Odd one", category="", categories=None, tags=None),
        an_event(WEATHER, strike_date="2026-06-15T00:00:00Z"),
        an_event(FOOTBALL, title="Tampa Bay at Dallas", sub_title="TB at DAL", category="Sports"),
        an_event(TENNIS, title="Jimenez vs Lepchenko", sub_title="", category="Sports"),
        an_event(SEA, title="Sea level", sub_title="", category="Science"),
        an_event("KXODD-1", title="Not listed yet", sub_title=""),
        a_market(f"{WEATHER}-T85", volume_24h_fp="100.01", open_interest_fp="5.00"),
        a_market(f"{WEATHER}-T90", volume_24h_fp="0.02", close_time="2099-06-17T00:00:00Z"),
        a_market(f"{WEATHER}-T95", status="closed", volume_24h_fp=..., open_interest_fp=...),
        a_market(f"{FOOTBALL}-DAL", volume_24h_fp="50.00", close_time="2099-01-01T00:00:00Z"),
        a_market(
            f"{FOOTBALL}-TB",
            status="finalized",
            volume_24h_fp="1.00",
            created_time="2026-05-01T10:00:00Z",
            close_time="2099-01-01T00:00:00Z",
        ),
        a_market(f"{TENNIS}-LEP", status="closed", volume_24h_fp="7.00"),
        a_market(f"{SEA}-1", status="finalized", volume_24h_fp=..., open_interest_fp=...),
    )
    await note_all_walked(shared.database)
    return shared.client


async def events(client: Client, **asked: Any) -> list[str]:
    response = await client.get("/kalshi/events", params=asked)
    assert response.status_code == 200, response.text
    return [event["event_ticker"] for event in response.json()["events"]]


async def series(client: Client, **asked: Any) -> list[str]:
    response = await client.get("/kalshi/series", params=asked)
    assert response.status_code == 200, response.text
    return [row["ticker"] for row in response.json()["series"]]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [WEATHER, FOOTBALL]),
        ({"status": "closed"}, [TENNIS]),
        ({"status": "settled"}, [SEA]),
        ({"status": "paused"}, []),
        ({"status": ["open", "closed"]}, [WEATHER, FOOTBALL, TENNIS]),
        ({"category": "sports"}, [FOOTBALL]),
        ({"category": "science", "status": "settled"}, [SEA]),
        ({"tag": "ball games", "status": ["open", "closed"]}, [FOOTBALL, TENNIS]),
        ({"series": "KXHIGHNY"}, [WEATHER]),
        ({"q": "dall"}, [FOOTBALL]),
        ({"q": "football"}, [FOOTBALL]),
        ({"closes_before": "2099-02-01T00:00:00Z"}, [FOOTBALL]),
        ({"closes_after": "2099-02-01T00:00:00Z"}, [WEATHER]),
        ({"sort": "close_time"}, [FOOTBALL, WEATHER]),
        ({"sort": "close_time", "order": "desc"}, [WEATHER, FOOTBALL]),
        ({"sort": "volume_24h", "order": "asc"}, [FOOTBALL, WEATHER]),
        ({"sort": "open_interest"}, [FOOTBALL, WEATHER]),
        ({"sort": "created"}, [WEATHER, FOOTBALL]),
        ({"limit": 1}, [WEATHER]),
    ],
    ids=str,
)
async def test_events(client: Client, asked: dict[str, Any], found: list[str]) -> None:
    """Events are found and sorted by what their markets add up to; open ones unless asked."""
    assert await events(client, **asked) == found


async def test_totals(client: Client) -> None:
    """An event adds up its markets exactly, and closes with the last of them."""
    response = await client.get("/kalshi/events")

    event = json.loads(response.text, parse_float=str)["events"][0]
    assert event["status"] == "open"
    assert event["volume_24h"] == "100.03"
    assert event["open_interest"] == "805.00"
    assert event["close_time"] == "2099-06-17T00:00:00Z"


async def test_unknown_totals(client: Client) -> None:
    """Where no market has a figure there is no sum, and not a sum of nothing."""
    response = await client.get("/kalshi/events", params={"status": "settled"})

    (event,) = response.json()["events"]
    assert (event["volume_24h"], event["open_interest"]) == (None, None)


async def test_markets_inside(client: Client) -> None:
    """An event carries all its markets in order, of every state, unless they are left out."""
    listed = (await client.get("/kalshi/events")).json()["events"][0]
    without = (await client.get("/kalshi/events", params={"markets": "false"})).json()["events"][0]
    detail = (await client.get(f"/kalshi/events/{WEATHER}")).json()

    tickers = [f"{WEATHER}-T85", f"{WEATHER}-T90", f"{WEATHER}-T95"]
    assert [market["ticker"] for market in listed["markets"]] == tickers
    assert without == {**listed, "markets": []}
    assert detail == {**listed, "meta": detail["meta"]}


async def test_market_is_the_same_everywhere(client: Client) -> None:
    """A market reads the same in its event, in a list and by itself."""
    event = (await client.get(f"/kalshi/events/{WEATHER}")).json()["markets"][0]
    listed = (await client.get("/kalshi/markets", params={"event": WEATHER})).json()["markets"][0]
    detail = (await client.get(f"/kalshi/markets/{WEATHER}-T85")).json()

    assert event == listed
    assert event.items() <= detail.items()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["KXHIGHNY", "KXNFL", "KXODD", "KXWTA"]),
        ({"category": "SPORTS"}, ["KXNFL", "KXWTA"]),
        ({"tag": "BALL GAMES"}, ["KXNFL", "KXWTA"]),
        ({"tag": "tennis", "category": "sports"}, ["KXWTA"]),
        ({"tag": "ball"}, []),
        ({"q": "pro foot"}, ["KXNFL"]),
        ({"q": "  "}, ["KXHIGHNY", "KXNFL", "KXODD", "KXWTA"]),
        ({"q": "!"}, []),
        ({"limit": 2}, ["KXHIGHNY", "KXNFL"]),
    ],
    ids=str,
)
async def test_series(client: Client, asked: dict[str, Any], found: list[str]) -> None:
    """Series are found by words, category and tag, and come by ticker."""
    assert await series(client, **asked) == found


async def test_categories(client: Client) -> None:
    """Every category and tag, with as many series and open markets as asking for it finds."""
    answer = (await client.get("/kalshi/categories")).json()

    assert answer["categories"] == [
        {
            "name": "Climate and Weather",
            "own": False,
            "series": 1,
            "open_markets": 2,
            "tags": [{"name": "Daily temperature", "series": 1, "open_markets": 2}],
        },
        {
            "name": "Sports",
            "own": False,
            "series": 2,
            "open_markets": 1,
            "tags": [
                {"name": "Ball games", "series": 2, "open_markets": 1},
                {"name": "Football", "series": 1, "open_markets": 1},
                {"name": "Tennis", "series": 1, "open_markets": 0},
            ],
        },
    ]
    for category in answer["categories"]:
        for facet in (category, *category["tags"]):
            asked = {"category": category["name"]} | (
                {"tag": facet["name"]} if facet is not category else {}
            )
            markets = (await client.get("/kalshi/markets", params=asked)).json()["markets"]
            assert len(markets) == facet["open_markets"]
            assert len(await series(client, **asked)) == facet["series"]


@pytest.mark.parametrize("q", ["game", "temp", "nyc", "footbal", "KXWTA", "nothing at all"])
async def test_categories_of_a_search(client: Client, q: str) -> None:
    """With words each counts what asking for it and for them finds; what has none is left out."""
    categories = (await client.get("/kalshi/categories", params={"q": q})).json()["categories"]

    assert bool(categories) == (q != "nothing at all")
    for category in categories:
        for facet in (category, *category["tags"]):
            asked = {"q": q, "category": category["name"]} | (
                {"tag": facet["name"]} if facet is not category else {}
            )
            markets = (await client.get("/kalshi/markets", params=asked)).json()["markets"]
            assert len(markets) == facet["open_markets"]
            assert len(await series(client, **asked)) == facet["series"]
            assert facet["open_markets"] + facet["series"] > 0


@pytest.mark.parametrize(
    ("path", "asked", "pointer"),
    [
        ("/kalshi/events", {"limit": "201"}, "/query/limit"),
        ("/kalshi/events", {"limit": "0"}, "/query/limit"),
        ("/kalshi/events", {"sort": "last_price"}, "/query/sort"),
        ("/kalshi/events", {"tickers": "A"}, "/query/tickers"),
        ("/kalshi/events", {"markets": "some"}, "/query/markets"),
        ("/kalshi/series", {"limit": "1001"}, "/query/limit"),
        ("/kalshi/series", {"sort": "title"}, "/query/sort"),
        ("/kalshi/series", {"status": "open"}, "/query/status"),
    ],
)
async def test_refusals(client: Client, path: str, asked: dict[str, str], pointer: str) -> None:
    """What a list does not understand is refused, with a pointer to it."""
    response = await client.get(path, params=asked)

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("path", "route", "kind"),
    [
        ("/kalshi/events?status=open&status=closed&status=settled", "/kalshi/events", EventList),
        ("/kalshi/events?markets=false&count=exact", "/kalshi/events", EventList),
        (f"/kalshi/events/{WEATHER}", "/kalshi/events/{event_ticker}", EventDetail),
        ("/kalshi/events/KXODD-1", "/kalshi/events/{event_ticker}", EventDetail),
        ("/kalshi/series", "/kalshi/series", SeriesList),
        ("/kalshi/series/KXODD", "/kalshi/series/{series_ticker}", SeriesDetail),
        ("/kalshi/categories", "/kalshi/categories", CategoryList),
    ],
)
async def test_as_described(
    shared: Shared, client: Client, path: str, route: str, kind: Any
) -> None:
    """Every key is always there, null where nothing is known, and no other key is."""
    response = await client.get(path)

    assert response.status_code == 200
    assert differences(shared.app, route, response.json()) == []
    TypeAdapter(kind).validate_json(response.content)
