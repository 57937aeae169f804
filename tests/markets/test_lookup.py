"""What the catalogue does not have: asked for, stored, answered; or honestly refused."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from kalshi_gateway.db import Database, Driver, alone
from kalshi_gateway.kalshi.drift import Drift
from kalshi_gateway.markets import lookup, totals
from kalshi_gateway.markets.batch import Batch
from kalshi_gateway.markets.catalogue import Catalogue

from .builders import (
    a_market,
    a_row,
    a_series,
    a_series_row,
    ago,
    an_event,
    an_event_row,
    note_all_walked,
    store,
)
from .upstream import Upstream

Client = httpx.AsyncClient

TICKER = "KXHIGHNY-26JUN15-T85"
EVENT = "KXHIGHNY-26JUN15"
COMBO = "KXMVESPORTS-S2026AA-BB"

ANEW = {"Cache-Control": "no-cache"}


@pytest.fixture
async def writer(database_url: str) -> AsyncIterator[Driver]:
    conn = await alone(database_url)
    yield conn
    await conn.close()


async def one(client: Client, ticker: str = TICKER, status: int = 200) -> dict[str, Any]:
    response = await client.get(f"/kalshi/markets/{ticker}")
    assert response.status_code == status, response.text
    body: dict[str, Any] = response.json()
    return body


async def test_known_here(client: Client, database: Database, upstream: Upstream) -> None:
    """What the catalogue has is answered without a word to the exchange."""
    await store(database, a_market(TICKER))

    assert (await one(client))["ticker"] == TICKER
    assert upstream.asked == []


async def test_live_market(client: Client, database: Database, upstream: Upstream) -> None:
    """A market that only the exchange has is fetched with its event, stored and answered."""
    upstream.answers[f"/markets/{TICKER}"] = {"market": a_row(TICKER)}
    upstream.answers[f"/events/{EVENT}"] = {
        "event": an_event_row(EVENT, markets=[a_row(TICKER), a_row(f"{EVENT}-T90")])
    }
    await store(database, a_series())

    market = await one(client)

    assert market["category"] == "Climate and Weather"
    assert market["tags"] == ["Daily temperature"]
    assert market["meta"]["source"] == "kalshi"
    assert market["meta"]["age_seconds"] == 0
    tagged = await client.get("/kalshi/markets", params={"tag": "daily temperature"})
    assert TICKER in [listed["ticker"] for listed in tagged.json()["markets"]]

    upstream.asked.clear()
    again = await one(client)
    sibling = await one(client, f"{EVENT}-T90")

    assert again["rules_primary"] == market["rules_primary"]
    assert again["meta"]["source"] == "cache"
    assert sibling["series_ticker"] == "KXHIGHNY"
    assert upstream.asked == []


async def test_lists_what_was_looked_up(client: Client, upstream: Upstream) -> None:
    """What was fetched for one client is in the lists of all, and its event adds it up."""
    upstream.answers[f"/markets/{TICKER}"] = {"market": a_row(TICKER)}
    upstream.answers[f"/events/{EVENT}"] = {"event": an_event_row(EVENT, markets=[a_row(TICKER)])}
    await one(client)

    listed = (await client.get("/kalshi/markets", params={"q": "highest nyc"})).json()
    event = (await client.get(f"/kalshi/events/{EVENT}")).json()

    assert [market["ticker"] for market in listed["markets"]] == [TICKER]
    assert event["status"] == "open"
    assert event["volume_24h"] == 306.24


async def test_archived_market(client: Client, upstream: Upstream) -> None:
    """A market that settled long ago is found in the exchange's archive."""
    row = a_row(TICKER, status="finalized", result="yes", settlement_value_dollars="1.0000")
    upstream.answers[f"/historical/markets/{TICKER}"] = {"market": row}
    upstream.answers[f"/events/{EVENT}"] = {"event": an_event_row(EVENT)}

    market = await one(client)

    assert (market["status"], market["result"], market["settlement_value"]) == ("settled", "yes", 1)
    assert upstream.asked[:2] == [f"/markets/{TICKER}", f"/historical/markets/{TICKER}"]


