"""Books, trades and candles go together, and with the quotes."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from kalshi_gateway.simulator.entries import MarketEntry
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.prices import hundredths

from .asking import walk
from .moments import Moment


def seconds(exchange: Exchange) -> int:
    return exchange.clock.micros() // 1_000_000


def busiest(exchange: Exchange, file: str = "open") -> MarketEntry:
    markets = exchange.catalogue.created[file, 0].things
    return max(markets, key=lambda entry: hundredths(entry.field("volume_fp")))


def candles_path(exchange: Exchange, entry: MarketEntry) -> str:
    return f"/series/{exchange.catalogue.series_of(entry)}/markets/{entry.ticker}/candlesticks"


async def test_every_book_goes_with_its_quote(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Bids only, ascending, best last; the best ones are the quote, sizes included."""
    for entry in exchange.catalogue.created["open", 0].things[:150]:
        market = (await client.get(f"/markets/{entry.ticker}")).json()["market"]
        book = (await client.get(f"/markets/{entry.ticker}/orderbook")).json()["orderbook_fp"]

        for side, price, size, none in (
            ("yes_dollars", "yes_bid_dollars", "yes_bid_size_fp", "0.0000"),
            ("no_dollars", "no_bid_dollars", "yes_ask_size_fp", "0.0000"),
        ):
            levels = book[side]
            assert levels == sorted(levels, key=lambda level: Decimal(level[0]))
            best = levels[-1] if levels else [none, "0.00"]
            assert best == [market[price], market[size]]


def test_every_price_stands_on_its_markets_grid(moment: Moment) -> None:
    """`price_ranges` is the rule, down to parts of a cent, and stays it while people trade."""
    exchange = Exchange.generated(3000, seed=5, now=moment)
    exchange.step(100)
    labels = set()

    for entry in exchange.catalogue.created["open", 0].things:
        market = json.loads(entry.bytes())
        labels.add(market["price_level_structure"])
        for name in ("yes_bid_dollars", "yes_ask_dollars", "last_price_dollars"):
            assert on_grid(Decimal(market[name]), market["price_ranges"]), (entry.ticker, name)
        bid, ask = Decimal(market["yes_bid_dollars"]), Decimal(market["yes_ask_dollars"])
        assert bid < ask
        assert Decimal(market["no_bid_dollars"]) == 1 - ask
        assert Decimal(market["no_ask_dollars"]) == 1 - bid

    assert {"linear_cent", "tapered_deci_cent"} <= labels


def on_grid(price: Decimal, ranges: list[dict[str, str]]) -> bool:
    return any(
        Decimal(band["start"]) <= price <= Decimal(band["end"])
        and (price - Decimal(band["start"])) % Decimal(band["step"]) == 0
        for band in ranges
    )


