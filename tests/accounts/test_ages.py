"""What the metrics say of how old accounts are."""

import asyncio
from datetime import timedelta

import httpx
from prometheus_client import CollectorRegistry

from kalshi_gateway.accounts.ages import AccountAges
from kalshi_gateway.app import create_app
from kalshi_gateway.db import Database
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator import app as simulator
from kalshi_gateway.simulator.exchange import Exchange
from tests.accounts.users import Users


def told(ages: AccountAges) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(ages)
    return {
        sample.name.removeprefix("gateway_"): sample.value
        for metric in registry.collect()
        for sample in metric.samples
    }


async def test_before_anything_is_known(database: Database) -> None:
    """What nobody has looked up is not told, least of all as 0; without users there is no age."""
    ages = AccountAges()
    before = told(ages)
    await ages.look(database)

    assert before == {}
    assert told(ages) == {"accounts": 0, "accounts_failing": 0, "account_overdue_seconds": 0}


async def test_of_the_oldest(users: Users, database: Database) -> None:
    """The one read longest ago counts, and the one that waits longest; not who has no key."""
    for name in ("ada", "bob", "eve", "fay"):
        await users.get(await users.admit(name))
    await users.client.delete("/kalshi/users/fay/credentials")
    await aged(database, "ada", timedelta(minutes=5), due=timedelta(minutes=-1))
    await aged(database, "bob", timedelta(minutes=2), due=timedelta(minutes=1))
    await aged(database, "eve", timedelta(hours=1), due=timedelta(minutes=-1), failures=3)
    await aged(database, "fay", timedelta(days=1), due=timedelta(days=1))

    ages = AccountAges()
    await ages.look(database)

    found = told(ages)
    assert (found["accounts"], found["accounts_failing"]) == (3, 1)
    assert 300 <= found["account_age_seconds"] < 360
    assert 60 <= found["account_overdue_seconds"] < 120


async def test_while_the_database_is_away(users: Users, database: Database) -> None:
    """What was known grows older, since nobody has read anything."""
    ages = AccountAges()
    await users.get(await users.admit())
    await ages.look(database)
    first = told(ages)["account_age_seconds"]

    second = told(ages)["account_age_seconds"]

    assert first < second


async def test_by_themselves(
    settings: Settings, database_url: str, exchange: Exchange, impatient: None
) -> None:
    """A gateway that does its jobs looks them up, and its metrics have them."""
    app = create_app(
        settings.model_copy(update={"gateway_jobs": True}),
        database_url=database_url,
        exchange=httpx.ASGITransport(simulator.create_app(exchange)),
    )
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http,
        asyncio.timeout(60),
    ):
        while "gateway_accounts 0.0" not in (await http.get("/metrics")).text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def aged(
    database: Database, user_id: str, by: timedelta, *, due: timedelta, failures: int = 0
) -> None:
    async with database.driver() as conn:
        await conn.execute(
            "UPDATE kalshi_account_cache SET as_of = now() - $2::interval,"
            " due_at = now() - $3::interval, failures = $4, claimed_until = NULL"
            " WHERE user_id = $1",
            user_id,
            by,
            due,
            failures,
        )
