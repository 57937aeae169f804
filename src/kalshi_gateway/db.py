"""The engine; advisory locks; COPY."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from hashlib import blake2b
from struct import pack
from typing import TYPE_CHECKING, Self, TypeAlias

import asyncpg
from sqlalchemy import exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from .errors import GatewayError, Malformed

#: A statement that takes longer has gone wrong; a page takes milliseconds.
STATEMENT_TIMEOUT_MS = 15_000

#: A database that is gone cannot end a statement itself: then we do, so much later than it would.
COMMAND_SECONDS = STATEMENT_TIMEOUT_MS / 1000 + 5

#: The same for who has a connection to itself: ANALYZE, or COPY of some pages, may take a while.
ALONE_SECONDS = 300

#: A database that does not let us in within this time is treated as gone.
ACQUIRE_SECONDS = 5

#: A database that is gone is worth another try after this time.
RETRY_AFTER_SECONDS = 2

#: One that has left a question unanswered is given this time to show that it is there.
SHOWS_WITHIN_SECONDS = 1

#: What says that the database is gone, too busy, lets us in no more, or cannot be written now.
LOST = (
    OSError,  # TimeoutError among them
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,  # what asyncpg says of a connection ended at the wrong moment
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.InvalidAuthorizationSpecificationError,
    asyncpg.exceptions.InvalidCatalogNameError,
    asyncpg.exceptions.ObjectNotInPrerequisiteStateError,  # closed for connections
    asyncpg.exceptions.ReadOnlySQLTransactionError,  # another has taken over from it
    asyncpg.exceptions.TransactionRollbackError,  # of two that were in each other's way
    exc.TimeoutError,
)

#: Text that Postgres has no way to keep, such as NUL.
UNKEEPABLE = (
    asyncpg.exceptions.CharacterNotInRepertoireError,
    asyncpg.exceptions.UntranslatableCharacterError,
    UnicodeEncodeError,
)

#: A leader whose machine is gone without a word holds its lock no longer than half a minute.
KEEPALIVES = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}

if TYPE_CHECKING:
    Driver: TypeAlias = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )
else:  # the classes themselves take no type arguments
    Driver = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


class DatabaseUnavailable(GatewayError):
    """The gateway's own database cannot be asked."""

    status = 503
    code = "database_unavailable"
    title = "Database unavailable"
    retryable = True


class Database:
    """One Postgres: SQLAlchemy for what is written seldom, asyncpg itself for what is asked most.

    SQLAlchemy's asynchronous connection costs a point query three to four times what the driver
    alone does (`docs/decisions/0003-sqlalchemy-and-asyncpg.md`), so lists, details and COPY take
    `driver()`.

    One that has become silent lets everybody wait to the end of their patience. So once it has been
    silent to somebody, one asks for all whether it is there; if it is not, all are told so at once.
    """

    def __init__(self, url: str, engine: AsyncEngine, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.url = url
        self.engine = engine
        self.pool = pool
        #: It was silent, and is not asked again before that time.
        self._silent_until: float | None = None
        self._turn = asyncio.Lock()

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
            pool_timeout=ACQUIRE_SECONDS,
            pool_pre_ping=True,
            connect_args={
                "server_settings": settings,
                "timeout": ACQUIRE_SECONDS,
                "command_timeout": COMMAND_SECONDS,
            },
        )
        pool = asyncpg.create_pool(
            driver_url(url),
            min_size=0,
            max_size=connections,
            server_settings=settings,
            timeout=ACQUIRE_SECONDS,
            command_timeout=COMMAND_SECONDS,
            init=_teach_search_words,
        )
        try:
            async with pool:
                yield cls(url, engine, pool)
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading."""
        with self._watched():
            await self._shown()
            async with asyncio.timeout(ACQUIRE_SECONDS) as entering, self.engine.connect() as conn:
                entering.reschedule(None)
                yield conn

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that commits when the block ends well."""
        with self._watched():
            await self._shown()
            async with asyncio.timeout(ACQUIRE_SECONDS) as entering, self.engine.begin() as conn:
                entering.reschedule(None)
                yield conn

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[Driver]:
        """A bare asyncpg connection, for what is asked most."""
        with self._watched():
            await self._shown()
            async with self.pool.acquire(timeout=ACQUIRE_SECONDS) as conn:
                try:
                    yield conn
                except TimeoutError:
                    conn.terminate()  # or else its question is waited for to be taken back
                    raise

    def doubt(self) -> None:
        """It was silent to somebody: before the next question it is to show that it is there."""
        if self._silent_until is None:
            self._silent_until = time.monotonic()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        with named_failures():
            try:
                yield
            except Exception as error:
                if isinstance(_cause(error), TimeoutError):
                    self.doubt()
                raise

    async def _shown(self) -> None:
        """Raise TimeoutError if it is known to be silent; one finds out for all who ask."""
        if self._silent_until is None:
            return
        async with self._turn:
            if self._silent_until is None:
                return
            if time.monotonic() < self._silent_until:
                raise TimeoutError
            try:
                conn = await asyncpg.connect(driver_url(self.url), timeout=SHOWS_WITHIN_SECONDS)
                await conn.close(timeout=SHOWS_WITHIN_SECONDS)
            except TimeoutError:
                self._silent_until = time.monotonic() + RETRY_AFTER_SECONDS
                raise
            except Exception:
                self._silent_until = None  # it says no, and nobody has to wait for that
                raise
            self._silent_until = None


