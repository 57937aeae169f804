"""The prices a market takes: by its ranges, whatever they are called."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_gateway.commands.demonstration import default_member
from kalshi_gateway.simulator import refusals
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.prices import DOLLAR, GRIDS, above, below, dollars, grid_of, snap
from kalshi_gateway.simulator.wire import PriceRange

from .members import a_market, a_member
from .moments import Moment
from .test_orders import ORDERS, Trader, an_order
from .test_trading import on_grid

#: Steps at the edges and in the centre, in ten-thousandths, and where they meet
#: (docs.kalshi.com/getting_started/fixed_point_migration, 2026-08-17).
DOCUMENTED = {
    "linear_cent": (100, 0, 100),
    "deci_cent": (10, 0, 10),
    "tapered_deci_cent": (10, 1_000, 100),
    "center_centi_edge_centi_cent": (1, 0, 1),
    "center_deci_edge_centi_cent": (1, 100, 10),
    "center_half_edge_half_cent": (50, 0, 50),
    "center_quint_edge_quint_cent": (20, 0, 20),
    "center_whole_edge_half_cent": (50, 1_000, 100),
    "center_whole_edge_quint_cent": (20, 1_000, 100),
    "center_half_edge_quint_cent": (20, 1_000, 50),
    "center_half_edge_deci_cent": (10, 1_000, 50),
    "center_quint_edge_deci_cent": (10, 1_000, 20),
}
LABELS = sorted(DOCUMENTED)
FIVES = (PriceRange(start="0.0000", end="1.0000", step="0.0500"),)


def test_every_documented_grid_can_be_generated() -> None:
    """Each with its own steps at the edges and in the centre."""
    found = {label: grid_of(ranges) for label, ranges in GRIDS.items()}

    assert found.keys() == DOCUMENTED.keys()
    for label, (edge, cut, centre) in DOCUMENTED.items():
        assert above(found[label], 0) == edge
        assert DOLLAR - below(found[label], DOLLAR) == edge
        assert above(found[label], 5_000) - 5_000 == 5_000 - below(found[label], 5_000) == centre
        assert (below(found[label], cut), above(found[label], cut)) == (
            max(cut - edge, 0),
            cut + centre,
        )


@given(st.sampled_from(LABELS), st.integers(min_value=0, max_value=DOLLAR))
def test_neighbours_have_nothing_between_them(label: str, price: int) -> None:
    """What lies on the grid is a multiple inside a band; next to a price comes the nearest."""
    grid = grid_of(GRIDS[label])
    bands = [{"start": r.start, "end": r.end, "step": r.step} for r in GRIDS[label]]

    lower, here, upper = below(grid, price), snap(grid, price), above(grid, price)

    assert (here == price) is on_grid(Decimal(dollars(price)), bands)
    for found in (lower, here, upper):
        assert snap(grid, found) == found
    assert lower <= here <= price <= upper
    assert all(snap(grid, between) == lower for between in range(lower, price))
    assert all(snap(grid, between) == here for between in range(price, upper))


def test_outside_of_all_ranges_there_is_no_price() -> None:
    """Neither between bands nor beyond them."""
    grid = grid_of(
        (
            PriceRange(start="0.0100", end="0.1000", step="0.0100"),
            PriceRange(start="0.9000", end="0.9900", step="0.0300"),
        )
    )

    assert [snap(grid, price) for price in (50, 5_000, 9_950)] == [0, 1_000, 9_900]
    assert [above(grid, price) for price in (0, 1_000, 9_900)] == [100, 9_000, DOLLAR]
    assert [below(grid, price) for price in (100, 9_000, DOLLAR)] == [0, 1_000, 9_900]


async def test_the_ranges_are_the_rule(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """The label is no more than a name: for members, at the desk, and in the book."""
    ada = Trader(client, a_member(exchange), moment)
    quoted: dict[str, Any] = {"yes_bid_dollars": "0.4000", "yes_bid_size_fp": "9.00"}
    market = a_market(exchange, price_level_structure="new", price_ranges=FIVES, **quoted)

    off = await ada.refused("POST", ORDERS, an_order(market.ticker, price="0.31"))
    placed = await ada.place(ticker=market.ticker, price="0.35")
    book = (await client.get(f"/markets/{market.ticker}/orderbook")).json()["orderbook_fp"]

    assert off[:2] == (400, "invalid_price")
    assert placed["remaining_count"] == "3.00"
    assert len(book["yes_dollars"]) > 1
    assert all(Decimal(price) % Decimal("0.05") == 0 for price, _ in book["yes_dollars"])
    with pytest.raises(refusals.Refused, match="invalid_price"):
        exchange.desk.rest(ada.member, market.ticker, "bid", "0.31", "1")


def test_ranges_may_change_while_people_trade(exchange: Exchange) -> None:
    """What was refused is taken under finer ones."""
    ada = a_member(exchange).member
    market = a_market(exchange, price_ranges=FIVES)
    with pytest.raises(refusals.Refused, match="invalid_price"):
        exchange.matching.price(market, "0.31")

    exchange.catalogue.change(market.ticker, price_ranges=GRIDS["deci_cent"])

    assert exchange.matching.price(market, "0.311") == 3_110
    assert exchange.desk.rest(ada, market.ticker, "bid", "0.31", "1").price == 3_100


@pytest.mark.parametrize("ranges", [None, [{"start": "0.0000", "end": "1.0000", "step": "0.0020"}]])
def test_recorded_ranges_of_any_name(tmp_path: Path, ranges: list[dict[str, str]] | None) -> None:
    """Under a label of tomorrow, or under none; whole cents where no ranges were recorded."""
    exchange = Exchange.recorded(recorded(tmp_path, price_ranges=ranges, price_level_structure="x"))
    (market,) = exchange.catalogue.markets.values()

    member = default_member(exchange)

    assert {fill.price for fill in member.fills.things} == {5_000}
    assert exchange.matching.price(market, "0.43") == 4_300
    with pytest.raises(refusals.Refused, match="invalid_price"):
        exchange.matching.price(market, "0.4325")


def recorded(folder: Path, **fields: Any) -> Path:
    """A directory with one recorded market."""
    room = folder / "rest/markets"
    room.mkdir(parents=True)
    row = {
        "ticker": "KXREC-26-A",
        "event_ticker": "KXREC-26",
        "status": "active",
        "close_time": "2026-12-11T00:15:00Z",
        "last_price_dollars": "0.5000",
        **fields,
    }
    told = {name: value for name, value in row.items() if value is not None}
    (room / "prod-2026-10-06.json").write_text(json.dumps({"markets": [told]}))
    return folder
