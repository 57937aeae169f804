"""One writer among many: who leads, who takes over, and which word holds."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest

from kalshi_gateway import db
from kalshi_gateway.db import Driver, alone, leadership
from kalshi_gateway.kalshi.drift import Drift
from kalshi_gateway.markets import sync
from kalshi_gateway.markets.catalogue import Catalogue
from kalshi_gateway.markets.sync import JOB, NotLeading, Sync
from kalshi_gateway.simulator.exchange import Exchange
from tests.markets.builders import a_row
from tests.wires import wire

from .desk import MINUTE, Desk, Wire, a_line
from .desk import desk as a_desk
from .outages import all_known, eventually, writers

NOW = datetime.now(UTC)
#: Rows put into the table by this connection, those that were taken back among them.
INSERTED = "SELECT pg_stat_get_xact_tuples_inserted('instruments'::regclass)"
GONE = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds are hundredths here."""
    for name in ("TAKEOVER", "CLOCK", "AFTER_FAILURE"):
        monkeypatch.setattr(sync, name, timedelta(seconds=0.02))


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Driver]:
    conn = await alone(database_url)
    yield conn
    await conn.close()


@asynccontextmanager
async def running(database_url: str, exchange: Exchange) -> AsyncIterator[Wire]:
    """The loop of one process; its way to the exchange shows whether it is at work."""
    wire = Wire(exchange)
    async with a_line(wire) as kalshi:
        loop = Sync(
            database_url, kalshi, changes_every=timedelta(seconds=0.05), prices_every=MINUTE
        )
        task = asyncio.create_task(loop.run())
        try:
            yield wire
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_of_several_processes_one_leads(
    exchange: Exchange, database_url: str, conn: Driver
) -> None:
    """The others ask nothing of the exchange."""
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(running(database_url, exchange)) for _ in range(3)]
        await eventually(lambda: all_known(conn))

        assert len(await writers(conn)) == 1
        assert [bool(wire.asked) for wire in wires].count(True) == 1


async def test_another_takes_over_when_the_leaders_connection_dies(
    exchange: Exchange, database_url: str, conn: Driver
) -> None:
    """Somebody leads again at once, again exactly one, and it keeps things fresh."""
    async with running(database_url, exchange), running(database_url, exchange):
        await eventually(lambda: all_known(conn))
        (leader,) = await writers(conn)

        await conn.execute("SELECT pg_terminate_backend($1)", leader)
        await eventually(lambda: another_writes(conn, leader))
        ticker = next(iter(exchange.catalogue.created["open", 0].things)).ticker
        exchange.catalogue.settle(ticker, "no")
        await eventually(lambda: is_settled(conn, ticker))


async def another_writes(conn: Driver, than: int) -> bool:
    found = await writers(conn)
    return len(found) == 1 and found != [than]


async def is_settled(conn: Driver, ticker: str) -> bool:
    said: str = await conn.fetchval("SELECT status FROM instruments WHERE ticker = $1", ticker)
    return said == "settled"


