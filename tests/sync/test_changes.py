"""What is created, changed, settled and renamed between two full walks."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kalshi_gateway.db import Driver, alone
from kalshi_gateway.simulator import times
from kalshi_gateway.simulator.exchange import Exchange

from .desk import Desk

LONG_AGO = timedelta(days=30)


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Driver]:
    conn = await alone(database_url)
    yield conn
    await conn.close()


def a_ticker(desk: Desk, status: str) -> str:
    return next(ticker for ticker, is_now in desk.listed().items() if is_now == status)


def long_ago() -> str:
    return times.rfc3339(times.micros(datetime.now(UTC) - LONG_AGO))


async def turn_of_changes(desk: Desk) -> None:
    """One round of changes and what follows from them, as the loops do it."""
    await desk.writer.changes()
    assert await desk.writer.mend()


async def found_by(desk: Desk, word: str) -> set[str]:
    """The markets that a search for a word finds."""
    return set(
        await desk.ask("SELECT ticker FROM instruments WHERE search @@ $1::text::tsquery", word)
    )


async def test_changes_wait_until_everything_was_walked_once(desk: Desk) -> None:
    """Before that nobody knows since when to ask."""
    await desk.writer.changes()

    assert desk.wire.asked == []


async def test_a_market_created_since_is_stored(desk: Desk, exchange: Exchange) -> None:
    """With the names of its event, which was created with it."""
    await desk.walk()
    exchange.catalogue.add_series("KXNEW", category="Novelties", tags=["Shiny"])
    exchange.catalogue.add_event("KXNEW-1", "KXNEW", title="Will anything be new?")
    exchange.catalogue.add_market("KXNEW-1-YES", "KXNEW-1")

    await turn_of_changes(desk)

    market = await desk.market("KXNEW-1-YES")
    assert (market["category"], market["tags"]) == ("Novelties", ["Shiny"])
    assert await found_by(desk, "shiny") == {"KXNEW-1-YES"}
    assert await desk.ask("SELECT status FROM events WHERE event_ticker = 'KXNEW-1'") == ["open"]


async def test_a_market_whose_metadata_changed_follows(desk: Desk, exchange: Exchange) -> None:
    """Its words, its times and its pause."""
    await desk.walk()
    ticker = a_ticker(desk, "open")
    exchange.catalogue.change(
        ticker, yes_sub_title="Zanzibar", close_time="2031-02-03T04:05:06Z", status="inactive"
    )

    await turn_of_changes(desk)

    market = await desk.market(ticker)
    assert market["outcome"] == "Zanzibar"
    assert market["close_time"] == "2031-02-03T04:05:06Z"
    assert market["status"] == "paused"
    assert await found_by(desk, "zanzibar") == {ticker}


async def test_a_market_that_settled_follows_even_if_it_was_never_seen(
    desk: Desk, exchange: Exchange
) -> None:
    """Created and settled between two looks, or known since long."""
    await desk.walk()
    known = a_ticker(desk, "open")
    event = exchange.catalogue.markets[known].event_ticker
    exchange.catalogue.add_market("KXQUICK-1", event, created_time=long_ago())
    for ticker in (known, "KXQUICK-1"):
        exchange.catalogue.settle(ticker, "yes")

    await turn_of_changes(desk)

    for ticker in (known, "KXQUICK-1"):
        market = await desk.market(ticker)
        assert (market["status"], market["result"]) == ("settled", "yes")
        assert market["category"] is not None


async def test_prices_come_with_the_walk_of_open_markets(desk: Desk, exchange: Exchange) -> None:
    """They move no `updated_time`, so no round of changes can see them."""
    await desk.walk()
    ticker = a_ticker(desk, "open")
    exchange.catalogue.change(ticker, last_price_dollars="0.0450")

    await turn_of_changes(desk)
    after_changes = (await desk.market(ticker))["last_price"]
    await desk.tell("UPDATE catalogue_walks SET complete_as_of = complete_as_of - interval '90 s'")
    await desk.writer.walk_due()

    assert after_changes != 0.045
    assert (await desk.market(ticker))["last_price"] == 0.045


async def test_prices_are_walked_by_their_period_and_names_nightly(desk: Desk) -> None:
    """After a minute and a half only open and paused markets are due."""
    await desk.walk()
    desk.wire.asked.clear()
    await desk.tell("UPDATE catalogue_walks SET complete_as_of = complete_as_of - interval '90 s'")

    await desk.writer.walk_due()

    assert {query.get("status") for query in desk.wire.queries()} == {"open", "paused"}
    assert desk.wire.queries("/series") == desk.wire.queries("/events") == []


OF_TWO_CATEGORIES = {"title": "Renamed in chess", "categories": ["Chess", "Renamed"]}


@pytest.mark.parametrize(
    ("named", "renamed"),
    [
        ({}, {"category": "Renamed", "categories": ["Renamed"]}),
        ({**OF_TWO_CATEGORIES, "category": "Chess"}, {**OF_TWO_CATEGORIES, "category": "Renamed"}),
        ({}, {"tags": ["Renamed"]}),
        ({}, {"title": "Renamed"}),
    ],
    ids=["category", "category of the same words", "tags", "title"],
)
async def test_markets_follow_their_series(
    desk: Desk, exchange: Exchange, named: dict[str, Any], renamed: dict[str, Any]
) -> None:
    """A series moves to another category, is tagged or titled anew: all its markets follow."""
    entry = exchange.catalogue.markets[a_ticker(desk, "closed")]
    series = exchange.catalogue.events[entry.event_ticker].series_ticker
    exchange.catalogue.change_series(series, **named)
    await desk.walk()
    siblings = {
        ticker
        for ticker in desk.listed()
        if exchange.catalogue.series_of(exchange.catalogue.markets[ticker]) == series
    }
    exchange.catalogue.change_series(series, **renamed)

    await turn_of_changes(desk)

    assert await found_by(desk, "renamed") == siblings
    events = "SELECT count(*) FROM events WHERE series_ticker = $1 AND NOT search @@ 'renamed'"
    assert await desk.ask(events, series) == [0]
    if "category" in renamed or "tags" in renamed:
        market = await desk.market(entry.ticker)
        assert market["category"] == "Renamed" or market["tags"] == ["Renamed"]
        of_genre = (
            "SELECT ticker FROM instruments JOIN genres ON genres.id = genre"
            " WHERE genres.category = 'renamed' OR genres.tags = '{renamed}'"
        )
        assert set(await desk.ask(of_genre)) == siblings


async def test_markets_follow_their_event(desk: Desk, exchange: Exchange) -> None:
    """Those without a title of their own are called by the new one."""
    await desk.walk()
    exchange.catalogue.add_event("KXOLD-1", next(iter(exchange.catalogue.series)), title="Before")
    exchange.catalogue.add_market("KXOLD-1-A", "KXOLD-1", title="")
    await turn_of_changes(desk)
    before = (await desk.market("KXOLD-1-A"))["title"]
    exchange.catalogue.change_event("KXOLD-1", title="Afterwards")

    await turn_of_changes(desk)

    assert (before, (await desk.market("KXOLD-1-A"))["title"]) == ("Before", "Afterwards")
    assert await found_by(desk, "afterwards") == {"KXOLD-1-A"}


async def test_a_series_changed_in_other_ways_moves_nothing(desk: Desk, exchange: Exchange) -> None:
    """A new fee is no reason to read its markets again."""
    await desk.walk()
    before = await desk.versions()
    entry = exchange.catalogue.markets[a_ticker(desk, "open")]
    series = exchange.catalogue.events[entry.event_ticker].series_ticker
    desk.wire.asked.clear()
    exchange.catalogue.change_series(series, fee_multiplier=3)

    await turn_of_changes(desk)

    assert await desk.rewritten(before) == set()
    assert not any("tickers" in query for query in desk.wire.queries())
    (body,) = await desk.ask("SELECT body FROM series WHERE ticker = $1", series)
    assert '"fee_multiplier":3' in body


async def test_a_renaming_that_could_not_be_followed_is_followed_later(
    desk: Desk, exchange: Exchange
) -> None:
    """The exchange fails just when the names are asked for: nothing is forgotten."""
    await desk.walk()
    ticker = a_ticker(desk, "closed")
    series = exchange.catalogue.series_of(exchange.catalogue.markets[ticker])
    assert series is not None
    exchange.catalogue.change_series(series, tags=["Renamed"])
    await desk.writer.changes()

    exchange.faults.status(500, operation="GET /events")
    refused_events = await desk.writer.mend()
    exchange.faults.clear()
    exchange.faults.status(500, operation="GET /markets")
    refused_markets = await desk.writer.mend()
    exchange.faults.clear()
    followed = await desk.writer.mend()

    assert (refused_events, refused_markets, followed) == (False, False, True)
    assert ticker in await found_by(desk, "renamed")


@pytest.mark.parametrize(
    "renamed", [{"tags": ["Renamed"]}, {"title": "Renamed"}], ids=["tags", "title"]
)
@pytest.mark.parametrize("ended_after", ["series", "events"])
async def test_a_renaming_outlives_the_process_that_heard_of_it(
    desk: Desk, exchange: Exchange, ended_after: str, renamed: dict[str, Any]
) -> None:
    """It ended before it could follow: what has to be read again is written down."""
    await desk.walk()
    ticker = a_ticker(desk, "closed")
    series = exchange.catalogue.series_of(exchange.catalogue.markets[ticker])
    assert series is not None
    exchange.catalogue.change_series(series, **renamed)
    await desk.writer.changes()
    if ended_after == "events":
        exchange.faults.status(500, operation="GET /markets")
        await desk.writer.mend()
        exchange.faults.clear()

    await desk.succeed()
    await desk.writer.mend()

    assert ticker in await found_by(desk, "renamed")
    if "tags" in renamed:
        assert (await desk.market(ticker))["tags"] == ["Renamed"]


@pytest.mark.parametrize("succeeded", [False, True], ids=["same process", "next process"])
async def test_an_event_read_before_its_series_was_renamed_follows_though_stored_after_it(
    desk: Desk, exchange: Exchange, conn: Driver, succeeded: bool
) -> None:
    """A page of events may wait while the series changes: it is read once more."""
    await desk.walk()
    ticker = a_ticker(desk, "closed")
    event = exchange.catalogue.markets[ticker].event_ticker
    series = exchange.catalogue.events[event].series_ticker
    exchange.catalogue.change_event(event, sub_title="Something else")
    events = await desk.kalshi.events_page(tickers=[event])
    waiting = await desk.catalogue.events(events.rows, events.asked_at)
    exchange.catalogue.change_series(series, tags=["Renamed"])
    renamed = await desk.kalshi.series_list(min_updated_ts=0)
    for batch in (await desk.catalogue.series(renamed.rows, renamed.asked_at), waiting):
        async with conn.transaction():
            await batch.save(conn)
        batch.keep()
    if succeeded:
        await desk.succeed()

    await desk.writer.mend()

    assert (await desk.market(ticker))["tags"] == ["Renamed"]
    tags = "SELECT body::json -> 'tags' ->> 0 FROM events WHERE event_ticker = $1"
    assert await desk.ask(tags, event) == ["Renamed"]


@pytest.mark.parametrize("succeeded", [False, True], ids=["same process", "next process"])
async def test_a_market_read_before_its_event_was_renamed_follows_though_stored_after_it(
    desk: Desk, exchange: Exchange, conn: Driver, succeeded: bool
) -> None:
    """A page of markets may wait while the event changes: it is read once more."""
    await desk.walk()
    ticker = a_ticker(desk, "closed")
    event = exchange.catalogue.markets[ticker].event_ticker
    exchange.catalogue.change(ticker, yes_sub_title="Something else")
    markets = await desk.kalshi.markets_page(tickers=[ticker])
    waiting = await desk.catalogue.markets(markets.rows, markets.asked_at)
    exchange.catalogue.change_event(event, title="Renamed")
    events = await desk.kalshi.events_page(tickers=[event])
    for batch in (await desk.catalogue.events(events.rows, events.asked_at), waiting):
        async with conn.transaction():
            await batch.save(conn)
        batch.keep()
    if succeeded:
        await desk.succeed()

    await desk.writer.mend()

    assert ticker in await found_by(desk, "renamed")


async def test_rows_of_an_earlier_release_are_read_anew(desk: Desk, exchange: Exchange) -> None:
    """Bodies that lack what this release needs stop nobody, and do not stay."""
    await desk.walk()
    for table in ("series", "events"):
        await desk.tell(f"UPDATE {table} SET body = '{{}}'")
    ticker = a_ticker(desk, "open")
    exchange.catalogue.change(ticker, last_price_dollars="0.7700")

    await desk.succeed()
    await desk.walk()

    market = await desk.market(ticker)
    assert (market["last_price"], market["category"] is not None) == (0.77, True)
    for table in ("series", "events"):
        assert await desk.ask(f"SELECT count(*) FROM {table} WHERE body = '{{}}'") == [0]


async def test_a_missing_event_is_fetched_and_names_its_markets(
    desk: Desk, exchange: Exchange
) -> None:
    """Walks of events show those with open or unopened markets; closed ones need theirs, too."""
    ticker = a_ticker(desk, "closed")
    event = exchange.catalogue.markets[ticker].event_ticker
    for sibling in exchange.catalogue.by_event[event]:
        if desk.listed().get(sibling.ticker) in ("open", "unopened", "paused"):
            exchange.catalogue.close(sibling.ticker)

    await desk.walk()

    assert (await desk.market(ticker))["category"] is not None
    assert await desk.ask("SELECT status FROM events WHERE event_ticker = $1", event) == ["closed"]


async def test_an_event_that_the_exchange_does_not_know_is_asked_for_once(
    desk: Desk, exchange: Exchange
) -> None:
    """Not at every turn; its market is there without names."""
    exchange.catalogue.add_market("KXLONELY-1", "KXNOWHERE-1", title="Who knows?")
    await desk.walk()
    asked = [q for q in desk.wire.queries("/events") if "KXNOWHERE-1" in q.get("tickers", "")]

    for _ in range(5):
        exchange.catalogue.change("KXLONELY-1", yes_sub_title="Still nobody")
        await turn_of_changes(desk)

    still = [q for q in desk.wire.queries("/events") if "KXNOWHERE-1" in q.get("tickers", "")]
    assert len(asked) == len(still) == 1
    market = await desk.market("KXLONELY-1")
    assert (market["title"], market["category"]) == ("Who knows?", None)


async def test_an_event_that_could_not_be_asked_for_is_asked_for_soon(
    desk: Desk, exchange: Exchange
) -> None:
    """A failure is not an answer: the hour's patience is for what the exchange does not know."""
    await desk.walk()
    exchange.catalogue.add_event("KXLATE-1", next(iter(exchange.catalogue.series)))
    exchange.catalogue.change_event("KXLATE-1", last_updated_ts=long_ago())
    exchange.catalogue.add_market("KXLATE-1-A", "KXLATE-1")
    await desk.writer.changes()
    exchange.faults.status(503, operation="GET /events")
    assert not await desk.writer.mend()
    exchange.faults.clear()

    assert await desk.writer.mend()

    assert (await desk.market("KXLATE-1-A"))["category"] is not None


