"""`meta`: how old an answer is, and whether anything is missing from it."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from kalshi_gateway.db import Database

from .builders import (
    CHANGES,
    NAMES,
    WALKS,
    a_market,
    a_series,
    ago,
    an_event,
    note_all_walked,
    note_walk,
    store,
)

Client = httpx.AsyncClient
Meta = dict[str, Any]

LISTS = ("/kalshi/markets", "/kalshi/events", "/kalshi/series", "/kalshi/categories")
COMBO = "KXMVESPORTS-S2026AA-BB"
BEING_READ = "are still being read"


async def meta_of(client: Client, path: str = "/kalshi/markets", **params: Any) -> Meta:
    response = await client.get(path, params=params)
    assert response.status_code == 200, response.text
    meta: Meta = response.json()["meta"]
    return meta


def told(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


async def fill(database: Database) -> None:
    """A series, an event and a market of it."""
    await store(database, a_series(), an_event(), a_market())


@pytest.mark.parametrize("path", LISTS)
async def test_nothing_known(client: Client, path: str) -> None:
    """Before anything has been read there is no empty list: there is no answer yet."""
    response = await client.get(path)

    assert response.status_code == 503
    assert response.json()["code"] == "catalogue_not_ready"
    assert response.json()["retryable"] is True
    assert int(response.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/kalshi/markets", {"q": "nobody"}),
        ("/kalshi/markets", {"status": "paused"}),
        ("/kalshi/events", {"q": "nobody"}),
        ("/kalshi/series", {"q": "nobody"}),
    ],
)
async def test_nothing_found(
    client: Client, database: Database, path: str, asked: dict[str, str]
) -> None:
    """In a catalogue that is known a search may find nothing, and that is an answer."""
    await fill(database)
    await note_all_walked(database)

    response = await client.get(path, params=asked)

    assert response.status_code == 200
    assert response.json()[path.rpartition("/")[2]] == []
    assert response.json()["next_cursor"] is None


async def test_nothing_found_half_way(client: Client, database: Database) -> None:
    """While markets are still being read, that none was found means nothing yet."""
    await note_all_walked(database)
    await note_walk(database, "markets:paused", complete_as_of=None, cursor="c", rows=5)

    paused = await client.get("/kalshi/markets", params={"status": "paused"})
    opened = await client.get("/kalshi/markets", params={"status": "open"})

    assert paused.status_code == 503
    assert opened.status_code == 200


async def test_series_before_events(client: Client, database: Database) -> None:
    """The list of series needs nothing but the series."""
    await note_walk(database, "series", complete_as_of=ago(seconds=5))

    meta = await meta_of(client, "/kalshi/series")

    assert (meta["complete"], meta["warnings"]) == (True, [])


async def test_complete(client: Client, database: Database) -> None:
    """All read and nothing old: complete, as old as the walk that began last."""
    began_at = ago(seconds=30)
    await fill(database)
    await note_all_walked(database, as_of=began_at)

    meta = await meta_of(client)

    assert meta["as_of"] == told(began_at)
    assert meta["age_seconds"] in (30, 31, 32)
    assert (meta["stale"], meta["complete"], meta["warnings"]) == (False, True, [])
    assert meta["source"] == "cache"


async def test_half_way(client: Client, database: Database) -> None:
    """While the first walk is under way there are markets, though not all, and no age."""
    await fill(database)
    await note_all_walked(database)
    await note_walk(database, "markets:open", complete_as_of=None, cursor="c", rows=5000)

    meta = await meta_of(client)

    assert (meta["complete"], meta["as_of"], meta["age_seconds"]) == (False, None, None)
    assert meta["stale"] is True
    assert meta["warnings"] == ["open markets are still being read: 5000 so far"]


async def test_under_way_again(client: Client, database: Database) -> None:
    """A later walk takes nothing from what the one before has found."""
    await fill(database)
    await note_all_walked(database)
    await note_walk(database, "markets:open", complete_as_of=ago(minutes=5), cursor="c", rows=1)

    meta = await meta_of(client)

    assert meta["complete"] is True
    assert meta["age_seconds"] >= 300


@pytest.mark.parametrize(
    ("age", "stale"), [(timedelta(minutes=9), False), (timedelta(minutes=11), True)]
)
async def test_old(client: Client, database: Database, age: timedelta, stale: bool) -> None:
    """Prices are walked every five minutes; when two walks were missed they are stale."""
    await fill(database)
    await note_all_walked(database)
    await note_walk(database, "markets:open", complete_as_of=ago(seconds=age.total_seconds()))

    meta = await meta_of(client)

    assert (meta["stale"], meta["complete"]) == (stale, True)


async def test_as_old_as_the_oldest(client: Client, database: Database) -> None:
    """A list of several states is as old as the one that was looked at longest ago."""
    await fill(database)
    await note_all_walked(database)
    await note_walk(database, "markets:paused", complete_as_of=ago(minutes=7))

    meta = await meta_of(client, status=["open", "paused"])

    assert meta["age_seconds"] >= 420


@pytest.mark.parametrize("scope", [*NAMES, *WALKS])
async def test_never_complete_without(client: Client, database: Database, scope: str) -> None:
    """If any of the walks has not reached its end, no list that needs it is called complete."""
    await fill(database)
    await note_all_walked(database)
    await note_walk(database, scope, complete_as_of=None, cursor="c")

    lists = {path: await meta_of(client, path) for path in LISTS}
    every = await meta_of(client, status=["open", "paused", "unopened", "closed"])
    status = (await client.get("/kalshi/status")).json()

    assert status["catalogue"]["complete"] is False
    assert every["complete"] is False
    assert lists["/kalshi/events"]["complete"] is False
    assert lists["/kalshi/series"]["complete"] is (scope != "series")
    assert lists["/kalshi/markets"]["complete"] is (scope in WALKS and scope != "markets:open")
    assert lists["/kalshi/categories"]["complete"] is (scope in WALKS and scope != "markets:open")


@pytest.mark.parametrize("scope", [*NAMES, *WALKS])
async def test_never_complete_without_a_walk(
    client: Client, database: Database, scope: str
) -> None:
    """Changes alone do not make up for a walk that never was."""
    await fill(database)
    for other in {*NAMES, *WALKS, *CHANGES} - {scope}:
        await note_walk(database, other, complete_as_of=ago(seconds=1))

    events = await meta_of(client, "/kalshi/events", markets="false")
    every = await meta_of(client, status=["open", "paused", "unopened", "closed"])

    assert events["complete"] is every["complete"] is False
    assert events["as_of"] is None
    assert (await client.get("/kalshi/status")).json()["catalogue"]["complete"] is False


@pytest.mark.parametrize("scope", [*NAMES, *WALKS])
async def test_rows_set_aside(client: Client, database: Database, scope: str) -> None:
    """Rows that could not be read are missing, and their number is told."""
    await fill(database)
    await note_all_walked(database)
    await note_walk(database, scope, complete_as_of=ago(seconds=1), set_aside=3)

    asked = {"status": scope.partition(":")[2]} if scope in WALKS else {}
    path = {**dict.fromkeys(WALKS, "/kalshi/markets"), "series": "/kalshi/series"}.get(
        scope, "/kalshi/events"
    )
    meta = await meta_of(client, path, **asked)

    assert meta["complete"] is False
    assert any(text.startswith("3 ") for text in meta["warnings"])


async def test_settled(client: Client, database: Database) -> None:
    """Of settled markets only those are known that settled while we watched: it is said."""
    await store(database, a_market(status="finalized"))
    await note_all_walked(database)

    meta = await meta_of(client, status="settled")

    assert meta["complete"] is False
    assert "while this gateway was watching" in meta["warnings"][0]


async def test_closed_by_changes(client: Client, database: Database) -> None:
    """What is closed is confirmed by each round of changes, once all of the round is through."""
    await store(database, a_market(status="closed"))
    await note_all_walked(database)
    await note_walk(database, "markets:closed", complete_as_of=ago(hours=9))

    confirmed = await meta_of(client, status="closed")
    await note_walk(database, "changes:updated", complete_as_of=ago(hours=2))
    late = await meta_of(client, status="closed")

    assert (confirmed["stale"], late["stale"]) == (False, True)
    assert confirmed["age_seconds"] < 60
    assert 7200 <= late["age_seconds"] < 7260


@pytest.mark.parametrize(
    ("path", "asked", "scope"),
    [
        ("/kalshi/markets", {"status": "closed"}, "changes:updated"),
        ("/kalshi/markets", {"status": "unopened"}, "changes:created"),
        ("/kalshi/markets", {"status": "settled"}, "changes:settled"),
        ("/kalshi/markets/KXHIGHNY-26JUN15-T86", {}, "changes:updated"),
        ("/kalshi/markets/KXHIGHNY-26JUN15-T87", {}, "changes:settled"),
        ("/kalshi/events", {"markets": "false"}, "changes:events"),
        ("/kalshi/events/KXHIGHNY-26JUN15", {}, "changes:events"),
        ("/kalshi/series", {}, "changes:series"),
        ("/kalshi/series/KXHIGHNY", {}, "changes:series"),
        ("/kalshi/categories", {}, "changes:series"),
    ],
)
async def test_why_changes_are_old(
    client: Client, database: Database, path: str, asked: dict[str, str], scope: str
) -> None:
    """What changes keep up to date is stale for a reason when they cannot be asked for."""
    markets = [
        a_market(),
        a_market("KXHIGHNY-26JUN15-T86", status="closed"),
        a_market("KXHIGHNY-26JUN15-T87", status="finalized", result="yes"),
    ]
    await store(database, a_series(), an_event(), *markets, as_of=ago(minutes=20))
    await note_all_walked(database, as_of=ago(minutes=20))
    await note_walk(
        database, scope, complete_as_of=ago(minutes=20), failure="503 from the exchange"
    )

    meta = await meta_of(client, path, **asked)

    assert meta["stale"] is True
    assert "the exchange could not be read: 503 from the exchange" in meta["warnings"]


async def test_combos_in_a_list(client: Client, database: Database) -> None:
    """Combos are never walked: a list with them is not complete, and as old as the oldest."""
    combo = a_market(COMBO, mve_collection_ticker="KXMVESPORTS-R")
    await store(database, a_market())
    await store(database, combo, as_of=ago(hours=1))
    await note_all_walked(database)

    without = await meta_of(client)
    among = await meta_of(client, include_combos="true")
    named = await meta_of(client, tickers=COMBO)

    assert without["complete"] is True
    assert among["complete"] is False
    assert among["age_seconds"] >= 3600
    assert among["stale"] is named["stale"] is True


async def test_settled_combos(client: Client, database: Database) -> None:
    """Nobody asks about a combo again once it has settled: there is nothing to grow old."""
    settled = a_market(COMBO, status="finalized", mve_collection_ticker="KXMVESPORTS-R")
    await store(database, settled, as_of=ago(days=3))
    await note_all_walked(database)

    single = await meta_of(client, f"/kalshi/markets/{COMBO}")
    named = await meta_of(client, tickers=COMBO, status="settled")

    assert single["stale"] is named["stale"] is False


async def test_named_and_unknown(client: Client, database: Database) -> None:
    """A ticker that was named and is not in the catalogue is missing, not non-existent."""
    await store(database, a_market("KXA-1-X"), a_market("KXA-1-Y", status="finalized"))
    await note_all_walked(database)

    known = await meta_of(client, tickers="KXA-1-X,KXA-1-Y")
    partly = await meta_of(client, tickers="KXA-1-X,KXA-1-Z,KXA-1-Z,KXB")

    assert known["complete"] is True
    assert partly["complete"] is False
    assert partly["warnings"][0].startswith("2 of the tickers are not in the catalogue")


async def test_one_market(client: Client, database: Database) -> None:
    """A row that no walk has found changed since is as fresh as the walk."""
    await store(database, a_market(), as_of=ago(days=3))
    before = await meta_of(client, "/kalshi/markets/KXHIGHNY-26JUN15-T85")

    await note_all_walked(database)
    after = await meta_of(client, "/kalshi/markets/KXHIGHNY-26JUN15-T85")

    assert (before["stale"], after["stale"]) == (True, False)
    assert before["age_seconds"] >= 3 * 86400
    assert after["age_seconds"] < 60


async def test_one_event(client: Client, database: Database) -> None:
    """An event is as old as the oldest price in it, and never sure of what settled before."""
    await fill(database)
    await note_all_walked(database)
    await note_walk(database, "markets:open", complete_as_of=ago(minutes=20))
    async with database.driver() as conn:
        await conn.execute("UPDATE instruments SET as_of = as_of - interval '1 hour'")

    meta = await meta_of(client, "/kalshi/events/KXHIGHNY-26JUN15")

    assert 1200 <= meta["age_seconds"] < 1260
    assert meta["stale"] is True
    assert meta["complete"] is False


async def test_one_series(client: Client, database: Database) -> None:
    """A series is as fresh as the last round that asked for changes of series."""
    await store(database, a_series(), as_of=ago(days=3))
    before = await meta_of(client, "/kalshi/series/KXHIGHNY")

    await note_all_walked(database)
    after = await meta_of(client, "/kalshi/series/KXHIGHNY")

    assert (before["stale"], after["stale"]) == (True, False)


async def test_events_without_their_markets(client: Client, database: Database) -> None:
    """A list of events alone can be complete: what settled before adds nothing to it."""
    await fill(database)
    await note_all_walked(database)

    with_markets = await meta_of(client, "/kalshi/events")
    without = await meta_of(client, "/kalshi/events", markets="false")

    assert (with_markets["complete"], without["complete"]) == (False, True)


async def test_status(client: Client, database: Database) -> None:
    """The gateway's status shows each walk, and whether all is known."""
    await note_all_walked(database)
    await note_walk(database, "markets:open", complete_as_of=ago(minutes=1), cursor="c", rows=7)

    catalogue = (await client.get("/kalshi/status")).json()["catalogue"]

    walks = {walk["scope"]: walk for walk in catalogue["walks"]}
    assert walks.keys() == {*NAMES, *WALKS, *CHANGES}
    assert walks["markets:open"]["under_way"] is True
    assert walks["markets:open"]["rows"] == 7
    assert walks["series"]["under_way"] is False
    assert catalogue["complete"] is True
