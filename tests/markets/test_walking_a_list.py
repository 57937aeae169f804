"""Cursors: what they lead through, whom they belong to, and what is none."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from kalshi_gateway.kalshi import wire
from kalshi_gateway.markets import ordering
from kalshi_gateway.markets.listing import (
    EventListing,
    MarketListing,
    Place,
    SeriesListing,
    cursor_after,
)

from .builders import a_market, a_series, an_event, note_all_walked, store
from .gateway import Shared

pytestmark = pytest.mark.asyncio(loop_scope="module")

Client = httpx.AsyncClient

SORTS = ("volume_24h", "close_time", "open_interest", "last_price", "change", "created")
NAMES = {
    "/kalshi/markets": ("markets", "ticker"),
    "/kalshi/events": ("events", "event_ticker"),
    "/kalshi/series": ("series", "ticker"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(shared: Shared) -> Client:
    events = [
        an_event(f"KXWALK-{n}", category=("Climate and Weather", "Politics", "Elections")[n % 3])
        for n in range(7)
    ]
    series = [a_series(f"KX{n:02}") for n in range(20)]
    await store(shared.database, *series, *events, *markets())
    async with shared.database.driver() as conn:
        await conn.execute(
            "INSERT INTO own_categories (name, category)"
            " SELECT 'Everything', unnest('{Climate and Weather,Politics,Elections}'::text[])"
        )
    await note_all_walked(shared.database)
    return shared.client


def markets() -> list[wire.Market]:
    """Sixty, many of them with equal figures, and some without any."""
    return [
        a_market(
            f"KXWALK-{n % 7}-{n}",
            volume_24h_fp=... if n % 11 == 0 else f"{n % 5}.00",
            last_price_dollars="0.0000" if n % 3 == 0 else f"0.{n % 4 + 1}000",
            close_time=... if n % 5 == 0 else f"2099-01-0{n % 3 + 1}T00:00:00Z",
        )
        for n in range(60)
    ]


async def walked(client: Client, path: str, asked: dict[str, Any]) -> list[str]:
    """The names on all pages, in the order they came."""
    name, key = NAMES[path]
    found: list[str] = []
    while True:
        response = await client.get(path, params=asked)
        assert response.status_code == 200, response.text
        page = response.json()
        found += [row[key] for row in page[name]]
        if page["next_cursor"] is None:
            return found
        assert page[name]  # a page that is not the last has something on it
        asked = {**asked, "cursor": page["next_cursor"]}


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", [*SORTS, "relevance"])
async def test_deep_walk(client: Client, sort: str, order: str) -> None:
    """The pages of a list, whatever their size, are the list itself, once and in its order."""
    asked: dict[str, Any] = {"sort": sort, "order": order}
    if sort == "relevance":
        asked["q"] = "temp"

    whole = await walked(client, "/kalshi/markets", {**asked, "limit": 1000})

    assert len(whole) == len(set(whole)) == 60
    for limit in (7, 59, 60):
        assert await walked(client, "/kalshi/markets", {**asked, "limit": limit}) == whole


@pytest.mark.parametrize("states", [["open"], ["open", "closed"], ["open", "settled"]], ids=str)
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", SORTS)
async def test_walk_of_a_series(
    client: Client,
    sort: str,
    order: str,
    states: list[str],
) -> None:
    """A series is walked as all markets are."""
    asked: dict[str, Any] = {"sort": sort, "order": order}
    everything = await walked(client, "/kalshi/markets", {**asked, "limit": 1000})

    asked |= {"series": "KXWALK", "status": states}
    assert await walked(client, "/kalshi/markets", {**asked, "limit": 7}) == everything


@pytest.mark.parametrize("category", ["Politics", "eLECTIONS", "Everything", "Sports"])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("narrower", [{}, {"min_price": "0.2"}], ids=str)
@pytest.mark.parametrize("most", [0, 16])
async def test_walk_of_a_category(
    client: Client,
    sort: str,
    order: str,
    category: str,
    narrower: dict[str, str],
    most: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A category, however it is spelled, is walked as all markets are: by genres or among all."""
    monkeypatch.setattr(ordering, "MOST_RANGES", most)
    asked: dict[str, Any] = {"sort": sort, "order": order, **narrower}
    everything = (await client.get("/kalshi/markets", params={**asked, "limit": 1000})).json()
    expected = [
        market["ticker"]
        for market in everything["markets"]
        if category in (market["category"], market["category"].swapcase(), "Everything")
    ]

    for states in (["open"], ["open", "closed"], ["open", "settled"]):
        asked |= {"category": category, "status": states}
        assert await walked(client, "/kalshi/markets", {**asked, "limit": 7}) == expected


