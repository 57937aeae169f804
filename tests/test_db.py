"""What a caller is told when the database fails."""

import shutil
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from kalshi_gateway import db, migrate
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


async def test_a_file_that_cannot_be_read(database: Database, tmp_path: Path) -> None:
    """What goes wrong with a file meanwhile is told as that, and not as the database's."""
    missing = tmp_path / "missing"

    for connection in (database.driver, database.connect, database.begin):
        with pytest.raises(FileNotFoundError):
            async with connection():
                missing.read_bytes()


async def test_migrations_that_cannot_be_read(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installation of which a file cannot be read does not put it on the database."""
    scripts = tmp_path / "migrations"
    shutil.copytree(migrate._scripts(), scripts)
    (scripts / "env.py").unlink()
    (scripts / "env.py").mkdir()
    monkeypatch.setattr(migrate, "_scripts", lambda: scripts)

    with pytest.raises(IsADirectoryError, match=r"env\.py"):
        await migrate.to_head(database_url)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost:1", "/?host=/nowhere"])
async def test_nobody_there(host: str) -> None:
    """An address at which nobody answers, of whatever kind, is a database that is away."""
    async with Database.opened(f"postgresql://nobody@{host}") as database:
        for connection in (database.driver, database.connect):
            with pytest.raises(DatabaseUnavailable):
                await connection().__aenter__()
