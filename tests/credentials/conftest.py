"""A gateway with tokens, in front of a simulated exchange with members and keys."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from kalshi_gateway.app import create_app
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator import app as simulator
from kalshi_gateway.simulator.exchange import Exchange
from tests.credentials.builders import BASE_URL, OLD, setting


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_construct(
        gateway_auth="token",
        gateway_jobs=False,
        gateway_data_dir=tmp_path,
        gateway_encryption_keys=SecretStr(setting(OLD)),
        kalshi_base_url=BASE_URL,
    )


@pytest.fixture
def app(settings: Settings, database_url: str, exchange: Exchange) -> FastAPI:
    transport = httpx.ASGITransport(simulator.create_app(exchange))
    return create_app(settings, database_url=database_url, exchange=transport)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as client,
    ):
        yield client
