"""The exchange lives: it trades, lists, opens, closes and pays, the same way each time."""

import json
from typing import Any

import httpx

from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.prices import hundredths
from kalshi_gateway.simulator.times import SECOND, moment

from .asking import walk
from .moments import Moment


def rows(exchange: Exchange) -> list[dict[str, Any]]:
    return [json.loads(entry.bytes()) for entry in exchange.catalogue.markets.values()]


def test_two_lives_of_one_seed_are_the_same() -> None:
    """Given the same times."""

    def lived() -> list[dict[str, Any]]:
        now = Moment()
        exchange = Exchange.generated(300, seed=9, now=now)
        for _ in range(5):
            exchange.step(20)
            now.move(hours=3)
        return rows(exchange)

    assert lived() == lived()


async def test_trading_moves_prices_and_grows_volumes(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """And every trade is on the tape."""
    markets = exchange.catalogue.markets.values()
    before = {entry.ticker: entry.field("volume_fp") for entry in markets}

    exchange.step(5)

    traded = [
        entry
        for ticker, entry in exchange.catalogue.markets.items()
        if entry.field("volume_fp") != before.get(ticker, "0.00")
    ]
    assert traded
    for entry in traded[:5]:
        trades = await walk(client, "/markets/trades", "trades", ticker=entry.ticker, limit=500)
        assert trades[0]["yes_price_dollars"] == entry.field("last_price_dollars")
        total = sum(hundredths(trade["count_fp"]) for trade in trades)
        assert total == hundredths(entry.field("volume_fp"))
    newest = (await client.get("/markets/trades?limit=1")).json()["trades"][0]
    assert newest["ticker"] in {entry.ticker for entry in traded}


async def test_the_past_of_a_market_does_not_change_when_it_trades(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """What a client has read once stays true."""
    ticker = max(
        exchange.catalogue.created["open", 0].things, key=lambda e: hundredths(e.field("volume_fp"))
    ).ticker
    before = await walk(client, "/markets/trades", "trades", ticker=ticker, limit=1000)

    exchange.step(200)
    after = await walk(client, "/markets/trades", "trades", ticker=ticker, limit=1000)

    assert len(after) > len(before)
    assert after[-len(before) :] == before


def test_new_markets_are_listed(exchange: Exchange, moment: Moment) -> None:
    """With an event and a series they belong to, created now."""
    known = set(exchange.catalogue.markets)
    moment.move(minutes=1)

    exchange.step(100)

    fresh = [exchange.catalogue.markets[t] for t in exchange.catalogue.markets.keys() - known]
    assert fresh
    for entry in fresh:
        series = exchange.catalogue.series_of(entry)
        assert series in exchange.catalogue.series
        assert entry.created_us == exchange.clock.micros()
        assert entry.event_ticker in exchange.catalogue.series[series].events


def test_markets_open_and_close_by_the_clock(exchange: Exchange, moment: Moment) -> None:
    """Nobody announces it; the row simply says so."""
    opening = min(exchange.catalogue.created["unopened", 0].things, key=lambda e: e.opens_us)
    closing = min(exchange.catalogue.created["open", 0].things, key=lambda e: e.closes_us)

    exchange.catch_up()
    before = (opening.field("status"), closing.field("status"))
    move_to(moment, max(opening.opens_us, closing.closes_us))
    exchange.catch_up()

    assert before == ("initialized", "active")
    assert opening.field("status") in ("active", "closed", "determined", "finalized")
    assert closing.field("status") in ("closed", "determined", "finalized")
    assert closing.field("yes_bid_size_fp") == "0.00"


def test_a_closed_market_is_determined_and_paid(exchange: Exchange, moment: Moment) -> None:
    """Between the two lies its settlement timer; the longest wait is nineteen hours."""
    entry = exchange.catalogue.created["open", 0].things[0]
    move_to(moment, entry.closes_us)
    exchange.catch_up()
    while entry.field("status") == "closed":
        moment.move(minutes=1)
        exchange.catch_up()
    determined = (entry.field("status"), entry.field("settlement_ts"), entry.field("result"))
    moment.move(seconds=entry.field("settlement_timer_seconds") + 1)
    exchange.catch_up()

    assert determined in [("determined", None, "yes"), ("determined", None, "no")]
    assert entry.field("status") == "finalized"
    assert entry.settled_us == exchange.clock.micros()
    assert exchange.catalogue.file(entry) == "settled"


def test_what_the_desk_has_settled_is_settled_once(exchange: Exchange, moment: Moment) -> None:
    """Neither its old closing time nor a later one pays it again."""
    exchange.catch_up()
    entry = min(exchange.catalogue.created["open", 0].things, key=lambda e: e.closes_us)
    old_closing = entry.closes_us
    exchange.desk.settle(entry.ticker, "yes")
    settled = entry.bytes()

    move_to(moment, old_closing)
    exchange.catch_up()
    moment.move(days=2)
    exchange.catch_up()

    assert entry.bytes() == settled


def test_wording_pauses_and_families_change_now_and_then(
    exchange: Exchange, moment: Moment
) -> None:
    """Each with the time it was updated."""
    moment.move(minutes=1)
    now = exchange.clock.micros()

    exchange.step(50)

    markets = exchange.catalogue.markets.values()
    assert any(e.updated_us == now and e.created_us < now for e in markets)
    assert any(event.updated_us == now for event in exchange.catalogue.events.values())
    assert any(series.updated_us == now for series in exchange.catalogue.series.values())


def test_the_filing_stays_true_through_a_long_life(exchange: Exchange, moment: Moment) -> None:
    """Every market stands on the one shelf its row names."""
    exchange.catalogue.updated(0)
    for _ in range(30):
        exchange.step(10)
        moment.move(hours=9)

    catalogue = exchange.catalogue
    standing = [
        (entry.ticker, file)
        for (file, _), shelf in catalogue.created.items()
        for entry in shelf.things
    ]
    assert sorted(standing) == sorted(
        (ticker, catalogue.file(entry)) for ticker, entry in catalogue.markets.items()
    )
    for shelf in (*catalogue.created.values(), catalogue.updated(0), catalogue.updated(1)):
        assert shelf.things == sorted(shelf.things, key=shelf.key)


def move_to(now: Moment, us: int) -> None:
    now.at = max(now.at, moment(us + SECOND))
