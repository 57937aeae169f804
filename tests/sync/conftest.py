"""A small exchange that stands still, and a writer that has not walked yet."""

from collections.abc import AsyncIterator

import pytest

from kalshi_gateway.simulator.exchange import Exchange

from .desk import Desk
from .desk import desk as a_desk


@pytest.fixture
def exchange() -> Exchange:
    """Markets in every state, a few pages of each that people trade in; it refuses nobody."""
    exchange = Exchange.generated(400, seed=3)
    exchange.limits.on = False
    return exchange


@pytest.fixture
async def desk(exchange: Exchange, database_url: str) -> AsyncIterator[Desk]:
    async with a_desk(database_url, exchange) as desk:
        yield desk
