"""Values by key that remember what they were a moment ago, for readers who see the past."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from . import times

K = TypeVar("K")
V = TypeVar("V")
# Nobody reads further behind than this.
REMEMBERED_US = times.MINUTE


class Versions(Generic[K, V]):
    """A mapping of immutable values; it only ever changes by `set`."""

    __slots__ = ("_before", "now")

    def __init__(self) -> None:
        self.now: dict[K, V] = {}
        self._before: list[tuple[int, K, V | None]] = []

    def set(self, key: K, value: V, at_us: int) -> None:
        """Put a value in the place of another, from a moment on."""
        before = self._before
        # Twice as long is kept, so that forgetting is rare.
        if before and before[0][0] < at_us - 2 * REMEMBERED_US:
            before[:] = [change for change in before if change[0] >= at_us - REMEMBERED_US]
        before.append((at_us, key, self.now.get(key)))
        self.now[key] = value

    def as_of(self, us: int) -> Mapping[K, V]:
        """The values as they were at a moment, whatever has become of them since."""
        if not self._before or self._before[-1][0] <= us:
            return self.now
        seen = dict(self.now)
        for at_us, key, old in reversed(self._before):
            if at_us <= us:
                break
            if old is None:
                seen.pop(key, None)
            else:
                seen[key] = old
        return seen
