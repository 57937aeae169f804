"""What a caller is told when the database fails."""

from contextlib import AsyncExitStack, suppress

import pytest

from kalshi_gateway import db
from kalshi_gateway.db import Database, DatabaseUnavailable
from tests.wires import wire


async def test_dead_connections(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is gone without a word is unavailable, and its connections are not kept."""
    monkeypatch.setattr(db, "COMMAND_SECONDS", 0.05)
    monkeypatch.setattr(db, "ACQUIRE_SECONDS", 1)
    async with wire(database_url) as way, Database.opened(way.url, connections=1) as database:
        async with database.driver() as driver:
            await driver.execute("SELECT 1")
        way.cut()

        with pytest.raises(DatabaseUnavailable):
            async with database.driver() as driver:
                await driver.execute("SELECT 1")

        with suppress(DatabaseUnavailable):  # while the dead one is given up
            async with database.driver() as driver:
                await driver.execute("SELECT 1")
        async with database.driver() as driver:
            assert await driver.fetchval("SELECT 1") == 1


async def test_all_connections_taken(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a connection is told after a moment, by either library."""
    monkeypatch.setattr(db, "ACQUIRE_SECONDS", 1)
    async with Database.opened(database_url, connections=1) as database:
        async with database.driver():
            with pytest.raises(DatabaseUnavailable):
                await database.driver().__aenter__()

        async with AsyncExitStack() as stack:
            for _ in range(8):
                _ = await stack.enter_async_context(database.connect())
            with pytest.raises(DatabaseUnavailable):
                _ = await database.connect().__aenter__()
