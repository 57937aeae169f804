"""`serve`: the gateway over HTTP."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from kalshi_gateway import logs, migrate, upstream
from kalshi_gateway.app import create_app
from kalshi_gateway.credentials.ring import ring_of
from kalshi_gateway.db import Database
from kalshi_gateway.errors import GatewayError
from kalshi_gateway.protocol import CarefulProtocol
from kalshi_gateway.tokens import keeping as tokens

from .author import author
from .database import database_url, found_settings

#: How long an idle connection stays open: longer than clients and proxies keep theirs (5 s, 60 s),
#: so that it is they who close it, and none sends a request into one that is being closed.
KEPT_SECONDS = 75
#: So many more objects than before are looked through for garbage.
OBJECTS_BEFORE_LOOKING = 20_000
#: How long requests under way may take once somebody asked the server to stop.
GRACE_SECONDS = 10


async def serve(host: str, port: int) -> None:
    """Serve until told to stop."""
    found = found_settings()
    logs.configure(found.gateway_log_format, found.gateway_log_level)
    upstream.signer(found)
    ring_of(found)
    check_port(host, port)
    async with database_url(found) as url:
        await migrate.to_head(url)
        if found.gateway_auth == "token":
            await show_first_token(url)
        app = create_app(found, database_url=url, bind_host=host)
        await server(app, host, port).serve_until_told()


class NotServing(GatewayError):
    """The application or its port could not be opened."""


class Server(uvicorn.Server):
    """A server that tells when it listens, and whose end is not the end of the process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop when told to, and no more: uvicorn would end the process before we have closed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def serve_until_told(self) -> None:
        """Serve until told to stop; raises if it never came to that."""
        await self.serve()
        if not self.listens.is_set():
            raise NotServing("the gateway did not start; the log says why")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            spare_memory()
            self.listens.set()


def spare_memory() -> None:
    """Have less be looked through for garbage, which keeps everybody waiting.

    What was made to start with lasts as long as the process: to look through it takes a tenth of a
    second. And a thousand requests under way are some 20,000 objects, none of them garbage, as is
    none of what a walk makes of its pages.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BEFORE_LOOKING, 10, 10)


def check_port(host: str, port: int) -> None:
    """Raise `NotServing` if somebody else listens there."""
    try:
        socket.create_server((host, port), family=_family(host)).close()
    except OSError as error:
        raise NotServing(f"cannot listen on {host} port {port}: {error.strerror}") from None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def server(app: FastAPI, host: str, port: int) -> Server:
    """A server for the app; the fastest of what uvicorn offers, and no access log but ours."""
    return Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            loop="none",
            http=CarefulProtocol,
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=KEPT_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )


async def show_first_token(url: str) -> None:
    """On an empty database somebody must be let in: one admin token, shown once."""
    async with Database.opened(url) as database:
        first = await tokens.create_first(database, "first", author())
    if first is not None:
        sys.stdout.write(f"An admin token, shown this once: {first}\n")
        sys.stdout.flush()
