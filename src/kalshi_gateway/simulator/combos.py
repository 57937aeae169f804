"""Combos: markets of several legs, made by the thousand and never listed with the others."""

from datetime import datetime
from random import Random

from . import times, wire
from .entries import EventEntry, MarketEntry
from .prices import DOLLAR, GRIDS, contracts, dollars, ten_thousandths
from .themes.family import Family, Occasion

GRID = "center_deci_edge_centi_cent"
COLLECTION = "KXMVESPORTSMULTIGAMEEXTENDED-R"


def _undrawn(rng: Random, date: datetime) -> Occasion:
    raise LookupError("combos are drawn from markets, not from a date")


SERIES = [
    Family(
        ticker="KXMVESPORTSMULTIGAMEEXTENDED",
        title="Combos",
        category="Sports",
        tags=("Combo",),
        draw=_undrawn,
        shard=1,
        grid=GRID,
    )
]


def draw(rng: Random, legs: list[MarketEntry], now_us: int) -> tuple[EventEntry, MarketEntry]:
    """A combo of some open markets of different events, with the event made for it."""
    chosen = {leg.event_ticker: leg for leg in rng.sample(legs, min(rng.randint(2, 6), len(legs)))}
    sides = [(leg, rng.choice(("yes", "yes", "no"))) for leg in chosen.values()]
    created = now_us - rng.randrange(times.SECOND, 30 * times.MINUTE)
    code = f"S2026{rng.getrandbits(44):011X}"
    event_ticker = f"{SERIES[0].ticker}-{code}"
    closes = max(leg.closes_us for leg in chosen.values())
    event = wire.Event(
        category="Sports",
        event_ticker=event_ticker,
        exchange_index=1,
        last_updated_ts=times.rfc3339(created),
        series_ticker=SERIES[0].ticker,
        settlement_sources=[],
        strike_period="",
        sub_title="MVE",
        title="Combo",
    )
    market = _market(sides, event_ticker, f"{rng.getrandbits(44):011X}", created, closes)
    entry = MarketEntry(
        market.ticker, event_ticker, "open", True, created, created, closes, created, None, market
    )
    return EventEntry(event_ticker, SERIES[0].ticker, True, created, created, event), entry


def _market(
    sides: list[tuple[MarketEntry, str]], event_ticker: str, code: str, created: int, closes: int
) -> wire.Market:
    title = ",".join(f"{side} {leg.field('yes_sub_title')}" for leg, side in sides)
    bid = _product(sides)
    closing = times.rfc3339(closes)
    return wire.Market(
        close_time=closing,
        created_time=times.rfc3339(created),
        custom_strike={
            "Associated Events": ",".join(leg.event_ticker for leg, _ in sides),
            "Associated Market Sides": ",".join(side for _, side in sides),
            "Associated Markets": ",".join(leg.ticker for leg, _ in sides),
            "Multivariate Event Ticker": event_ticker,
        },
        event_ticker=event_ticker,
        exchange_index=1,
        expected_expiration_time=closing,
        expiration_time=closing,
        is_provisional=True,
        latest_expiration_time=closing,
        mve_collection_ticker=COLLECTION,
        mve_selected_legs=[
            {"event_ticker": leg.event_ticker, "market_ticker": leg.ticker, "side": side}
            for leg, side in sides
        ],
        no_ask_dollars=dollars(DOLLAR - bid),
        no_bid_dollars="0.0000",
        no_sub_title=title,
        open_time=times.rfc3339(created - created % times.SECOND),
        price_level_structure=GRID,
        price_ranges=GRIDS[GRID],
        settlement_timer_seconds=5,
        status="active",
        strike_type="custom",
        ticker=f"{event_ticker}-{code}",
        title=title,
        updated_time=times.rfc3339(created + 80_000),
        yes_bid_dollars=dollars(bid),
        yes_bid_size_fp=contracts(10_000 if bid else 0),
        yes_sub_title=title,
    )


def _product(sides: list[tuple[MarketEntry, str]]) -> int:
    """What all legs together would fetch, in ten-thousandths, on the grid."""
    product = DOLLAR
    for leg, side in sides:
        bid = ten_thousandths(leg.field(f"{side}_bid_dollars"))
        product = product * bid // DOLLAR
    return product - product % 10 if product >= 100 else product
