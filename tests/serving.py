"""An application behind a real server, for what a transport within the process cannot show."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from kalshi_gateway.front import Front
from kalshi_gateway.protocol import CarefulProtocol


@asynccontextmanager
async def served(
    app: FastAPI, *, http: type[CarefulProtocol] = CarefulProtocol
) -> AsyncIterator[int]:
    """The port of a server; it listens before it runs, so nobody waits for it to start."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            app, http=http, ws="none", log_config=None, access_log=False, server_header=False
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await running


def answered_at_front(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The URLs that are answered without the application, as that happens."""
    answered: list[bytes] = []
    answer = Front.answer

    def told(self: Front, url: bytes, *rest: object) -> tuple[bytes, bytes] | None:
        ready = answer(self, url, *rest)  # type: ignore[arg-type]
        if ready is not None:
            answered.append(url)
        return ready

    monkeypatch.setattr(Front, "answer", told)
    return answered


async def lets_in(app: FastAPI, client: httpx.AsyncClient) -> None:
    """Wait until tokens are believed without asking, which they then are for ten minutes."""
    await client.get("/healthz")
    gatekeeper = app.state.resources.gatekeeper
    gatekeeper.fresh_for = timedelta(minutes=10)
    while not gatekeeper.hears:  # noqa: ASYNC110 - nobody tells when it does
        await asyncio.sleep(0.01)
