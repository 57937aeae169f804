"""Recorded rows are served as they were recorded, and nothing is made up beside them."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from kalshi_gateway.simulator.app import create_app
from kalshi_gateway.simulator.exchange import Exchange

from .asking import Signed, walk

RECORDED = Path(__file__).parents[2].parent / "shared/kalshi/recordings"


@pytest.fixture(scope="module")
def recorded() -> Exchange:
    """The exchange of the recordings."""
    if not RECORDED.is_dir():
        pytest.skip(f"no recordings beside the checkout: {RECORDED}")
    exchange = Exchange.recorded(RECORDED)
    exchange.limits.on = False
    return exchange


@pytest.fixture
async def client(recorded: Exchange) -> AsyncIterator[httpx.AsyncClient]:
    """Asks the recorded exchange."""
    transport = httpx.ASGITransport(app=create_app(recorded))
    base = "http://exchange/trade-api/v2"
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        yield client


def markets_in(found: Any) -> list[dict[str, Any]]:
    """Every market object anywhere in a recording."""
    if isinstance(found, list):
        return [market for item in found for market in markets_in(item)]
    if not isinstance(found, dict):
        return []
    inside = [market for value in found.values() for market in markets_in(value)]
    return [found, *inside] if {"ticker", "event_ticker", "close_time"} <= found.keys() else inside


async def test_every_recorded_market_is_listed_verbatim(
    client: httpx.AsyncClient, recorded: Exchange
) -> None:
    """Of all generations: with cents, with both, with dollars; each equals a recorded row."""
    known: dict[str, list[dict[str, Any]]] = {}
    for path in (RECORDED / "rest").rglob("*.json"):
        for market in markets_in(json.loads(path.read_text())):
            known.setdefault(market["ticker"], []).append(market)

    live = await walk(client, "/markets", "markets", limit=1000)
    archived = await walk(client, "/historical/markets", "markets", limit=1000)

    served = {row["ticker"]: row for row in [*live, *archived]}
    assert served.keys() == known.keys()
    assert len(served) == len(live) + len(archived) == recorded.counts["market"]
    assert all(row in known[ticker] for ticker, row in served.items())
    assert any("yes_bid" in row for row in live)
    assert any("settlement_bounds_type" in row for row in live)


async def test_rows_are_the_recorded_bytes(client: httpx.AsyncClient) -> None:
    """Not even the order of the keys changes."""
    path = RECORDED / "rest/market/prod-2026-10-06-kxnflgame.json"

    answer = await client.get("/markets/KXNFLGAME-26OCT08TBDAL-DAL")

    assert answer.content == path.read_bytes().strip()


async def test_the_newest_recording_wins(client: httpx.AsyncClient) -> None:
    """Polled thirty times, the last answer is the one that is served."""
    polled = json.loads((RECORDED / "rest/markets_timeseries/kxmlsgame.json").read_text())

    rows = await walk(client, "/markets", "markets", event_ticker=polled["event_ticker"])

    last = {market["ticker"]: market for market in polled["snapshots"][-1]["markets"]}
    assert {row["ticker"]: row for row in rows} == last


async def test_an_event_that_was_not_recorded_is_not_made_up(
    client: httpx.AsyncClient, recorded: Exchange
) -> None:
    """Its markets are listed all the same."""
    entry = next(
        entry
        for entry in recorded.catalogue.markets.values()
        if entry.event_ticker not in recorded.catalogue.events and not entry.archived
    )

    assert (await client.get(f"/events/{entry.event_ticker}")).status_code == 404
    assert (await client.get(f"/events/{entry.event_ticker}/metadata")).status_code == 404
    listed = await walk(client, "/markets", "markets", event_ticker=entry.event_ticker)
    assert entry.ticker in {row["ticker"] for row in listed}


async def test_recorded_events_carry_their_recorded_markets(client: httpx.AsyncClient) -> None:
    """The row itself is the recorded one."""
    path = RECORDED / "rest/event/prod-2026-10-06-kxnflgame-nested.json"
    recorded = json.loads(path.read_text())
    event = recorded["event"]

    nested = await client.get(f"/events/{event['event_ticker']}?with_nested_markets=true")

    assert nested.json()["markets"] == recorded["markets"] == []
    markets = {market["ticker"]: market for market in nested.json()["event"]["markets"]}
    assert markets == {market["ticker"]: market for market in event["markets"]}


async def test_recorded_books_trades_and_candles_are_served(client: httpx.AsyncClient) -> None:
    """A book that names no market is that of the only market it fits."""
    ticker = "KXNFLGAME-26OCT08TBDAL-DAL"
    rest = RECORDED / "rest"
    book = json.loads((rest / "market_orderbook/prod-2026-10-06-kxnflgame-depth3.json").read_text())
    trades = json.loads((rest / "markets_trades/prod-2026-10-06-kxnflgame.json").read_text())
    hours = json.loads((rest / "market_candlesticks/prod-2026-07-18-kxhighny.json").read_text())
    path = f"/series/KXHIGHNY/markets/{hours['ticker']}/candlesticks"
    query = {"start_ts": 0, "end_ts": 2**33, "period_interval": 60}

    assert (await client.get(f"/markets/{ticker}/orderbook")).json() == book
    assert await walk(client, "/markets/trades", "trades", ticker=ticker) == trades["trades"]
    assert (await client.get(path, params=query)).json() == hours


async def test_every_recorded_market_has_a_book(
    client: httpx.AsyncClient, recorded: Exchange
) -> None:
    """Also those of rows that tell no sizes; what it tells of the best prices is the quote."""
    live = [e for e in recorded.catalogue.markets.values() if recorded.catalogue.live(e.ticker)]
    derived = [entry for entry in live if entry.ticker not in recorded.catalogue.books]
    assert any(entry.field("yes_bid_size_fp") is None for entry in derived)

    for entry in derived:
        answer = await client.get(f"/markets/{entry.ticker}/orderbook")

        assert answer.status_code == 200, (entry.ticker, answer.text)
        book = answer.json()["orderbook_fp"]
        for side, quote in (("yes_dollars", "yes_bid_dollars"), ("no_dollars", "no_bid_dollars")):
            assert {level[0] for level in book[side][-1:]} <= {entry.field(quote)}


async def test_recorded_answers_about_the_exchange_are_served(client: httpx.AsyncClient) -> None:
    """The newest of each."""
    path = RECORDED / "rest/exchange_status/prod-2026-10-06.json"

    assert (await client.get("/exchange/status")).json() == json.loads(path.read_text())


async def test_the_recorded_account_is_a_member(
    client: httpx.AsyncClient, recorded: Exchange
) -> None:
    """His rows and answers are the recorded bytes, under a key that is given out now."""
    rest = RECORDED / "rest"
    (member,) = recorded.members
    auth = Signed(*recorded.keys.issue("ed25519", member=member), lambda: datetime.now(UTC))
    name = "demo-2026-06-11.json"

    for path, room in (
        ("/portfolio/balance", "portfolio_balance"),
        ("/portfolio/fills", "portfolio_fills"),
        ("/portfolio/positions", "portfolio_positions"),
        ("/account/limits", "account_limits"),
    ):
        answer = await client.get(path, auth=auth)
        assert answer.content == (rest / room / name).read_bytes().strip()
    listed = json.loads((rest / "portfolio_orders" / name).read_text())["orders"]
    orders = (await client.get("/portfolio/orders", auth=auth)).json()["orders"]
    assert [order for order in orders if order in listed] == listed
    # One more was recorded on its own while it rested.
    assert [order["status"] for order in orders if order not in listed] == ["resting"]
    assert {order["user_id"] for order in orders} == {member.user_id}
    assert (await client.get("/portfolio/settlements", auth=auth)).json()["settlements"] == []


async def test_recorded_settlements_are_served(tmp_path: Path) -> None:
    """As they were recorded, newest first; those of older forms are set aside."""
    room = tmp_path / "rest/portfolio_settlements"
    room.mkdir(parents=True)
    rows = [a_settlement("KXA-26-1", "2026-10-06"), a_settlement("KXA-26-2", "2026-10-07")]
    old = {"ticker": "KXOLD-25-1", "yes_count": 3, "settled_time": "2025-01-10T04:50:31Z"}
    (room / "prod-2026-10-08.json").write_text(json.dumps({"settlements": [*rows, old]}))
    exchange = Exchange.recorded(tmp_path)
    (member,) = exchange.members
    auth = Signed(*exchange.keys.issue("ed25519", member=member), lambda: datetime.now(UTC))
    transport = httpx.ASGITransport(app=create_app(exchange))

    async with httpx.AsyncClient(transport=transport, auth=auth) as client:
        url = "http://exchange/trade-api/v2/portfolio/settlements"
        every = (await client.get(url)).json()["settlements"]
        one = (await client.get(url, params={"event_ticker": "KXA-26", "limit": 1})).json()

    assert every == rows[::-1]
    assert one["settlements"] == [rows[1]]
    assert [what for _, what, _ in exchange.set_aside] == ["settlements KXOLD-25-1"]


def a_settlement(ticker: str, day: str) -> dict[str, Any]:
    return {
        "event_ticker": "KXA-26",
        "exchange_index": 0,
        "fee_cost": "0.100000",
        "market_result": "yes",
        "no_count_fp": "0.00",
        "no_total_cost_dollars": "0.000000",
        "revenue": 300,
        "settled_time": f"{day}T04:50:31.435826Z",
        "ticker": ticker,
        "value": 100,
        "yes_count_fp": "3.00",
        "yes_total_cost_dollars": "1.500000",
    }


def test_an_account_with_made_up_values_is_nobodys(recorded: Exchange) -> None:
    """Its shape is real, its numbers do not go together."""
    aside = {file: why for file, _, why in recorded.set_aside}

    assert aside["rest/portfolio_fills/prod-2026-01-12.json"] == "its values are not the exchange's"
    assert len(recorded.members) == 1


async def test_a_recorded_member_who_moves_is_answered_anew() -> None:
    """With what he had, and what has come."""
    if not RECORDED.is_dir():
        pytest.skip(f"no recordings beside the checkout: {RECORDED}")
    exchange = Exchange.recorded(RECORDED)
    (member,) = exchange.members
    auth = Signed(*exchange.keys.issue("ed25519", member=member), lambda: datetime.now(UTC))
    exchange.ledger.bank.deposit(member, 1_000)
    transport = httpx.ASGITransport(app=create_app(exchange))

    async with httpx.AsyncClient(transport=transport, auth=auth) as client:
        answer = await client.get("http://exchange/trade-api/v2/portfolio/balance")

    assert answer.json()["balance_dollars"] == "108.0186"


def test_what_cannot_be_used_is_set_aside_with_a_reason(recorded: Exchange) -> None:
    """Every file is either used or named."""
    aside = {file for file, _, _ in recorded.set_aside}
    reasons = {why for _, what, why in recorded.set_aside if what == "file"}

    assert "rest/errors/401__auth_bad_signature.json" in aside
    assert "rest/synthetic/portfolio_balance_four_shards.json" in aside
    assert {"belongs to an account", "a refusal", "frames of a socket"} <= reasons
    assert recorded.counts["market"] == len(recorded.catalogue.markets) > 4900
    assert recorded.counts["series"] == len(recorded.catalogue.series) > 200


def test_nothing_moves_in_a_recording(recorded: Exchange) -> None:
    """Steps change nothing."""
    before = {ticker: entry.bytes() for ticker, entry in recorded.catalogue.markets.items()}

    recorded.step(10)

    assert {t: entry.bytes() for t, entry in recorded.catalogue.markets.items()} == before


def test_a_broken_row_is_set_aside_and_the_rest_is_served(tmp_path: Path) -> None:
    """Without its times a market cannot be filed."""
    room = tmp_path / "rest/markets"
    room.mkdir(parents=True)
    good = {
        "ticker": "A",
        "event_ticker": "E",
        "status": "active",
        "close_time": "2026-10-11T00:15:00Z",
    }
    page = {"markets": [good, {"ticker": "B", "event_ticker": "E", "status": "active"}]}
    (room / "prod-2026-10-06.json").write_text(json.dumps(page))

    exchange = Exchange.recorded(tmp_path)

    assert list(exchange.catalogue.markets) == ["A"]
    assert exchange.set_aside == [
        ("rest/markets/prod-2026-10-06.json", "market B", "without close_time")
    ]


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Rather than an empty exchange."""
    with pytest.raises(FileNotFoundError):
        Exchange.recorded(tmp_path / "nowhere")
