"""The invented catalogue looks like the real one, odd corners included."""

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.generator import Generator
from kalshi_gateway.simulator.themes import families

from .asking import walk
from .moments import Moment

RECORDED = Path(__file__).parents[2].parent / "shared/kalshi/recordings/rest"


@pytest.fixture(scope="module")
def large() -> Exchange:
    """Large enough for shares to be near their aims."""
    return Exchange.generated(6000, seed=3, now=Moment())


def rows(exchange: Exchange) -> list[dict[str, Any]]:
    return [json.loads(entry.bytes()) for entry in exchange.catalogue.markets.values()]


def plain(exchange: Exchange) -> list[dict[str, Any]]:
    return [row for row in rows(exchange) if "mve_selected_legs" not in row]


def test_the_same_seed_and_time_give_the_same_exchange() -> None:
    """And another seed another one."""
    one, same, other = (Exchange.generated(300, seed=seed, now=Moment()) for seed in (4, 4, 5))

    assert rows(one) == rows(same)
    assert rows(one) != rows(other)


def test_there_are_as_many_markets_as_asked_for(large: Exchange) -> None:
    """Combos come on top, a twentieth of them."""
    assert len(plain(large)) == 6000
    assert len(rows(large)) == 6300


def test_statuses_have_their_shares(large: Exchange) -> None:
    """Near those of the exchange, without combos."""
    shares = Counter(large.catalogue.file(entry) for entry in large.catalogue.markets.values())

    assert 3000 < shares["open"] - 300 < 3600
    assert 1900 < shares["unopened"] < 2200
    assert 20 < shares["paused"] < 130
    assert 330 < shares["closed"] < 450
    assert shares["settled"] > 50
    assert shares["archived"] > 50


@pytest.mark.parametrize("markets", [1, 40, 200])
def test_small_exchanges_work_too(markets: int) -> None:
    """Even one market is an exchange."""
    exchange = Exchange.generated(markets, now=Moment())

    assert len(plain(exchange)) == markets
    exchange.step(60)


def test_tickers_are_unique_within_every_occasion() -> None:
    """A market that is drawn twice would be listed once."""
    rng = Random(6)
    for family in families():
        for days in range(5):
            occasion = family.draw(rng, Moment().at + timedelta(days=days))
            suffixes = [outcome.suffix for outcome in occasion.outcomes]
            assert len(set(suffixes)) == len(suffixes), (family.ticker, suffixes)


def test_every_kind_of_strike_is_there(large: Exchange) -> None:
    """With its numbers as JSON numbers."""
    kinds = Counter(row.get("strike_type") for row in rows(large))
    between = next(row for row in rows(large) if row.get("strike_type") == "between")
    structured = next(row for row in rows(large) if row.get("strike_type") == "structured")

    wanted = {"greater", "greater_or_equal", "less", "between", "structured", "custom"}
    assert wanted <= kinds.keys()
    assert between["floor_strike"] < between["cap_strike"]
    assert next(iter(structured["custom_strike"])).endswith("_team")


def test_names_and_texts_are_as_odd_as_real_ones(large: Exchange) -> None:
    """Markdown, double blanks, double colons, letters beyond ASCII, titles that are absent."""
    titles = [row.get("title", "") for row in rows(large)]
    events = [event.bytes().decode() for event in large.catalogue.events.values()]

    assert any("**" in title for title in titles)
    assert any("  " in title for title in titles)
    assert any(" :: " in event for event in events)
    assert any(not row["yes_sub_title"].isascii() for row in rows(large))
    assert any("title" not in row for row in rows(large))
    assert any("early_close_condition" not in row for row in rows(large))
    assert all(row["ticker"].isascii() for row in rows(large))


def test_dates_reach_the_ends_of_the_calendar(large: Exchange) -> None:
    """Year 1 and year 9999 mean "not known" and "no limit"."""
    assert any(row["expected_expiration_time"].startswith("0001-") for row in rows(large))
    assert any(row["latest_expiration_time"].startswith("9999-") for row in rows(large))


