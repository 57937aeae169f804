"""A gateway with tokens in front of a simulated exchange, and the exchange without it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from kalshi_gateway.app import create_app
from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.retries import Retries
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator import app as simulator
from kalshi_gateway.simulator.exchange import Exchange
from tests.credentials.builders import BASE_URL, OLD, setting

from .people import People


@pytest.fixture
def exchange() -> Exchange:
    """A small exchange whose prices stand still."""
    exchange = Exchange.generated(40, seed=3)
    exchange.limits.on = False
    return exchange


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_construct(
        gateway_auth="token",
        gateway_jobs=False,
        gateway_requests_per_second=0,
        gateway_data_dir=tmp_path,
        gateway_encryption_keys=SecretStr(setting(OLD)),
        kalshi_base_url=BASE_URL,
    )


@pytest.fixture
def transport(exchange: Exchange) -> httpx.ASGITransport:
    """The way to the exchange."""
    return httpx.ASGITransport(simulator.create_app(exchange))


@pytest.fixture
def app(
    settings: Settings,
    database_url: str,
    transport: httpx.ASGITransport,
    monkeypatch: pytest.MonkeyPatch,
) -> FastAPI:
    monkeypatch.setattr(Retries, "pause_s", lambda retries, attempt: 0.0)
    return create_app(settings, database_url=database_url, exchange=transport)


@pytest.fixture
async def direct(transport: httpx.ASGITransport) -> AsyncIterator[httpx.AsyncClient]:
    """The exchange itself."""
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1") as direct:
        yield direct


@pytest.fixture
def people(client: httpx.AsyncClient, exchange: Exchange, database: Database) -> People:
    return People(client, exchange, database)
