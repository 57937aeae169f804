"""A gateway whose exchange says of itself what a test wants."""

from collections.abc import AsyncIterator

import httpx
import pytest

from kalshi_gateway.kalshi.retries import Retries
from tests.markets.gateway import a_gateway, client_of
from tests.markets.upstream import Upstream


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
async def client(
    database_url: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.setattr(Retries, "pause_s", lambda retries, attempt: 0.0)
    async with client_of(a_gateway(database_url, upstream)) as client:
        yield client
