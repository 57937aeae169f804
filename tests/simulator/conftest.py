"""A generated exchange that stands still, and a client inside the same process."""

from collections.abc import AsyncIterator

import httpx
import pytest

from kalshi_gateway.simulator.app import create_app
from kalshi_gateway.simulator.exchange import Exchange

from .moments import Moment


@pytest.fixture
def moment() -> Moment:
    """The time, moved by hand."""
    return Moment()


@pytest.fixture
def exchange(moment: Moment) -> Exchange:
    """A small exchange without limits, so that only tests of limits meet them."""
    exchange = Exchange.generated(600, seed=7, now=moment)
    exchange.limits.on = False
    return exchange


@pytest.fixture
async def client(exchange: Exchange) -> AsyncIterator[httpx.AsyncClient]:
    """Asks the exchange without a key."""
    transport = httpx.ASGITransport(app=create_app(exchange))
    base = "http://exchange/trade-api/v2"
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        yield client
