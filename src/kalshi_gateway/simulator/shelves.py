"""Sorted shelves of things, and cursors that name a place on them."""

import base64
import binascii
import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

# A place is where a row sorts, not which row it was: rows come and go around it.
Place = tuple[int, str]


class Shelf(Generic[T]):
    """Things kept in the order of their key."""

    def __init__(self, key: Callable[[T], Place], things: Iterable[T] = ()) -> None:
        self.key = key
        self.things = sorted(things, key=key)

    def __len__(self) -> int:
        return len(self.things)

    def extend(self, things: Iterable[T]) -> None:
        """Take many at once."""
        self.things.extend(things)
        self.things.sort(key=self.key)

    def add(self, thing: T) -> None:
        """Take one, at its place."""
        insort(self.things, thing, key=self.key)

    def remove(self, thing: T) -> None:
        """Give one away; it must not have changed its key since it was added."""
        at = bisect_left(self.things, self.key(thing), key=self.key)
        if at == len(self.things) or self.things[at] is not thing:
            raise LookupError(f"not on this shelf: {self.key(thing)}")
        del self.things[at]

    def after(self, place: Place | None) -> Iterator[T]:
        """What stands behind a place, in order."""
        start = 0 if place is None else bisect_right(self.things, place, key=self.key)
        things = self.things
        return (things[at] for at in range(start, len(things)))

    def run(self, place: Place | None, count: int) -> list[T]:
        """The first few behind a place."""
        start = 0 if place is None else bisect_right(self.things, place, key=self.key)
        return self.things[start : start + count]


def merged(shelves: list[Shelf[T]], place: Place | None) -> Iterator[T]:
    """What stands behind a place on several shelves of one order."""
    if len(shelves) == 1:
        return shelves[0].after(place)
    return heapq.merge(*(shelf.after(place) for shelf in shelves), key=shelves[0].key)


def cursor(place: Place) -> str:
    """A place as an opaque text."""
    return base64.urlsafe_b64encode(f"{place[0]} {place[1]}".encode()).decode().rstrip("=")


def place(cursor: str) -> Place | None:
    """The place a cursor names; None for nonsense, as on the exchange (measured 2026-06, demo)."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode()
        number, _, name = text.partition(" ")
        return int(number), name
    except (ValueError, binascii.Error):
        return None
