"""Leaves a failing exchange alone, and asks one question at a time until it is back."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Literal

from .errors import BreakerOpen, Nonsense, RateLimited, Rejected, Unavailable

State = Literal["closed", "open", "half_open"]
WORST_FIRST: tuple[State, ...] = ("open", "half_open")

#: What has not failed for so long, nor been asked for, says nothing of now; no pause is as long.
OLD_AFTER = timedelta(minutes=3)


class Breaker:
    """Opens after `failures` in a row; while open one probe goes out after each pause.

    The pause doubles with each failed probe, from `shortest` to `longest`.
    """

    __slots__ = (
        "_failed_at",
        "_failed_in_a_row",
        "_limit",
        "_longest_s",
        "_now",
        "_pauses",
        "_probe_at",
        "_probing",
        "_shortest_s",
    )

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
        self._failed_at: float | None = None
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

    @property
    def fails_now(self) -> bool:
        """Whether it failed last time, and not long ago."""
        if not self._failed_in_a_row or self._failed_at is None:
            return False
        return self._now() - self._failed_at < OLD_AFTER.total_seconds()

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
        self._failed_at = self._now()
        # Calls that left before it opened say nothing new when they fail now.
        if not probing and (self._probe_at is not None or self._failed_in_a_row < self._limit):
            return
        pause_s = min(self._longest_s, self._shortest_s * 2**self._pauses)
        self._pauses = min(self._pauses + 1, 32)
        self._probe_at = self._now() + pause_s * random.uniform(0.8, 1.2)
        self._probing = False


class Breakers:
    """A breaker for each operation: the exchange may fail at one, and answer all others."""

    def __init__(self, *, failures: int = 5, now: Callable[[], float] = time.monotonic) -> None:
        self._make = partial(Breaker, failures=failures, now=now)
        self._by_operation: dict[tuple[str, str], Breaker] = {}

    def of(self, method: str, path: str) -> Breaker:
        """The breaker of one operation."""
        breaker = self._by_operation.get((method, path))
        if breaker is None:
            breaker = self._by_operation[method, path] = self._make()
        return breaker

    @property
    def state(self) -> State:
        """Of the operation that fares worst, among those that somebody still asks for."""
        states = {breaker.state for breaker in self._failing()}
        return next((state for state in WORST_FIRST if state in states), "closed")

    @property
    def failed_in_a_row(self) -> int:
        """The most failures since the last success of an operation that somebody still asks for."""
        return max((breaker.failed_in_a_row for breaker in self._failing()), default=0)

    def _failing(self) -> list[Breaker]:
        return [breaker for breaker in self._by_operation.values() if breaker.fails_now]
