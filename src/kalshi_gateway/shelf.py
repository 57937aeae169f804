"""Finished answers by what was asked, those asked for least recently given up first."""

from collections import OrderedDict
from typing import NamedTuple

from .answers import Answer

#: A path and its query.
Key = tuple[str, bytes]


class Kept(NamedTuple):
    """An answer, and the template of the route that gave it."""

    answer: Answer
    route: str


class Shelf:
    """Answers that together take no more memory than they may."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.taken_bytes = 0
        self.answers: OrderedDict[Key, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self.answers)

    def put(self, key: Key, kept: Kept) -> None:
        """Keep this one, in place of what was kept."""
        self._drop(key)
        self.answers[key] = kept
        self.taken_bytes += kept.answer.size
        while self.taken_bytes > self.most_bytes:
            self._drop(next(iter(self.answers)))

    def _drop(self, key: Key) -> None:
        kept = self.answers.pop(key, None)
        if kept is not None:
            self.taken_bytes -= kept.answer.size
