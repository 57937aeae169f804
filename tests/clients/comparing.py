"""The same call at the exchange and through the gateway."""

from typing import Any

from .client import Client, Told

EXCHANGE, GATEWAY = "exchange", "gateway"


async def the_same(client: Client, call: str, /, **arguments: Any) -> Told:
    """What a call comes to, through the gateway as at the exchange, to the byte."""
    before = await client.ask(EXCHANGE, call, **arguments)
    through = await client.ask(GATEWAY, call, **arguments)
    # What tells the time may have gone on meanwhile.
    after = before if through == before else await client.ask(EXCHANGE, call, **arguments)

    said = f"{call} {arguments}"
    assert through.heard, f"{said}: nothing was asked; {through.failed}"
    assert through.heard in (before.heard, after.heard), said
    assert through.made in (before.made, after.made), said
    assert through.failed == before.failed, said
    return through


async def passes(client: Client, call: str, /, **arguments: Any) -> Told:
    """The same, for a call that is answered and understood."""
    told = await the_same(client, call, **arguments)
    assert told.failed is None, f"{call} {arguments}: {told.failed}, {told.heard}"
    assert {status for status, _ in told.heard} <= {200, 201, 204}
    return told
