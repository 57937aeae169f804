"""The exchange as a server on this machine."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn

from .app import create_app
from .exchange import Exchange


class Server(uvicorn.Server):
    """A server that leaves signals to the process it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def server(exchange: Exchange, host: str = "127.0.0.1", port: int = 8001) -> Server:
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
    return Server(config)


async def serve(
    exchange: Exchange,
    host: str = "127.0.0.1",
    port: int = 8001,
    listening: Callable[[str], None] | None = None,
) -> None:
    """Serve until cancelled, while the exchange lives its own life; tells its URL once it listens.

    Port 0 takes any free one.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as door:
        running = server(exchange, host, port)
        serving = asyncio.create_task(running.serve(sockets=[door]), name="simulator server")
        living = asyncio.create_task(exchange.live(), name="simulator life")
        if listening is not None:
            shown = f"[{host}]" if ":" in host else host
            listening(f"http://{shown}:{door.getsockname()[1]}/trade-api/v2")
        try:
            await asyncio.wait({serving, living}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            running.should_exit = True
            exchange.faults.release()
            living.cancel()
            await serving
            with suppress(asyncio.CancelledError):
                await living
