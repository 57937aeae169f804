"""A gateway in front of a simulated exchange whose time is moved by hand, and users with keys."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from kalshi_gateway import upstream
from kalshi_gateway.accounts import refresh
from kalshi_gateway.app import create_app
from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.retries import Retries
from kalshi_gateway.kalshi.wire import AccountLimits, BucketLimit
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator import app as simulator
from kalshi_gateway.simulator.exchange import Exchange
from tests.accounts.users import Users
from tests.credentials.builders import BASE_URL, OLD, setting
from tests.simulator.moments import Moment


@pytest.fixture
def moment() -> Moment:
    """The exchange's time."""
    return Moment()


@pytest.fixture
def exchange(moment: Moment) -> Exchange:
    """A small exchange whose members move only when told."""
    exchange = Exchange.generated(40, seed=3, now=moment)
    exchange.limits.on = False
    return exchange


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_construct(
        gateway_auth="off",
        gateway_jobs=False,
        gateway_data_dir=tmp_path,
        gateway_encryption_keys=SecretStr(setting(OLD)),
        kalshi_base_url=BASE_URL,
    )


@pytest.fixture
def app(impatient: None, settings: Settings, database_url: str, exchange: Exchange) -> FastAPI:
    transport = httpx.ASGITransport(simulator.create_app(exchange))
    return create_app(settings, database_url=database_url, exchange=transport)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Retries, "pause_s", lambda retries, attempt: 0.0)
    # The exchange's time is moved by hand, faster than ours goes by.
    monkeypatch.setattr(refresh, "CURRENT_FOR", timedelta(0))
    monkeypatch.setattr(refresh, "LOOK_AGAIN_SECONDS", 0.01)
    # It is held to no limits here, so markets need not be asked for five at a time.
    much = BucketLimit(refill_rate=100_000, bucket_capacity=100_000)
    monkeypatch.setattr(upstream, "UNSIGNED", AccountLimits(read=much))


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


@pytest.fixture
def users(client: httpx.AsyncClient, exchange: Exchange, database: Database) -> Users:
    return Users(client, exchange, database)
