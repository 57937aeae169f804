"""Prices, sizes and volumes of a market, drawn around the chance of its outcome."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from .prices import DOLLAR, Grid, above, below, contracts, dollars, snap
from .themes.family import Outcome


@dataclass(frozen=True, slots=True)
class Quote:
    """What trading left in a row."""

    yes_bid: str = "0.0000"
    yes_ask: str = "1.0000"
    no_bid: str = "0.0000"
    no_ask: str = "1.0000"
    bid_size: str = "0.00"
    ask_size: str = "0.00"
    last: str = "0.0000"
    previous: str = "0.0000"
    previous_bid: str = "0.0000"
    previous_ask: str = "0.0000"
    volume: str = "0.00"
    volume_24h: str = "0.00"
    open_interest: str = "0.00"


# Not yet open: both YES prices 0, both NO prices 1 (demo, 2026-06).
UNOPENED = Quote(yes_ask="0.0000", no_bid="1.0000")


def draw(rng: Random, chance: float, grid: Grid, status: str) -> Quote:
    """The quote of a market in some status."""
    if status == "initialized":
        return UNOPENED
    fair = min(max(int(chance * DOLLAR), 1), DOLLAR - 1)
    # A fifth has never traded; the rest spans five orders of magnitude.
    volume = 0 if rng.random() < 0.2 else int(100 * rng.lognormvariate(6, 2.4)) + 1
    # Fractional trading is everywhere, but most still trade whole contracts.
    if rng.random() < 0.4:
        volume -= volume % 100
    last = max(snap(grid, fair), above(grid, 0)) if volume else 0
    traded = {
        "last": dollars(last),
        "volume": contracts(volume),
        "open_interest": contracts(int(volume * rng.uniform(0.2, 0.9))),
    }
    if status not in ("active", "inactive"):
        return Quote(**traded)
    bid, ask = two_sided(rng, fair, grid)
    before = snap(grid, min(max(fair + rng.randint(-400, 400), 100), DOLLAR - 100))
    return Quote(
        yes_bid=dollars(bid),
        yes_ask=dollars(ask),
        no_bid=dollars(DOLLAR - ask),
        no_ask=dollars(DOLLAR - bid),
        bid_size=contracts(size(rng) if bid else 0),
        ask_size=contracts(size(rng) if ask < DOLLAR else 0),
        previous=dollars(before if volume else 0),
        previous_bid=dollars(max(before - 100, 0)),
        previous_ask=dollars(before),
        volume_24h=contracts(int(volume * rng.uniform(0, 0.8))),
        **traded,
    )


def two_sided(rng: Random, fair: int, grid: Grid) -> tuple[int, int]:
    """Bid and ask around a price; 0 and a dollar where nobody quotes."""
    width = rng.choice((1, 1, 1, 2, 3, 6))
    bid = snap(grid, fair)
    for _ in range(width // 2):
        bid = below(grid, bid)
    ask = bid
    for _ in range(width):
        ask = above(grid, ask)
    empty = rng.random()
    if empty < 0.07:
        bid = 0
    if 0.04 < empty < 0.12:
        ask = DOLLAR
    return bid, ask


def size(rng: Random) -> int:
    """Contracts at a level, in hundredths."""
    return int(100 * rng.lognormvariate(5, 1.8)) + 1


def results(rng: Random, outcomes: Sequence[Outcome], *, exclusive: bool) -> list[str]:
    """How the markets of one event end together: one YES at most, or all below a level."""
    if exclusive:
        picked = rng.choices(
            range(len(outcomes) + 1),
            weights=[*(max(outcome.chance, 0.001) for outcome in outcomes), 0.01],
        )[0]
        return ["yes" if at == picked else "no" for at in range(len(outcomes))]
    level = rng.random()
    return ["yes" if outcome.chance > level else "no" for outcome in outcomes]
