"""Who refreshes an account, when, and what comes of it when things go wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from decimal import Decimal
from functools import partial
from uuid import uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs
from structlog.typing import EventDict

from kalshi_gateway import news
from kalshi_gateway.accounts import due, fetching, refresh, repository
from kalshi_gateway.accounts.due import DueAccounts
from kalshi_gateway.accounts.refresh import Refresher
from kalshi_gateway.app import create_app
from kalshi_gateway.background import beside
from kalshi_gateway.db import Database, Driver
from kalshi_gateway.dependencies import Resources
from kalshi_gateway.kalshi import calls
from kalshi_gateway.kalshi.retries import RetryAllowance
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator import app as simulator
from kalshi_gateway.simulator.exchange import Exchange
from tests.accounts.users import User, Users
from tests.simulator.moments import Moment
from tests.sync.outages import eventually

BALANCE = "GET /portfolio/balance"
MARKET = "KXCALM-26-A"


def refresher_of(app: FastAPI) -> Refresher:
    resources: Resources = app.state.resources
    return resources.refresher


@pytest.fixture
def refresher(app: FastAPI, client: httpx.AsyncClient) -> Refresher:
    return refresher_of(app)


async def hanging(exchange: Exchange) -> None:
    """Wait until somebody waits for an answer that does not come."""
    async with asyncio.timeout(120):
        while True:
            if exchange.faults.hanging:
                return
            await asyncio.sleep(0.001)


async def finished(refresher: Refresher) -> None:
    """Wait for the refreshes under way, whatever comes of them, and until all know of it."""
    while refresher.under_way:
        await asyncio.wait(refresher.under_way)
    await news.heard_by_all(refresher.database)


async def execute(database: Database, statement: str, *values: object) -> None:
    async with database.driver() as conn:
        await conn.execute(statement, *values)
    await news.heard_by_all(database)


async def changed(refresher: Refresher) -> None:
    """Something was done at the exchange, a while before what it says is current."""
    await refresher.invalidate("ada")
    await execute(
        refresher.database,
        "UPDATE kalshi_account_cache SET changed_at = changed_at - interval '1 minute'",
    )


async def aged(database: Database, by: timedelta) -> None:
    """Let all accounts have been read so long ago."""
    await execute(
        database, "UPDATE kalshi_account_cache SET as_of = as_of - $1::interval, due_at = now()", by
    )


async def reads(exchange: Exchange) -> int:
    """How often a balance was asked for."""
    return exchange.counters.requests[BALANCE]


# --- at once, or waited for


async def test_known_account_asks_nobody(users: Users, exchange: Exchange) -> None:
    """A young account is answered from what is kept."""
    ada = await users.admit()
    await users.get(ada)
    exchange.counters.reset()

    answer = await users.get(ada)

    assert answer["meta"]["source"] == "cache"
    assert exchange.counters.total == 0


async def test_old_account_is_answered_and_read(
    users: Users, database: Database, refresher: Refresher, moment: Moment
) -> None:
    """What is older than the setting is answered as it is, and is new for who asks next."""
    ada = await users.admit()
    before = await users.get(ada)
    moment.move(seconds=60)
    users.exchange.ledger.bank.deposit(ada.member, 5_000)
    moment.move(seconds=60)
    await aged(database, timedelta(minutes=2))

    old = await users.get(ada)
    await finished(refresher)
    new = await users.get(ada)

    assert old["balance"] == before["balance"] == 100
    assert new["balance"] == 150
    assert new["meta"]["source"] == "cache"


async def test_terms(users: Users, moment: Moment) -> None:
    """Who wants it younger waits, and gets it; who wants no asking gets what there is, or 504."""
    ada = await users.admit()

    only = await users.client.get(
        f"{ada.path}/account", headers={"Cache-Control": "only-if-cached"}
    )
    first = await users.client.get(f"{ada.path}/account")
    moment.move(seconds=10)
    forced = await users.client.get(f"{ada.path}/account", headers={"Cache-Control": "no-cache"})
    too_old = await users.client.get(f"{ada.path}/account?max_age=0")
    kept = await users.client.get(f"{ada.path}/account?max_age=3600")

    assert (only.status_code, only.json()["code"]) == (504, "not_cached")
    assert [r.headers["x-cache"] for r in (first, forced, too_old, kept)] == [
        "MISS",
        "BYPASS",
        "REVALIDATED",
        "HIT",
    ]
    assert kept.headers["age"].isdigit()
    again = await users.client.get(
        f"{ada.path}/account", headers={"If-None-Match": kept.headers["etag"]}
    )
    assert again.status_code == 304


async def test_who_asks_at_once_shares(users: Users, exchange: Exchange) -> None:
    """Twenty who ask for an account never seen, and twenty who force it, make one call each."""
    ada = await users.admit()
    exchange.counters.reset()

    await asyncio.gather(*(users.get(ada) for _ in range(20)))
    first = await reads(exchange)
    await asyncio.gather(*(users.client.post(f"{ada.path}/account/refresh") for _ in range(20)))

    assert first == 1
    assert await reads(exchange) == 1 or await reads(exchange) == 2


async def test_refresh_outlives_its_client(
    users: Users, refresher: Refresher, exchange: Exchange
) -> None:
    """A client that hangs up takes nothing with it."""
    ada = await users.admit()
    fault = exchange.faults.hang(operation=BALANCE)
    asking = asyncio.create_task(users.get(ada))
    await hanging(exchange)

    asking.cancel()
    await asyncio.wait([asking])
    exchange.faults.remove(fault)
    exchange.faults.release()
    await finished(refresher)

    assert (await users.get(ada))["meta"]["source"] == "cache"


async def test_forced_refresh_is_written_down(users: Users, database: Database) -> None:
    """Each is a line of the audit log; the deprecated GET does the same."""
    ada = await users.admit()

    posted = await users.client.post(f"{ada.path}/account/refresh")
    got = await users.client.get(f"{ada.path}/account/refresh")

    assert posted.status_code == got.status_code == 200
    async with database.driver() as conn:
        lines = await conn.fetch(
            "SELECT user_id, outcome FROM audit_log WHERE action = 'account.refresh'"
        )
    assert [tuple(line) for line in lines] == [("ada", "done")] * 2


# --- after a change


async def test_change_at_the_exchange_is_waited_for(
    users: Users, refresher: Refresher, moment: Moment
) -> None:
    """After something was done there, the next answer shows it, however young the last one is."""
    ada = await users.admit()
    await users.get(ada)
    users.trade(ada, MARKET, "bid", "0.4000", "10.00")
    moment.move(seconds=5)

    await changed(refresher)
    answer = await users.get(ada)

    assert [p["contracts"] for p in answer["positions"]] == [10]


async def test_fetch_begun_before_a_change_does_not_count(
    users: Users, refresher: Refresher, exchange: Exchange, moment: Moment
) -> None:
    """What was asked for before the change is not answered after it."""
    ada = await users.admit()
    await users.get(ada)
    moment.move(seconds=5)
    fault = exchange.faults.hang(operation="GET /portfolio/settlements")
    refresher.refresh_soon("ada")  # reads balance and positions, then hangs
    await hanging(exchange)

    users.trade(ada, MARKET, "bid", "0.4000", "10.00")
    moment.move(seconds=5)
    await changed(refresher)
    asking = asyncio.create_task(users.get(ada))
    exchange.faults.remove(fault)
    exchange.faults.release()
    answer = await asking

    assert [p["contracts"] for p in answer["positions"]] == [10]
    assert (await users.get(ada))["positions"] == answer["positions"]


# --- bad days


async def test_no_key(users: Users) -> None:
    """Without a key there is no account, and it says so."""
    for what in ("account", "positions", "fills", "orders", "settlements", "history", "pnl"):
        response = await users.client.get(f"/kalshi/users/nobody/{what}")
        assert (response.status_code, response.json()["code"]) == (404, "no_credentials")


async def test_exchange_down(users: Users, exchange: Exchange) -> None:
    """A known account is answered, stale and with the reason; of an unknown one it is 503."""
    ada, bob = await users.admit("ada"), await users.admit("bob")
    before = await users.get(ada)
    exchange.faults.status(503)

    known = await users.get(ada, headers={"Cache-Control": "no-cache"})
    plain = await users.get(ada)
    unknown = await users.client.get(f"{bob.path}/account")

    for answer in (known, plain):
        assert answer["balance"] == before["balance"]
        assert answer["meta"]["stale"] is True
        assert "the exchange cannot answer now" in str(answer["meta"]["warnings"])
    assert unknown.status_code == 503
    assert int(unknown.headers["retry-after"]) > 0


async def test_key_revoked(users: Users, exchange: Exchange) -> None:
    """What is known is answered with the reason; never as if the client's token were wrong."""
    ada, bob = await users.admit("ada"), await users.admit("bob")
    await users.get(ada)
    exchange.keys.revoke(ada.key_id)
    exchange.keys.revoke(bob.key_id)

    forced = await users.client.post(f"{ada.path}/account/refresh")
    known = await users.get(ada)
    unknown = await users.client.get(f"{bob.path}/account")

    assert (forced.status_code, forced.json()["code"]) == (502, "upstream_key_rejected")
    assert known["balance"] == 100
    assert known["meta"]["stale"] is True
    assert "does not accept the API key (401)" in str(known["meta"]["warnings"])
    assert (unknown.status_code, unknown.json()["code"]) == (502, "upstream_key_rejected")


