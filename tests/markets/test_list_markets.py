"""GET /kalshi/markets: filters, sorts, limits, counts, over one small fair of markets."""

from typing import Any

import httpx
import pytest
import pytest_asyncio

from kalshi_gateway.db import Database
from kalshi_gateway.markets import ordering

from .builders import a_market, a_series, an_event, note_all_walked, store
from .gateway import Shared

pytestmark = pytest.mark.asyncio(loop_scope="module")

Client = httpx.AsyncClient


async def listed(client: Client, **params: Any) -> list[str]:
    """The tickers of the first page."""
    response = await client.get("/kalshi/markets", params=params)
    assert response.status_code == 200, response.text
    return [market["ticker"] for market in response.json()["markets"]]


async def refused(client: Client, **params: Any) -> dict[str, Any]:
    """The problem, and where it lies: pointers by themselves."""
    response = await client.get("/kalshi/markets", params=params)
    assert response.status_code == 422, response.text
    problem: dict[str, Any] = response.json()
    problem["pointers"] = [error["pointer"] for error in problem.get("errors", ())]
    return problem


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(shared: Shared) -> Client:
    await fill(shared.database)
    return shared.client


async def fill(database: Database) -> None:
    """Ten markets of three series: weather, football, a question of politics; and a combo."""
    await store(
        database,
        a_series("KXHIGHNY"),
        a_series(
            "KXNFLGAME",
            title="Professional Football Game",
            category="Sports",
            categories=["Sports"],
            tags=["Football", "NFL"],
        ),
        a_series(
            "KXPRES",
            title="Who wins the presidency?",
            category="Politics",
            categories=["Politics", "Elections"],
            tags=["US Elections"],
        ),
        an_event("KXHIGHNY-26JUN15"),
        an_event("KXHIGHNY-26JUN16", title="Highest temperature in NYC on Jun 16, 2026?"),
        an_event(
            "KXNFLGAME-26OCT08TBDAL",
            title="Tampa Bay at Dallas",
            sub_title="TB at DAL (Oct 8)",
            category="Sports",
        ),
        an_event("KXPRES-28", title="Who will win?", sub_title="In 2028", category="Politics"),
        a_market("KXHIGHNY-26JUN15-T85", volume_24h_fp="500.00", volume_fp="900.00"),
        a_market(
            "KXHIGHNY-26JUN15-T78",
            yes_sub_title="77° or below",
            volume_24h_fp="400.00",
            last_price_dollars="0.0300",
            close_time="2098-01-01T00:00:00Z",
        ),
        a_market("KXHIGHNY-26JUN16-T85", status="initialized", volume_24h_fp="0.00"),
        a_market("KXHIGHNY-26JUN15-T90", status="inactive", volume_24h_fp="1.00"),
        a_market("KXHIGHNY-26JUN15-T91", status="closed", volume_24h_fp="2.00"),
        a_market("KXHIGHNY-26JUN15-T92", status="finalized", volume_24h_fp="3.00"),
        a_market(
            "KXNFLGAME-26OCT08TBDAL-DAL",
            title="Dallas wins",
            yes_sub_title="Dallas",
            volume_24h_fp="202329.86",
            volume_fp="271926.68",
            last_price_dollars="0.8100",
        ),
        a_market(
            "KXNFLGAME-26OCT08TBDAL-TB",
            title="Tampa Bay wins",
            yes_sub_title="Tampa Bay",
            volume_24h_fp="100000.00",
            last_price_dollars="0.1900",
        ),
        a_market("KXPRES-28-A", title="", yes_sub_title="Somebody", volume_24h_fp="10.00"),
        a_market(
            "KXMVESPORTS-S2026AA-BB",
            title="yes Dallas,yes Somebody",
            mve_collection_ticker="KXMVESPORTS-R",
            mve_selected_legs=[],
        ),
        *(a_market(f"KXSORT-1-{name}", status="inactive", **row) for name, row in SORTED.items()),
        a_market("KXREL-1-PART", status="closed", title="Pittsburgh wins", volume_24h_fp="9.00"),
        a_market("KXREL-1-WORD1", status="closed", title="Pit stop", volume_24h_fp="1.00"),
        a_market("KXREL-1-WORD2", status="closed", title="A pit", volume_24h_fp="2.00"),
    )
    await note_all_walked(database)


