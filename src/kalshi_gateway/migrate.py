"""The schema brought to its newest form, from a checkout or an installed wheel."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from .db import lock_key, named_failures, sqlalchemy_url


async def to_head(url: str) -> None:
    """Migrate the database; processes that start together take turns."""
    engine = create_async_engine(sqlalchemy_url(url))
    try:
        with named_failures():
            async with engine.begin() as conn:
                turn = text("SELECT pg_advisory_xact_lock(:key)")
                await conn.execute(turn, {"key": lock_key("migrate")})
                await conn.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def revisions(url: str) -> tuple[str | None, str | None]:
    """The schema's revision in the database, and the newest one we know."""
    engine = create_async_engine(sqlalchemy_url(url))
    try:
        with named_failures():
            async with engine.connect() as conn:
                current = await conn.run_sync(
                    lambda c: MigrationContext.configure(c).get_current_revision()
                )
    finally:
        await engine.dispose()
    return current, head()


def head() -> str | None:
    """The newest revision we know."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def known() -> frozenset[str]:
    """Every revision we know; one that is not among them is newer than we are."""
    scripts = ScriptDirectory.from_config(_config())
    return frozenset(script.revision for script in scripts.walk_revisions())


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    return config


def _scripts() -> Path:
    """The migrations, inside the wheel or beside `src` in a checkout."""
    here = Path(__file__).resolve().parent
    packed = here / "migrations"
    return packed if packed.is_dir() else here.parents[1] / "migrations"
