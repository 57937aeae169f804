"""A gateway that does no background work, and a client of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from kalshi_gateway.app import create_app
from kalshi_gateway.db import Database
from kalshi_gateway.hot import Hot
from kalshi_gateway.settings import Settings

from .upstream import Upstream

QUIET = Settings.model_construct(
    gateway_auth="off", gateway_jobs=False, kalshi_base_url="http://127.0.0.1:1/trade-api/v2"
)


def a_gateway(database_url: str, upstream: Upstream | None = None) -> FastAPI:
    """Beside a database, and with an exchange that knows nothing unless another is given."""
    exchange = httpx.MockTransport(upstream or Upstream())
    return create_app(QUIET, database_url=database_url, exchange=exchange)


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of routes alone, which keep no answers, for as long as the application runs."""
    hot: Any = Hot
    app.user_middleware = [layer for layer in app.user_middleware if layer.cls is not hot]
    asking = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
    async with app.router.lifespan_context(app), asking as client:
        yield client


@dataclass(frozen=True)
class Shared:
    """One gateway for all tests of a module: each of them keeps to its own tickers."""

    database: Database
    app: FastAPI
    client: httpx.AsyncClient
