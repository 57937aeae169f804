"""Order books that go with the quotes: derived when asked for, the same each time."""

from random import Random
from typing import Any

from . import quotes
from .entries import MarketEntry
from .prices import DOLLAR, below, contracts, dollars, hundredths, ten_thousandths

Level = tuple[int, int]  # price in ten-thousandths, size in hundredths
DEEPEST = 14
# Where a side's best price and its size stand in a market's row; bids for NO are asks for YES.
YES = ("yes_bid_dollars", "yes_bid_size_fp")
NO = ("no_bid_dollars", "yes_ask_size_fp")


def derived(entry: MarketEntry, seed: int) -> dict[str, Any]:
    """The body of a market's book: bids of both sides, each in its own price, best last."""
    bids, asks = (_side(entry, *fields, seed) for fields in (YES, NO))
    return {"orderbook_fp": {"no_dollars": _levels(asks), "yes_dollars": _levels(bids)}}


def crowd(entry: MarketEntry, seed: int, *, bids: bool) -> list[Level]:
    """What is bid or asked in YES's price, best first."""
    if bids:
        return _side(entry, *YES, seed)[::-1]
    return [(DOLLAR - price, size) for price, size in reversed(_side(entry, *NO, seed))]


def best(body: dict[str, Any], depth: int) -> dict[str, Any]:
    """The best levels of each side; all of them for a depth of 0."""
    if depth <= 0:
        return body
    return {
        form: {side: levels and levels[-depth:] for side, levels in book.items()}
        for form, book in body.items()
    }


def _side(entry: MarketEntry, price_field: str, size_field: str, seed: int) -> list[Level]:
    """Levels from the quoted one downwards; nobody quotes where the size is nothing.

    Rows recorded before 2026-03 tell no sizes: theirs is drawn, like those behind it.
    """
    price, told = ten_thousandths(entry.field(price_field) or "0"), entry.field(size_field)
    rng, grid = Random(f"{seed} {entry.ticker} {price_field}"), entry.grid
    size = quotes.size(rng) if told is None else hundredths(told)
    if size == 0 or not 0 < price < DOLLAR:
        return []
    levels = [(price, size)]
    for _ in range(rng.randrange(DEEPEST)):
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            price = below(grid, price)
        if price <= 0:
            break
        levels.append((price, quotes.size(rng)))
    return levels[::-1]


def _levels(levels: list[Level]) -> list[tuple[str, str]]:
    return [(dollars(price), contracts(size)) for price, size in levels]