async def test_rounds_overlap_and_repeat_nothing(desk: Desk, exchange: Exchange) -> None:
    """Each asks from a minute before the last one began, and writes no row twice."""
    await desk.walk()
    ticker = a_ticker(desk, "open")
    exchange.catalogue.change(ticker, yes_sub_title="Once")
    await turn_of_changes(desk)
    before = await desk.versions()
    desk.wire.asked.clear()

    await turn_of_changes(desk)

    assert await desk.rewritten(before) == set()
    noted = await desk.walks()
    for query in desk.wire.queries():
        (since,) = (int(value) for name, value in query.items() if name.startswith("min_"))
        assert since <= noted["changes:updated"]["complete_as_of"].timestamp() - 59


async def test_a_round_that_failed_is_asked_for_again_from_where_the_last_good_one_began(
    desk: Desk, exchange: Exchange
) -> None:
    """An hour of failures leaves no hole."""
    await desk.walk()
    await turn_of_changes(desk)
    (began,) = await desk.ask(
        "UPDATE catalogue_walks SET complete_as_of = complete_as_of - interval '1 hour'"
        " WHERE scope = 'changes:updated' RETURNING complete_as_of"
    )
    ticker = a_ticker(desk, "open")
    changed_at = times.rfc3339(times.micros(began + timedelta(minutes=1)))
    exchange.catalogue.change(ticker, yes_sub_title="In between", updated_time=changed_at)
    exchange.faults.status(500, operation="GET /markets")
    await desk.writer.changes()
    exchange.faults.clear()

    await turn_of_changes(desk)

    assert (await desk.market(ticker))["outcome"] == "In between"


@pytest.mark.parametrize("minutes", [-20, 20])
async def test_changes_are_asked_for_by_the_exchanges_clock(
    desk: Desk, exchange: Exchange, minutes: int
) -> None:
    """A laptop whose clock is off by minutes misses nothing, and does not ask for hours."""
    exchange.clock.offset = timedelta(minutes=minutes)
    await desk.walk()
    ticker = a_ticker(desk, "open")
    exchange.catalogue.change(ticker, yes_sub_title="On time")

    await turn_of_changes(desk)

    assert (await desk.market(ticker))["outcome"] == "On time"
    asked = [int(q["min_updated_ts"]) for q in desk.wire.queries() if "min_updated_ts" in q]
    assert len(asked) == 1
    assert abs(asked[0] - exchange.clock.now().timestamp()) < 120
