"""The same call at the exchange and through the gateway."""

from dataclasses import dataclass
from typing import Any

from .client import Client, Told
from .ground import HandSet

EXCHANGE, GATEWAY = "exchange", "gateway"


@dataclass
class Twice:
    """Makes each call at both, at the same time by the exchange's clock."""

    client: Client
    clock: HandSet

    async def ask(self, call: str, /, **arguments: Any) -> Told:
        """What a call comes to through the gateway, which is what it comes to at the exchange."""
        self.clock.set()
        direct = await self.client.ask(EXCHANGE, call, **arguments)
        through = await self.client.ask(GATEWAY, call, **arguments)

        assert through.heard, f"{call}: nothing was asked; {through.failed}"
        assert through.heard == direct.heard, call
        assert (through.made, through.failed) == (direct.made, direct.failed), call
        return through

    async def read(self, call: str, /, **arguments: Any) -> Told:
        """The same, of a call that is answered and understood."""
        told = await self.ask(call, **arguments)
        assert told.failed is None, f"{call}: {told.failed}"
        assert {status for status, _ in told.heard} <= {200, 201, 204}
        return told
