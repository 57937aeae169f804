"""What is a user's own, given again: to who may have it, and only while it is so."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from kalshi_gateway import hot, news
from kalshi_gateway.accounts import repository
from kalshi_gateway.app import Gateway, create_app
from kalshi_gateway.audit.entry import Author
from kalshi_gateway.db import Database, Driver
from kalshi_gateway.settings import Settings
from kalshi_gateway.shelf import Shelf
from kalshi_gateway.simulator import app as simulator
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.tokens import keeping as tokens
from tests.accounts.users import User, Users
from tests.serving import answered_at_front, lets_in, served
from tests.simulator.moments import Moment

ADA = Author("ada")
KEPT = ("account", "positions", "fills", "orders", "settlements", "history")

#: What differs between two answers a moment apart, whoever gave them.
PASSING = {"x-request-id", "age", "date", "cache-status", "ratelimit", "x-ratelimit-remaining"}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer stays fresh for as long as a test takes, unless something changes."""
    monkeypatch.setattr(hot, "FRESH_SECONDS", 600.0)
    monkeypatch.setattr(hot, "OWN_SECONDS", 600.0)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"gateway_auth": "token", "gateway_requests_per_second": 1_000}
    )


@pytest.fixture
def at_front(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    return answered_at_front(monkeypatch)


@pytest.fixture
def apps(settings: Settings, database_url: str, exchange: Exchange) -> list[FastAPI]:
    """Two gateways on one database."""
    transport = httpx.ASGITransport(simulator.create_app(exchange))
    return [create_app(settings, database_url=database_url, exchange=transport) for _ in range(2)]


@pytest.fixture
async def clients(
    impatient: None, apps: list[FastAPI], database: Database
) -> AsyncIterator[list[httpx.AsyncClient]]:
    """An administrator at each of the two."""
    _, secret = await tokens.create(database, "root", ["admin"], None, None, ADA)
    async with AsyncExitStack() as stack:
        found = []
        for app in apps:
            port = await stack.enter_async_context(served(app))
            client = httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", headers=bearer(secret), trust_env=False
            )
            await stack.enter_async_context(client)
            await listens(app, client)
            found.append(client)
        yield found


@pytest.fixture
def client(clients: list[httpx.AsyncClient]) -> httpx.AsyncClient:
    return clients[0]


@pytest.fixture
async def ada(users: Users) -> User:
    """A user who has traded, and whose account is known."""
    ada = await users.admit(dollars=100)
    users.trade(ada, "KXCALM-26-A", "bid", "0.4200", "12.50")
    await users.get(ada)
    return ada


def shelf_of(app: FastAPI) -> Shelf:
    return cast("Gateway", app).front.ready


async def listens(app: FastAPI, client: httpx.AsyncClient) -> None:
    """Wait until the gateway would hear of changes."""
    await lets_in(app, client)
    while not shelf_of(app).hears:  # noqa: ASYNC110 - nobody tells when it does
        await asyncio.sleep(0.01)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def a_token(database: Database, user_id: str) -> dict[str, str]:
    _, secret = await tokens.create(database, f"{user_id}'s", ["read"], user_id, None, ADA)
    return bearer(secret)


async def known_to_all(clients: list[httpx.AsyncClient], path: str) -> None:
    """Have it lie ready everywhere."""
    for client in clients:
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"Accept-Encoding": "gzip"}, {"If-None-Match": "*"}], ids=str
)
async def test_the_same_at_the_front_and_by_the_long_way(
    client: httpx.AsyncClient, ada: User, at_front: list[bytes], headers: dict[str, str]
) -> None:
    """Status, headers and body are those that the route gives."""
    for what in KEPT:
        path = f"{ada.path}/{what}"
        routed = await client.get(path, headers={**headers, "Cache-Control": "max-age=600"})
        await client.get(path)
        assert path.encode() not in at_front

        in_between = await client.get(path, headers={**headers, "X-Forwarded-For": "127.0.0.1"})
        at_once = await client.get(path, headers=headers)

        assert at_front[-1] == path.encode()
        assert routed.status_code == in_between.status_code == at_once.status_code
        assert said(routed) == said(in_between) == said(at_once)
        assert content(routed) == content(in_between) == content(at_once)
    assert len(at_front) == len(KEPT)


