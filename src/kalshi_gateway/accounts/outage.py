"""Notices an exchange that fails for one user after the other, and leaves it alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from kalshi_gateway.kalshi.breaker import Breaker, State
from kalshi_gateway.kalshi.errors import Unavailable


class Outage:
    """A breaker over all users' refreshes: of each user's failures in a row it counts the first.

    The exchange may fail for one account and serve all others, whose refreshes go on.
    """

    def __init__(self) -> None:
        self._breaker = Breaker()
        self._failing: set[str] = set()

    @property
    def state(self) -> State:
        return self._breaker.state

    @contextmanager
    def guard(self, user_id: str) -> Iterator[None]:
        """One refresh: refused while the exchange is left alone, and its outcome remembered."""
        try:
            with self._breaker.guard():
                try:
                    yield
                except Unavailable as error:
                    if self._is_known(user_id):
                        raise _SaidBefore(error) from error
                    raise
        except _SaidBefore as again:
            raise again.error from again.error.__cause__
        finally:
            if not self._breaker.failed_in_a_row:
                self._failing.clear()

    def _is_known(self, user_id: str) -> bool:
        """Whether this failure says nothing new; a failed probe always does."""
        known = user_id in self._failing and self.state == "closed"
        self._failing.add(user_id)
        return known


class _SaidBefore(Exception):
    """A failure on its way past the breaker, which takes it for no outcome."""

    def __init__(self, error: Unavailable) -> None:
        self.error = error
