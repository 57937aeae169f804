"""Things that end without warning: processes, connections, servers."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from kalshi_gateway.db import Driver
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.serve import server

ROOT = Path(__file__).parents[2]
LONG_S = 60.0


@asynccontextmanager
async def listening(exchange: Exchange) -> AsyncIterator[str]:
    """The exchange on a port of this machine, standing still."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        running = server(exchange)
        serving = asyncio.create_task(running.serve(sockets=[door]))
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}/trade-api/v2"
        finally:
            running.should_exit = True
            exchange.faults.release()
            await serving


@asynccontextmanager
async def writer_process(database_url: str, exchange_url: str) -> AsyncIterator[Callable[[], None]]:
    """Another process that writes; what kills it, as at the end of the block at the latest."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.sync.writer_process",
        database_url,
        exchange_url,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process.kill
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something has come true."""
    async with asyncio.timeout(LONG_S):
        while not await condition():  # noqa: ASYNC110 - nobody sets an Event for us elsewhere
            await asyncio.sleep(0.01)


async def all_known(conn: Driver) -> bool:
    """Whether everything, and the changes since, were seen, and nothing waits to be read again."""
    known: bool = await conn.fetchval(
        "SELECT (SELECT count(*) FROM catalogue_walks"
        "        WHERE complete_as_of IS NOT NULL AND cursor IS NULL) = 13"
        " AND NOT EXISTS (SELECT FROM instruments WHERE digest IS NULL OR category IS NULL)"
        " AND NOT EXISTS (SELECT FROM events WHERE digest = 0)"
    )
    return known


async def writers(conn: Driver) -> list[int]:
    """The connections that hold the catalogue's lock."""
    rows = await conn.fetch(
        "SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()"
    )
    return [row["pid"] for row in rows]


async def is_waiting(conn: Driver, words: str) -> bool:
    """Whether the writer stands before a lock with a statement of these words."""
    return bool(
        await conn.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%catalogue'"
            " AND datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1",
            f"%{words}%",
        )
    )
