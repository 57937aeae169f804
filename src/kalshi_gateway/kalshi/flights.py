"""Identical calls at the same time become one."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class _Flight:
    task: asyncio.Task[Any]
    aboard: int = 0


class Flights:
    """Calls under way, each shared by all who asked for the same."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight] = {}

    async def share(self, key: Hashable, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The outcome of `call`, or of the one under way with the same key.

        Whoever is cancelled leaves alone; the call itself ends when nobody waits for it.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(call()))
            flight.task.add_done_callback(lambda _: self._landed(key, flight))
        flight.aboard += 1
        try:
            outcome: T = await asyncio.shield(flight.task)
        finally:
            flight.aboard -= 1
            if not flight.aboard and not flight.task.done():
                flight.task.cancel()
                self._landed(key, flight)
        return outcome

    def forget(self, key: Hashable) -> None:
        """Who asks from now on shares no call that began before; those aboard get its outcome."""
        self._flights.pop(key, None)

    def forget_all(self) -> None:
        """The same of all calls under way."""
        self._flights.clear()

    def _landed(self, key: Hashable, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