async def test_user_deleted_in_mid_refresh(
    users: Users, refresher: Refresher, exchange: Exchange, database: Database
) -> None:
    """Nothing of it is written, and nothing is answered any more."""
    ada = await users.admit()
    fault = exchange.faults.hang(operation=BALANCE)
    refresher.refresh_soon("ada")
    await hanging(exchange)

    await users.client.delete(f"{ada.path}/credentials")
    exchange.faults.remove(fault)
    exchange.faults.release()
    await finished(refresher)

    async with database.driver() as conn:
        assert (
            await conn.fetchval("SELECT count(*) FROM kalshi_account_cache WHERE body <> ''") == 0
        )
        assert await conn.fetchval("SELECT count(*) FROM kalshi_account_snapshots") == 0
    response = await users.client.get(f"{ada.path}/account")
    assert response.json()["code"] == "no_credentials"


async def test_key_of_somebody_else(users: Users, moment: Moment) -> None:
    """A key of another member begins new records; with the old key the old ones are back."""
    ada, bob = await users.admit("ada"), await users.admit("bob", dollars=7)
    users.trade(ada, MARKET, "bid", "0.4000", "10.00")
    users.trade(bob, "KXCALM-26-B", "ask", "0.4000", "3.00")
    moment.move(seconds=5)
    own = await users.get(ada, "fills")

    await users.hand_over(User("ada", bob.member, bob.key_id, bob.private_key))
    others = await users.get(ada, "fills")
    account = await users.get(ada)
    await users.hand_over(ada)
    moment.move(seconds=5)
    back = await users.get(ada, "fills")

    assert [f["ticker"] for f in own["fills"]] == [MARKET]
    assert [f["ticker"] for f in others["fills"]] == ["KXCALM-26-B"]
    assert [p["ticker"] for p in account["positions"]] == ["KXCALM-26-B"]
    assert back["fills"] == own["fills"]


