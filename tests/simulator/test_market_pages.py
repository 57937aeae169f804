"""Listings of markets: pages, cursors, filters and what does not go together."""

from typing import Any

import httpx
import pytest

from kalshi_gateway.simulator.exchange import Exchange

from .asking import pages, walk
from .moments import Moment

WEEK = 7 * 86_400


def seconds(moment: Moment) -> int:
    return int(moment.at.timestamp())


async def test_a_walk_yields_every_live_market_once(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Pages follow each other without gap or overlap, down to a cursor that is empty."""
    found = await pages(client, "/markets", "markets", limit=97)

    tickers = [row["ticker"] for page in found for row in page]
    live = [ticker for ticker in exchange.catalogue.markets if exchange.catalogue.live(ticker)]
    assert sorted(tickers) == sorted(live)
    assert [len(page) for page in found[:-1]] == [97] * (len(found) - 1)


async def test_cursors_name_a_place_and_not_a_snapshot(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """A market that leaves the filter between two pages is missing, one that joins appears."""
    query: dict[str, Any] = {"status": "open", "mve_filter": "exclude", "limit": 50}
    first = (await client.get("/markets", params=query)).json()
    shelf = exchange.catalogue.created["open", 0].things
    leaving, event = shelf[60].ticker, shelf[60].event_ticker

    moment.move(minutes=1)
    exchange.catalogue.close(leaving)
    exchange.catalogue.add_market("NEWEST", event)
    rest = await walk(client, "/markets", "markets", **query)
    second = (await client.get("/markets", params={**query, "cursor": first["cursor"]})).json()

    assert leaving not in {row["ticker"] for row in second["markets"]}
    assert rest[0]["ticker"] == "NEWEST"
    assert not {r["ticker"] for r in first["markets"]} & {r["ticker"] for r in second["markets"]}


async def test_a_garbage_cursor_is_silently_the_first_page(client: httpx.AsyncClient) -> None:
    """No error tells a client that its cursor was broken on the way."""
    first = await client.get("/markets?limit=5")
    garbage = await client.get("/markets?limit=5&cursor=garbage-cursor-fixture")

    assert garbage.status_code == 200
    assert garbage.content == first.content


async def test_a_limit_above_the_maximum_is_refused_in_the_validators_words(
    client: httpx.AsyncClient,
) -> None:
    """Nothing is clamped, and this refusal has an envelope of its own."""
    response = await client.get("/markets?limit=1001")

    assert response.status_code == 400
    assert response.json() == {
        "msg": "Parameter validation failed for GetMarkets: Key: 'GetMarketsParams.Limit' "
        "Error:Field validation for 'Limit' failed on the 'lte' tag"
    }


@pytest.mark.parametrize(
    ("status", "statuses"),
    [
        ("unopened", {"initialized"}),
        ("open", {"active"}),
        ("paused", {"inactive"}),
        ("closed", {"closed", "determined", "disputed", "amended"}),
        ("settled", {"finalized"}),
    ],
)
async def test_each_status_filter_finds_its_statuses(
    client: httpx.AsyncClient, exchange: Exchange, status: str, statuses: set[str]
) -> None:
    """The filter's word is not the row's word."""
    exchange.catalogue.pause(exchange.catalogue.created["open", 0].things[0].ticker)

    rows = await walk(client, "/markets", "markets", status=status, limit=200)

    assert rows
    assert {row["status"] for row in rows} <= statuses


async def test_combos_are_told_apart(client: httpx.AsyncClient) -> None:
    """`exclude` leaves out what `only` lists; without the filter both come."""
    every = await walk(client, "/markets", "markets", limit=1000)
    only = await walk(client, "/markets", "markets", limit=1000, mve_filter="only")
    without = await walk(client, "/markets", "markets", limit=1000, mve_filter="exclude")

    assert only
    assert len(every) == len(only) + len(without)
    assert all(len(row["mve_selected_legs"]) >= 1 for row in only)
    assert not any("mve_selected_legs" in row for row in without)


async def test_unknown_tickers_are_silently_left_out(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """A comma list answers with what there is."""
    known = [entry.ticker for entry in exchange.catalogue.created["open", 0].things[:3]]

    rows = await walk(client, "/markets", "markets", tickers=",".join([*known, "NOPE", known[0]]))

    assert sorted(row["ticker"] for row in rows) == sorted(known)


async def test_markets_are_found_by_event_and_by_series(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """A market names its event; the event knows the series."""
    entry = exchange.catalogue.created["open", 0].things[0]
    series = exchange.catalogue.series_of(entry)

    of_event = await walk(client, "/markets", "markets", event_ticker=entry.event_ticker)
    of_series = await walk(client, "/markets", "markets", series_ticker=series)

    assert entry.ticker in {row["ticker"] for row in of_event}
    assert {row["event_ticker"] for row in of_event} == {entry.event_ticker}
    assert {row["ticker"] for row in of_event} <= {row["ticker"] for row in of_series}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("min_created_ts=1&max_created_ts=2", 200),
        ("min_created_ts=1&status=open", 200),
        ("min_created_ts=1&status=unopened", 200),
        ("min_created_ts=1&status=closed", 400),
        ("min_created_ts=1&status=paused", 400),
        ("min_close_ts=1&status=closed", 200),
        ("min_close_ts=1&status=open", 400),
        ("min_settled_ts=1&status=settled", 200),
        ("max_settled_ts=1&status=closed", 400),
        ("min_settled_ts=1&min_close_ts=1", 400),
        ("min_created_ts=1&max_close_ts=1", 400),
        ("min_updated_ts=1&mve_filter=exclude", 200),
        ("min_updated_ts=1&max_updated_ts=2&mve_filter=exclude&series_ticker=KXBTC", 200),
        ("min_updated_ts=1", 400),
        ("min_updated_ts=1&mve_filter=only", 400),
        ("min_updated_ts=1&mve_filter=exclude&status=open", 400),
        ("min_updated_ts=1&mve_filter=exclude&event_ticker=X", 400),
        ("min_updated_ts=1&mve_filter=exclude&tickers=X", 400),
        ("min_updated_ts=1&mve_filter=exclude&min_created_ts=1", 400),
        ("status=open,closed", 400),
        ("status=active", 400),
        ("mve_filter=include", 400),
        ("limit=ten", 400),
        ("min_close_ts=yesterday", 400),
        ("limit=-1", 400),
    ],
)
async def test_filters_go_together_as_documented(
    client: httpx.AsyncClient, query: str, status: int
) -> None:
    """Families of timestamps exclude each other, and go with some statuses only."""
    response = await client.get(f"/markets?limit=1&{query}")

    assert response.status_code == status, response.text


async def test_the_created_window_leaves_out_its_own_bound(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """`min_created_ts` is exclusive: who asks from the last second he saw may miss a market."""
    event = exchange.catalogue.created["open", 0].things[0].event_ticker
    moment.move(hours=1)
    exchange.catalogue.add_market("SHARP", event)
    at = seconds(moment)

    async def found(since: int) -> set[str]:
        rows = await walk(client, "/markets", "markets", min_created_ts=since)
        return {row["ticker"] for row in rows}

    assert await found(at - 1) == {"SHARP"}
    assert await found(at) == set()


async def test_updates_see_metadata_and_never_prices(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """A trade does not move `updated_time`; a wording or a status does."""
    traded, edited, paused = (e.ticker for e in exchange.catalogue.created["open", 0].things[:3])
    moment.move(hours=1)
    since = seconds(moment)
    moment.move(seconds=5)

    exchange.catalogue.change(traded, yes_bid_dollars="0.1100", volume_fp="12.00")
    exchange.catalogue.change(edited, rules_primary="Otherwise.")
    exchange.catalogue.pause(paused)
    rows = await walk(client, "/markets", "markets", min_updated_ts=since, mve_filter="exclude")

    assert {row["ticker"] for row in rows} == {edited, paused}
    one: dict[str, Any] = (await client.get(f"/markets/{traded}")).json()["market"]
    assert (one["yes_bid_dollars"], one["no_ask_dollars"]) == ("0.1100", "0.8900")


async def test_settled_markets_come_newest_first(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """The settled window is how a client follows settlements."""
    ticker = exchange.catalogue.created["open", 0].things[0].ticker
    moment.move(minutes=10)
    before = seconds(moment) - 1
    exchange.catalogue.settle(ticker, "yes")

    newest = await walk(client, "/markets", "markets", status="settled", limit=3)
    since = await walk(client, "/markets", "markets", min_settled_ts=before)

    moments = [row["settlement_ts"] for row in newest]
    assert newest[0]["ticker"] == ticker
    assert moments == sorted(moments, reverse=True)
    assert [row["ticker"] for row in since] == [ticker]
    assert (since[0]["result"], since[0]["settlement_value_dollars"]) == ("yes", "1.0000")


async def test_closing_windows_find_markets_by_their_closing_time(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """Both bounds are open."""
    now = seconds(moment)

    rows = await walk(client, "/markets", "markets", min_close_ts=now, max_close_ts=now + WEEK)

    expected = {
        ticker
        for ticker, entry in exchange.catalogue.markets.items()
        if now * 1_000_000 < entry.closes_us < (now + WEEK) * 1_000_000
    }
    assert expected
    assert {row["ticker"] for row in rows} == expected
