"""What was recorded of the real exchange is what the API serves, figure for figure."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from kalshi_gateway.app import create_app
from kalshi_gateway.kalshi.client import http_client
from kalshi_gateway.kalshi.wire import AccountLimits, BucketLimit
from kalshi_gateway.markets.sync import Sync
from kalshi_gateway.metrics import Metrics
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.app import create_app as create_exchange
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.upstream import kalshi

RECORDINGS = Path(__file__).parents[2] / "shared/kalshi/recordings"

pytestmark = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="the recordings are not beside this checkout"
)

BASE_URL = "http://127.0.0.1:8001/trade-api/v2"
#: The recorded exchange has no limits, so nobody need wait for them.
UNLIMITED = AccountLimits(
    read=BucketLimit(refill_rate=100_000, bucket_capacity=100_000),
    write=BucketLimit(refill_rate=100_000, bucket_capacity=100_000),
)
OUR_WORD = {
    "initialized": "unopened",
    "active": "open",
    "inactive": "paused",
    "closed": "closed",
    "determined": "closed",
    "finalized": "settled",
    "settled": "settled",
}

Row = dict[str, Any]


@pytest.fixture(scope="module")
def exchange() -> Exchange:
    recorded = Exchange.recorded(RECORDINGS)
    recorded.limits.on = False
    return recorded


@pytest.fixture
async def client(exchange: Exchange, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """The gateway in front of the recorded exchange, after one full walk."""
    settings = Settings.model_construct(
        gateway_auth="off", gateway_jobs=False, kalshi_base_url=BASE_URL
    )
    transport = httpx.ASGITransport(create_exchange(exchange))
    async with http_client(BASE_URL, transport=transport) as http:
        line = kalshi(settings, http, Metrics())
        line.budget.learn(UNLIMITED)
        sync = Sync(
            database_url,
            line,
            changes_every=timedelta(minutes=1),
            prices_every=timedelta(minutes=5),
        )
        assert all(walk.complete for walk in await sync.once())
    app = create_app(settings, database_url=database_url, exchange=transport)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client,
    ):
        app.state.resources.kalshi.budget.learn(UNLIMITED)
        yield client


async def test_every_recorded_market_is_served_with_its_own_figures(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Listed or asked for by name, no figure, time or word differs from what was recorded."""
    recorded = {
        ticker: _decoded(entry.bytes()) for ticker, entry in exchange.catalogue.markets.items()
    }

    served = {row["ticker"]: row async for row in _walk(client)}
    for ticker in recorded.keys() - served.keys():
        served[ticker] = _exact(await client.get(f"/kalshi/markets/{ticker}"))

    assert len(recorded) > 4_000
    assert served.keys() == recorded.keys()
    differing = {
        ticker: wrong
        for ticker, row in recorded.items()
        if (wrong := _differences(served[ticker], row))
    }
    assert differing == {}


