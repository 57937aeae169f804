"""What was looked up by name between two walks, in whatever process, is read again by the next."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient

from kalshi_gateway.simulator import times
from kalshi_gateway.simulator.exchange import Exchange

from .desk import Desk


def an_open_one(desk: Desk) -> str:
    return next(ticker for ticker, is_now in desk.listed().items() if is_now == "open")


def a_closed_one(desk: Desk) -> str:
    return next(ticker for ticker, is_now in desk.listed().items() if is_now == "closed")


async def found_by(desk: Desk, word: str) -> set[str]:
    """The markets that a search for a word finds."""
    return set(
        await desk.ask("SELECT ticker FROM instruments WHERE search @@ $1::text::tsquery", word)
    )


async def look_up(client: AsyncClient, path: str) -> None:
    response = await client.get(path, params={"refresh": "true"})
    assert response.status_code == 200


async def test_a_price_that_was_there_for_a_moment_goes_with_the_next_walk(
    desk: Desk, client: AsyncClient, exchange: Exchange
) -> None:
    """A walk brings one price, a look-up another, and then the first is there again."""
    ticker = an_open_one(desk)
    exchange.catalogue.change(ticker, last_price_dollars="0.4100")
    await desk.walk()
    exchange.catalogue.change(ticker, last_price_dollars="0.7700")
    await look_up(client, f"/kalshi/markets/{ticker}")
    looked_up = (await desk.market(ticker))["last_price"]
    exchange.catalogue.change(ticker, last_price_dollars="0.4100")

    await desk.walk()

    assert (looked_up, (await desk.market(ticker))["last_price"]) == (0.77, 0.41)


async def test_so_do_all_prices_that_came_with_their_event(
    desk: Desk, client: AsyncClient, exchange: Exchange
) -> None:
    """An event is looked up with its markets."""
    ticker = an_open_one(desk)
    event = exchange.catalogue.markets[ticker].event_ticker
    exchange.catalogue.change(ticker, last_price_dollars="0.4100")
    await desk.walk()
    exchange.catalogue.change(ticker, last_price_dollars="0.7700")
    await look_up(client, f"/kalshi/events/{event}")
    looked_up = (await desk.market(ticker))["last_price"]
    exchange.catalogue.change(ticker, last_price_dollars="0.4100")

    await desk.walk()

    assert (looked_up, (await desk.market(ticker))["last_price"]) == (0.77, 0.41)


async def test_a_name_that_was_there_for_a_moment_goes_too(
    desk: Desk, client: AsyncClient, exchange: Exchange
) -> None:
    """An event's and a series', and what their markets have of them."""
    ticker = an_open_one(desk)
    event = exchange.catalogue.markets[ticker].event_ticker
    series = exchange.catalogue.events[event].series_ticker
    exchange.catalogue.change_event(event, title="Before")
    exchange.catalogue.change_series(series, title="Before")
    await desk.walk()
    exchange.catalogue.change_event(event, title="Meanwhile")
    exchange.catalogue.change_series(series, title="Meanwhile")
    await look_up(client, f"/kalshi/series/{series}")
    await look_up(client, f"/kalshi/events/{event}")
    meanwhile = await titles(desk, event, series)
    exchange.catalogue.change_event(event, title="Before")
    exchange.catalogue.change_series(series, title="Before")

    await desk.walk()

    assert meanwhile == ["Meanwhile", "Meanwhile"]
    assert await titles(desk, event, series) == ["Before", "Before"]
    found = "SELECT count(*) FROM instruments WHERE search @@ 'meanwhile'"
    assert await desk.ask(found) == [0]


@pytest.mark.parametrize(
    "renamed",
    [{"category": "Renamed"}, {"tags": ["Renamed"]}, {"title": "Renamed"}],
    ids=["category", "tags", "title"],
)
@pytest.mark.parametrize("writers", [1, 2, 3])
async def test_markets_follow_a_series_that_was_looked_up_while_nobody_wrote(
    desk: Desk, client: AsyncClient, exchange: Exchange, renamed: dict[str, Any], writers: int
) -> None:
    """The next writer finds nothing new in it; nor does who succeeds one that ended before it."""
    await desk.walk()
    ticker = a_closed_one(desk)
    series = exchange.catalogue.events[exchange.catalogue.markets[ticker].event_ticker]
    exchange.catalogue.change_series(series.series_ticker, **renamed)
    await look_up(client, f"/kalshi/series/{series.series_ticker}")
    # Looked up once more, it says nothing new, either.
    await look_up(client, f"/kalshi/series/{series.series_ticker}")
    await desk.succeed()
    for _ in range(1, writers):
        await desk.writer.changes()
        await desk.succeed()

    await desk.writer.mend()

    assert ticker in await found_by(desk, "renamed")
    market = await desk.market(ticker)
    for member in renamed.keys() - {"title"}:
        assert market[member] == renamed[member]


async def test_such_a_series_is_followed_once(
    desk: Desk, client: AsyncClient, exchange: Exchange
) -> None:
    """What changes in it afterwards, and is no name, moves nothing."""
    await desk.walk()
    event = exchange.catalogue.markets[a_closed_one(desk)].event_ticker
    series = exchange.catalogue.events[event].series_ticker
    exchange.catalogue.change_series(series, tags=["Renamed"])
    await look_up(client, f"/kalshi/series/{series}")
    await desk.succeed()
    await desk.writer.changes()
    await desk.writer.mend()
    exchange.catalogue.change_series(series, fee_multiplier=3)
    desk.wire.asked.clear()

    await desk.writer.changes()
    await desk.writer.mend()

    asked = desk.wire.queries("/events") + desk.wire.queries("/markets")
    assert not any("tickers" in query for query in asked)


@pytest.mark.parametrize("looked_up", ["looked up", "marked by the last writer and looked up"])
async def test_markets_follow_an_event_that_was_looked_up_while_nobody_wrote(
    desk: Desk, client: AsyncClient, exchange: Exchange, looked_up: str
) -> None:
    """Even one that it does not carry any more, since the exchange has archived it."""
    ticker = a_closed_one(desk)
    event = exchange.catalogue.events[exchange.catalogue.markets[ticker].event_ticker]
    exchange.catalogue.settle(ticker, "yes")
    await look_up(client, f"/kalshi/markets/{ticker}")
    await desk.walk()
    exchange.archive(times.micros(datetime.now(UTC) + timedelta(days=1)))
    if looked_up == "looked up":
        exchange.catalogue.change_event(event.ticker, title="Renamed")
    else:
        exchange.catalogue.change_series(event.series_ticker, title="Renamed")
        await desk.writer.changes()
    await look_up(client, f"/kalshi/events/{event.ticker}")
    await look_up(client, f"/kalshi/events/{event.ticker}")
    await desk.succeed()

    await desk.writer.mend()

    assert ticker in await found_by(desk, "renamed")


async def test_an_event_that_carries_all_its_markets_is_not_read_again(
    desk: Desk, client: AsyncClient, exchange: Exchange
) -> None:
    """Whoever looks it up under another name has renamed them all."""
    await desk.walk()
    ticker = a_closed_one(desk)
    event = exchange.catalogue.markets[ticker].event_ticker
    exchange.catalogue.change_event(event, title="Renamed")
    await look_up(client, f"/kalshi/events/{event}")
    await desk.succeed()
    desk.wire.asked.clear()

    await desk.writer.mend()

    assert desk.wire.asked == []
    assert ticker in await found_by(desk, "renamed")


async def titles(desk: Desk, event: str, series: str) -> list[str]:
    return await desk.ask(
        "SELECT title FROM events WHERE event_ticker = $1"
        " UNION ALL SELECT title FROM series WHERE ticker = $2",
        event,
        series,
    )
