"""The exchange's own clock, which may be wrong on purpose."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from . import times


def utc_now() -> datetime:
    """The machine's time."""
    return datetime.now(UTC)


@dataclass
class Clock:
    """Tells the exchange's time; `offset` makes it wrong for everyone who signs by it."""

    source: Callable[[], datetime] = utc_now
    offset: timedelta = timedelta()

    def now(self) -> datetime:
        """What the exchange believes the time is."""
        return self.source() + self.offset

    def micros(self) -> int:
        """The same in microseconds."""
        return times.micros(self.now())

    def elapsed(self) -> float:
        """Seconds for measuring durations; a wrong clock does not refill a bucket."""
        return self.source().timestamp()
