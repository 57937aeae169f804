"""How often, and after what pause, a read is asked again."""

import random
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Retries:
    """At most `attempts` per call, and at most about `share` of all calls.

    Pauses double from `first` to `longest`, each with full jitter.
    """

    attempts: int = 4
    first: timedelta = timedelta(milliseconds=200)
    longest: timedelta = timedelta(seconds=5)
    share: float = 0.2

    def pause_s(self, attempt: int) -> float:
        """Seconds to wait after attempt number `attempt`, counted from 1."""
        ceiling_s = self.first.total_seconds() * 2.0 ** min(attempt - 1, 16)
        return random.uniform(0, min(ceiling_s, self.longest.total_seconds()))


class RetryAllowance:
    """Retries saved up by calls, so that a failing exchange is not asked many times over."""

    MOST = 10.0

    def __init__(self, share: float) -> None:
        self._share = share
        self._saved = self.MOST

    def earn(self) -> None:
        """One more call was made."""
        self._saved = min(self.MOST, self._saved + self._share)

    def take(self) -> bool:
        """Use one retry, if there is one."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
