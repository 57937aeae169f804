"""`serve`: the gateway over HTTP."""

import asyncio
import socket
import sys

import uvicorn
from fastapi import FastAPI

from kalshi_gateway import logs, migrate, settings
from kalshi_gateway.app import create_app
from kalshi_gateway.db import Database
from kalshi_gateway.tokens import repository as tokens

from .database import database_url

#: How long requests under way may take once somebody asked the server to stop.
GRACE_SECONDS = 10


async def serve(host: str, port: int) -> None:
    """Serve until told to stop."""
    found = settings.load()
    logs.configure(found.gateway_log_format, found.gateway_log_level)
    async with database_url(found) as url:
        await migrate.to_head(url)
        if found.gateway_auth == "token":
            await show_first_token(url)
        app = create_app(found, database_url=url, bind_host=host)
        await server(app, host, port).serve()


class Server(uvicorn.Server):
    """A server that tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


def server(app: FastAPI, host: str, port: int) -> Server:
    """A server for the app; the fastest of what uvicorn offers, and no access log but ours."""
    return Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            loop="none",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )


async def show_first_token(url: str) -> None:
    """On an empty database somebody must be let in: one admin token, shown once."""
    async with Database.opened(url) as database, database.begin() as conn:
        first = await tokens.create_first(conn, "first")
    if first is not None:
        sys.stdout.write(f"An admin token, shown this once: {first[1]}\n")
        sys.stdout.flush()