async def test_combo(client: Client, upstream: Upstream) -> None:
    """A combo, whose event the exchange does not show, stands alone."""
    upstream.answers[f"/markets/{COMBO}"] = {
        "market": a_row(COMBO, mve_collection_ticker="KXMVESPORTS-R", mve_selected_legs=[])
    }

    market = await one(client, COMBO)

    assert market["is_combo"] is True
    assert market["series_ticker"] is None
    assert market["category"] is None


async def test_event_refused(client: Client, upstream: Upstream) -> None:
    """A market is answered as well where the exchange refuses to show its event."""
    upstream.answers[f"/markets/{TICKER}"] = {"market": a_row(TICKER)}
    upstream.answers[f"/events/{EVENT}"] = httpx.Response(
        400, json={"error": {"code": "bad_request", "message": "no"}}
    )

    assert (await one(client))["event_ticker"] == EVENT


async def test_event_already_known(client: Client, database: Database, upstream: Upstream) -> None:
    """A new market of a known event takes its names from there."""
    await store(database, a_series(), an_event())
    upstream.answers[f"/markets/{TICKER}"] = {"market": a_row(TICKER)}

    market = await one(client)

    assert market["category"] == "Climate and Weather"
    assert upstream.asked == [f"/markets/{TICKER}"]


async def test_unknown_to_both(client: Client, upstream: Upstream) -> None:
    """A market that nobody knows is not found, and the exchange is not asked again at once."""
    problem = await one(client, status=404)
    asked = list(upstream.asked)
    await one(client, status=404)

    assert problem["code"] == "market_not_found"
    assert problem["retryable"] is False
    assert asked == [f"/markets/{TICKER}", f"/historical/markets/{TICKER}"]
    assert upstream.asked == asked