@pytest.mark.parametrize(
    ("after", "before", "count"),
    [
        (None, "2099-01-02T00:00:00Z", 16),
        ("2026-01-01T00:00:00Z", "2099-01-03T00:00:00Z", 32),
        ("2099-01-01T00:00:00Z", "2099-01-03T00:00:00Z", 16),
        ("2099-01-02T00:00:00Z", None, 16),
        ("2026-01-01T00:00:00Z", "2026-01-01T12:00:00Z", 0),
    ],
)
@pytest.mark.parametrize("sort", SORTS)
async def test_walk_between_two_moments(
    client: Client, sort: str, after: str | None, before: str | None, count: int
) -> None:
    """However many close between two moments, each comes once; none that closes at one of them."""
    everything = (await client.get("/kalshi/markets", params={"sort": sort})).json()["markets"]
    expected = [
        market["ticker"]
        for market in everything
        if market["close_time"] is not None
        and (after or "") < market["close_time"] < (before or "9999")
    ]

    moments = {"closes_after": after, "closes_before": before}
    asked: dict[str, Any] = {"sort": sort, "limit": 7}
    asked |= {name: at for name, at in moments.items() if at}
    found = await walked(client, "/kalshi/markets", asked)
    whole = await client.get("/kalshi/markets", params={**asked, "count": "exact"})

    assert found == expected
    assert len(found) == whole.json()["meta"]["total"] == count


@pytest.mark.parametrize("states", [["open"], ["open", "settled"]], ids=str)
@pytest.mark.parametrize("sort", SORTS)
async def test_walk_of_what_is_filtered(client: Client, sort: str, states: list[str]) -> None:
    """However many rows are passed over for a page, each that is asked for comes once."""
    everything = (await client.get("/kalshi/markets", params={"sort": sort})).json()["markets"]
    likely = {market["ticker"] for market in everything if (market["last_price"] or 0) >= 0.2}

    asked: dict[str, Any] = {
        "sort": sort,
        "min_price": "0.2",
        "max_price": "0.4",
        "min_volume": "0",
    }
    asked |= {"status": states}
    found = await walked(client, "/kalshi/markets", {**asked, "limit": 4})

    assert 20 < len(found) < 60
    assert found == [market["ticker"] for market in everything if market["ticker"] in likely]


@pytest.mark.parametrize(
    ("path", "asked", "count"),
    [
        ("/kalshi/events", {"series": "KXWALK"}, 7),
        ("/kalshi/events", {}, 7),
        ("/kalshi/events", {"sort": "close_time"}, 7),
        ("/kalshi/events", {"q": "highest", "order": "asc"}, 7),
        ("/kalshi/series", {}, 20),
        ("/kalshi/series", {"q": "temperature"}, 20),
    ],
    ids=str,
)
async def test_walk_of_families(
    client: Client, path: str, asked: dict[str, Any], count: int
) -> None:
    """Events and series are walked as markets are."""
    whole = await walked(client, path, asked)

    assert len(whole) == len(set(whole)) == count
    assert await walked(client, path, {**asked, "limit": 3}) == whole


