"""A process killed in the middle of a walk, and the one that comes after it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from kalshi_gateway.db import Driver
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.faults import Fault

from .desk import desk as a_desk
from .outages import all_known, eventually, is_waiting, listening, writer_process, writers

#: What makes the writer wait at that moment, and the statement at which it does.
MOMENTS = {
    "marking events": ("events", "UPDATE events SET digest"),
    "storing markets": ("instruments", "COPY"),
    "adding up": ("events", "UPDATE events e SET"),
    "noting the page": ("catalogue_walks", "UPDATE catalogue_walks"),
}


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Driver]:
    conn = await asyncpg.connect(database_url)
    yield conn
    await conn.close()


async def test_killed_while_it_waits_for_a_page(
    exchange: Exchange, database_url: str, conn: Driver
) -> None:
    """What was stored stays, and the next one goes on from there."""
    hang = Fault(kind="hang", operation="GET /markets")

    async def page_is_waited_for() -> bool:
        if await rows_of(conn, "markets:open") and not exchange.faults.active:
            exchange.faults.add(hang)
        return hang.hits > 0

    async with listening(exchange) as url, writer_process(database_url, url) as kill:
        await eventually(page_is_waited_for)
        kill()
        await eventually(lambda: nobody_writes(conn))
    exchange.faults.clear()

    assert await conn.fetchval(STORED) == await rows_of(conn, "markets:%") > 0
    await assert_the_next_one_completes(exchange, database_url, conn)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_killed_while_it_writes(
    exchange: Exchange, database_url: str, conn: Driver, moment: str
) -> None:
    """A page and the note of it are there together, or not at all."""
    table, statement = MOMENTS[moment]

    async def under_way() -> bool:
        return moment == "marking events" or await rows_of(conn, "markets:open") > 0

    async with listening(exchange) as url, writer_process(database_url, url) as kill:
        await eventually(under_way)
        async with held(database_url, table):
            await eventually(lambda: is_waiting(conn, statement))
            kill()
        await eventually(lambda: nobody_writes(conn))

    assert await conn.fetchval(STORED) == await rows_of(conn, "markets:%")
    await assert_the_next_one_completes(exchange, database_url, conn)


async def test_killed_again_and_again(exchange: Exchange, database_url: str, conn: Driver) -> None:
    """Whenever that is, in the end everything is as the exchange has it."""
    async with listening(exchange) as url:
        for rows in (1, 200):

            async def came_so_far(rows: int = rows) -> bool:
                return await rows_of(conn, "markets:%") >= rows

            async with writer_process(database_url, url) as kill:
                await eventually(came_so_far)
                kill()
        for entry in list(exchange.catalogue.created["open", 0].things)[:20]:
            exchange.catalogue.settle(entry.ticker, "yes")

        async with writer_process(database_url, url):
            await eventually(lambda: all_known(conn))

    async with a_desk(database_url, exchange) as desk:
        before = await desk.versions()
        await desk.walk()
        assert await desk.rewritten(before) == set()
        assert {t: s for t, s in (await desk.statuses()).items() if s != "settled"} == desk.listed()


# --- what it leaves behind

STORED = "SELECT count(*) FROM instruments"


async def rows_of(conn: Driver, scope: str) -> int:
    """The rows that the walk has noted."""
    rows: int = await conn.fetchval(
        "SELECT coalesce(sum(rows), 0) FROM catalogue_walks WHERE scope LIKE $1", scope
    )
    return rows


async def nobody_writes(conn: Driver) -> bool:
    return await writers(conn) == []


@asynccontextmanager
async def held(url: str, table: str) -> AsyncIterator[None]:
    """Nobody writes to that table until the block ends."""
    conn = await asyncpg.connect(url)
    try:
        async with conn.transaction():
            await conn.execute(f"LOCK TABLE {table} IN SHARE MODE")
            yield
    finally:
        await conn.close()


async def assert_the_next_one_completes(
    exchange: Exchange, database_url: str, conn: Driver
) -> None:
    """It finishes what the killed one began, from the very page on, and all is right."""
    under_way = await conn.fetch(
        "SELECT scope, cursor FROM catalogue_walks WHERE cursor IS NOT NULL"
    )
    async with a_desk(database_url, exchange) as desk:
        await desk.walk()
        for scope, cursor in under_way:
            kind, _, status = scope.partition(":")
            asked = [q for q in desk.wire.queries(f"/{kind}") if q.get("status") == status]
            assert asked[0]["cursor"] == cursor
        assert await desk.statuses() == desk.listed()
        assert await desk.ask("SELECT count(*) FROM instruments WHERE category IS NULL") == [0]
        wrong = await desk.ask(
            "SELECT e.event_ticker FROM events e JOIN instruments i USING (event_ticker)"
            " GROUP BY e.event_ticker"
            " HAVING e.volume_24h_centicontracts <> sum(i.volume_24h_centicontracts)"
        )
        assert wrong == []