@contextmanager
def named_failures() -> Iterator[None]:
    """Whatever the two libraries raise when the database fails us, as one error with a name.

    The block may read files, but talks to nobody else: what a connection fails with does not say
    whose it was.
    """
    try:
        yield
    except Exception as error:
        cause = _cause(error)
        if isinstance(cause, UNKEEPABLE):
            raise Malformed("A value has a character in it that cannot be kept.") from error
        if (isinstance(cause, LOST) and not _of_a_file(cause)) or _closed(cause):
            raise DatabaseUnavailable(
                "The database cannot answer now; try again in a moment.",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            ) from error
        raise


def _cause(error: BaseException) -> BaseException:
    """The driver's own error, where SQLAlchemy has wrapped it."""
    while isinstance(error, exc.DBAPIError) and error.orig is not None:
        error = error.orig.__cause__ or error.orig
    return error


def _of_a_file(error: BaseException) -> bool:
    # Neither asyncio nor uvloop names one, also not a socket's, when a connection fails.
    return isinstance(error, OSError) and error.filename is not None


def _closed(error: BaseException) -> bool:
    # asyncpg has one class for a closed connection or pool and for wrong use; only words differ.
    return (
        isinstance(error, asyncpg.InterfaceError)
        and not isinstance(error, ValueError)
        and "clos" in str(error)
    )


@asynccontextmanager
async def leadership(
    url: str, job: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Driver | None]:
    """A connection that holds the lock of `job` for as long as it lives, or None if another has it.

    Whoever leads writes over this very connection: if it breaks, the lock is gone and so is the
    way to write, and nobody writes who no longer leads.
    """
    conn = await alone(url, f"kalshi-gateway {job}", {**KEEPALIVES, **(settings or {})})
    try:
        led = await conn.fetchval("SELECT pg_try_advisory_lock($1)", lock_key(job))
        yield conn if led else None
        # Said aloud, so that the next one need not wait until the server misses us.
        await conn.execute("SELECT pg_advisory_unlock_all()")
    finally:
        conn.terminate()


async def alone(
    url: str, name: str = "kalshi-gateway", settings: Mapping[str, str] | None = None
) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection outside the pool, known to the server by that name; the caller closes it."""
    conn = await asyncpg.connect(
        driver_url(url),
        timeout=ACQUIRE_SECONDS,
        command_timeout=ALONE_SECONDS,
        server_settings={"application_name": name, **(settings or {})},
    )
    try:
        await _teach_search_words(conn)
    except BaseException:
        conn.terminate()
        raise
    return conn


async def _teach_search_words(conn: Driver) -> None:
    """Let a connection write words as a tsvector, which the driver alone cannot do by COPY."""
    await conn.set_type_codec(
        "tsvector",
        schema="pg_catalog",
        format="binary",
        encoder=_tsvector,
        decoder=_words,
    )


# Postgres's own binary form, `tsvectorsend`: a count, then each word with NUL and no positions. Of
# words that are not in order it makes them so; they must differ.
_WORD_END = "\0\0\0"


def _tsvector(words: Sequence[str]) -> bytes:
    return pack("!i", len(words)) + "".join([word + _WORD_END for word in words]).encode()


def _words(tsvector: bytes) -> list[str]:
    return tsvector[4:].decode().split(_WORD_END)[:-1]


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