async def test_key_of_somebody_else_without_orders(users: Users, moment: Moment) -> None:
    """Whose members have placed no order, by which they would be known, are not taken for one."""
    ada = await users.admit(dollars=100)
    await users.get(ada)
    bob = users.exchange.desk.join("bob", deposit_cents=5_000)
    moment.move(seconds=5)

    await users.hand_over(User("ada", bob.member, bob.key_id, bob.private_pem))
    history = await users.get(ada, "history")
    pnl = await users.get(ada, "pnl")

    assert [row["balance"] for row in history["history"]] == [50]
    assert pnl["reconciliation"]["cash"]["deposits"] == 50


async def test_settlements_that_need_mending(
    users: Users, exchange: Exchange, moment: Moment
) -> None:
    """What can be read only leniently is counted as it was read, also when it is read again."""
    ada = await users.admit(dollars=100)
    users.trade(ada, MARKET, "bid", "0.4000", "10.00")
    exchange.desk.settle(MARKET, "yes")
    moment.move(minutes=1)
    exchange.faults.rows(retyped={"revenue": "1000"}, path="/portfolio/settlements")

    account = await users.get(ada)
    [settlement] = (await users.get(ada, "settlements"))["settlements"]
    pnl = await users.get(ada, "pnl")

    assert account["positions"] == []
    assert settlement["revenue"] == 10
    assert pnl["totals"]["realized_gross"] == 6
    assert pnl["reconciliation"]["adds_up"] is True