UNKNOWN = dict.fromkeys(
    (
        "volume_24h_fp",
        "close_time",
        "open_interest_fp",
        "last_price_dollars",
        "previous_price_dollars",
        "created_time",
    ),
    ...,
)
SORTED: dict[str, dict[str, Any]] = {
    name: dict(zip(UNKNOWN, values, strict=True))
    for name, *values in (
        # volume, close, interest, price, price before, created
        ("A", "2.00", "2099-03-01T00:00:00Z", "3.00", "0.1000", "0.1000", "2026-01-02T00:00:00Z"),
        ("B", "3.00", "2099-01-01T00:00:00Z", "2.00", "0.2000", "0.1000", "2026-01-01T00:00:00Z"),
        ("C", "1.00", "2099-02-01T00:00:00Z", "1.00", "0.3000", "0.9000", "2026-01-03T00:00:00Z"),
    )
} | {"Y": UNKNOWN, "Z": UNKNOWN}

A_COMBO = "KXMVESPORTS-S2026AA-BB"


ALL_OPEN = [
    "KXNFLGAME-26OCT08TBDAL-DAL",
    "KXNFLGAME-26OCT08TBDAL-TB",
    "KXHIGHNY-26JUN15-T85",
    "KXHIGHNY-26JUN15-T78",
    "KXPRES-28-A",
]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ALL_OPEN),
        ({"q": "dallas"}, ["KXNFLGAME-26OCT08TBDAL-DAL", "KXNFLGAME-26OCT08TBDAL-TB"]),
        ({"q": "dal tam"}, ["KXNFLGAME-26OCT08TBDAL-DAL", "KXNFLGAME-26OCT08TBDAL-TB"]),
        ({"q": "temperature below"}, ["KXHIGHNY-26JUN15-T78"]),
        ({"q": "nfl foot"}, ["KXNFLGAME-26OCT08TBDAL-DAL", "KXNFLGAME-26OCT08TBDAL-TB"]),
        ({"q": "KXHIGHNY-26JUN15-T7"}, ["KXHIGHNY-26JUN15-T78"]),
        ({"q": "nothing of that kind"}, []),
        ({"q": "?!"}, []),
        ({"category": "Sports"}, ["KXNFLGAME-26OCT08TBDAL-DAL", "KXNFLGAME-26OCT08TBDAL-TB"]),
        ({"category": "sPORTS"}, ["KXNFLGAME-26OCT08TBDAL-DAL", "KXNFLGAME-26OCT08TBDAL-TB"]),
        ({"category": "Spor"}, []),
        ({"tag": "us elections"}, ["KXPRES-28-A"]),
        ({"tag": "NFL"}, ["KXNFLGAME-26OCT08TBDAL-DAL", "KXNFLGAME-26OCT08TBDAL-TB"]),
        ({"tag": "elections"}, []),
        ({"series": "KXPRES"}, ["KXPRES-28-A"]),
        ({"series": "kxpres"}, []),
        ({"event": "KXHIGHNY-26JUN15"}, ["KXHIGHNY-26JUN15-T85", "KXHIGHNY-26JUN15-T78"]),
        ({"status": "open"}, ALL_OPEN),
        ({"status": "unopened"}, ["KXHIGHNY-26JUN16-T85"]),
        ({"status": "paused", "series": "KXHIGHNY"}, ["KXHIGHNY-26JUN15-T90"]),
        ({"status": "closed", "series": "KXHIGHNY"}, ["KXHIGHNY-26JUN15-T91"]),
        ({"status": "settled"}, ["KXHIGHNY-26JUN15-T92"]),
        (
            {"status": ["settled", "closed"], "series": "KXHIGHNY"},
            ["KXHIGHNY-26JUN15-T92", "KXHIGHNY-26JUN15-T91"],
        ),
        ({"status": ["open", "open"]}, ALL_OPEN),
        (
            {"tickers": "KXHIGHNY-26JUN15-T92,KXPRES-28-A,KXNONE"},
            ["KXPRES-28-A", "KXHIGHNY-26JUN15-T92"],
        ),
        (
            {"tickers": ["KXHIGHNY-26JUN15-T92", "KXPRES-28-A,KXMVESPORTS-S2026AA-BB"]},
            ["KXMVESPORTS-S2026AA-BB", "KXPRES-28-A", "KXHIGHNY-26JUN15-T92"],
        ),
        ({"tickers": "KXHIGHNY-26JUN15-T92,KXPRES-28-A", "status": "open"}, ["KXPRES-28-A"]),
        ({"tickers": ""}, []),
        ({"min_volume": "271926.68"}, ["KXNFLGAME-26OCT08TBDAL-DAL"]),
        ({"min_volume": "271926.69"}, []),
        ({"min_price": "0.81"}, ["KXNFLGAME-26OCT08TBDAL-DAL"]),
        ({"max_price": "0.03"}, ["KXHIGHNY-26JUN15-T78"]),
        ({"min_price": "0.1900", "max_price": "0.42", "series": "KXNFLGAME"}, [ALL_OPEN[1]]),
        ({"closes_before": "2098-06-01T00:00:00Z"}, ["KXHIGHNY-26JUN15-T78"]),
        ({"closes_before": "2098-01-01T00:00:00Z"}, []),
        ({"closes_before": "2098-01-01T01:00:01+01:00"}, ["KXHIGHNY-26JUN15-T78"]),
        ({"closes_before": "4039372801"}, ["KXHIGHNY-26JUN15-T78"]),
        ({"closes_before": "4039372800"}, []),
        ({"closes_after": "2098-01-01T00:00:00Z", "series": "KXHIGHNY"}, ["KXHIGHNY-26JUN15-T85"]),
        ({"include_combos": "true"}, [*ALL_OPEN[:3], ALL_OPEN[3], A_COMBO, ALL_OPEN[4]]),
        (
            {"q": "temp", "category": "climate and weather", "tag": "daily temperature"},
            ["KXHIGHNY-26JUN15-T85", "KXHIGHNY-26JUN15-T78"],
        ),
        ({"category": "Sports", "tag": "US Elections"}, []),
        (
            {"event": "KXHIGHNY-26JUN15", "status": ["closed", "open"], "max_price": "0.1"},
            ["KXHIGHNY-26JUN15-T78"],
        ),
    ],
    ids=str,
)
async def test_filters(client: Client, asked: dict[str, Any], found: list[str]) -> None:
    """A list has what was asked for, all of it, and nothing else."""
    assert await listed(client, **asked) == found


