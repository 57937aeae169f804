"""Leaves a failing exchange alone, and asks one question at a time until it is back."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Literal

from .errors import BreakerOpen, Nonsense, RateLimited, Rejected, Unavailable

State = Literal["closed", "open", "half_open"]


class Breaker:
    """Opens after `failures` in a row; while open one probe goes out after each pause.

    The pause doubles with each failed probe, from `shortest` to `longest`.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        shortest: timedelta = timedelta(seconds=1),
        longest: timedelta = timedelta(seconds=60),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = failures
        self._shortest_s = shortest.total_seconds()
        self._longest_s = longest.total_seconds()
        self._now = now
        self._failed_in_a_row = 0
        self._pauses = 0
        self._probe_at: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        """Closed: calls pass. Half open: one probe may go, or is under way. Open: none."""
        if self._probe_at is None:
            return "closed"
        return "half_open" if self._probing or self._now() >= self._probe_at else "open"

    @property
    def failed_in_a_row(self) -> int:
        """Failures since the last success."""
        return self._failed_in_a_row

    def check(self) -> None:
        """Raise what `guard` would, before anything is spent on a call that may not go."""
        if self._probe_at is None:
            return
        wait_s = self._probe_at - self._now()
        if wait_s > 0 or self._probing:
            raise BreakerOpen(
                "the exchange failed repeatedly", retry_after_s=max(wait_s, self._shortest_s)
            )

    @contextmanager
    def guard(self) -> Iterator[None]:
        """One call to the exchange: refused while open, and its outcome remembered."""
        probing = self._enter()
        try:
            yield
        except Unavailable as error:
            if error.blames_call:
                self._succeeded()
            else:
                self._failed(probing)
            raise
        except (Rejected, RateLimited, Nonsense):  # which are answers
            self._succeeded()
            raise
        except BaseException:
            # Given up before an answer: nothing was learned, the next call may probe.
            self._probing = self._probing and not probing
            raise
        self._succeeded()

    def _enter(self) -> bool:
        self.check()
        self._probing = self._probe_at is not None
        return self._probing

    def _succeeded(self) -> None:
        self._failed_in_a_row = self._pauses = 0
        self._probe_at = None
        self._probing = False

    def _failed(self, probing: bool) -> None:
        self._failed_in_a_row += 1
        # Calls that left before it opened say nothing new when they fail now.
        if not probing and (self._probe_at is not None or self._failed_in_a_row < self._limit):
            return
        pause_s = min(self._longest_s, self._shortest_s * 2**self._pauses)
        self._pauses = min(self._pauses + 1, 32)
        self._probe_at = self._now() + pause_s * random.uniform(0.8, 1.2)
        self._probing = False
