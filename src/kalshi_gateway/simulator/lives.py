"""When markets are created, open, close and are paid: drawn per event."""

from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from . import times

Phase = Literal["open", "unopened", "closed", "settled", "archived"]
# Shares near those of the exchange without combos (production, 2026-09); settled ones are fewer
# than there, since nobody walks them.
SHARES: dict[Phase, float] = {
    "open": 0.56,
    "unopened": 0.34,
    "closed": 0.065,
    "settled": 0.02,
    "archived": 0.015,
}
PHASES = list(SHARES)


def most_wanting(drawn: dict[Phase, int]) -> Phase:
    """The phase most behind, measured by its own share: small catalogues have all of them."""
    total = sum(drawn.values()) + 1
    return max(PHASES, key=lambda phase: total - drawn[phase] / SHARES[phase])


@dataclass(frozen=True)
class Schedule:
    """The moments in the lives of one event's markets."""

    status: str
    created_us: int
    opens_us: int
    happens_us: int
    closes_us: int
    settled_us: int
    created_time: str
    open_time: str
    happens_time: str
    close_time: str
    expiration_time: str
    settled_time: str

    def created_at(self, created_us: int) -> "Schedule":
        """The same life, listed at a given moment."""
        return replace(self, created_us=created_us, created_time=times.rfc3339(created_us))

    def updated_us(self, status: str) -> int:
        """When its metadata last moved: at its latest change of status."""
        if status == "initialized":
            return self.created_us
        if status in ("active", "inactive"):
            return self.opens_us
        return self.settled_us if status == "finalized" else self.closes_us


def draw_schedule(
    rng: Random, now_us: int, cutoff_us: int, phase: Phase, spread: int = 1
) -> Schedule:
    """A life in some phase; `spread` widens the days it may fall on."""
    opens, happens = _span(rng, now_us, cutoff_us, phase, spread)
    happens -= happens % (5 * times.MINUTE)
    closes = happens
    if phase in ("open", "unopened") and rng.random() < 0.5:
        closes = happens + 2 * times.DAY  # closes early once the outcome is known
    settled = closes + _delay(rng)
    if phase == "archived":
        settled = min(settled, cutoff_us - times.HOUR)
    elif phase == "settled":
        settled = min(max(settled, cutoff_us + times.HOUR), now_us - times.SECOND)
    opens -= opens % times.MINUTE
    made = opens - rng.randrange(2 * times.MINUTE, 12 * times.HOUR)
    created = min(made, now_us - rng.randrange(times.MINUTE, 3 * times.DAY))
    return Schedule(
        _status(rng, phase),
        created,
        opens,
        happens,
        closes,
        settled,
        times.rfc3339(created),
        times.rfc3339(opens),
        times.rfc3339(happens),
        times.rfc3339(closes),
        times.rfc3339(closes + 7 * times.DAY),
        times.rfc3339(settled),
    )


def _span(rng: Random, now_us: int, cutoff_us: int, phase: Phase, spread: int) -> tuple[int, int]:
    """When markets of an event in this phase opened and when the event takes place."""
    day = times.DAY
    if phase == "open":
        opens = now_us - int(rng.uniform(0.05, 10) * day)
        return opens, now_us + int(rng.uniform(0.05, 20 * spread) * day)
    if phase == "unopened":
        opens = now_us + int(rng.uniform(0.01, 5 * spread) * day)
        return opens, opens + int(rng.uniform(0.5, 20 * spread) * day)
    if phase == "closed":
        # Most wait for minutes, a long tail for more than a year (production, 2026-09).
        days = rng.uniform(300, 500) if rng.random() < 0.05 else rng.expovariate(0.8) * spread
        happens = now_us - 10 * times.MINUTE - int(days * day)
    elif phase == "settled":
        reach = (now_us - cutoff_us) // day - 1
        happens = now_us - times.HOUR - int(rng.uniform(0, reach) * day)
    else:
        happens = cutoff_us - 2 * day - int(rng.uniform(0, 300 * spread) * day)
    return happens - int(rng.uniform(0.5, 14) * day), happens


def _delay(rng: Random) -> int:
    """From close to payment: median six minutes, a tail of hours (production, 2026-09)."""
    return int(min(rng.lognormvariate(5.9, 1.4), 68_400) * times.SECOND)


def _status(rng: Random, phase: Phase) -> str:
    if phase == "closed":
        words = ("closed", "determined", "disputed", "amended")
        return rng.choices(words, weights=(80, 17, 2, 1))[0]
    statuses = {"open": "active", "unopened": "initialized"}
    return statuses.get(phase, "finalized")
