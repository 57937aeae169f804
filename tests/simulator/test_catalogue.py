"""What tests of others do to the catalogue by hand."""

from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.wire import ABSENT

from .moments import Moment


@pytest.fixture
def event(exchange: Exchange) -> str:
    """An event of a series of its own."""
    exchange.catalogue.add_series("KXOWN", title="Own", category="Politics", tags=["Mine"])
    return exchange.catalogue.add_event("KXOWN-26", "KXOWN", title="Whose?").ticker


async def test_what_is_added_is_found_everywhere(
    client: httpx.AsyncClient, exchange: Exchange, event: str
) -> None:
    """Series, event and market, on every listing that should have them."""
    exchange.catalogue.add_market("KXOWN-26-A", event, yes_bid_dollars="0.2500")

    market = (await client.get("/markets/KXOWN-26-A")).json()["market"]
    of_series = (await client.get("/markets?series_ticker=KXOWN")).json()["markets"]
    first = (await client.get("/markets?limit=1")).json()["markets"]
    nested = (await client.get(f"/events/{event}?with_nested_markets=true")).json()["event"]
    series = (await client.get("/series/KXOWN")).json()["series"]

    assert of_series == first == nested["markets"] == [market]
    assert market["no_ask_dollars"] == "0.7500"
    assert market["created_time"] == "2026-11-20T15:30:00Z"
    assert (series["categories"], series["tags"]) == (["Politics"], ["Mine"])


async def test_a_life_by_hand_keeps_its_times_right(
    client: httpx.AsyncClient, exchange: Exchange, event: str, moment: Moment
) -> None:
    """Paused, opened, closed early, determined, paid."""
    catalogue = exchange.catalogue
    catalogue.add_market("M", event, yes_bid_dollars="0.2500", yes_bid_size_fp="4.00")
    seen = []

    async def now(change: Callable[[], object]) -> dict[str, Any]:
        moment.move(minutes=1)
        change()
        row: dict[str, Any] = (await client.get("/markets/M")).json()["market"]
        seen.append((row["status"], row["updated_time"][14:16]))
        return row

    await now(partial(catalogue.pause, "M"))
    await now(partial(catalogue.open, "M"))
    await now(partial(catalogue.close, "M"))
    market = await now(partial(catalogue.settle, "M", "scalar", "0.3700"))

    assert seen == [("inactive", "31"), ("active", "32"), ("closed", "33"), ("finalized", "34")]
    assert market["close_time"] == "2026-11-20T15:33:00Z"
    assert market["settlement_ts"] == "2026-11-20T15:34:00Z"
    assert (market["result"], market["settlement_value_dollars"]) == ("scalar", "0.3700")
    assert (market["yes_bid_dollars"], market["yes_ask_dollars"]) == ("0.0000", "1.0000")


async def test_a_field_can_be_taken_away(
    client: httpx.AsyncClient, exchange: Exchange, event: str
) -> None:
    """As rows on the exchange lack what is not known."""
    exchange.catalogue.add_market("M", event)
    assert "title" in (await client.get("/markets/M")).json()["market"]

    exchange.catalogue.change("M", title=ABSENT)

    assert "title" not in (await client.get("/markets/M")).json()["market"]


def test_a_scalar_result_needs_its_value(exchange: Exchange, event: str) -> None:
    """Nobody knows what a scalar pays but who says it."""
    exchange.catalogue.add_market("M", event)

    with pytest.raises(ValueError, match="value"):
        exchange.catalogue.settle("M", "scalar")


async def test_books_can_be_given(
    client: httpx.AsyncClient, exchange: Exchange, event: str
) -> None:
    """As they are sent."""
    exchange.catalogue.add_market("M", event)
    book = {"orderbook_fp": {"no_dollars": [], "yes_dollars": [["0.1000", "3.00"]]}}
    exchange.catalogue.books["M"] = book

    assert (await client.get("/markets/M/orderbook")).json() == book