async def test_other_page_sizes_on_the_way(client: Client) -> None:
    """A cursor holds for pages of another size, and for whoever wants them counted."""
    first = (await client.get("/kalshi/markets", params={"limit": 3})).json()

    params = {"limit": 100, "count": "exact", "cursor": first["next_cursor"]}
    rest = (await client.get("/kalshi/markets", params=params)).json()

    assert len(rest["markets"]) == 57
    assert rest["meta"]["total"] == 60


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/kalshi/markets", {"category": "Sports"}),
        ("/kalshi/markets", {"q": "wins"}),
        ("/kalshi/markets", {"sort": "close_time"}),
        ("/kalshi/markets", {"order": "asc"}),
        ("/kalshi/markets", {"status": "closed"}),
        ("/kalshi/markets", {"min_volume": "1"}),
        ("/kalshi/markets", {"closes_before": "2099-01-01T00:00:00Z"}),
        ("/kalshi/markets", {"include_combos": "true"}),
        ("/kalshi/events", {}),
        ("/kalshi/series", {}),
    ],
)
async def test_cursor_of_another_list(client: Client, path: str, asked: dict[str, str]) -> None:
    """A cursor holds for the question it came from; another one refuses it."""
    cursor = (await client.get("/kalshi/markets", params={"limit": 1})).json()["next_cursor"]

    response = await client.get(path, params={**asked, "cursor": cursor})

    assert response.status_code == 422
    assert response.json()["code"] == "cursor_mismatch"
    assert response.json()["errors"][0]["pointer"] == "/query/cursor"


@pytest.mark.parametrize("path", NAMES)
@pytest.mark.parametrize(
    "cursor", ["", "nonsense", "AAAA", "W10", "bnVsbA", "!!!", "%00", "ключ", "a" * 999]
)
async def test_no_cursor_of_ours(client: Client, path: str, cursor: str) -> None:
    """What is no cursor is refused, the empty one too: it is none, and not the first page.

    A client that turns the null after the last page into an empty text would begin again.
    """
    response = await client.get(path, params={"cursor": cursor})

    assert response.status_code == 422
    assert response.json()["code"] == "cursor_invalid"


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", ["KXWALK-1-1", "a\x00b", "", "'; DROP TABLE instruments; --"])
@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        *(
            ({"sort": sort}, keys)
            for sort in SORTS
            for keys in ((), (1, 2), (2**63,), (-(10**30),))
        ),
        *(({"sort": sort}, (NOON,)) for sort in ("volume_24h", "last_price", "change")),
        *(({"sort": sort}, (5,)) for sort in ("close_time", "created")),
        ({"sort": "last_price"}, (2**31,)),
        *(({"q": "temp"}, keys) for keys in ((1,), (None, None), (1, None), (NOON, 1), (2**63, 1))),
        ({"q": "temp"}, (1, LONG_AGO)),
    ],
    ids=str,
)
async def test_forged_keys(
    client: Client, asked: dict[str, Any], keys: tuple[Any, ...], name: str
) -> None:
    """A place whose keys no row of this list can have is refused."""
    cursor = cursor_after(Place(keys, name), MarketListing.model_validate(asked))

    response = await client.get("/kalshi/markets", params={**asked, "cursor": cursor})

    assert response.status_code == 422
    assert response.json()["code"] == "cursor_invalid"


@pytest.mark.parametrize("name", ["a\x00b", "", "'; DROP TABLE instruments; --"])
@pytest.mark.parametrize("sort", SORTS)
async def test_forged_names(client: Client, sort: str, name: str) -> None:
    """A name that is none is a place like any other, or refused: never a failure of ours."""
    listing = MarketListing.model_validate({"sort": sort, "status": ["open", "closed"]})
    for keys in ((None,), (NOON if sort in ("close_time", "created") else 1,)):
        asked = {"sort": sort, "status": ["open", "closed"]}
        cursor = cursor_after(Place(keys, name), listing)

        response = await client.get("/kalshi/markets", params={**asked, "cursor": cursor})

        assert response.status_code == (422 if "\x00" in name else 200), response.text


async def test_forged_places_of_families(client: Client) -> None:
    """Events and series refuse a forged place as markets do."""
    for place in (Place((1,), "KX"), Place((), "\x00"), Place((2**70,), "")):
        cursor = cursor_after(place, SeriesListing())
        response = await client.get("/kalshi/series", params={"cursor": cursor})
        assert response.json()["code"] == "cursor_invalid"

    for place in (Place((), "KX"), Place((1,), "\x00"), Place((2**70,), ""), Place((NOON,), "")):
        cursor = cursor_after(place, EventListing())
        response = await client.get("/kalshi/events", params={"cursor": cursor})
        assert response.json()["code"] == "cursor_invalid"
