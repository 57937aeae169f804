"""What a caller is told when the database fails."""

from contextlib import suppress

import pytest

from kalshi_gateway import db
from kalshi_gateway.db import Database, DatabaseUnavailable
from tests.wires import wire


async def test_dead_connections(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is gone without a word is unavailable, and its connections are not kept."""
    monkeypatch.setattr(db, "COMMAND_SECONDS", 0.05)
    monkeypatch.setattr(db, "ACQUIRE_SECONDS", 0.05)
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