async def test_only_for_who_may_have_it(
    client: httpx.AsyncClient, ada: User, database: Database, at_front: list[bytes]
) -> None:
    """What lies ready is the user's and the administrator's; all others hear that it is not."""
    own, other = await a_token(database, "ada"), await a_token(database, "bob")
    for headers in (own, other):
        await client.get("/kalshi/status", headers=headers)
    for what in KEPT:
        path = f"{ada.path}/{what}"
        await client.get(path)
        at_front.clear()

        answers = [await client.get(path, headers=headers) for headers in (own, other, {}, own)]
        nobody = await client.get(path, headers={"Authorization": ""})

        assert [answer.status_code for answer in answers] == [200, 403, 200, 200]
        assert nobody.status_code == 401
        assert len(at_front) == 3


async def test_a_name_that_means_another_when_it_is_decoded(
    client: httpx.AsyncClient, users: Users, database: Database, at_front: list[bytes]
) -> None:
    """A user whose name looks like another's, escaped, is never taken for that one."""
    await users.admit("a%2562", dollars=100)
    await users.admit("ab", dollars=200)
    for _ in range(2):
        escaped = await client.get("/kalshi/users/a%2562/account")
        plain = await client.get("/kalshi/users/a%62/account")

        assert escaped.json()["user_id"] == "a%62"
        assert plain.json()["user_id"] == "ab"
    assert at_front == []


@pytest.mark.parametrize("path", ["pnl", "credentials", "account?max_age=600"])
async def test_what_is_not_kept(
    client: httpx.AsyncClient, ada: User, at_front: list[bytes], apps: list[FastAPI], path: str
) -> None:
    """What depends on more than its address is made each time."""
    for _ in range(3):
        assert (await client.get(f"{ada.path}/{path}")).status_code == 200

    assert at_front == []
    assert len(shelf_of(apps[0])) == 0


async def test_a_refresh_is_heard_of_everywhere(
    clients: list[httpx.AsyncClient], ada: User, users: Users, at_front: list[bytes]
) -> None:
    """Whoever has been told what is new is told nothing older by any gateway."""
    path = f"{ada.path}/account"
    await known_to_all(clients, path)
    for dollars in range(4):
        users.exchange.ledger.bank.deposit(ada.member, 100)

        told = await clients[dollars % 2].post(f"{path}/refresh")
        again = [(await client.get(path)).json() for client in clients]

        assert [one["balance"] for one in again] == [told.json()["balance"]] * 2
    await clients[0].get(path)
    assert at_front == [path.encode()]


async def test_a_refresh_behind_answers_is_heard_of(
    clients: list[httpx.AsyncClient], ada: User, users: Users, database: Database
) -> None:
    """A refresh that nobody waits for takes away what is kept as soon as it is written."""
    path = f"{ada.path}/account"
    await known_to_all(clients, path)
    async with database.driver() as conn:
        await conn.execute("UPDATE kalshi_account_cache SET body = replace(body, 'ada', 'eve')")

    await news.heard_by_all(database)

    for client in clients:
        assert "eve" in (await client.get(path)).text


async def test_a_key_that_is_gone(clients: list[httpx.AsyncClient], ada: User) -> None:
    """As soon as the key is deleted no gateway answers any more what it has told."""
    for what in KEPT:
        await known_to_all(clients, f"{ada.path}/{what}")

    await clients[0].delete(f"{ada.path}/credentials")
    answers = [await client.get(f"{ada.path}/{what}") for client in clients for what in KEPT]

    assert {answer.status_code for answer in answers} == {404}


async def test_a_key_of_another_member(
    clients: list[httpx.AsyncClient], ada: User, users: Users
) -> None:
    """As soon as it is stored no gateway answers any more what the first one has told."""
    for what in KEPT:
        await known_to_all(clients, f"{ada.path}/{what}")
    joined = users.exchange.desk.join("eve", deposit_cents=5_000)

    body = {"api_key_id": joined.key_id, "private_key": joined.private_pem}
    assert (await clients[0].put(f"{ada.path}/credentials", json=body)).status_code == 200
    account = await clients[1].get(f"{ada.path}/account")
    fills = await clients[1].get(f"{ada.path}/fills")

    assert account.json()["balance"] == 50
    assert fills.json()["fills"] == []


async def test_a_revoked_token(
    clients: list[httpx.AsyncClient], ada: User, database: Database, at_front: list[bytes]
) -> None:
    """As soon as it is revoked it opens nothing that lies ready."""
    own = await a_token(database, "ada")
    path = f"{ada.path}/account"
    for client in clients:
        for _ in range(2):
            assert (await client.get(path, headers=own)).status_code == 200
    assert len(at_front) == 2

    await tokens.revoke(database, "ada's", ADA)
    answers = [await client.get(path, headers=own) for client in clients]

    assert [answer.status_code for answer in answers] == [401, 401]


