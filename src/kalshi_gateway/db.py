"""The engine; advisory locks; COPY."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Self, TypeAlias

import asyncpg
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

#: A statement that takes longer has gone wrong; a page takes milliseconds.
STATEMENT_TIMEOUT_MS = 15_000

#: A database that does not let us in within this time is treated as gone.
ACQUIRE_SECONDS = 5

if TYPE_CHECKING:
    Driver: TypeAlias = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )
else:  # the classes themselves take no type arguments
    Driver = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


class Database:
    """One Postgres: SQLAlchemy for what is written seldom, asyncpg itself for what is asked most.

    SQLAlchemy's asynchronous connection costs a point query three to four times what the driver
    alone does (`docs/performance.md`), so lists, details and COPY take `driver()`.
    """

    def __init__(self, engine: AsyncEngine, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.engine = engine
        self.pool = pool

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str, *, connections: int = 10) -> AsyncIterator[Self]:
        """The database behind `url`, until the block ends; connects when first used."""
        settings = {
            "application_name": "kalshi-gateway",
            "statement_timeout": str(STATEMENT_TIMEOUT_MS),
        }
        engine = create_async_engine(
            sqlalchemy_url(url),
            pool_size=3,
            max_overflow=5,
            pool_pre_ping=True,
            connect_args={"server_settings": settings, "timeout": ACQUIRE_SECONDS},
        )
        pool = asyncpg.create_pool(
            driver_url(url),
            min_size=0,
            max_size=connections,
            server_settings=settings,
            timeout=ACQUIRE_SECONDS,
        )
        try:
            async with pool:
                yield cls(engine, pool)
        finally:
            await engine.dispose()

    def connect(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection for reading."""
        return self.engine.connect()

    def begin(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection in a transaction that commits when the block ends well."""
        return self.engine.begin()

    def driver(self) -> AbstractAsyncContextManager[Driver]:
        """A bare asyncpg connection, for what is asked most."""
        return self.pool.acquire(timeout=ACQUIRE_SECONDS)


@asynccontextmanager
async def leadership(url: str, job: str) -> AsyncIterator[Driver | None]:
    """A connection that holds the lock of `job` for as long as it lives, or None if another has it.

    Whoever leads writes over this very connection: if it breaks, the lock is gone and so is the
    way to write, and nobody writes who no longer leads.
    """
    conn = await asyncpg.connect(
        driver_url(url),
        timeout=ACQUIRE_SECONDS,
        server_settings={"application_name": f"kalshi-gateway {job}"},
    )
    try:
        led = await conn.fetchval("SELECT pg_try_advisory_lock($1)", lock_key(job))
        yield conn if led else None
    finally:
        conn.terminate()


def lock_key(name: str) -> int:
    """The advisory lock of that name, as Postgres counts them: 64 bits."""
    digest = blake2b(f"kalshi-gateway/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def driver_url(url: str) -> str:
    """The address as asyncpg takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def sqlalchemy_url(url: str) -> URL:
    """The address as SQLAlchemy takes it."""
    return make_url(url).set(drivername="postgresql+asyncpg")
