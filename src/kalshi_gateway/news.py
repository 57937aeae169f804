"""What has changed, told to every process, and waited for until all of them have heard.

What a process keeps in memory of a token or of a user is old as soon as the rows behind it change.
So a change is told in the transaction that makes it, and each process listens on one connection,
which holds a shared advisory lock for as long as it does. Whoever must be sure that all have heard
calls the roll: notifications come in the order of the commits, so who answers a call has heard all
that was told before it. A process that does not listen keeps nothing and asks each time; one that
cannot be reached keeps things no longer than `FRESH_FOR`, and so long is waited for those who do
not answer. One exception is made: who cannot ask the database either goes on believing in the
tokens and keys that it knows (`TRUSTED_FOR`), so that reading outlives the database.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from secrets import token_hex
from typing import Any, Protocol

import asyncpg
import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from .db import ACQUIRE_SECONDS, KEEPALIVES, LOST, Database, Driver, driver_url, lock_key

log = structlog.get_logger(__name__)

#: For this long a process that listens believes in what it keeps without asking.
FRESH_FOR = timedelta(seconds=2)

#: After such a silence the database is asked whether it is there, and has so long to say so:
#: together less than `FRESH_FOR`.
SILENCE = timedelta(milliseconds=500)
LIVES_WITHIN = timedelta(seconds=1)

TRY_AGAIN = timedelta(seconds=1)

#: Those who hold the lock are looked up again this often: some may have gone.
LOOK_AGAIN = timedelta(milliseconds=100)

#: A word is a topic and a name: `token` or (virtual) `key` and its id; `user` and theirs, of whose
#: account and key the database itself tells (`0011_tell_of_accounts.py`); `roll` and a call's own.
NEWS = "kalshi_gateway_news"
HEARD = "kalshi_gateway_heard"
LISTENERS = lock_key("listeners")

# Advisory locks of one 64 bit key are listed as two halves.
WHO_LISTENS = """
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid::bigint = (($1::bigint >> 32) & 4294967295)
  AND objid::bigint = ($1::bigint & 4294967295)