async def test_depth_keeps_the_best_levels(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """Zero means all of them."""
    entry = busiest(exchange)
    path = f"/markets/{entry.ticker}/orderbook"

    whole = (await client.get(f"{path}?depth=0")).json()["orderbook_fp"]
    two = (await client.get(f"{path}?depth=2")).json()["orderbook_fp"]

    assert two == {side: levels[-2:] for side, levels in whole.items()}
    assert (await client.get(f"{path}?depth=101")).status_code == 400
    assert (await client.get("/markets/NOPE/orderbook")).status_code == 404


async def test_several_books_need_the_parameter_repeated(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """A comma list is one ticker that nobody knows."""
    some = [entry.ticker for entry in exchange.catalogue.created["open", 0].things[:3]]

    found = await client.get("/markets/orderbooks", params={"tickers": [*some, "NOPE"]})
    joined = await client.get("/markets/orderbooks", params={"tickers": ",".join(some)})
    many = await client.get("/markets/orderbooks", params={"tickers": ["A"] * 101})

    assert [row["ticker"] for row in found.json()["orderbooks"]] == some
    assert joined.json() == {"orderbooks": []}
    assert many.status_code == 400
    assert (await client.get("/markets/orderbooks")).status_code == 400


async def test_a_markets_trades_add_up_to_its_volume(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Newest first, ending at the last price, none repeated."""
    entry = busiest(exchange)

    trades = await walk(client, "/markets/trades", "trades", ticker=entry.ticker, limit=7)

    assert sum(Decimal(trade["count_fp"]) for trade in trades) == Decimal(entry.field("volume_fp"))
    assert trades[0]["yes_price_dollars"] == entry.field("last_price_dollars")
    assert len({trade["trade_id"] for trade in trades}) == len(trades) > 1
    moments = [trade["created_time"] for trade in trades]
    assert moments == sorted(moments, key=lambda text: text.ljust(30, "0"), reverse=True)
    assert all(
        Decimal(trade["yes_price_dollars"]) + Decimal(trade["no_price_dollars"]) == 1
        for trade in trades
    )


async def test_trades_are_found_by_time_and_by_kind(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Unknown markets simply have none."""
    entry = busiest(exchange)
    since = seconds(exchange) - 86_400

    recent = await walk(client, "/markets/trades", "trades", ticker=entry.ticker, min_ts=since)
    older = await walk(client, "/markets/trades", "trades", ticker=entry.ticker, max_ts=since)
    every = await walk(client, "/markets/trades", "trades", ticker=entry.ticker)
    everywhere = (await client.get("/markets/trades?limit=50")).json()["trades"]
    blocks = (await client.get("/markets/trades?is_block_trade=true")).json()["trades"]

    assert len(recent) + len(older) == len(every)
    assert len({trade["ticker"] for trade in everywhere}) > 1
    assert all(trade["is_block_trade"] for trade in blocks)
    assert (await client.get("/markets/trades?ticker=NOPE")).json() == {"cursor": "", "trades": []}


@pytest.mark.parametrize("minutes", [1, 60, 1440])
async def test_candles_are_made_of_the_trades(
    client: httpx.AsyncClient, exchange: Exchange, minutes: int
) -> None:
    """Whatever the period, their volumes add up and the last one ends at the last price."""
    entry = busiest(exchange)
    now = seconds(exchange)
    query = {"start_ts": 0, "end_ts": now + 86_400, "period_interval": minutes}

    answer = (await client.get(candles_path(exchange, entry), params=query)).json()

    rows = answer["candlesticks"]
    traded = [row for row in rows if "close_dollars" in row["price"]]
    assert sum(Decimal(row["volume_fp"]) for row in rows) == Decimal(entry.field("volume_fp"))
    assert traded[-1]["price"]["close_dollars"] == entry.field("last_price_dollars")
    assert rows[-1]["open_interest_fp"] == entry.field("open_interest_fp")
    ends = [row["end_period_ts"] for row in rows]
    assert ends == sorted(set(ends))
    assert all(end % 60 == 0 for end in ends)
    for row in traded:
        price = {name: Decimal(text) for name, text in row["price"].items()}
        assert price["low_dollars"] <= price["mean_dollars"] <= price["high_dollars"]


async def test_quiet_candles_lack_their_prices(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Absent, not null; an untouched book shows 0 and 1."""
    entry = next(
        entry
        for entry in exchange.catalogue.created["open", 0].things
        if entry.field("volume_fp") == "0.00"
    )
    query = {"start_ts": 0, "end_ts": seconds(exchange), "period_interval": 60}

    rows = (await client.get(candles_path(exchange, entry), params=query)).json()["candlesticks"]

    assert rows
    assert all(row["price"] == {} for row in rows)
    assert {row["yes_bid"]["close_dollars"] for row in rows} == {"0.0000"}
    assert {row["yes_ask"]["close_dollars"] for row in rows} == {"1.0000"}


async def test_days_end_at_midnight_in_new_york(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Five hours behind in November."""
    query = {"start_ts": 0, "end_ts": seconds(exchange), "period_interval": 1440}

    answer = await client.get(candles_path(exchange, busiest(exchange)), params=query)

    ends = [row["end_period_ts"] for row in answer.json()["candlesticks"]]
    assert ends
    assert {end % 86_400 for end in ends} == {5 * 3600}


async def test_the_price_before_a_range_can_be_carried_into_it(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """As a first candle in which nobody traded."""
    entry = busiest(exchange)
    now = seconds(exchange)
    query: dict[str, Any] = {"start_ts": now + 60, "end_ts": now + 7200, "period_interval": 1}

    plain = (await client.get(candles_path(exchange, entry), params=query)).json()
    query["include_latest_before_start"] = "true"
    carried = (await client.get(candles_path(exchange, entry), params=query)).json()

    assert plain["candlesticks"] == []
    assert [row["price"] for row in carried["candlesticks"]] == [
        {"previous_dollars": entry.field("last_price_dollars")}
    ]


async def test_candles_of_several_markets_and_of_an_event(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """A comma list of a hundred at most; an event too long is cut and says where."""
    entry = busiest(exchange)
    series = exchange.catalogue.series_of(entry)
    now = seconds(exchange)
    query = {"start_ts": now - 86_400, "end_ts": now, "period_interval": 60}
    one = (await client.get(candles_path(exchange, entry), params=query)).json()

    batch = await client.get(
        "/markets/candlesticks", params={**query, "market_tickers": f"{entry.ticker},NOPE"}
    )
    many = await client.get(
        "/markets/candlesticks", params={**query, "market_tickers": ",".join(["A"] * 101)}
    )
    event_path = f"/series/{series}/events/{entry.event_ticker}/candlesticks"
    event = (await client.get(event_path, params=query)).json()
    long = (await client.get(event_path, params={**query, "start_ts": 0})).json()

    assert batch.json() == {
        "markets": [{"candlesticks": one["candlesticks"], "market_ticker": entry.ticker}]
    }
    assert many.status_code == 400
    at = event["market_tickers"].index(entry.ticker)
    assert event["market_candlesticks"][at] == one["candlesticks"]
    assert (event["adjusted_end_ts"], long["adjusted_end_ts"] < now) == (now, True)


@pytest.mark.parametrize(
    "query",
    [
        "start_ts=1&end_ts=2",
        "start_ts=1&end_ts=2&period_interval=5",
        "end_ts=2&period_interval=60",
        "start_ts=soon&end_ts=2&period_interval=60",
    ],
)
async def test_candles_need_their_range(
    client: httpx.AsyncClient, exchange: Exchange, query: str
) -> None:
    """All three parameters, and one of three periods."""
    path = candles_path(exchange, busiest(exchange))

    assert (await client.get(f"{path}?{query}")).status_code == 400
    wrong = path.replace("/series/KX", "/series/NOPE")
    well = "start_ts=1&end_ts=2&period_interval=60"
    assert (await client.get(f"{wrong}?{well}")).status_code == 404