@pytest.mark.parametrize(
    ("sort", "ascending"),
    [
        ("volume_24h", ["C", "A", "B"]),
        ("close_time", ["B", "C", "A"]),
        ("open_interest", ["C", "B", "A"]),
        ("last_price", ["A", "B", "C"]),
        ("change", ["C", "A", "B"]),
        ("created", ["B", "A", "C"]),
    ],
)
async def test_sorts(client: Client, sort: str, ascending: list[str]) -> None:
    """Every sort runs both ways, and what has no such figure comes last either way."""
    named = {"event": "KXSORT-1", "sort": sort, "status": "paused"}

    up = await listed(client, **named, order="asc")
    down = await listed(client, **named, order="desc")

    assert [ticker[-1] for ticker in up] == [*ascending, "Y", "Z"]
    assert [ticker[-1] for ticker in down] == [*reversed(ascending), "Z", "Y"]


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ({}, "B"),  # by volume, the highest first
        ({"sort": "close_time"}, "B"),  # the next to close first
        ({"sort": "last_price"}, "C"),
        ({"sort": "relevance"}, "B"),
    ],
    ids=str,
)
async def test_usual_order(client: Client, asked: dict[str, str], first: str) -> None:
    """Without an order the highest come first, but of closing times the nearest."""
    found = await listed(client, event="KXSORT-1", status="paused", **asked)

    assert found[0] == f"KXSORT-1-{first}"


async def test_relevance(client: Client) -> None:
    """Whole words come before beginnings of words, and among equals the most traded."""
    assert await listed(client, q="pit", status="closed") == [
        "KXREL-1-WORD2",
        "KXREL-1-WORD1",
        "KXREL-1-PART",
    ]
    assert await listed(client, q="pit", status="closed", order="asc") == [
        "KXREL-1-PART",
        "KXREL-1-WORD1",
        "KXREL-1-WORD2",
    ]
    assert (await listed(client, q="pit", status="closed", sort="volume_24h"))[0] == "KXREL-1-PART"


