"""Events and series: nesting, filters, and what belongs to them."""

import httpx

from kalshi_gateway.simulator.exchange import Exchange

from .asking import walk
from .moments import Moment


async def test_all_events_but_combos_are_listed(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Combo events have a listing of their own."""
    events = await walk(client, "/events", "events", limit=31)
    combos = await walk(client, "/events/multivariate", "events", limit=7)

    known = exchange.catalogue.listed_events
    assert {row["event_ticker"] for row in events} == {event.ticker for event in known[0].things}
    assert {row["event_ticker"] for row in combos} == {event.ticker for event in known[1].things}
    assert combos


async def test_an_event_matches_a_status_when_any_of_its_markets_does(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """An event with one closed market among open ones is found under both words."""
    event = next(
        event
        for event in exchange.catalogue.listed_events[0].things
        if sum(market.filed == "open" for market in event.markets) > 1
    )
    exchange.catalogue.close(event.markets[0].ticker)

    for status in ("open", "closed"):
        rows = await walk(client, "/events", "events", status=status)
        assert event.ticker in {row["event_ticker"] for row in rows}
    assert (await client.get("/events?status=paused")).status_code == 400


async def test_nested_markets_are_the_live_ones(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Events are always live; markets settled before the cutoff are left out of them."""
    archived = exchange.catalogue.created["archived", 0].things[0]

    nested = await client.get(f"/events/{archived.event_ticker}?with_nested_markets=true")
    listed = await walk(client, "/events", "events", with_nested_markets="true")

    assert nested.json()["event"]["markets"] == []
    assert nested.json()["markets"] == []
    inside = {market["ticker"] for event in listed for market in event["markets"]}
    live = {
        ticker
        for ticker, entry in exchange.catalogue.markets.items()
        if exchange.catalogue.live(ticker) and not entry.combo
    }
    assert inside == live


async def test_markets_stand_beside_an_event_inside_it_or_nowhere(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Three ways to ask; two of them at once are refused."""
    event = exchange.catalogue.created["open", 0].things[0].event_ticker

    beside = (await client.get(f"/events/{event}")).json()
    inside = (await client.get(f"/events/{event}?with_nested_markets=true")).json()
    without = (await client.get(f"/events/{event}?exclude_markets=true")).json()
    both = await client.get(f"/events/{event}?exclude_markets=true&with_nested_markets=true")

    assert beside["markets"] == inside["event"]["markets"] != []
    assert inside["markets"] == []
    assert without == {"event": beside["event"], "markets": []}
    assert both.status_code == 400


async def test_events_are_found_by_update_close_series_and_ticker(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """The filters a synchronisation needs."""
    event = exchange.catalogue.created["open", 0].things[0].event_ticker
    series = exchange.catalogue.events[event].series_ticker
    moment.move(hours=2)
    since = int(moment.at.timestamp()) - 1
    exchange.catalogue.change_event(event, title="Renamed")

    updated = await walk(client, "/events", "events", min_updated_ts=since)
    by_ticker = await walk(client, "/events", "events", tickers=f"{event},NOPE")
    by_series = await walk(client, "/events", "events", series_ticker=series)
    never = await walk(client, "/events", "events", min_close_ts=2**40)

    assert [row["title"] for row in updated] == ["Renamed"]
    assert [row["event_ticker"] for row in by_ticker] == [event]
    assert {row["series_ticker"] for row in by_series} == {series}
    assert never == []
    assert (await client.get("/events?limit=201")).json().keys() == {"msg"}


async def test_series_come_in_one_answer(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """No pages; categories match any of a series' discovery categories, to the letter."""
    every = (await client.get("/series")).json()
    crypto = (await client.get("/series?category=Financials")).json()["series"]
    tagged = (await client.get("/series?tags=Hourly,Fed")).json()["series"]

    assert every.keys() == {"series"}
    assert len(every["series"]) == len(exchange.catalogue.series)
    assert "Crypto" in {row["category"] for row in crypto}
    assert all("Financials" in row["categories"] for row in crypto)
    assert all({"Hourly", "Fed"} & set(row["tags"]) for row in tagged)
    assert (await client.get("/series?category=crypto")).json()["series"] == []


async def test_series_tell_their_volume_only_when_asked(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """And what was changed since when."""
    ticker = exchange.catalogue.add_series("KXFRESH", category="Politics").ticker

    plain = (await client.get(f"/series/{ticker}")).json()["series"]
    with_volume = (await client.get(f"/series/{ticker}?include_volume=true")).json()["series"]
    since = int(exchange.clock.now().timestamp()) - 1
    updated = (await client.get(f"/series?min_updated_ts={since}")).json()["series"]

    assert with_volume == {**plain, "volume_fp": "0.00"}
    assert [row["ticker"] for row in updated] == [ticker]


async def test_what_is_unknown_is_not_found(client: httpx.AsyncClient) -> None:
    """One body for unknown series, events, markets and paths."""
    for path in ("/series/NOPE", "/events/NOPE", "/markets/NOPE", "/no/such/path"):
        response = await client.get(path)
        assert response.status_code == 404
        assert response.json() == {"error": {"code": "not_found", "message": "not found"}}


async def test_an_event_has_metadata_and_a_game_a_milestone(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Pictures by market; milestones need their limit."""
    milestones = await walk(client, "/milestones", "milestones", limit=500)
    event = milestones[0]["primary_event_tickers"][0]
    metadata = (await client.get(f"/events/{event}/metadata")).json()
    listed = (await client.get(f"/events?tickers={event}&with_milestones=true")).json()

    one = (await client.get(f"/milestones/{milestones[0]['id']}")).json()
    assert one == {"milestone": milestones[0]}
    assert listed["milestones"] == [milestones[0]]
    tickers = [market.ticker for market in exchange.catalogue.by_event[event]]
    assert [detail["market_ticker"] for detail in metadata["market_details"]] == tickers
    assert (await client.get("/milestones")).status_code == 400


async def test_combos_come_from_a_collection(client: httpx.AsyncClient) -> None:
    """The collection of a combo can be asked for, and finds its events."""
    combo = (await walk(client, "/markets", "markets", mve_filter="only"))[0]
    ticker = combo["mve_collection_ticker"]

    collection = (await client.get(f"/multivariate_event_collections/{ticker}")).json()
    events = await walk(
        client, "/events/multivariate", "events", collection_ticker=ticker, limit=200
    )
    both = await client.get(f"/events/multivariate?collection_ticker={ticker}&series_ticker=X")

    assert collection["multivariate_contract"]["collection_ticker"] == ticker
    assert combo["event_ticker"] in {row["event_ticker"] for row in events}
    assert both.status_code == 400
