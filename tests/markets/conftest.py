"""A gateway that does no background work, and an exchange that knows what a test tells it."""

import pytest
from fastapi import FastAPI

from kalshi_gateway.kalshi.retries import Retries
from kalshi_gateway.markets import standing

from .gateway import a_gateway
from .upstream import Upstream


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def app(database_url: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    # What a test has just written is what the next answer is about.
    monkeypatch.setattr(standing, "REREAD_SECONDS", -1.0)
    monkeypatch.setattr(Retries, "pause_s", lambda retries, attempt: 0.0)
    return a_gateway(database_url, upstream)
