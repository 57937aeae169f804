"""Changes are told to every process, and who calls the roll knows that all have heard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from kalshi_gateway import news
from kalshi_gateway.background import beside
from kalshi_gateway.db import Database, Driver
from kalshi_gateway.news import HEARD, LISTENERS, NEWS, Listener, Roll
from tests.wires import wire


class Forgetful:
    """Notes what it is told, and whether it would be told."""

    def __init__(self) -> None:
        self.forgotten: list[str | None] = []
        self.turned = asyncio.Event()
        self._hears = False

    @property
    def hears(self) -> bool:
        return self._hears

    @hears.setter
    def hears(self, hears: bool) -> None:
        self._hears = hears
        self.turned.set()

    def forget(self, name: str | None) -> None:
        self.forgotten.append(name)

    async def until(self, *, hears: bool) -> None:
        while self.hears is not hears:
            self.turned.clear()
            await self.turned.wait()


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Forgetful]:
    """A process that keeps users' things."""
    keeps = Forgetful()
    async with beside(Listener(url, {"user": keeps}).run(), "listener"):
        await keeps.until(hears=True)
        keeps.forgotten.clear()
        yield keeps


@asynccontextmanager
async def silent(url: str) -> AsyncIterator[Driver]:
    """A process that is listed as one that listens, and says nothing by itself."""
    conn = await asyncpg.connect(url)
    await conn.execute("SELECT pg_advisory_lock_shared($1)", LISTENERS)
    try:
        yield conn
    finally:
        conn.terminate()


async def tell(database: Database, *words: str) -> None:
    async with database.driver() as conn, conn.transaction():
        for word in words:
            await conn.execute("SELECT pg_notify($1, $2)", NEWS, word)


async def test_all_have_heard(database: Database, database_url: str) -> None:
    """Whatever was told before the roll is called, all have forgotten when it has been called."""
    async with listening(database_url) as first, listening(database_url) as second:
        for number in range(20):
            await tell(database, f"user ada {number}", "stock acme")

            assert await news.heard_by_all(database)

            assert first.forgotten[-1] == second.forgotten[-1] == f"ada {number}"
        assert len(first.forgotten) == len(second.forgotten) == 20


async def test_nothing_is_told_before_it_is_so(database: Database, database_url: str) -> None:
    """What is taken back is not told, and what is told is to be seen."""
    async with listening(database_url) as keeps:
        async with database.driver() as conn:
            taken_back = conn.transaction()
            await taken_back.start()
            await conn.execute("SELECT pg_notify($1, 'user ada')", NEWS)
            await taken_back.rollback()
        await tell(database, "user bob")
        await news.heard_by_all(database)

        assert keeps.forgotten == ["bob"]


async def test_deaf(database: Database, database_url: str) -> None:
    """Who loses the connection knows at once, and forgets all before it hears again."""
    async with listening(database_url) as keeps:
        async with database.driver() as conn:
            await conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'kalshi-gateway news' AND datname = current_database()"
            )
        await keeps.until(hears=False)
        assert keeps.forgotten == [None]
        assert await news.heard_by_all(database)  # nobody is waited for who keeps nothing
        await tell(database, "user ada")

        await keeps.until(hears=True)

        assert keeps.forgotten[-1] is None


@pytest.mark.parametrize("error", [asyncpg.InternalClientError("lost"), LookupError("unforeseen")])
async def test_listens_again_whatever_broke_it(
    database_url: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Nothing that a connection comes to keeps a process from listening again."""
    connect, errors = asyncpg.connect, [error]

    async def failing(*args: Any, **named: Any) -> Any:
        if errors:
            raise errors.pop()
        return await connect(*args, **named)

    monkeypatch.setattr(asyncpg, "connect", failing)
    monkeypatch.setattr(news, "TRY_AGAIN", timedelta(0))

    with capture_logs() as lines:
        async with listening(database_url):
            pass

    assert [line["event"] for line in lines] == ["changes not heard"]


async def test_dead_connection(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose connection is gone without a word takes nothing for true, and connects anew."""
    monkeypatch.setattr(news, "SILENCE", timedelta(milliseconds=10))
    monkeypatch.setattr(news, "LIVES_WITHIN", timedelta(milliseconds=100))
    monkeypatch.setattr(news, "TRY_AGAIN", timedelta(0))
    async with wire(database_url) as way, listening(way.url) as keeps:
        way.cut()

        await keeps.until(hears=False)
        await keeps.until(hears=True)


async def test_one_that_goes_is_not_waited_for(database: Database, database_url: str) -> None:
    """A process that ends while it is waited for is not missed."""
    async with silent(database_url) as other:
        waiting = asyncio.create_task(news.heard_by_all(database))
        await asyncio.sleep(0)
        await other.close()

        assert await waiting is True


async def test_one_that_does_not_answer(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who says nothing is waited for until it keeps nothing older any more, and no longer."""
    monkeypatch.setattr(news, "FRESH_FOR", timedelta(milliseconds=200))

    async with silent(database_url):
        assert await news.heard_by_all(database) is False


async def test_answers_to_another_call_do_not_count(database: Database, database_url: str) -> None:
    """Who has answered an earlier call may not have heard what was told since."""
    calls: asyncio.Queue[str] = asyncio.Queue()

    async with silent(database_url) as other:

        async def answer(call: str) -> None:
            await other.execute(
                "SELECT pg_notify($1, $2)", HEARD, f"{call} {other.get_server_pid()}"
            )

        await other.add_listener(NEWS, lambda *told: calls.put_nowait(str(told[-1])))
        waiting = asyncio.create_task(news.heard_by_all(database))
        call = (await calls.get()).removeprefix("roll ")

        await answer("another")
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        await answer(call)

        assert await waiting is True


async def test_calls_at_the_same_time_are_one(database: Database, database_url: str) -> None:
    """A thousand who want to be sure call the roll twice: once under way, and once for the rest."""
    calls: list[str] = []
    roll = Roll(database)

    async with silent(database_url) as ear, listening(database_url) as keeps:
        await ear.execute("SELECT pg_advisory_unlock_all()")
        await ear.add_listener(NEWS, lambda *told: calls.append(str(told[-1])))
        first = asyncio.create_task(roll.all_have_heard())
        while not calls:  # noqa: ASYNC110 - the call is under way when it is heard
            await asyncio.sleep(0.01)
        await tell(database, "user ada")
        others = [asyncio.create_task(roll.all_have_heard()) for _ in range(1_000)]

        assert await first
        assert all(await asyncio.gather(*others))

        assert keeps.forgotten == ["ada"]
        assert [word.split()[0] for word in calls] == ["roll", "user", "roll"]