async def test_blank_search(client: Client) -> None:
    """A search field that is still empty filters nothing."""
    assert await listed(client, q="") == await listed(client, q="  ") == ALL_OPEN


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"limit": "0"}, "/query/limit"),
        ({"limit": "-1"}, "/query/limit"),
        ({"limit": "1001"}, "/query/limit"),
        ({"limit": "9" * 5000}, "/query/limit"),
        ({"limit": "many"}, "/query/limit"),
        ({"limit": "1.5"}, "/query/limit"),
        ({"limt": "5"}, "/query/limt"),
        ({"status": "active"}, "/query/status/0"),
        ({"status": ["open", "shut"]}, "/query/status/1"),
        ({"sort": "ticker"}, "/query/sort"),
        ({"order": "up"}, "/query/order"),
        ({"count": "yes"}, "/query/count"),
        ({"include_combos": "perhaps"}, "/query/include_combos"),
        ({"min_volume": "-1"}, "/query/min_volume"),
        ({"min_volume": "NaN"}, "/query/min_volume"),
        ({"min_volume": "1e400"}, "/query/min_volume"),
        ({"min_volume": "0.001"}, "/query/min_volume"),
        ({"min_price": "1.01"}, "/query/min_price"),
        ({"max_price": "81c"}, "/query/max_price"),
        ({"max_price": "Infinity"}, "/query/max_price"),
        ({"closes_before": "tomorrow"}, "/query/closes_before"),
        ({"closes_before": "1e400"}, "/query/closes_before"),
        ({"closes_before": "nan"}, "/query/closes_before"),
        ({"closes_after": "0001-01-01T00:00:00+23:00"}, "/query/closes_after"),
        ({"closes_after": "9999-12-31T23:59:59-23:00"}, "/query/closes_after"),
        ({"q": "a" * 201}, "/query/q"),
        ({"tickers": ",".join(f"T{n}" for n in range(1001))}, "/query/tickers"),
        ({"cursor": "a" * 8001}, "/query/cursor"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_refusals(client: Client, asked: dict[str, Any], pointer: str) -> None:
    """What cannot be meant is refused, with a pointer to it and without repeating it."""
    problem = await refused(client, **asked)

    assert problem["code"] == "invalid_request"
    assert problem["pointers"] == [pointer]


async def test_all_mistakes_at_once(client: Client) -> None:
    """Whoever makes three mistakes is told of all three."""
    problem = await refused(client, limit="0", sort="ticker", colour="red")

    assert sorted(problem["pointers"]) == ["/query/colour", "/query/limit", "/query/sort"]


@pytest.mark.parametrize("most", [0, 16])
async def test_a_tag_of_few_genres_or_many(
    client: Client, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many genres have a tag, their markets are found."""
    monkeypatch.setattr(ordering, "MOST_RANGES", most)

    response = await client.get("/kalshi/markets", params={"tag": "nfl"})

    found = [market["ticker"] for market in response.json()["markets"]]
    assert found == ["KXNFLGAME-26OCT08TBDAL-DAL", "KXNFLGAME-26OCT08TBDAL-TB"]


@pytest.mark.parametrize("name", ["q", "category", "tag", "series", "event", "tickers"])
async def test_text_that_cannot_be_kept(client: Client, name: str) -> None:
    """A NUL byte, which no market has in its name, is a bad request and no failure of ours."""
    response = await client.get("/kalshi/markets", params={name: "a\0b"})

    assert response.status_code in (200, 400, 422)
    if response.status_code == 200:
        assert response.json()["markets"] == []


@pytest.mark.parametrize("limit", [1, 1000])
async def test_limit_bounds(client: Client, limit: int) -> None:
    """A page may have from one market to a thousand."""
    found = await listed(client, limit=limit)

    assert found == ALL_OPEN[:limit]


@pytest.mark.parametrize(
    ("asked", "total"),
    [
        ({}, 5),
        ({"limit": 2}, 5),
        ({"category": "Sports"}, 2),
        ({"status": ["open", "settled"]}, 6),
        ({"q": "temperature"}, 2),
        ({"q": "nobody"}, 0),
        ({"tickers": "KXHIGHNY-26JUN15-T92,KXNONE"}, 1),
    ],
    ids=str,
)
async def test_exact_count(client: Client, asked: dict[str, Any], total: int) -> None:
    """The number of all markets of the list is counted for whoever asks, and else is null."""
    counted = await client.get("/kalshi/markets", params={**asked, "count": "exact"})
    uncounted = await client.get("/kalshi/markets", params=asked)

    assert counted.json()["meta"]["total"] == total
    assert uncounted.json()["meta"]["total"] is None


async def test_more_tickers_than_may_be_named(client: Client) -> None:
    """Names that are empty count as well."""
    response = await client.get("/kalshi/markets", params={"tickers": [""] * 1_001})

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/query/tickers"