async def test_a_database_that_falls_silent_is_given_up(
    exchange: Exchange, database_url: str, conn: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never says that the connection is gone: somebody leads again over another one."""
    monkeypatch.setattr(db, "ALONE_SECONDS", 1)
    async with wire(database_url) as way, running(way.url, exchange):
        await eventually(lambda: all_known(conn))

        way.cut()
        for leader in await writers(conn):  # whom the server misses by itself after a while
            await conn.execute("SELECT pg_terminate_backend($1)", leader)
        ticker = next(iter(exchange.catalogue.created["open", 0].things)).ticker
        exchange.catalogue.settle(ticker, "no")

        await eventually(lambda: is_settled(conn, ticker))


async def test_who_has_lost_the_lead_cannot_write(
    exchange: Exchange, database_url: str, conn: Driver
) -> None:
    """Its connection was its right: it learns so by its next word, and changes nothing."""

    async def lead_and_lose() -> None:
        async with a_desk(database_url, exchange) as desk:
            await desk.walk()
            (leader,) = await writers(conn)
            await conn.execute("SELECT pg_terminate_backend($1)", leader)
            async with a_desk(database_url, exchange) as successor:
                before = await successor.versions()
                for entry in list(exchange.catalogue.created["open", 0].things):
                    exchange.catalogue.change(entry.ticker, last_price_dollars="0.0100")
                with pytest.raises(GONE):
                    await desk.writer.everything()
                assert await successor.rewritten(before) == set()

    with pytest.raises(GONE):  # and so it learns when it says that it is done
        await lead_and_lose()


async def test_a_walk_on_demand_is_refused_while_somebody_leads(
    desk: Desk, exchange: Exchange, database_url: str
) -> None:
    """`sync` beside a running gateway says so, and asks nothing."""
    wire = Wire(exchange)
    async with a_line(wire) as kalshi:
        once = Sync(database_url, kalshi, changes_every=MINUTE, prices_every=MINUTE).once()
        with pytest.raises(NotLeading):
            await once

    assert wire.asked == []


async def test_whoever_is_done_lets_go_of_the_lead(exchange: Exchange, database_url: str) -> None:
    """The next one need not wait until the server misses the last."""
    for _ in range(3):
        async with leadership(database_url, JOB) as led:
            assert led is not None


# --- which word holds


def a_page(*prices: str) -> list[msgspec.Raw]:
    """Markets with these last prices, in order."""
    return [
        msgspec.Raw(msgspec.json.encode(a_row(f"KXAGE-{number}", last_price_dollars=price)))
        for number, price in enumerate(prices)
    ]


async def save(conn: Driver, catalogue: Catalogue, price: str, as_of: datetime) -> int:
    """Store a page as of a moment; how many rows were new to the writer."""
    batch = await catalogue.markets(a_page(price), as_of)
    async with conn.transaction():
        await batch.save(conn)
    batch.keep()
    return batch.changed


async def price(conn: Driver) -> int:
    found: int = await conn.fetchval("SELECT last_price_microdollars FROM instruments")
    return found


async def test_of_many_writers_at_once_the_latest_word_holds(
    database_url: str, conn: Driver
) -> None:
    """In whatever order they come: nothing newer is overwritten by what was asked before it."""
    ages = list(range(40))
    random.Random(5).shuffle(ages)

    async def one(age: int) -> None:
        other = await alone(database_url)
        try:
            await save(other, Catalogue(Drift()), f"0.{age:02}", NOW + timedelta(seconds=age))
        finally:
            await other.close()

    for some in (ages[:20], ages[20:]):
        await asyncio.gather(*map(one, some))

    assert await price(conn) == 390_000


async def test_what_came_too_late_is_not_taken_for_known(conn: Driver) -> None:
    """Somebody else stored a later price: when the earlier one comes again it is news."""
    ours, theirs = Catalogue(Drift()), Catalogue(Drift())
    await save(conn, theirs, "0.5000", NOW)
    await save(conn, ours, "0.4000", NOW - timedelta(seconds=1))
    kept = await price(conn)

    news = await save(conn, ours, "0.4000", NOW + timedelta(seconds=1))

    assert (kept, news) == (500_000, 1)
    assert await price(conn) == 400_000


async def read_again(conn: Driver) -> Catalogue:
    catalogue = Catalogue(Drift())
    await save(conn, catalogue, "0.4000", NOW)
    catalogue.read_again(["KXAGE-0"])
    return catalogue


async def marked_for_the_next_process(conn: Driver) -> Catalogue:
    await save(conn, Catalogue(Drift()), "0.4000", NOW)
    await conn.execute("UPDATE instruments SET digest = NULL")
    catalogue = Catalogue(Drift())
    await catalogue.load(conn)
    return catalogue


async def come_too_late(conn: Driver) -> Catalogue:
    catalogue = Catalogue(Drift())
    await save(conn, catalogue, "0.4000", NOW)
    await save(conn, Catalogue(Drift()), "0.5000", NOW + timedelta(seconds=2))
    await save(conn, catalogue, "0.4500", NOW + timedelta(seconds=1))
    return catalogue


@pytest.mark.parametrize("known", [read_again, marked_for_the_next_process, come_too_late])
async def test_what_is_stored_already_is_not_tried_as_new(
    conn: Driver, known: Callable[[Driver], Awaitable[Catalogue]]
) -> None:
    """Though its next row is news whatever it says: a COPY in vain leaves dead rows behind."""
    catalogue = await known(conn)
    batch = await catalogue.markets(a_page("0.4000"), NOW + timedelta(seconds=3))

    async with conn.transaction():
        before = await conn.fetchval(INSERTED)
        await batch.save(conn)
        inserted = await conn.fetchval(INSERTED) - before

    assert (batch.changed, inserted) == (1, 0)
    assert await price(conn) == 400_000
