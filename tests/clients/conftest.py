"""The exchange and the gateway on loopback, and a member with a key at both."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from kalshi_gateway.app import create_app
from kalshi_gateway.audit.entry import Author
from kalshi_gateway.db import Database
from kalshi_gateway.keys import keeping
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.desk import Joined, KeyKind
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.tokens import repository
from tests.credentials.builders import OLD, setting
from tests.serving import served

from . import ground
from .client import Side
from .ground import Ground, HandSet


@pytest.fixture
def clock() -> HandSet:
    """The exchange's."""
    return HandSet()


@pytest.fixture
def exchange(clock: HandSet) -> Exchange:
    return ground.an_exchange(clock)


@pytest.fixture
def kind() -> KeyKind:
    """Which kind of key the client signs with; RSA, which all of them can."""
    return "rsa"


@pytest.fixture
def joined(exchange: Exchange) -> Joined:
    """A member of the exchange; the gateway has a key of his that he has not."""
    return exchange.desk.join("ada", deposit_cents=100_000)


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
        gateway_auth="token",
        gateway_jobs=False,
        gateway_requests_per_second=0,
        gateway_data_dir=tmp_path,
        gateway_encryption_keys=SecretStr(setting(OLD)),
        kalshi_base_url=exchange_url,
        kalshi_trading_enabled=True,
    )


@pytest.fixture
async def gateway_url(
    settings: Settings, database_url: str, database: Database, joined: Joined
) -> AsyncIterator[str]:
    """A gateway that keeps the key of its user ada."""
    app = create_app(settings, database_url=database_url)
    async with database.begin() as conn:
        _, admin = await repository.create(conn, "admin", ["admin"], None, None)
    async with served(app) as port:
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url) as client:
            kept = await client.put(
                "/kalshi/users/ada/credentials",
                json={"api_key_id": joined.key_id, "private_key": joined.private_pem},
                headers={"Authorization": f"Bearer {admin}"},
            )
        assert kept.status_code == 200, kept.text
        yield url


@pytest.fixture
def at_exchange(exchange_url: str, exchange: Exchange, joined: Joined, kind: KeyKind) -> Side:
    """The exchange, and a key of the member's there."""
    key_id, pem = exchange.keys.issue(kind, member=joined.member)
    return Side(exchange_url, key_id, pem)


@pytest.fixture
async def at_gateway(gateway_url: str, database: Database, kind: KeyKind) -> Side:
    """The gateway, and a virtual key."""
    key, pem = await keeping.create(database, "ada", ["read", "trade"], Author("test"), kind)
    return Side(f"{gateway_url}/trade-api/v2", str(key.id), pem)
