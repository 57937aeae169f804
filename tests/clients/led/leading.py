"""A client made for the exchange, led from outside: one call per line in, one answer per line out.

Runs where such clients are installed, so nothing here is the project's or anybody else's.
"""

import asyncio
import json
import sys
from typing import Any, Protocol


class Sides(Protocol):
    """A client pointed at several places."""

    async def ask(self, side: str, call: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """What a call at one of them came to: all that was answered, and what was made of it."""

    async def close(self) -> None:
        """Hang up everywhere."""


async def obey(sides: Sides) -> None:
    """Say that one is there, then make calls for as long as there are any."""
    try:
        _say({})
        while line := await asyncio.to_thread(sys.stdin.readline):
            _say(await sides.ask(**json.loads(line)))
    finally:
        await sides.close()


def _say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def places() -> dict[str, Any]:
    """Who calls where, with which key: the first line."""
    told: dict[str, Any] = json.loads(sys.stdin.readline())
    return told