async def test_markets_are_looked_up_in_turn(
    users: Users, exchange: Exchange, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one refresh had no time to ask about, the next ones do; no name is asked about twice."""
    monkeypatch.setattr(refresh, "MOST_LOOKED_UP", 2)
    ada = await users.admit(dollars=100)
    tickers = [f"KXPAST{letter}-26-A" for letter in "ABCDE"]
    for ticker in tickers:
        users.trade(ada, ticker, "bid", "0.4000", "1.00")
        exchange.desk.settle(ticker, "yes")
    del exchange.catalogue.markets[tickers[0]]  # by any name
    moment.move(minutes=1)
    asked = exchange.counters.requests

    known = []
    for _ in range(4):
        moment.move(seconds=5)
        await users.client.post(f"{ada.path}/account/refresh")
        fills = (await users.get(ada, "fills"))["fills"]
        known.append(sum(fill["event_ticker"] is not None for fill in fills))

    assert known == [1, 3, 4, 4]
    assert asked["GET /markets/{ticker}"] == len(tickers)


async def test_another_members_data(users: Users, exchange: Exchange, moment: Moment) -> None:
    """Orders of somebody else are not taken in; what is known stays."""
    ada = await users.admit()
    users.trade(ada, MARKET, "bid", "0.4000", "10.00")
    moment.move(seconds=5)
    before = await users.get(ada, "orders")
    users.trade(ada, MARKET, "bid", "0.4000", "1.00")
    moment.move(seconds=5)
    exchange.faults.rows(retyped={"user_id": "somebody-else"}, path="/portfolio/orders")

    forced = await users.client.post(f"{ada.path}/account/refresh")
    after = await users.get(ada, "orders")

    assert (forced.status_code, forced.json()["code"]) == (502, "upstream_nonsense")
    assert after["orders"] == before["orders"]
    assert after["meta"]["stale"] is True


async def test_another_shape(users: Users, exchange: Exchange, moment: Moment) -> None:
    """A row that cannot be read is left out and counted; a balance without an amount is none."""
    ada = await users.admit()
    users.trade(ada, MARKET, "bid", "0.4000", "10.00")
    moment.move(seconds=5)
    fault = exchange.faults.rows(missing=["position_fp"], path="/portfolio/positions")

    spoiled = await users.get(ada)
    exchange.faults.remove(fault)
    moment.move(seconds=5)
    exchange.faults.rows(missing=["balance", "balance_dollars"], path="/portfolio/balance")
    forced = await users.client.post(f"{ada.path}/account/refresh")

    assert spoiled["meta"]["complete"] is False
    assert "1 rows could not be read" in str(spoiled["meta"]["warnings"])
    assert forced.json()["code"] == "upstream_nonsense"


async def test_archive_keeps_what_was_seen(
    users: Users, exchange: Exchange, moment: Moment
) -> None:
    """Settlements are kept when the exchange archives them, and fills are not shown twice."""
    ada = await users.admit()
    users.trade(ada, MARKET, "bid", "0.4000", "10.00")
    moment.move(minutes=5)
    exchange.desk.settle(MARKET, "yes")
    moment.move(minutes=5)
    before = await users.get(ada, "settlements")
    fills = await users.get(ada, "fills")
    moment.move(hours=1)
    exchange.overlap_us = 3_600_000_000
    from kalshi_gateway.simulator.times import micros

    exchange.archive(micros(moment.at - timedelta(minutes=30)))

    await users.client.post(f"{ada.path}/account/refresh")
    after = await users.get(ada, "settlements")

    assert len(before["settlements"]) == 1
    assert after["settlements"] == before["settlements"]
    assert (await users.get(ada, "fills"))["fills"] == fills["fills"]
    pnl = await users.get(ada, "pnl")
    truth = users.truth(ada)
    assert pnl["totals"]["realized_gross"] == Decimal(truth["realized_pnl_dollars"])
    assert pnl["complete"] is True


async def test_long_lists_go_on_where_they_stopped(
    users: Users,
    exchange: Exchange,
    moment: Moment,
    monkeypatch: pytest.MonkeyPatch,
    database: Database,
) -> None:
    """More pages than one refresh reads are read by the next ones; until then it says so."""
    monkeypatch.setattr(fetching, "MOST_PAGES", 1)
    exchange.faults.half_page(path="/portfolio/fills", times=2)
    ada = await users.admit()
    for count in range(1, 9):
        users.trade(ada, MARKET, "bid", "0.4000", f"{count}.00")
    moment.move(seconds=5)

    first = await users.get(ada, "fills")
    for _ in range(3):
        moment.move(seconds=5)
        await users.client.post(f"{ada.path}/account/refresh")
    last = await users.get(ada, "fills")

    assert len(first["fills"]) == 4
    assert first["meta"]["complete"] is False
    assert sorted(f["count"] for f in last["fills"]) == list(range(1, 9))
    assert last["meta"]["complete"] is True


async def test_rows_that_came_before_the_rest_failed(
    users: Users, exchange: Exchange, moment: Moment
) -> None:
    """Pages stored by a refresh that then fails count in what is made of the ledger."""
    ada = await users.admit()
    users.trade(ada, MARKET, "bid", "0.4000", "1.00")
    moment.move(seconds=5)
    before = await users.get(ada, "pnl")
    for _ in range(4):
        users.trade(ada, MARKET, "bid", "0.4000", "1.00")
    moment.move(seconds=5)
    exchange.faults.half_page(path="/portfolio/fills", times=1)
    slow = exchange.faults.hang(operation="GET /portfolio/settlements")

    refreshing = asyncio.create_task(users.client.post(f"{ada.path}/account/refresh"))
    while len((await users.get(ada, "fills"))["fills"]) == 1:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    exchange.faults.remove(slow)
    exchange.faults.status(500, path="/portfolio/settlements")
    exchange.faults.release()
    failed = await refreshing
    after = await users.get(ada, "pnl")

    assert failed.status_code == 503
    assert after["totals"]["fees_paid"] > before["totals"]["fees_paid"]


async def test_what_nobody_foresaw(users: Users, database: Database, moment: Moment) -> None:
    """An error of our own is logged and put off like any other; what is known is answered."""
    ada = await users.admit()
    await users.get(ada)
    await execute(database, "UPDATE kalshi_account_cache SET rows = '[]', due_at = now()")
    moment.move(seconds=5)

    with capture_logs() as lines:
        forced = await users.client.post(f"{ada.path}/account/refresh")
    known = await users.get(ada, headers={"Cache-Control": "no-cache"})

    assert (forced.status_code, forced.json()["code"]) == (500, "internal_error")
    [logged] = [line for line in lines if line["event"] == "account not read"]
    assert (logged["user"], logged["exc_info"]) == ("ada", True)
    assert known["balance"] == 100
    assert "went wrong in the gateway" in str(known["meta"]["warnings"])
    async with database.driver() as conn:
        rows = await conn.fetch(
            "SELECT failures, claim, due_at > now() + interval '4 minutes' AS later"
            " FROM kalshi_account_cache"
        )
    assert [tuple(row) for row in rows] == [(2, None, True)]


async def test_resting_order_that_ended(users: Users, exchange: Exchange, moment: Moment) -> None:
    """An old order that rests no more is asked for by its name."""
    ada = await users.admit()
    users.trade(ada, MARKET, "bid", "0.4000", "1.00")
    order = exchange.desk.rest(ada.member, MARKET, "bid", "0.2000", "5.00")
    moment.move(hours=2)
    await users.get(ada, "orders")
    moment.move(hours=2)
    exchange.ledger.cancel(ada.member, order.order_id)
    moment.move(seconds=5)

    await users.client.post(f"{ada.path}/account/refresh")
    orders = await users.get(ada, "orders", params={"status": "canceled"})

    assert [o["order_id"] for o in orders["orders"]] == [order.order_id]


async def test_clock_of_the_machine_jumps(users: Users, database: Database, moment: Moment) -> None:
    """An account dated in the future is neither lost nor believed for ever: its turn comes."""
    ada = await users.admit()
    await users.get(ada)
    await execute(
        database,
        "UPDATE kalshi_account_cache SET as_of = as_of + interval '1 day', due_at = now()",
    )
    users.exchange.ledger.bank.deposit(ada.member, 5_000)
    moment.move(seconds=60)

    ahead = await users.get(ada)
    await users.client.post(f"{ada.path}/account/refresh")
    after = await users.get(ada)

    assert ahead["meta"]["age_seconds"] == 0
    assert after["balance"] == 150


# --- many processes


@pytest.fixture
async def two(
    settings: Settings, database_url: str, exchange: Exchange, client: httpx.AsyncClient
) -> AsyncIterator[list[Refresher]]:
    """Two more processes on the same database, as far as a database can tell."""
    transport = httpx.ASGITransport(simulator.create_app(exchange))
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(2):
            app = create_app(settings, database_url=database_url, exchange=transport)
            await stack.enter_async_context(app.router.lifespan_context(app))
            found.append(refresher_of(app))
        yield found


async def test_two_processes_one_account(
    users: Users, two: list[Refresher], exchange: Exchange
) -> None:
    """Two that are asked for the same account at once read it once."""
    await users.admit()
    exchange.counters.reset()

    one, other = await asyncio.gather(*(refresher.refresh("ada") for refresher in two))

    assert one.body == other.body
    assert await reads(exchange) == 1


async def test_many_due_at_once(
    users: Users, two: list[Refresher], exchange: Exchange, database: Database
) -> None:
    """Forty accounts due are shared by two processes, and none is read twice."""
    for number in range(40):
        await users.admit(f"user-{number}", dollars=number + 1)
    exchange.counters.reset()
    loops = [DueAccounts(refresher, "default") for refresher in two]

    for _ in range(10):
        await asyncio.gather(*(loop.look() for loop in loops))
        await asyncio.gather(*(finished(refresher) for refresher in two))
        for loop in loops:
            loop.forget_done()

    async with database.driver() as conn:
        rows = await conn.fetch("SELECT user_id, refreshes, claim FROM kalshi_account_cache")
    assert len(rows) == 40
    assert {row["refreshes"] for row in rows} == {1}
    assert {row["claim"] for row in rows} == {None}
    assert await reads(exchange) == 40


async def test_slow_user_delays_nobody(
    users: Users,
    two: list[Refresher],
    exchange: Exchange,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While one user's balance does not come, all others are read."""
    monkeypatch.setattr(calls, "DEADLINE", timedelta(minutes=5))
    monkeypatch.setattr(refresh, "DEADLINE", timedelta(minutes=5))
    for number in range(12):
        await users.admit(f"user-{number}")
    exchange.faults.hang(operation=BALANCE, times=1)

    await DueAccounts(two[0], "default").look()
    while len(two[0].under_way) > 1:
        await asyncio.wait(two[0].under_way, return_when=asyncio.FIRST_COMPLETED)

    async with database.driver() as conn:
        good = await conn.fetchval("SELECT count(*) FROM kalshi_account_cache WHERE body <> ''")
    assert (good, len(exchange.faults.hanging)) == (11, 1)
    exchange.faults.release()
    await finished(two[0])


async def test_refused_users_delay_nobody(
    users: Users, two: list[Refresher], exchange: Exchange, database: Database
) -> None:
    """Refused keys are noted and put off; all others are read in the same round."""
    admitted = [await users.admit(f"user-{number}") for number in range(12)]
    for user in admitted[:4]:
        exchange.keys.revoke(user.key_id)

    await DueAccounts(two[0], "default").look()
    await finished(two[0])

    async with database.driver() as conn:
        good = await conn.fetchval("SELECT count(*) FROM kalshi_account_cache WHERE body <> ''")
        put_off = await conn.fetch(
            "SELECT failure, due_at > now() + interval '4 minutes' AS later"
            " FROM kalshi_account_cache WHERE failures > 0"
        )
    assert good == 8
    assert [(row["failure"], row["later"]) for row in put_off] == [
        ("the exchange does not accept the API key (401)", True)
    ] * 4


READ_ONLY = "ALTER DATABASE {} SET default_transaction_read_only = on"
WRITABLE = "ALTER DATABASE {} RESET default_transaction_read_only"
RENAMED = "ALTER TABLE kalshi_account_cache RENAME TO kalshi_account_cache_gone"
BACK = "ALTER TABLE kalshi_account_cache_gone RENAME TO kalshi_account_cache"


@pytest.mark.parametrize(
    ("broken", "mended", "told"),
    [
        (READ_ONLY, WRITABLE, "accounts due not found"),  # as a database that was taken over from
        (RENAMED, BACK, "background job failed"),  # as by a mishap that nobody foresaw
    ],
)
async def test_loop_outlives_a_bad_database(
    users: Users,
    two: list[Refresher],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
    mended: str,
    told: str,
) -> None:
    """Whatever the database says while due accounts are looked for, later they are found."""
    monkeypatch.setattr(due, "LOOK_EVERY", timedelta(milliseconds=10))
    conn = await asyncpg.connect(database_url)
    name = await conn.fetchval("SELECT current_database()")

    with capture_logs() as lines:
        await altered(conn, broken.format(name))
        async with beside(DueAccounts(two[0], "default").run(), "accounts"):
            await eventually(said(lines, told))
            await altered(conn, mended.format(name))
            await users.admit()
            await eventually(
                partial(conn.fetchval, "SELECT count(body) > 0 FROM kalshi_account_cache")
            )

    await conn.close()


def said(lines: list[EventDict], event: str) -> Callable[[], Awaitable[bool]]:
    """Whether that has been logged."""

    async def asked() -> bool:
        return event in [line["event"] for line in lines]

    return asked


async def test_read_only_database(users: Users, database_url: str) -> None:
    """A database that can be read only is unavailable, and what is known of an account is not."""
    ada = await users.admit()
    await users.get(ada)
    conn = await asyncpg.connect(database_url)
    await altered(conn, READ_ONLY.format(await conn.fetchval("SELECT current_database()")))

    async def answers() -> bool:
        """By a connection that was made since."""
        return (await users.client.get(f"{ada.path}/fills")).status_code == 200

    await eventually(answers)
    forced = await users.client.get(f"{ada.path}/account", headers={"Cache-Control": "no-cache"})
    posted = await users.client.post(f"{ada.path}/account/refresh")

    assert (forced.status_code, forced.json()["balance"]) == (200, 100)
    assert (posted.status_code, posted.json()["code"]) == (503, "database_unavailable")
    await conn.close()


async def altered(conn: Driver, statement: str) -> None:
    """Change the database under everybody's feet, and end all connections but this one."""
    await conn.execute("SET default_transaction_read_only = off")
    await conn.execute(statement)
    await conn.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


@pytest.fixture
def asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the exchange does not answer is not asked again at once."""
    monkeypatch.setattr(RetryAllowance, "take", lambda allowance: False)


async def refused(users: Users, user: User, times: int = 1) -> None:
    """Force refreshes that the exchange has no answer for."""
    fault = users.exchange.faults.status(503, operation=BALANCE)
    for _ in range(times):
        response = await users.client.post(f"{user.path}/account/refresh")
        assert response.status_code == 503, response.text
    users.exchange.faults.remove(fault)


@pytest.mark.usefixtures("asked_once")
async def test_failing_user_stops_nobody(users: Users, refresher: Refresher) -> None:
    """However often the exchange fails for one account, the others are read."""
    ada, bob = await users.admit("ada"), await users.admit("bob")

    await refused(users, ada, times=6)
    response = await users.client.post(f"{bob.path}/account/refresh")

    assert response.status_code == 200, response.text
    assert refresher.outage.state == "closed"


@pytest.mark.usefixtures("asked_once")
async def test_exchange_that_fails_for_all_is_left_alone(users: Users, exchange: Exchange) -> None:
    """When it has failed for one user after the other, the next one does not ask."""
    for number in range(5):
        await refused(users, await users.admit(f"user-{number}"))
    last = await users.admit("last")
    exchange.counters.reset()

    response = await users.client.post(f"{last.path}/account/refresh")

    assert (response.status_code, response.json()["code"]) == (503, "upstream_unavailable")
    assert await reads(exchange) == 0


async def test_claim_of_a_dead_process_ends(
    users: Users, two: list[Refresher], database: Database
) -> None:
    """Whoever was killed in mid-refresh is overtaken when the claim has run out, and not before."""
    await users.admit()
    dead, late = uuid4(), timedelta(seconds=90)
    async with database.driver() as conn:
        await repository.admit(conn, two[0].vault.environment)
        assert await repository.claim(conn, "ada", dead, late) is not None
    loop = DueAccounts(two[0], "default")

    early = await loop.look()
    await execute(
        database, "UPDATE kalshi_account_cache SET claimed_until = now() - interval '1 s'"
    )
    after = await loop.look()
    await finished(two[0])

    assert (early, after) == (0, 1)
    with pytest.raises(repository.NotOurs):
        async with database.driver() as conn, conn.transaction():
            await repository.hold(conn, "ada", dead, "", stored=False)
