"""The words themes are written in: families of events, occasions, and outcomes with a chance."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from random import Random
from typing import Any

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DISCLAIMER = (
    "Kalshi is not affiliated, associated, authorized, endorsed by, or in any way officially "
    "connected with the organization named above. All trademarks, logos, and brand names are the "
    "property of their respective owners. If the event is postponed by less than 48 hours the "
    "market remains open and resolves by the official final result; if it does not take place "
    "within that time, the market resolves to a fair price."
)


@dataclass(frozen=True)
class Outcome:
    """One market of an event: what it asks, its strike, and how likely YES is."""

    suffix: str
    yes: str
    title: str
    chance: float
    strike: dict[str, Any]
    rules: str


@dataclass(frozen=True)
class Occasion:
    """One event: what it is called, and its outcomes."""

    suffix: str
    title: str
    sub_title: str
    outcomes: list[Outcome]
    product: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """A series: how its events are drawn for a date."""

    ticker: str
    title: str
    category: str
    tags: tuple[str, ...]
    draw: Callable[[Random, datetime], Occasion]
    exclusive: bool = False
    weight: float = 1.0
    frequency: str = "custom"
    shard: int = 0
    grid: str = "linear_cent"
    source: tuple[str, str] = ("The Associated Press", "https://www.ap.org")
    details: str = DISCLAIMER
    early_close: str = "This market will close and expire after the outcome is known."
    also: tuple[str, ...] = ()  # discovery categories beside the primary one


def day(date: datetime) -> str:
    """A date as tickers carry it: 26NOV20."""
    return f"{date.year % 100:02d}{MONTHS[date.month - 1]}{date.day:02d}"


def spoken(date: datetime) -> str:
    """A date as titles carry it: Nov 20, 2026."""
    return f"{MONTHS[date.month - 1].capitalize()} {date.day}, {date.year}"


def above(value: float, centre: float, scale: float) -> float:
    """The chance that something around `centre` ends above a value."""
    return 1 / (1 + math.exp(max(min((value - centre) / scale, 40), -40)))


def code(text: str) -> str:
    """A ticker's short form of a name: letters and digits only."""
    plain = "".join(char for char in text if char.isascii() and char.isalnum())
    return plain[:12].upper()


def digits(value: float) -> str:
    """A number as tickers carry it: plain digits, however small."""
    return f"{value:.10f}".rstrip("0").rstrip(".")


def number(value: float) -> str:
    """A number as people write it: 1,250 or 3.5."""
    if abs(value) < 1:
        return digits(value)
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def greater(
    values: list[float], centre: float, scale: float, subject: str, unit: str = ""
) -> list[Outcome]:
    """Markets asking whether something ends above each value."""
    return [
        Outcome(
            suffix=f"T{digits(value)}",
            yes=f"Above {number(value)}{unit}",
            title=f"Will {subject} be **above {number(value)}{unit}**?",
            chance=above(value, centre, scale),
            strike={"strike_type": "greater", "floor_strike": _plain(value)},
            rules=f"If {subject} is above {number(value)}{unit}, then the market resolves to Yes.",
        )
        for value in values
    ]


def between(
    edges: list[float], centre: float, scale: float, subject: str, unit: str = ""
) -> list[Outcome]:
    """Markets asking in which band something ends; the outermost are open."""
    low, high = edges[0], edges[-1]
    outcomes = [
        Outcome(
            suffix=f"T{digits(low)}",
            yes=f"{number(low)}{unit} or below",
            title=f"Will {subject} be **<{number(low)}{unit}**?",
            chance=1 - above(low, centre, scale),
            strike={"strike_type": "less", "cap_strike": _plain(low)},
            rules=f"If {subject} is below {number(low)}{unit}, then the market resolves to Yes.",
        )
    ]
    for start, end in pairwise(edges):
        outcomes.append(
            Outcome(
                suffix=f"B{digits((start + end) / 2)}",
                yes=f"{number(start)}{unit} to {number(end)}{unit}",
                title=f"Will {subject} be  **{number(start)}-{number(end)}{unit}**?",
                chance=above(start, centre, scale) - above(end, centre, scale),
                strike={
                    "strike_type": "between",
                    "floor_strike": _plain(start),
                    "cap_strike": _plain(end),
                },
                rules=f"If {subject} is between {number(start)} and {number(end)}{unit}, "
                "then the market resolves to Yes.",
            )
        )
    outcomes.append(
        Outcome(
            suffix=f"T{digits(high)}A",
            yes=f"{number(high)}{unit} or above",
            title=f"Will {subject} be **>{number(high)}{unit}**?",
            chance=above(high, centre, scale),
            strike={"strike_type": "greater", "floor_strike": _plain(high)},
            rules=f"If {subject} is above {number(high)}{unit}, then the market resolves to Yes.",
        )
    )
    return outcomes


def choices(
    rng: Random, names: list[str], subject: str, kind: str, strike_type: str = "custom"
) -> list[Outcome]:
    """Markets asking which of some names it will be."""
    weights = [rng.expovariate(1.0) + 0.02 for _ in names]
    total = sum(weights) * 1.02
    return [
        Outcome(
            suffix=code(name) or f"N{at}",
            yes=name,
            title=f"Will {name} {subject}?",
            chance=weight / total,
            strike={"strike_type": strike_type, "custom_strike": {kind: name}},
            rules=f"If {name} {subject}, then the market resolves to Yes.",
        )
        for at, (name, weight) in enumerate(zip(names, weights, strict=True))
    ]


def _plain(value: float) -> int | float:
    return int(value) if value == int(value) else round(value, 6)
