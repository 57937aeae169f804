"""What is offered while somebody is typing."""

import httpx
import pytest
import pytest_asyncio

from tests.markets.builders import a_series, an_event, store
from tests.markets.gateway import Shared
from tests.markets.shapes import differences

from .stock import put, titled

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/kalshi/search/suggestions"
Client = httpx.AsyncClient


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(shared: Shared) -> Client:
    await store(
        shared.database,
        a_series("KXZOO", title="Zoo news", category="World", tags=[]),
        a_series("KXIDLE", title="Zoo closed for years", category="World", tags=[]),
        *[
            an_event(f"KXZOO-{n}", series_ticker="KXZOO", title=f"Panda number {n}?", sub_title="")
            for n in range(30)
        ],
        an_event("KXOTHER-1", series_ticker="", title="Who escapes?", sub_title="This year"),
        an_event("KXOVER-1", series_ticker="", title="Panda gone?", sub_title=""),
    )
    await put(
        shared.database,
        *[titled(f"KXZOO-{n}-A", "Panda?", volume_24h_fp=f"{n}.00") for n in range(30)],
        titled("KXOTHER-1-LEMUR", "Lemur?", volume_24h_fp="3.25"),
        titled("KXOTHER-1-PANDA", "Panda?", volume_24h_fp="1.00"),
        titled("KXOVER-1-A", "Panda?", status="closed"),
    )
    return shared.client


async def suggested(client: Client, typed: str, **asked: int) -> list[tuple[str, str]]:
    response = await client.get(PATH, params={"q": typed, **asked})
    assert response.status_code == 200, response.text
    return [(row["kind"], row["ticker"]) for row in response.json()["suggestions"]]


async def test_events_of_the_most_traded_first(client: Client) -> None:
    """Many events: the most traded are offered, none that is over, and no market of theirs."""
    assert await suggested(client, "pan", limit=3) == [
        ("event", "KXZOO-29"),
        ("event", "KXZOO-28"),
        ("event", "KXZOO-27"),
    ]


async def test_room_for_series(client: Client) -> None:
    """Where a series is found it has a place, though there were events enough for all."""
    offered = await suggested(client, "zoo", limit=5)

    assert offered[-1] == ("series", "KXZOO")
    assert [kind for kind, _ in offered] == ["event"] * 4 + ["series"]


async def test_markets_that_events_do_not_name(client: Client) -> None:
    """An outcome is offered where its event does not say it."""
    assert await suggested(client, "lemur") == [("market", "KXOTHER-1-LEMUR")]
    assert ("market", "KXOTHER-1-PANDA") in await suggested(client, "panda", limit=50)


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("KXOTHER-1-LEMUR", ("market", "KXOTHER-1-LEMUR")),
        ("kxzoo-7", ("event", "KXZOO-7")),
        ("KXIDLE", ("series", "KXIDLE")),
    ],
)
async def test_tickers(client: Client, typed: str, first: tuple[str, str]) -> None:
    """Whose ticker was typed is offered first."""
    assert (await suggested(client, typed))[0] == first


async def test_shape(client: Client, shared: Shared) -> None:
    """A suggestion says what it is, by what name, and how much it is traded."""
    answer = (await client.get(PATH, params={"q": "lemur"})).json()
    many = (await client.get(PATH, params={"q": "zoo"})).json()

    assert answer["suggestions"] == [
        {
            "kind": "market",
            "ticker": "KXOTHER-1-LEMUR",
            "display_name": "Lemur?",
            "detail": None,
            "category": "Climate and Weather",
            "volume_24h": 3.25,
            "close_time": "2099-06-16T03:59:00Z",
        }
    ]
    for one in (answer, many):
        assert differences(shared.app, PATH, one) == []


@pytest.mark.parametrize("typed", ["", "   ", "?!", "nothing of that kind"])
async def test_nothing_to_offer(client: Client, typed: str) -> None:
    """Nothing typed, or nothing found, is an empty list."""
    assert await suggested(client, typed) == []


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({}, "/query/q"),
        ({"q": "a" * 201}, "/query/q"),
        ({"q": "a", "limit": 0}, "/query/limit"),
        ({"q": "a", "limit": 51}, "/query/limit"),
    ],
    ids=str,
)
async def test_refusals(client: Client, asked: dict[str, str], pointer: str) -> None:
    """What cannot be meant is refused."""
    response = await client.get(PATH, params=asked)

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == pointer