async def test_rows_of_a_refresh_under_way(
    client: httpx.AsyncClient, ada: User, database: Database
) -> None:
    """Pages of a long list are answered as they are stored, though the refresh goes on."""
    path = f"{ada.path}/fills"
    before = (await client.get(path)).json()["fills"]
    assert len(before) == 1
    async with database.driver() as conn, conn.transaction():
        await conn.execute("DELETE FROM kalshi_fills")
        await repository.note_rows(conn, "ada")

    await news.heard_by_all(database)

    assert (await client.get(path)).json()["fills"] == []


async def test_an_order_was_placed(
    clients: list[httpx.AsyncClient], ada: User, apps: Any, moment: Moment
) -> None:
    """What was known before a change at the exchange is answered by no gateway after it."""
    path = f"{ada.path}/account"
    await known_to_all(clients, path)

    await apps[0].state.resources.refresher.invalidate("ada")
    moment.move(minutes=1)
    answers = [await client.get(path) for client in clients]

    assert answers[0].headers["x-cache"] in ("REVALIDATED", "MISS")
    assert [answer.json()["meta"]["stale"] for answer in answers] == [False, False]


async def test_read_before_a_change(
    clients: list[httpx.AsyncClient],
    ada: User,
    apps: list[FastAPI],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was read before a change, and is answered after it, is not given again."""
    path = f"{ada.path}/account"
    find, has_read, may_go_on = repository.find, asyncio.Event(), asyncio.Event()

    async def late(conn: Driver, user_id: str) -> Any:
        found = await find(conn, user_id)
        has_read.set()
        await may_go_on.wait()
        return found

    monkeypatch.setattr(repository, "find", late)
    slow = asyncio.create_task(clients[0].get(path))
    await has_read.wait()
    monkeypatch.setattr(repository, "find", find)
    async with database.driver() as conn:
        await conn.execute("UPDATE kalshi_account_cache SET body = replace(body, 'ada', 'eve')")
    assert '"eve"' in (await clients[1].get(path)).text

    assert await news.heard_by_all(database)
    may_go_on.set()

    assert '"ada"' in (await slow).text
    assert '"eve"' in (await clients[0].get(path)).text


async def test_deaf(
    client: httpx.AsyncClient,
    ada: User,
    apps: list[FastAPI],
    database: Database,
    at_front: list[bytes],
) -> None:
    """Who would not hear of changes asks the database each time, until it hears again."""
    path, shelf = f"{ada.path}/account", shelf_of(apps[0])
    await client.get(path)
    assert len(shelf) == 1

    async with database.driver() as conn:
        await conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'kalshi-gateway news' AND datname = current_database()"
        )
    while shelf.hears:  # noqa: ASYNC110 - nobody tells when it is
        await asyncio.sleep(0.001)
    assert len(shelf) == 0
    async with database.driver() as conn:
        await conn.execute("UPDATE kalshi_account_cache SET body = replace(body, 'ada', 'eve')")
    assert '"eve"' in (await client.get(path)).text

    assert at_front == []
    await listens(apps[0], client)
    await client.get(path)
    await client.get(path)
    assert at_front == [path.encode()]


async def test_old_ones_are_refreshed(
    client: httpx.AsyncClient,
    ada: User,
    users: Users,
    apps: list[FastAPI],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is given again grows old, says so, and has the account read when it is too old."""
    monkeypatch.setattr(hot, "FRESH_SECONDS", 0.0)
    path = f"{ada.path}/account"
    async with database.driver() as conn:
        await conn.execute("UPDATE kalshi_account_cache SET as_of = now() - interval '28.5 s'")
    assert await news.heard_by_all(database)
    await client.get(path)
    refreshes = await refreshes_of(database)

    ages = set()
    while await refreshes_of(database) == refreshes:
        answer = await client.get(path)
        assert answer.headers["age"] == str(answer.json()["meta"]["age_seconds"])
        ages.add(answer.json()["meta"]["age_seconds"])

    assert {28, 29} <= ages


async def refreshes_of(database: Database) -> Any:
    async with database.driver() as conn:
        return await conn.fetchval("SELECT refreshes FROM kalshi_account_cache")


def said(answer: httpx.Response) -> Mapping[str, str]:
    return {
        name: value
        for name, value in answer.headers.items()
        if name not in PASSING and name != "content-length"
    }


def content(answer: httpx.Response) -> bytes:
    return answer.content.split(b',"meta"')[0]
