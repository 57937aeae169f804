"""What the exchange fails at refuses that alone: walks, books, the tape, names, opening hours."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.client import Kalshi
from kalshi_gateway.kalshi.errors import KalshiError

from .builders import a_market, a_row, a_series, an_event, an_event_row, store
from .upstream import Answer, Upstream

Client = httpx.AsyncClient
Ask = Callable[[FastAPI, Client], Awaitable[bool]]

TICKER = "KXHIGHNY-26JUN15-T85"
NAMED = "KXHIGHNY-26JUN15-T90"
SPAN = {"start": "2026-06-15T12:00:00Z", "end": "2026-06-15T13:00:00Z"}

BOOK = {"yes_dollars": [["0.8000", "1.00"]], "no_dollars": []}
CUTOFF = dict.fromkeys(
    ("market_settled_ts", "orders_updated_ts", "trades_created_ts"), "2026-05-01T00:00:00Z"
)
STATUS = {"exchange_active": True, "trading_active": True}
FAMILY = {"event": an_event_row("KXHIGHNY-26JUN15"), "markets": []}

#: What the exchange is asked for each, and what it says to that when all is well.
ANSWERS: dict[str, dict[str, Answer]] = {
    "walk": {"/markets": {"markets": [], "cursor": ""}},
    "book": {f"/markets/{TICKER}/orderbook": {"orderbook_fp": BOOK}},
    "trades": {"/markets/trades": {"trades": [], "cursor": ""}},
    "candles": {f"/series/KXHIGHNY/markets/{TICKER}/candlesticks": {"candlesticks": []}},
    "name": {f"/markets/{NAMED}": {"market": a_row(NAMED)}},
    "hours": {"/exchange/status": STATUS},
}
#: What several of them need, which does not fail here.
NEEDED: dict[str, Answer] = {
    "/historical/cutoff": CUTOFF,
    "/events/KXHIGHNY-26JUN15": FAMILY,
    "/exchange/schedule": {"schedule": {"standard_hours": [], "maintenance_windows": []}},
}


def route(path: str, **query: Any) -> Ask:
    async def ask(app: FastAPI, client: Client) -> bool:
        response = await client.get(path, params=query)
        return response.status_code == 200

    return ask


async def walk(app: FastAPI, client: Client) -> bool:
    """As the catalogue does: over the service's own line."""
    kalshi: Kalshi = app.state.resources.kalshi
    with suppress(KalshiError):
        await kalshi.markets_page()
        return True
    return False


ASKS: dict[str, Ask] = {
    "walk": walk,
    "book": route(f"/kalshi/markets/{TICKER}/orderbook"),
    "trades": route(f"/kalshi/markets/{TICKER}/trades"),
    "candles": route(f"/kalshi/markets/{TICKER}/candles", **SPAN),
    "name": route(f"/kalshi/markets/{NAMED}"),
    "hours": route("/kalshi/exchange"),
}


@pytest.mark.parametrize("failing", ASKS)
async def test_what_fails_refuses_nothing_else(
    app: FastAPI, client: Client, database: Database, upstream: Upstream, failing: str
) -> None:
    """However often one thing cannot be had of the exchange, all others can."""
    await store(database, a_series(), an_event(), a_market(TICKER))
    upstream.answers |= NEEDED
    for answers in ANSWERS.values():
        upstream.answers |= answers
    upstream.answers |= dict.fromkeys(ANSWERS[failing], httpx.Response(500))

    failed = [await ASKS[failing](app, client) for _ in range(10)]
    asked = len(upstream.asked)
    others = {name: await ask(app, client) for name, ask in ASKS.items() if name != failing}

    assert not any(failed)
    assert asked < 10  # and it is left alone
    assert others == dict.fromkeys(others, True)
