"""The exchange as a server on this machine."""

import asyncio
from contextlib import suppress

import uvicorn

from .app import create_app
from .exchange import Exchange


def server(exchange: Exchange, host: str = "127.0.0.1", port: int = 8001) -> uvicorn.Server:
    """A server not yet started; its answers are dated by the exchange's clock, not by its own."""
    config = uvicorn.Config(
        create_app(exchange),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        # A hanging answer must not keep the server from stopping.
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


async def serve(exchange: Exchange, host: str = "127.0.0.1", port: int = 8001) -> None:
    """Serve until told to stop, while the exchange lives its own life."""
    living = asyncio.create_task(exchange.live(), name="simulated exchange")
    try:
        await server(exchange, host, port).serve()
    finally:
        living.cancel()
        with suppress(asyncio.CancelledError):
            await living
