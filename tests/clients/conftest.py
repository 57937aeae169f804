"""The exchange and the gateway on loopback, and one member who may call at both."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from kalshi_gateway.app import create_app
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.desk import Joined
from kalshi_gateway.simulator.exchange import Exchange
from tests.credentials.builders import OLD, setting
from tests.serving import served

from . import ground
from .client import Side
from .ground import Ground


@pytest.fixture
def exchange() -> Exchange:
    return ground.an_exchange()


@pytest.fixture
def joined(exchange: Exchange) -> Joined:
    return exchange.desk.join("ada", deposit_cents=100_000, kind="rsa")


@pytest.fixture
def asked(exchange: Exchange, joined: Joined) -> Ground:
    """What there is to ask about."""
    return ground.trodden(exchange, joined.member)


@pytest.fixture
async def exchange_url(exchange: Exchange) -> AsyncIterator[str]:
    async with ground.listening(exchange) as url:
        yield url


@pytest.fixture
def settings(tmp_path: Path, exchange_url: str) -> Settings:
    return Settings.model_construct(
        gateway_auth="off",
        gateway_jobs=False,
        gateway_requests_per_second=0,
        gateway_data_dir=tmp_path,
        gateway_encryption_keys=SecretStr(setting(OLD)),
        kalshi_base_url=exchange_url,
    )


@pytest.fixture
async def gateway_url(settings: Settings, database_url: str, joined: Joined) -> AsyncIterator[str]:
    app = create_app(settings, database_url=database_url)
    async with served(app) as port:
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url) as client:
            body = {"api_key_id": joined.key_id, "private_key": joined.private_pem}
            kept = await client.put("/kalshi/users/default/credentials", json=body)
        assert kept.status_code == 200, kept.text
        yield url


@pytest.fixture
def at_exchange(exchange_url: str, joined: Joined) -> Side:
    """The member's own key, at the exchange."""
    return Side(exchange_url, joined.key_id, joined.private_pem)


@pytest.fixture
def at_gateway(gateway_url: str, joined: Joined) -> Side:
    """The same client, with another host and another key."""
    return Side(f"{gateway_url}/trade-api/v2", joined.key_id, joined.private_pem)