async def test_asked_again_later(
    client: Client, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some seconds an unknown market is worth another question: it may be new."""
    monkeypatch.setattr(lookup, "UNKNOWN_FOR_SECONDS", 0.0)
    await one(client, status=404)
    upstream.answers[f"/markets/{TICKER}"] = {"market": a_row(TICKER)}

    assert (await one(client))["ticker"] == TICKER


async def test_unknown_by_its_kind(client: Client, upstream: Upstream) -> None:
    """An event is not taken for unknown because no market is called like it, nor a series."""
    upstream.answers["/events/KXGREENLAND"] = {"event": an_event_row("KXGREENLAND")}
    upstream.answers["/series/KXGREENLAND"] = {"series": a_series_row("KXGREENLAND")}

    await one(client, "KXGREENLAND", status=404)

    assert (await client.get("/kalshi/events/KXGREENLAND")).status_code == 200
    assert (await client.get("/kalshi/series/KXGREENLAND")).status_code == 200


async def test_another_spelling(client: Client, upstream: Upstream) -> None:
    """What the exchange calls otherwise is not found under the name that was asked for."""
    upstream.answers[f"/markets/{TICKER.lower()}"] = {"market": a_row(TICKER)}

    await one(client, TICKER.lower(), status=404)
    upstream.asked.clear()
    await one(client, TICKER.lower(), status=404)

    assert upstream.asked == []
    assert (await one(client, TICKER))["ticker"] == TICKER


@pytest.mark.parametrize("kind", ["markets", "events", "series"])
@pytest.mark.parametrize(
    "ticker", ["..", ".", "-", "%20", "a b", "%2e%2e%2fexchange", "KX;DROP", "ключ", "KX%0A", "*"]
)
async def test_nonsense(client: Client, upstream: Upstream, kind: str, ticker: str) -> None:
    """What cannot be a ticker is not found, and never reaches the exchange."""
    response = await client.get(f"/kalshi/{kind}/{ticker.replace('.', '%2E')}")

    assert response.status_code == 404
    assert upstream.asked == []


@pytest.mark.parametrize("kind", ["markets", "events", "series"])
async def test_longer_than_any_ticker(client: Client, upstream: Upstream, kind: str) -> None:
    """A ticker longer than any there is gets refused with a pointer."""
    response = await client.get(f"/kalshi/{kind}/{'K' * 121}")

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"].startswith("/path/")
    assert upstream.asked == []


@pytest.mark.parametrize(
    "path", [f"/markets/{TICKER}", f"/events/{EVENT}", "/series/KXHIGHNY"], ids=str
)
async def test_exchange_down(client: Client, upstream: Upstream, path: str) -> None:
    """While the exchange is down an unknown thing is unknown, not missing."""
    upstream.down = True

    response = await client.get(f"/kalshi{path}")

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert response.json()["retryable"] is True


async def test_back_again(client: Client, upstream: Upstream) -> None:
    """A failure of the exchange is not remembered as an answer."""
    upstream.down = True
    await one(client, status=503)
    upstream.down = False
    upstream.answers[f"/markets/{TICKER}"] = {"market": a_row(TICKER)}

    assert (await one(client))["ticker"] == TICKER


async def test_archive_down(client: Client, upstream: Upstream) -> None:
    """A market is not called unknown while half of the exchange could not be asked."""
    upstream.answers[f"/historical/markets/{TICKER}"] = httpx.Response(503)

    await one(client, status=503)


async def test_nonsense_from_the_exchange(client: Client, upstream: Upstream) -> None:
    """An answer without a market in it is the exchange's fault, and said to be."""
    upstream.answers[f"/markets/{TICKER}"] = {"market": {"ticker": 7}}

    assert (await one(client, status=502))["code"] == "upstream_nonsense"


NO_STATUS = "act\0ive"


async def test_market_that_cannot_be_kept(client: Client, upstream: Upstream) -> None:
    """A market with a NUL in its status cannot be stored, which is no failure of ours."""
    upstream.answers[f"/markets/{TICKER}"] = {"market": a_row(TICKER, status=NO_STATUS)}

    assert (await one(client, status=502))["code"] == "upstream_nonsense"


async def test_sibling_that_cannot_be_kept(client: Client, upstream: Upstream) -> None:
    """One bad market does not keep an event, or the others in it, from being stored."""
    rows = [a_row(TICKER), a_row(f"{EVENT}-T90", status=NO_STATUS)]
    upstream.answers[f"/events/{EVENT}"] = {"event": an_event_row(EVENT, markets=rows)}

    event = (await client.get(f"/kalshi/events/{EVENT}")).json()

    assert [market["ticker"] for market in event["markets"]] == [TICKER]


@pytest.mark.parametrize("price", ["5000.0000", "1.0001", "-0.5000", "99999999999.0000"])
async def test_price_that_is_none(client: Client, upstream: Upstream, price: str) -> None:
    """What lies beyond a dollar, or below nothing, is no price of a contract."""
    upstream.answers[f"/markets/{TICKER}"] = {"market": a_row(TICKER, last_price_dollars=price)}

    market = await one(client)

    assert market["last_price"] is None
    assert market["previous_price"] == 0.39


@pytest.mark.parametrize(
    ("path", "answers"),
    [
        (
            f"/markets/{TICKER}",
            {
                f"/markets/{TICKER}": {"market": a_row(TICKER)},
                f"/events/{EVENT}": {"event": an_event_row(EVENT)},
            },
        ),
        (f"/events/{EVENT}", {f"/events/{EVENT}": {"event": an_event_row(EVENT)}}),
        ("/series/KXHIGHNY", {"/series/KXHIGHNY": {"series": a_series_row()}}),
    ],
    ids=["market", "event", "series"],
)
async def test_many_who_miss(
    client: Client, upstream: Upstream, path: str, answers: dict[str, Any]
) -> None:
    """Thirty clients that miss the same at the same time make one question of it."""
    upstream.answers.update(answers)
    upstream.may_answer.clear()
    asking = [asyncio.create_task(client.get(f"/kalshi{path}")) for _ in range(30)]
    await upstream.was_asked.wait()

    upstream.may_answer.set()
    responses = await asyncio.gather(*asking)

    assert [response.status_code for response in responses] == [200] * 30
    assert sorted(upstream.asked) == sorted(answers)


async def test_many_who_miss_what_is_not(client: Client, upstream: Upstream) -> None:
    """Thirty clients that ask for the same unknown market make one question of each tier."""
    upstream.may_answer.clear()
    asking = [asyncio.create_task(client.get(f"/kalshi/markets/{TICKER}")) for _ in range(30)]
    await upstream.was_asked.wait()

    upstream.may_answer.set()
    responses = await asyncio.gather(*asking)

    assert {response.status_code for response in responses} == {404}
    assert len(upstream.asked) == 2


async def test_event_with_its_markets(client: Client, upstream: Upstream) -> None:
    """An event that only the exchange has comes with its markets, those that can be read."""
    rows = [a_row(TICKER), a_row(f"{EVENT}-T90"), {"title": "no ticker"}]
    upstream.answers[f"/events/{EVENT}"] = {"event": an_event_row(EVENT, markets=rows)}

    event = (await client.get(f"/kalshi/events/{EVENT}")).json()

    assert [market["ticker"] for market in event["markets"]] == [TICKER, f"{EVENT}-T90"]
    assert event["volume_24h"] == 612.48
    assert event["meta"]["source"] == "kalshi"


@pytest.mark.parametrize(
    ("path", "code"),
    [("/events/KXNONE-1", "event_not_found"), ("/series/KXNONE", "series_not_found")],
)
async def test_unknown_families(client: Client, upstream: Upstream, path: str, code: str) -> None:
    """An event or series that nobody knows is not found, and asked for once."""
    first = await client.get(f"/kalshi{path}")
    await client.get(f"/kalshi{path}")

    assert first.status_code == 404
    assert first.json()["code"] == code
    assert upstream.asked == [path]


async def test_series_fetched(client: Client, upstream: Upstream) -> None:
    """A series that only the exchange has is fetched, stored and answered."""
    upstream.answers["/series/KXHIGHNY"] = {"series": a_series_row()}

    first = (await client.get("/kalshi/series/KXHIGHNY")).json()
    second = (await client.get("/kalshi/series/KXHIGHNY")).json()

    assert first["tags"] == second["tags"] == ["Daily temperature"]
    assert (first["meta"]["source"], second["meta"]["source"]) == ("kalshi", "cache")
    assert upstream.asked == ["/series/KXHIGHNY"]


async def test_older_than_known(client: Client, database: Database, upstream: Upstream) -> None:
    """What a slow answer brings never overwrites what has been learnt since it was asked for."""
    upstream.answers[f"/markets/{TICKER}"] = {"market": a_row(TICKER, last_price_dollars="0.1100")}
    upstream.may_answer.clear()
    asking = asyncio.create_task(one(client))
    await upstream.was_asked.wait()

    await store(database, a_market(TICKER, last_price_dollars="0.2200"))
    upstream.may_answer.set()

    assert (await asking)["last_price"] == 0.22


async def test_combo_asked_for_again(
    client: Client, database: Database, upstream: Upstream
) -> None:
    """A combo, which no walk ever sees, is asked for again once it is old."""
    legs: dict[str, Any] = {"mve_collection_ticker": "KXMVESPORTS-R", "mve_selected_legs": []}
    await store(database, a_market(COMBO, **legs), as_of=ago(minutes=1))
    upstream.answers[f"/markets/{COMBO}"] = {
        "market": a_row(COMBO, last_price_dollars="0.7700", **legs)
    }

    market = await one(client, COMBO)
    again = await one(client, COMBO)

    assert (market["last_price"], market["meta"]["source"]) == (0.77, "kalshi")
    assert (again["last_price"], again["meta"]["source"]) == (0.77, "cache")
    assert upstream.times_asked(f"/markets/{COMBO}") == 1


async def test_combo_while_the_exchange_is_down(
    client: Client, database: Database, upstream: Upstream
) -> None:
    """An old combo outlives the exchange: as old as it is, whatever has been walked, and why."""
    legs: dict[str, Any] = {"mve_collection_ticker": "KXMVESPORTS-R", "mve_selected_legs": []}
    await store(database, a_market(COMBO, **legs), as_of=ago(minutes=40))
    await note_all_walked(database)
    upstream.down = True

    market = await one(client, COMBO)

    assert market["last_price"] == 0.42
    assert market["meta"]["stale"] is True
    assert market["meta"]["age_seconds"] >= 2400
    assert "503" in market["meta"]["warnings"][0]


async def test_settled_combo(client: Client, database: Database, upstream: Upstream) -> None:
    """A combo that is settled has nothing more to say."""
    settled = a_market(COMBO, mve_collection_ticker="KXMVESPORTS-R", status="finalized")
    await store(database, settled, as_of=ago(days=9))

    assert (await one(client, COMBO))["status"] == "settled"
    assert upstream.asked == []


async def test_event_and_market_looked_up_together(
    client: Client, database: Database, upstream: Upstream
) -> None:
    """An event and a market of it, both of which have changed, never wait for each other."""
    answer_with(upstream, last_price="0.1000")
    await client.get(f"/kalshi/events/{EVENT}")
    answer_with(upstream, last_price="0.2000")

    async with database.driver() as conn, asyncio.TaskGroup() as asked, conn.transaction():
        await conn.execute("SELECT FROM events WHERE event_ticker = $1 FOR UPDATE", EVENT)
        event = asked.create_task(client.get(f"/kalshi/events/{EVENT}", headers=ANEW))
        await somebody_waits(database, 1)
        market = asked.create_task(client.get(f"/kalshi/markets/{TICKER}", headers=ANEW))
        await somebody_waits(database, 2)

    assert (event.result().status_code, market.result().status_code) == (200, 200)
    assert market.result().json()["last_price"] == 0.2


async def test_event_looked_up_while_its_markets_are_stored(
    client: Client, database: Database, upstream: Upstream
) -> None:
    """Who stores a page goes from markets to their events, and so does who looks up an event."""
    answer_with(upstream, last_price="0.1000")
    await client.get(f"/kalshi/events/{EVENT}")
    answer_with(upstream, last_price="0.2000")

    async with database.driver() as writer, asyncio.TaskGroup() as asked, writer.transaction():
        await writer.execute(
            "UPDATE instruments SET open_interest_centicontracts = 7 WHERE ticker = $1", TICKER
        )
        event = asked.create_task(client.get(f"/kalshi/events/{EVENT}", headers=ANEW))
        await somebody_waits(database, 1)
        await totals.restate(writer, [EVENT])

    assert event.result().status_code == 200
    assert event.result().json()["title"] == "At 0.2000"


async def test_event_looked_up_while_it_is_renamed(
    client: Client, database: Database, upstream: Upstream, writer: Driver
) -> None:
    """Who stores a page of events that renames some goes from their markets to them, too."""
    answer_with(upstream, last_price="0.1000")
    await client.get(f"/kalshi/events/{EVENT}")
    answer_with(upstream, last_price="0.2000")
    renamed = msgspec.Raw(msgspec.json.encode(an_event_row(EVENT, title="Renamed")))
    page = await (await a_catalogue(writer)).events([renamed], datetime.now(UTC))

    async with database.driver() as conn, asyncio.TaskGroup() as asked, conn.transaction():
        await conn.execute("SELECT FROM events WHERE event_ticker = $1 FOR UPDATE", EVENT)
        asked.create_task(keep(writer, page))
        await somebody_waits(database, 1)
        event = asked.create_task(client.get(f"/kalshi/events/{EVENT}", headers=ANEW))
        await somebody_waits(database, 2)

    assert event.result().status_code == 200
    assert event.result().json()["title"] == "At 0.2000"


@pytest.mark.parametrize("path", [f"/markets/{TICKER}", f"/events/{EVENT}"], ids=str)
async def test_read_before_the_event_was_renamed_and_stored_after(
    client: Client, database: Database, upstream: Upstream, writer: Driver, path: str
) -> None:
    """A market that was looked up has the old name of its event: it is to be read again."""
    answer_with(upstream, last_price="0.1000")
    await client.get(f"/kalshi/events/{EVENT}")
    answer_with(upstream, last_price="0.2000")
    renamed = msgspec.Raw(msgspec.json.encode(an_event_row(EVENT, title="Renamed")))
    soon = datetime.now(UTC) + timedelta(minutes=1)
    page = await (await a_catalogue(writer)).events([renamed], soon)

    async with asyncio.TaskGroup() as asked, writer.transaction():
        await page.save(writer)
        asked.create_task(client.get(f"/kalshi{path}", headers=ANEW))
        await somebody_waits(database, 1)

    assert TICKER in (await a_catalogue(writer)).wanted_markets


async def test_event_read_before_its_series_was_renamed_and_stored_after(
    client: Client, database: Database, upstream: Upstream, writer: Driver
) -> None:
    """It has the old name of its series: it is to be read again, and so are its markets."""
    await store(database, a_series(title="Before"))
    answer_with(upstream, last_price="0.1000")
    await client.get(f"/kalshi/events/{EVENT}")
    answer_with(upstream, last_price="0.2000")
    renamed = msgspec.Raw(msgspec.json.encode(a_series_row(title="Renamed")))
    page = await (await a_catalogue(writer)).series([renamed], datetime.now(UTC))

    async with asyncio.TaskGroup() as asked, writer.transaction():
        await page.save(writer)
        asked.create_task(client.get(f"/kalshi/events/{EVENT}", headers=ANEW))
        await somebody_waits(database, 1)

    assert EVENT in (await a_catalogue(writer)).wanted_events


async def test_nothing_was_renamed(client: Client, upstream: Upstream, writer: Driver) -> None:
    """What was looked up with all its names need not be read again."""
    answer_with(upstream, last_price="0.1000")
    await client.get(f"/kalshi/markets/{TICKER}")
    answer_with(upstream, last_price="0.2000")
    await client.get(f"/kalshi/markets/{TICKER}", headers=ANEW)
    await client.get(f"/kalshi/events/{EVENT}", headers=ANEW)

    catalogue = await a_catalogue(writer)

    assert len(catalogue) == 1
    assert len(catalogue.wanted_markets) == len(catalogue.wanted_events) == 0


async def a_catalogue(conn: Driver) -> Catalogue:
    """What a writer knows that begins now."""
    catalogue = Catalogue(Drift())
    await catalogue.load(conn)
    return catalogue


async def keep(conn: Driver, page: Batch) -> None:
    async with conn.transaction():
        await page.save(conn)
    page.keep()


def answer_with(upstream: Upstream, last_price: str) -> None:
    row = a_row(TICKER, last_price_dollars=last_price)
    event = an_event_row(EVENT, title=f"At {last_price}", markets=[row])
    upstream.answers[f"/markets/{TICKER}"] = {"market": row}
    upstream.answers[f"/events/{EVENT}"] = {"event": event}


async def somebody_waits(database: Database, backends: int) -> None:
    """Until so many wait for a lock in this database."""
    async with database.driver() as conn, asyncio.timeout(20):
        while backends > await conn.fetchval(  # noqa: ASYNC110 - nobody sets an Event for us here
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0.01)