"""


Hear = Callable[[Any, int, str, object], None]


class Keeps(Protocol):
    """Whoever keeps in memory what may change in the database."""

    #: Whether it would hear of a change; while it would not, it must ask each time.
    hears: bool

    def forget(self, name: str | None) -> None:
        """Ask again about what is named, which has changed, or about all of it."""


class Several:
    """Several who keep something of what one topic tells of."""

    def __init__(self, *keeping: Keeps) -> None:
        self._keeping = keeping

    @property
    def hears(self) -> bool:
        return all(keeps.hears for keeps in self._keeping)

    @hears.setter
    def hears(self, hears: bool) -> None:
        for keeps in self._keeping:
            keeps.hears = hears

    def forget(self, name: str | None) -> None:
        for keeps in self._keeping:
            keeps.forget(name)


async def tell(conn: AsyncConnection, topic: str, name: object) -> None:
    """Tell of a change, once the transaction that makes it is committed."""
    await conn.execute(select(func.pg_notify(NEWS, f"{topic} {name}")))


class Listener:
    """Hears what has changed for as long as the application runs."""

    def __init__(
        self, url: str, keeping: Mapping[str, Keeps], silent: Callable[[], None] | None = None
    ) -> None:
        """`keeping` is who keeps what, by the topic under which its changes are told.

        Whoever listens is the first to notice that the database is `silent`.
        """
        self._url = url
        self._keeping = keeping
        self._silent = silent

    async def run(self) -> None:
        """Listen; whenever that breaks off, listen again."""
        while True:
            try:
                await self._listen()
            except (*LOST, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if isinstance(error, TimeoutError) and self._silent is not None:
                    self._silent()
                log.warning("changes not heard", why=type(error).__name__)
            except Exception as error:
                log.exception("changes not heard", why=type(error).__name__)
            await asyncio.sleep(TRY_AGAIN.total_seconds())

    async def _listen(self) -> None:
        conn = await asyncpg.connect(
            driver_url(self._url),
            timeout=ACQUIRE_SECONDS,
            server_settings={"application_name": "kalshi-gateway news", **KEEPALIVES},
        )
        calls: asyncio.Queue[str | None] = asyncio.Queue()
        try:
            conn.add_termination_listener(lambda _: calls.put_nowait(None))
            await conn.add_listener(NEWS, self._hearing(calls))
            await conn.execute("SELECT pg_advisory_lock_shared($1)", LISTENERS)
            # What changed before we were listed, nobody has told us.
            self._turn(hears=True)
            await _answer(conn, calls)
            raise ConnectionResetError
        finally:
            self._turn(hears=False)
            conn.terminate()

    def _turn(self, *, hears: bool) -> None:
        for keeps in self._keeping.values():
            keeps.forget(None)
            keeps.hears = hears

    def _hearing(self, calls: "asyncio.Queue[str | None]") -> Hear:
        def hear(_: Any, __: int, ___: str, told: object) -> None:
            topic, name = str(told).partition(" ")[::2]
            if topic == "roll":
                calls.put_nowait(name)
            elif topic in self._keeping:
                self._keeping[topic].forget(name)

        return hear


async def _answer(conn: Driver, calls: "asyncio.Queue[str | None]") -> None:
    """Answer whenever the roll is called, for as long as the connection lives.

    The machine behind it may be gone without a word: a silence is looked into.
    """
    while True:
        try:
            async with asyncio.timeout(SILENCE.total_seconds()):
                call = await calls.get()
        except TimeoutError:
            await conn.execute("SELECT 1", timeout=LIVES_WITHIN.total_seconds())
            continue
        if call is None:
            return
        answer = f"{call} {conn.get_server_pid()}"
        await conn.execute(
            "SELECT pg_notify($1, $2)", HEARD, answer, timeout=LIVES_WITHIN.total_seconds()
        )


class Roll:
    """Calls the roll; those who want it called at the same time share a call."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._under_way: asyncio.Task[bool] | None = None
        self._next: asyncio.Task[bool] | None = None

    async def all_have_heard(self) -> bool:
        """Wait until every process has heard what has been told by now, as `heard_by_all` does."""
        # The call that is under way may have begun before that was told: the next one will do.
        if self._next is None:
            self._next = asyncio.create_task(self._call_after(self._under_way), name="roll")
            self._next.add_done_callback(_seen)
        return await asyncio.shield(self._next)

    async def _call_after(self, before: "asyncio.Task[bool] | None") -> bool:
        if before is not None:
            await asyncio.wait({before})
        self._under_way, self._next = self._next, None
        return await heard_by_all(self._database)


async def heard_by_all(database: Database) -> bool:
    """Wait until every process has heard what was told before.

    It is True when all have said so, and False when `FRESH_FOR` was waited for one that did not.
    """
    call, answers = token_hex(8), asyncio.Queue[str]()

    def hear(_: Any, __: int, ___: str, answer: object) -> None:
        answers.put_nowait(str(answer))

    async with database.driver() as driver:
        try:
            await driver.add_listener(HEARD, hear)
            await driver.execute("SELECT pg_notify($1, $2)", NEWS, f"roll {call}")
            async with asyncio.timeout(FRESH_FOR.total_seconds()):
                await _all(driver, call, answers)
        except TimeoutError:
            return False
        finally:
            await driver.remove_listener(HEARD, hear)
    return True


async def _all(driver: Driver, call: str, answers: "asyncio.Queue[str]") -> None:
    answered: set[int] = set()
    while True:
        listeners = {row["pid"] for row in await driver.fetch(WHO_LISTENS, LISTENERS)}
        if listeners <= answered:
            return
        try:
            async with asyncio.timeout(LOOK_AGAIN.total_seconds()):
                answered |= _pid(await answers.get(), call)
        except TimeoutError:
            continue
        while not answers.empty():
            answered |= _pid(answers.get_nowait(), call)


def _pid(answer: str, call: str) -> set[int]:
    of, _, pid = answer.partition(" ")
    return {int(pid)} if of == call else set()


def _seen(task: "asyncio.Task[bool]") -> None:
    if not task.cancelled():
        task.exception()  # even if everybody has given up
