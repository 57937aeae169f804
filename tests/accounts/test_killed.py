"""A process killed in the middle of a refresh, and another one that comes after it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from kalshi_gateway.db import Database, Driver
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.exchange import Exchange
from tests.accounts.refreshing_process import settings_for
from tests.accounts.users import User, Users
from tests.simulator.moments import Moment
from tests.sync.outages import eventually, listening

ROOT = Path(__file__).parents[2]
MARKET = "KXCALM-26-A"
FILLS, SETTLEMENTS = "GET /portfolio/fills", "GET /portfolio/settlements"

#: All that is kept of a user; who refreshes now, and until when, is no part of it.
KEPT = {
    "kalshi_account_cache": "to_jsonb(t) - 'claim' - 'claimed_until' - 'watched_at'",
    **dict.fromkeys(
        (
            "kalshi_ledgers",
            "kalshi_fills",
            "kalshi_orders",
            "kalshi_settlements",
            "kalshi_transfers",
            "kalshi_account_snapshots",
            "kalshi_ledger_walks",
        ),
        "to_jsonb(t)",
    ),
}


class At(NamedTuple):
    """Where a refresh is stopped: before this statement, in the transaction after this call."""

    statement: str
    table: str
    call: str


MOMENTS = {
    "a page of a long list": At("INSERT INTO kalshi_ledger_walks", "kalshi_ledger_walks", FILLS),
    "fills": At("INSERT INTO kalshi_fills", "kalshi_fills", SETTLEMENTS),
    "settlements": At("INSERT INTO kalshi_settlements", "kalshi_settlements", SETTLEMENTS),
    "what it was worth": At(
        "INSERT INTO kalshi_account_snapshots", "kalshi_account_snapshots", SETTLEMENTS
    ),
    "the account": At(
        "UPDATE kalshi_account_cache SET signed", "kalshi_account_cache", SETTLEMENTS
    ),
}


@pytest.fixture
async def exchange_url(exchange: Exchange) -> AsyncIterator[str]:
    async with listening(exchange) as url:
        yield url


@pytest.fixture
def settings(exchange_url: str) -> Settings:
    return settings_for(exchange_url)


@pytest.mark.parametrize("moment_of_death", MOMENTS)
async def test_killed_while_it_writes(
    users: Users,
    exchange: Exchange,
    exchange_url: str,
    database: Database,
    database_url: str,
    moment: Moment,
    moment_of_death: str,
) -> None:
    """Of its transaction nothing is there; the next one has all, and nothing twice."""
    at = MOMENTS[moment_of_death]
    ada = await users.admit(dollars=1_000)
    await trade(users, ada, moment)
    assert (await users.client.post(f"{ada.path}/account/refresh")).status_code == 200
    await trade(users, ada, moment)
    before = await kept(database)
    if at.call == FILLS:
        exchange.faults.half_page(path="/portfolio/fills", times=2)  # of the two tries
    slow = exchange.faults.hang(operation=at.call)

    async with refreshing_process(database_url, exchange_url, "ada") as kill:
        await eventually(lambda: is_so(lambda: bool(exchange.faults.hanging)))
        async with held(database_url, at.table):
            exchange.faults.remove(slow)
            exchange.faults.release()
            await eventually(lambda: is_waiting(database, at.statement))
            kill()
    await eventually(lambda: nobody_writes(database))
    exchange.faults.clear()
    left = await kept(database)
    await let_the_claim_run_out(database)
    response = await users.client.post(f"{ada.path}/account/refresh")

    assert left == before
    assert response.status_code == 200
    await assert_all_is_there_once(users, ada, database)


async def trade(users: Users, ada: User, moment: Moment) -> None:
    """Something new in every list."""
    settled = f"KXOVER-{moment().timestamp():.0f}-A"
    users.exchange.ledger.bank.deposit(ada.member, 5_000)
    for count in range(1, 5):
        users.trade(ada, MARKET, "bid", "0.4000", f"{count}.00")
    users.trade(ada, settled, "bid", "0.3000", "2.00")
    users.exchange.desk.rest(ada.member, MARKET, "bid", "0.2000", "5.00")
    users.exchange.catalogue.settle(settled, "yes")
    moment.move(minutes=10)


async def assert_all_is_there_once(users: Users, ada: User, database: Database) -> None:
    truth = users.truth(ada)
    lists = {
        what: (await users.get(ada, what, params={"limit": 1_000}))[what]
        for what in ("fills", "orders", "settlements", "history")
    }
    account, pnl = await users.get(ada), await users.get(ada, "pnl")

    fills, orders = lists["fills"], lists["orders"]
    assert sorted(f["fill_id"] for f in fills) == sorted(f["fill_id"] for f in truth["fills"])
    assert sorted(o["order_id"] for o in orders) == sorted(o["order_id"] for o in truth["orders"])
    assert sorted(s["ticker"] for s in lists["settlements"]) == sorted(
        s["ticker"] for s in truth["settlements"]
    )
    assert len({row["at"] for row in lists["history"]}) == len(lists["history"]) == 2
    assert account["balance"] == Decimal(truth["balance_dollars"])
    assert account["meta"]["complete"] is True
    assert pnl["reconciliation"]["positions"] == []
    async with database.driver() as conn:
        assert await conn.fetchval("SELECT count(*) FROM kalshi_transfers") == 3
        assert await conn.fetchval("SELECT count(*) FROM kalshi_ledgers") == 1


@asynccontextmanager
async def refreshing_process(*arguments: str) -> AsyncIterator[Callable[[], None]]:
    """Another process that reads an account; what kills it, as at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.accounts.refreshing_process",
        *arguments,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process.kill
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


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


async def kept(database: Database) -> dict[str, list[Any]]:
    async with database.driver() as conn:
        return {
            table: [row[0] for row in await _rows(conn, table, what)]
            for table, what in KEPT.items()
        }


async def _rows(conn: Driver, table: str, what: str) -> list[Any]:
    return await conn.fetch(f"SELECT ({what})::text AS row FROM {table} t ORDER BY row")


async def is_so(condition: Callable[[], bool]) -> bool:
    return condition()


async def is_waiting(database: Database, statement: str) -> bool:
    """Whether somebody stands before a lock with that statement."""
    async with database.driver() as conn:
        return bool(
            await conn.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock' AND query LIKE $1",
                f"%{statement}%",
            )
        )


async def nobody_writes(database: Database) -> bool:
    """Whether no transaction is open any more."""
    async with database.driver() as conn:
        return not await conn.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_xid IS NOT NULL"
        )


async def let_the_claim_run_out(database: Database) -> None:
    async with database.driver() as conn:
        claimed = await conn.execute(
            "UPDATE kalshi_account_cache SET claimed_until = now() - interval '1 s'"
            " WHERE claimed_until > now()"
        )
    assert claimed == "UPDATE 1"