def test_no_quote_is_told_by_sentinels(large: Exchange) -> None:
    """0 and 1 with nothing behind them; before the opening both YES prices are 0."""
    active = [row for row in rows(large) if row["status"] == "active"]
    unopened = [row for row in rows(large) if row["status"] == "initialized"]

    assert any(row["yes_bid_dollars"] == "0.0000" for row in active)
    assert any(row["yes_ask_dollars"] == "1.0000" for row in active)
    for row in active:
        assert (row["yes_bid_size_fp"] == "0.00") == (row["yes_bid_dollars"] == "0.0000")
        assert (row["yes_ask_size_fp"] == "0.00") == (row["yes_ask_dollars"] == "1.0000")
    assert {(row["yes_ask_dollars"], row["no_bid_dollars"]) for row in unopened} == {
        ("0.0000", "1.0000")
    }


def test_some_markets_settle_in_between(large: Exchange) -> None:
    """Scalar results are rare, and come with their value."""
    source = Generator(2, large.clock.micros(), large.catalogue.cutoff_us)
    events = [source.event(source.pick(), "settled") for _ in range(400)]
    settled = [json.loads(entry.bytes()) for _, fresh in events for entry in fresh]

    scalar = [row for row in settled if row["result"] == "scalar"]
    assert scalar
    assert len(scalar) < len(settled) / 50
    assert all("0.0000" < row["settlement_value_dollars"] < "1.0000" for row in scalar)
    assert {row["result"] for row in settled} == {"yes", "no", "scalar"}
    assert {row["status"] for row in settled} == {"finalized"}


def test_at_most_one_of_exclusive_markets_is_won(large: Exchange) -> None:
    """What excludes each other does not win together."""
    for event in large.catalogue.listed_events[0].things:
        won = sum(market.field("result") == "yes" for market in event.markets)
        assert event.event is not None
        assert won <= 1 or not event.event.mutually_exclusive


def test_nothing_is_from_the_future(large: Exchange) -> None:
    """Created and updated before now, and opened before closed."""
    now = large.clock.micros()

    for entry in large.catalogue.markets.values():
        assert entry.created_us <= entry.updated_us <= now, entry.ticker
        assert entry.opens_us < entry.closes_us, entry.ticker
        assert (entry.opens_us > now) == (entry.filed == "unopened"), entry.ticker


def test_shards_hold_what_they_hold(large: Exchange) -> None:
    """Combos on 1, crypto on 2, some sports on 3."""
    shards: dict[int, set[str]] = {}
    for row in rows(large):
        series = row["event_ticker"].partition("-")[0]
        shards.setdefault(row["exchange_index"], set()).add(series)

    assert shards[1] == {"KXMVESPORTSMULTIGAMEEXTENDED"}
    assert all(ticker.startswith("KX") for ticker in shards[2])
    assert {"KXATPGAME", "KXMLBGAME"} <= shards[3]


async def test_a_generated_game_has_the_fields_of_a_recorded_one(
    client: httpx.AsyncClient,
) -> None:
    """Field for field and type for type."""
    path = RECORDED / "market/prod-2026-10-06-kxnflgame.json"
    if not path.exists():
        pytest.skip(f"no recordings beside the checkout: {path}")
    recorded = json.loads(path.read_text())["market"]

    markets = await walk(client, "/markets", "markets", status="open", mve_filter="exclude")
    games = [row for row in markets if row.get("strike_type") == "structured"]

    whole = next(row for row in games if row.keys() == recorded.keys())
    assert {name: type(value) for name, value in whole.items()} == {
        name: type(value) for name, value in recorded.items()
    }
    assert list(whole) == list(recorded)
    assert abs(len(json.dumps(whole)) - len(json.dumps(recorded))) < 800
