"""What time it is at the exchange."""

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from statistics import median

import httpx

REMEMBERED = 15
SLOWEST_USEFUL_S = 5.0
# `Date` has whole seconds: below this a difference is as likely ours as theirs, and demo took
# signatures 5 s off (measured 2026-06), production 10 s (measured 2026-10).
TOLERATED_S = 1.0


class ExchangeClock:
    """Our clock, corrected by what the exchange's answers say once they disagree for real."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._samples: deque[float] = deque(maxlen=REMEMBERED)

    @property
    def skew(self) -> timedelta | None:
        """How far the exchange's clock is ahead of ours; None before its first answer."""
        return timedelta(seconds=median(self._samples)) if self._samples else None

    def timestamp_ms(self) -> int:
        """Milliseconds since the epoch, by the exchange's clock."""
        skew_s = median(self._samples) if self._samples else 0.0
        correction_s = skew_s if abs(skew_s) > TOLERATED_S else 0.0
        return round((self._now() + correction_s) * 1000)

    def learn(self, response: httpx.Response, sent_at: datetime, round_trip_s: float) -> None:
        """Take one measure from an answer's `Date`, which was written half a round trip ago."""
        said = response.headers.get("date")
        # An answer out of a cache on the way carries the date it was first given.
        if said is None or "age" in response.headers or round_trip_s > SLOWEST_USEFUL_S:
            return
        try:
            date = parsedate_to_datetime(said)
        except ValueError:
            return
        theirs = date.replace(tzinfo=date.tzinfo or UTC).timestamp() + 0.5
        self._samples.append(theirs - (sent_at.timestamp() + round_trip_s / 2))

    def forget(self) -> None:
        """Start measuring anew: a clock was set, or a laptop has slept."""
        self._samples.clear()
