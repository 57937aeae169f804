"""A client made for the exchange, in a process and with a Python of its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from . import environment

#: The longest answer: a page of a thousand markets, and what a client makes of it.
LONGEST_LINE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Side:
    """Where a client is pointed, and the key it signs with."""

    host: str
    key_id: str
    private_key: str = field(repr=False)


@dataclass(frozen=True)
class Told:
    """What one call came to: each status and body on the wire, and what the client made of it."""

    heard: list[tuple[int, str]]
    made: str | None
    failed: str | None  # the name of what it raised

    @property
    def body(self) -> Any:
        """The last body."""
        return json.loads(self.heard[-1][1])


@dataclass
class Client:
    """The client's process; it makes one call at a time."""

    process: asyncio.subprocess.Process

    async def ask(self, side: str, call: str, /, **arguments: Any) -> Told:
        """Make a call at one of the sides."""
        await self._say({"side": side, "call": call, "arguments": arguments})
        told = json.loads(await self._hear())
        heard = [(status, body) for status, body in told["heard"]]
        return Told(heard, told["made"], told["failed"])

    async def _say(self, line: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        await self.process.stdin.drain()

    async def _hear(self) -> bytes:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        assert line, f"the client has gone: {await self.process.wait()}"
        return line


@asynccontextmanager
async def led(module: str, *arguments: str, **sides: Side) -> AsyncIterator[Client]:
    """A client at each of these sides; keys travel by its standard input."""
    process = await asyncio.create_subprocess_exec(
        str(environment.interpreter()),
        *("-m", f"{__package__}.led.{module}", *arguments),
        cwd=environment.ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE_BYTES,
    )
    client = Client(process)
    try:
        await client._say({name: asdict(side) for name, side in sides.items()})
        await client._hear()  # it is there, which can take a while
        yield client
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
