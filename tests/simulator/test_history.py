"""Two tiers: what was settled before the cutoff lives in the other one."""

import httpx

from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.prices import hundredths

from .asking import walk

CANDLES = "start_ts=0&end_ts=2000000000&period_interval=1440"


async def test_an_archived_market_is_found_in_the_archive_only(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Live it is 404, its book and candles too; its live trades are an empty list."""
    entry = max(
        exchange.catalogue.created["archived", 0].things,
        key=lambda entry: hundredths(entry.field("volume_fp")),
    )
    series = exchange.catalogue.series_of(entry)

    for path in (
        f"/markets/{entry.ticker}",
        f"/markets/{entry.ticker}/orderbook",
        f"/series/{series}/markets/{entry.ticker}/candlesticks?{CANDLES}",
    ):
        assert (await client.get(path)).status_code == 404
    live = (await client.get(f"/markets/trades?ticker={entry.ticker}")).json()
    found = (await client.get(f"/historical/markets/{entry.ticker}")).json()["market"]
    trades = await walk(client, "/historical/trades", "trades", ticker=entry.ticker)

    assert live == {"cursor": "", "trades": []}
    assert found["status"] == "finalized"
    assert trades


async def test_a_live_market_is_not_in_the_archive(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Each market lives in one tier."""
    ticker = exchange.catalogue.created["settled", 0].things[0].ticker

    assert (await client.get(f"/markets/{ticker}")).status_code == 200
    assert (await client.get(f"/historical/markets/{ticker}")).status_code == 404
    archived = await walk(client, "/historical/markets", "markets", limit=7)
    live = await walk(client, "/markets", "markets", limit=1000)
    assert archived
    assert not {row["ticker"] for row in archived} & {row["ticker"] for row in live}


async def test_archived_candles_have_plain_names_and_nulls(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Unlike live ones, where names end in a unit and nothing is null."""
    ticker = exchange.catalogue.created["archived", 0].things[0].ticker

    answer = await client.get(f"/historical/markets/{ticker}/candlesticks?{CANDLES}")

    row = answer.json()["candlesticks"][0]
    assert row.keys() == {
        "end_period_ts",
        "open_interest",
        "price",
        "volume",
        "yes_ask",
        "yes_bid",
    }
    assert row["price"].keys() == {"close", "high", "low", "mean", "open", "previous"}
    assert row["price"]["previous"] is None


async def test_the_cutoff_tells_where_the_live_tier_begins(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """No live market was settled before it, no archived one after it."""
    cutoff = (await client.get("/historical/cutoff")).json()["market_settled_ts"]

    live = await walk(client, "/markets", "markets", status="settled")
    archived = await walk(client, "/historical/markets", "markets")

    assert all(row["settlement_ts"] > cutoff for row in live)
    assert all(row["settlement_ts"] < cutoff for row in archived)
    newest_first = [row["settlement_ts"] for row in archived]
    assert newest_first == sorted(newest_first, reverse=True)


async def test_the_archive_grows_with_the_cutoff(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """What was live yesterday is archived today."""
    ticker = exchange.catalogue.created["settled", 0].things[0].ticker

    exchange.catalogue.cutoff_us = exchange.clock.micros()

    assert (await client.get(f"/markets/{ticker}")).status_code == 404
    assert (await client.get(f"/historical/markets/{ticker}")).status_code == 200
    assert await walk(client, "/markets", "markets", status="settled") == []


async def test_filters_of_the_archive_exclude_each_other(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """One of tickers, event and series."""
    entry = exchange.catalogue.created["archived", 0].things[0]
    series = exchange.catalogue.series_of(entry)

    by_ticker = await walk(client, "/historical/markets", "markets", tickers=entry.ticker)
    by_series = await walk(client, "/historical/markets", "markets", series_ticker=series)
    both = await client.get(f"/historical/markets?tickers={entry.ticker}&series_ticker={series}")

    assert [row["ticker"] for row in by_ticker] == [entry.ticker]
    assert entry.ticker in {row["ticker"] for row in by_series}
    assert both.status_code == 400
