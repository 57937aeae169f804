"""What was looked up by name between two walks, in whatever process, is read again by the next."""

from httpx import AsyncClient

from kalshi_gateway.simulator.exchange import Exchange

from .desk import Desk


def an_open_one(desk: Desk) -> str:
    return next(ticker for ticker, is_now in desk.listed().items() if is_now == "open")


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


async def titles(desk: Desk, event: str, series: str) -> list[str]:
    return await desk.ask(
        "SELECT title FROM events WHERE event_ticker = $1"
        " UNION ALL SELECT title FROM series WHERE ticker = $2",
        event,
        series,
    )