async def test_every_recorded_event_and_series_is_served(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Each keeps its names and its place; an event carries the markets recorded of it."""
    for event in exchange.catalogue.events.values():
        row = _decoded(event.bytes())
        served = _exact(await client.get(f"/kalshi/events/{row['event_ticker']}"))
        assert served["event_ticker"] == row["event_ticker"]
        assert served["series_ticker"] == row["series_ticker"]
        assert served["mutually_exclusive"] == row.get("mutually_exclusive")
    for series in exchange.catalogue.series.values():
        row = _decoded(series.bytes())
        served = _exact(await client.get(f"/kalshi/series/{row['ticker']}"))
        assert served["category"] == (row["category"] or None)
        assert served["tags"] == (row["tags"] or [])


# --- what the recording says, worked out without any of the gateway's own reading

# Ours, the exchange's since March 2026 (dollars as text), and before (whole cents).
PRICES = {
    "yes_bid": ("yes_bid_dollars", "yes_bid"),
    "yes_ask": ("yes_ask_dollars", "yes_ask"),
    "no_bid": ("no_bid_dollars", "no_bid"),
    "no_ask": ("no_ask_dollars", "no_ask"),
    "last_price": ("last_price_dollars", "last_price"),
    "previous_price": ("previous_price_dollars", "previous_price"),
}
COUNTS = {
    "volume": ("volume_fp", "volume"),
    "volume_24h": ("volume_24h_fp", "volume_24h"),
    "open_interest": ("open_interest_fp", "open_interest"),
    "yes_bid_size": ("yes_bid_size_fp", ""),
    "yes_ask_size": ("yes_ask_size_fp", ""),
}
#: A NO bid is a YES ask seen from the other side, and stands or falls with it.
STANDS_BEHIND = {
    "yes_bid": ("yes_bid", "yes_bid_size_fp"),
    "no_ask": ("yes_bid", "yes_bid_size_fp"),
    "yes_ask": ("yes_ask", "yes_ask_size_fp"),
    "no_bid": ("yes_ask", "yes_ask_size_fp"),
}
TIMES = ("open_time", "close_time", "expected_expiration_time")


def _differences(served: Row, row: Row) -> dict[str, tuple[Any, Any]]:
    expected = {
        "event_ticker": row["event_ticker"],
        "exchange_status": row["status"],
        "status": OUR_WORD[row["status"]],
        "result": row.get("result") or None,
        "exchange_index": row.get("exchange_index"),
        "rules_primary": served.get("rules_primary") and row["rules_primary"],
        **{name: _price(row, name) for name in PRICES},
        **{name: _count(row, *fields) for name, fields in COUNTS.items()},
        **{name: _time(row.get(name)) for name in TIMES},
        "strike": _strike(row),
        "price_steps": [
            {name: Decimal(band[name]) for name in ("start", "end", "step")}
            for band in row.get("price_ranges") or []
        ],
        "is_combo": row["ticker"].startswith("KXMVE"),
        "legs": [leg["market_ticker"] for leg in row.get("mve_selected_legs") or []],
    }
    found = {
        **served,
        "rules_primary": served.get("rules_primary"),
        "legs": [leg["ticker"] for leg in served["legs"]],
    }
    return {name: (found[name], value) for name, value in expected.items() if found[name] != value}


def _price(row: Row, name: str) -> Decimal | None:
    price = _dollars(row, name)
    if name in STANDS_BEHIND:
        side, size = STANDS_BEHIND[name]
        behind = _dollars(row, side)
        empty = row.get(size) is not None and Decimal(row[size]) == 0
        return None if empty or behind in (None, 0, 1) else price
    return price or None


def _dollars(row: Row, name: str) -> Decimal | None:
    dollars, cents = PRICES[name]
    if row.get(dollars) is not None:
        return Decimal(row[dollars])
    return None if row.get(cents) is None else Decimal(row[cents]) / 100


def _count(row: Row, fixed_point: str, whole: str) -> Decimal | None:
    count = row.get(fixed_point)
    count = row.get(whole) if count is None else count
    return None if count is None else Decimal(count)


def _time(text: str | None) -> str | None:
    if not text:
        return None
    at = datetime.fromisoformat(text)
    return f"{at:%Y-%m-%dT%H:%M:%S}Z" if 1970 <= at.year <= 2200 else None


def _strike(row: Row) -> Row | None:
    strike = {
        "type": row.get("strike_type") or None,
        "floor": row.get("floor_strike"),
        "cap": row.get("cap_strike"),
    }
    return strike if any(value is not None for value in strike.values()) else None


# --- asking


async def _walk(client: httpx.AsyncClient) -> AsyncIterator[Row]:
    """Every listed market, whatever its state, page by page."""
    asked: dict[str, Any] = {
        "status": ["open", "unopened", "paused", "closed", "settled"],
        "sort": "close_time",
        "limit": 1000,
    }
    while True:
        page = _exact(await client.get("/kalshi/markets", params=asked))
        for row in page["markets"]:
            yield row
        if page["next_cursor"] is None:
            return
        asked["cursor"] = page["next_cursor"]


def _exact(response: httpx.Response) -> Row:
    assert response.status_code == 200, response.text
    return _decoded(response.content)


def _decoded(text: bytes) -> Row:
    row: Row = json.loads(text, parse_float=Decimal)
    return row
