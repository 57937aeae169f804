"""Finished answers by what was asked, those asked for least recently given up first."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from .answers import Answer

#: A path and its query.
Key = tuple[str, bytes]


class Kept(NamedTuple):
    """An answer, and the template of the route that gave it."""

    answer: Answer
    route: str
    #: The user whose things it tells of; None: it is nobody's own.
    owner: str | None = None


@dataclass(eq=False, slots=True)
class Reading:
    """One user's things, while they are read for an answer."""

    owner: str
    began_at: float = field(default_factory=time.monotonic)
    #: They have changed meanwhile, or may have.
    overtaken: bool = False


class Shelf:
    """Answers that together take no more memory than they may.

    Users' own are taken away as soon as anything of that user changes (`news.py`), and none are
    kept while nobody would hear of it. What was read before a change is not kept after it.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.taken_bytes = 0
        self.answers: OrderedDict[Key, Kept] = OrderedDict()
        self.hears = False
        self._owned: dict[str, set[Key]] = {}
        self._readings: set[Reading] = set()

    def __len__(self) -> int:
        return len(self.answers)

    def put(self, key: Key, kept: Kept) -> None:
        """Keep this one, in place of what was kept."""
        self._drop(key)
        self.answers[key] = kept
        self.taken_bytes += _size(key, kept)
        if kept.owner is not None:
            self._owned.setdefault(kept.owner, set()).add(key)
        while self.taken_bytes > self.most_bytes:
            self._drop(next(iter(self.answers)))

    def put_own(self, key: Key, answer: Answer, route: str, reading: Reading) -> None:
        """Keep what was read of a user's things, if it still holds; it is as old as the reading."""
        if self.hears and not reading.overtaken:
            answer.made_at = reading.began_at
            self.put(key, Kept(answer, route, reading.owner))

    @contextmanager
    def reading(self, owner: str) -> Iterator[Reading]:
        """Note what changes of a user's things until the block ends."""
        reading = Reading(owner)
        self._readings.add(reading)
        try:
            yield reading
        finally:
            self._readings.remove(reading)

    def forget(self, name: str | None) -> None:
        """Take away what is kept of a user, whose things have changed, or of all users."""
        for reading in self._readings:
            if name in (None, reading.owner):
                reading.overtaken = True
        for owner in [*self._owned] if name is None else [name]:
            for key in self._owned.pop(owner, ()):
                self._drop(key)

    def _drop(self, key: Key) -> None:
        kept = self.answers.pop(key, None)
        if kept is None:
            return
        self.taken_bytes -= _size(key, kept)
        if kept.owner in self._owned:
            self._owned[kept.owner].discard(key)
            if not self._owned[kept.owner]:
                del self._owned[kept.owner]


def _size(key: Key, kept: Kept) -> int:
    """Bytes held in memory, roughly; what was asked may be longer than the answer."""
    path, query = key
    return kept.answer.size + len(path) + len(query)
