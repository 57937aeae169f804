"""Requests that ask the same at the same time: one is made, and the others wait for its answer."""

import asyncio

from .directives import Terms
from .shelf import Kept, Key

#: In the ASGI scope: the answer that this request makes for others, and the one it has waited for.
MAKES = "gateway.makes"
AWAITED = "gateway.awaited"

#: What others get of a request; None: each has to ask for itself.
Shared = Kept | None


class Making:
    """An answer under way."""

    __slots__ = ("_all", "_asked", "route", "told")

    def __init__(self, asked: tuple[Key, Terms], every: "dict[tuple[Key, Terms], Making]") -> None:
        #: Whoever waits for this must not cancel it.
        self.told: asyncio.Future[Shared] = asyncio.get_running_loop().create_future()
        #: The template of the route that failed.
        self.route: str | None = None
        self._asked = asked
        self._all = every
        every[asked] = self

    def tell(self, kept: Shared) -> None:
        """Give it to those who wait; only the first word counts."""
        if self._end():
            self.told.set_result(kept)

    def fail(self, error: Exception, route: str) -> None:
        """Have all who wait fail alike."""
        if self._end():
            self.route = route
            self.told.set_exception(error)
            self.told.exception()  # if nobody waits for it, nobody misses it

    def _end(self) -> bool:
        if self.told.done():
            return False
        del self._all[self._asked]
        return True


class Together:
    """The answers under way, by what was asked and on which terms."""

    def __init__(self) -> None:
        self._all: dict[tuple[Key, Terms], Making] = {}
        #: What makes answers anew behind those that are given meanwhile.
        self.renewals: dict[Key, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def find(self, key: Key, terms: Terms) -> Making | None:
        """The one under way, if any."""
        return self._all.get((key, terms))

    def begin(self, key: Key, terms: Terms) -> Making:
        """One that is made from now on; whoever begins it has to end it."""
        return Making((key, terms), self._all)
