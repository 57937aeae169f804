"""One walk of everything: what it stores, what it costs, and what the next one leaves alone."""

import json
from collections import Counter

from kalshi_gateway.simulator.exchange import Exchange

from .desk import Desk
from .desk import desk as a_desk


async def test_every_market_that_can_be_traded_is_stored_once(desk: Desk) -> None:
    """Open, unopened, paused and closed ones, in the state the exchange gives; no combos."""
    await desk.walk()

    listed = desk.listed()
    assert set(listed.values()) == {"open", "unopened", "paused", "closed"}
    assert await desk.statuses() == listed
    assert await desk.ask("SELECT count(*) FROM instruments WHERE is_combo") == [0]


async def test_markets_carry_the_names_of_their_family(desk: Desk, exchange: Exchange) -> None:
    """Series, category and tags come from above, and all of it can be searched."""
    await desk.walk()

    bodies = dict(await desk.ask("SELECT ticker, body FROM instruments"))
    for ticker in desk.listed():
        event = exchange.catalogue.events[exchange.catalogue.markets[ticker].event_ticker]
        series = exchange.catalogue.series[event.series_ticker]
        market = json.loads(bodies[ticker])
        assert market["series_ticker"] == series.ticker
        assert market["category"] == series.categories[0]
        assert market["tags"] == list(series.tags)
    nameless = "SELECT ticker FROM instruments WHERE series_ticker IS NULL OR search = ''"
    assert await desk.ask(nameless) == []


async def test_events_say_what_their_markets_add_up_to(desk: Desk, exchange: Exchange) -> None:
    """Open while any market is; volume and interest are their sums."""
    await desk.walk()

    expected: dict[str, tuple[str, int]] = {}
    for event, status, volume in await desk.ask(
        "SELECT event_ticker, status, volume_24h_centicontracts FROM instruments"
    ):
        said, added = expected.get(event, ("settled", 0))
        states = ("open", "paused", "unopened", "closed", "settled")
        expected[event] = min(said, status, key=states.index), added + volume
    found = await desk.ask(
        "SELECT event_ticker, status, volume_24h_centicontracts FROM events"
        " WHERE status IS NOT NULL"
    )
    assert {event: (status, volume) for event, status, volume in found} == expected


async def test_walking_unchanged_markets_again_writes_none(desk: Desk) -> None:
    """The second walk costs as many questions as the first, and not one row."""
    await desk.walk()
    first = Counter(desk.exchange.counters.requests)
    versions = [
        await desk.versions(),
        await desk.versions("events", "event_ticker"),
        await desk.versions("series"),
    ]

    walked = await desk.writer.everything()

    assert sum(walk.changed for walk in walked) == 0
    assert sum(walk.rows for walk in walked if walk.scope.startswith("markets")) == len(
        desk.listed()
    )
    assert versions == [
        await desk.versions(),
        await desk.versions("events", "event_ticker"),
        await desk.versions("series"),
    ]
    second = Counter(desk.exchange.counters.requests) - first
    assert sum(second.values()) <= sum(first.values())


async def test_only_what_changed_is_written_again(desk: Desk, exchange: Exchange) -> None:
    """One price moves among hundreds: one market and its event are touched."""
    await desk.walk()
    before = await desk.versions()
    ticker = next(t for t, status in desk.listed().items() if status == "open")
    exchange.catalogue.change(ticker, last_price_dollars="0.1234", volume_fp="77.00")

    await desk.walk()

    assert await desk.rewritten(before) == {ticker}
    assert (await desk.market(ticker))["last_price"] == 0.1234


async def test_a_new_process_knows_what_the_last_one_stored(
    exchange: Exchange, database_url: str
) -> None:
    """Digests are read back from the database: a restart writes nothing either."""
    async with a_desk(database_url, exchange) as first:
        await first.walk()
        before = await first.versions()

    async with a_desk(database_url, exchange) as second:
        walked = await second.writer.everything()
        rewritten = await second.rewritten(before)

    assert sum(walk.changed for walk in walked) == 0
    assert rewritten == set()


async def test_what_the_walks_wrote_down_is_what_they_did(desk: Desk) -> None:
    """Pages, rows and the moment of completion of each, and nothing left under way."""
    walked = {walk.scope: walk for walk in await desk.writer.everything()}

    noted = await desk.walks()
    assert noted.keys() == walked.keys()
    for scope, row in noted.items():
        assert (row["pages"], row["rows"]) == (walked[scope].pages, walked[scope].rows)
        assert row["complete_as_of"] == row["began_at"] == walked[scope].began_at
        assert (row["cursor"], row["failure"], row["set_aside"]) == (None, None, 0)
    assert noted["markets:open"]["pages"] > 3
