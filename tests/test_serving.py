"""What `serve` does around the application."""

import asyncio
import gc

from fastapi import FastAPI

from kalshi_gateway.commands import serving


async def test_what_lasts_is_not_looked_through(unused_tcp_port: int) -> None:
    """Once the server listens, what was made before is none of the garbage collector's business."""
    before, threshold = gc.get_freeze_count(), gc.get_threshold()
    server = serving.server(FastAPI(), "127.0.0.1", unused_tcp_port)
    running = asyncio.create_task(server.serve_until_told())
    try:
        await server.listens.wait()

        assert gc.get_freeze_count() > before
        assert gc.get_threshold() > threshold
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)
        server.should_exit = True
        await running
