"""Revoked tokens and virtual keys, told to every process until all of them have heard.

Each process listens on one connection, which holds a shared advisory lock for as long as it does.
Whoever revokes looks up who holds that lock, and waits for a word from each. A process that does
not listen asks about a token at every request; one that cannot be reached believes in it for no
longer than `FRESH_FOR`, and so long is waited for those who do not answer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import structlog

from kalshi_gateway.db import ACQUIRE_SECONDS, KEEPALIVES, Driver, driver_url, lock_key

log = structlog.get_logger(__name__)

#: For this long a process that listens believes in a token without asking.
FRESH_FOR = timedelta(seconds=2)

TRY_AGAIN = timedelta(seconds=1)

#: Those who hold the lock are looked up again this often: some may have gone.
LOOK_AGAIN = timedelta(milliseconds=100)

REVOKED = "kalshi_gateway_token_revoked"
HEARD = "kalshi_gateway_token_heard"
LISTENERS = lock_key("token listeners")

# Advisory locks of one 64 bit key are listed as two halves.
WHO_LISTENS = """
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid::bigint = (($1::bigint >> 32) & 4294967295)
  AND objid::bigint = ($1::bigint & 4294967295)
"""


Hear = Callable[[Any, int, str, object], None]


class Hearer(Protocol):
    """Whoever keeps tokens, or virtual keys, in memory."""

    #: Whether it would hear of a revoked one; while it would not, it must ask each time.
    hears: bool

    def forget(self, token_id: UUID | None) -> None:
        """Ask again about a token, or about all."""


class Listener:
    """Hears of what is revoked for as long as the application runs."""

    def __init__(self, url: str, *hearers: Hearer) -> None:
        self._url = url
        self._hearers = hearers

    async def run(self) -> None:
        """Listen; whenever that breaks off, listen again."""
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("revocations not heard", why=type(error).__name__)
            await asyncio.sleep(TRY_AGAIN.total_seconds())

    async def _listen(self) -> None:
        conn = await asyncpg.connect(
            driver_url(self._url),
            timeout=ACQUIRE_SECONDS,
            server_settings={"application_name": "kalshi-gateway tokens", **KEEPALIVES},
        )
        revoked: asyncio.Queue[str | None] = asyncio.Queue()
        try:
            conn.add_termination_listener(lambda _: revoked.put_nowait(None))
            await conn.add_listener(REVOKED, self._forgetting(revoked))
            await conn.execute("SELECT pg_advisory_lock_shared($1)", LISTENERS)
            # What was revoked before we were listed, nobody has told us.
            self._forget(None)
            self._hear(True)
            while (token_id := await revoked.get()) is not None:
                word = f"{token_id} {conn.get_server_pid()}"
                await conn.execute("SELECT pg_notify($1, $2)", HEARD, word)
            raise ConnectionResetError
        finally:
            self._hear(False)
            conn.terminate()

    def _forgetting(self, revoked: "asyncio.Queue[str | None]") -> Hear:
        def hear(_: Any, __: int, ___: str, token_id: object) -> None:
            self._forget(UUID(str(token_id)))
            revoked.put_nowait(str(token_id))

        return hear

    def _forget(self, token_id: UUID | None) -> None:
        for hearer in self._hearers:
            hearer.forget(token_id)

    def _hear(self, hears: bool) -> None:
        for hearer in self._hearers:
            hearer.hears = hears


@asynccontextmanager
async def heard_by_all(
    driver: Driver,
) -> AsyncIterator[Callable[[UUID], Coroutine[Any, Any, bool]]]:
    """What waits, after the commit, until every process has forgotten a token.

    It is True when all have said so, and False when `FRESH_FOR` was waited for one that did not.
    """
    words: asyncio.Queue[str] = asyncio.Queue()

    def hear(_: Any, __: int, ___: str, word: object) -> None:
        words.put_nowait(str(word))

    async def wait(token_id: UUID) -> bool:
        try:
            async with asyncio.timeout(FRESH_FOR.total_seconds()):
                await _all(driver, token_id, words)
        except TimeoutError:
            return False
        return True

    await driver.add_listener(HEARD, hear)
    try:
        yield wait
    finally:
        await driver.remove_listener(HEARD, hear)


async def _all(driver: Driver, token_id: UUID, words: "asyncio.Queue[str]") -> None:
    said: set[int] = set()
    while True:
        listeners = {row["pid"] for row in await driver.fetch(WHO_LISTENS, LISTENERS)}
        if listeners <= said:
            return
        try:
            async with asyncio.timeout(LOOK_AGAIN.total_seconds()):
                said |= _pid(await words.get(), token_id)
        except TimeoutError:
            continue
        while not words.empty():
            said |= _pid(words.get_nowait(), token_id)


def _pid(word: str, token_id: UUID) -> set[int]:
    of, _, pid = word.partition(" ")
    return {int(pid)} if of == str(token_id) else set()
