"""A revoked token is refused everywhere from the moment its revocation returns."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from kalshi_gateway import news
from kalshi_gateway.app import create_app
from kalshi_gateway.audit import repository as audit
from kalshi_gateway.audit.entry import Author
from kalshi_gateway.auth import Gatekeeper, NotAuthenticated
from kalshi_gateway.background import beside
from kalshi_gateway.db import Database
from kalshi_gateway.news import LISTENERS, Listener
from kalshi_gateway.settings import Settings
from kalshi_gateway.tokens import keeping, repository
from kalshi_gateway.tokens.token import Token

ADA = Author("ada")
UNTIL_TOLD = timedelta(hours=1)


async def a_token(database: Database, name: str = "laptop") -> tuple[Token, str]:
    return await keeping.create(database, name, ["read"], "ada", None, ADA)


class Hearing(Gatekeeper):
    """A gatekeeper that believes until it is told, and lets us wait until it hears or not."""

    def __init__(self, database: Database, *, hears: bool = False) -> None:
        self.changed = asyncio.Event()
        super().__init__(database, fresh_for=UNTIL_TOLD, hears=hears)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "hears":
            self.changed.set()

    async def until(self, *, hears: bool) -> None:
        while self.hears is not hears:
            self.changed.clear()
            await self.changed.wait()


@asynccontextmanager
async def listening(url: str, gatekeeper: Hearing) -> AsyncIterator[None]:
    async with beside(Listener(url, {"token": gatekeeper}).run(), "listener"):
        await gatekeeper.until(hears=True)
        yield


async def test_in_every_application(
    settings: Settings, database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several gateways on one database refuse it at once, though they would believe for hours."""
    monkeypatch.setattr("kalshi_gateway.app.Gatekeeper", Hearing)
    with_tokens = settings.model_copy(update={"gateway_auth": "token"})
    apps = [create_app(with_tokens, database_url=database_url) for _ in range(3)]
    token, secret = await a_token(database)
    _, other = await a_token(database, "desk")

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client_of(app)) for app in apps]
        before = [await codes(client, secret, other) for client in clients]
        await keeping.revoke(database, str(token.id), ADA)
        after = [await codes(client, secret, other) for client in clients]

    assert before == [(200, 200)] * 3
    assert after == [(401, 200)] * 3


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as client,
    ):
        await app.state.resources.gatekeeper.until(hears=True)
        yield client


async def codes(client: httpx.AsyncClient, *secrets: str) -> tuple[int, ...]:
    answers = [
        await client.get("/kalshi/status", headers={"Authorization": f"Bearer {secret}"})
        for secret in secrets
    ]
    return tuple(answer.status_code for answer in answers)


def gateway(url: str, pipe: Connection) -> None:
    """A process that lets tokens in, and says whether it would."""

    async def run() -> None:
        async with Database.opened(url) as database:
            gatekeeper = Hearing(database)
            async with listening(url, gatekeeper):
                pipe.send("listens")
                while secret := await asyncio.to_thread(pipe.recv):
                    try:
                        await gatekeeper.caller(f"Bearer {secret}")
                        pipe.send("in")
                    except NotAuthenticated:
                        pipe.send("out")

    asyncio.run(run())


async def test_in_every_process(database: Database, database_url: str) -> None:
    """The next request after the revocation has returned is refused in other processes."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for _ in range(2):
        ours, theirs = context.Pipe()
        process = context.Process(target=gateway, args=(database_url, theirs))
        process.start()
        pipes.append(ours)
        processes.append(process)
    assert [await asyncio.to_thread(pipe.recv) for pipe in pipes] == ["listens"] * 2

    for name in ("first", "second", "third"):
        token, secret = await a_token(database, name)
        assert await asked(pipes, secret) == ["in", "in"]
        await keeping.revoke(database, str(token.id), ADA)
        assert await asked(pipes, secret) == ["out", "out"]

    for pipe, process in zip(pipes, processes, strict=True):
        pipe.send("")
        await asyncio.to_thread(process.join)
        assert process.exitcode == 0


async def asked(pipes: list[Any], secret: str) -> list[str]:
    for pipe in pipes:
        pipe.send(secret)
    return [await asyncio.to_thread(pipe.recv) for pipe in pipes]


async def test_ear_lost(database: Database, database_url: str) -> None:
    """Who no longer hears believes nobody, and forgets what it knew when it hears again."""
    gatekeeper = Hearing(database)
    first, first_secret = await a_token(database, "first")
    second, second_secret = await a_token(database, "second")

    async with listening(database_url, gatekeeper):
        for secret in (first_secret, second_secret):
            await gatekeeper.caller(f"Bearer {secret}")
        gatekeeper.changed.clear()
        async with database.driver() as conn:
            await conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'kalshi-gateway news' "
                "AND datname = current_database()"
            )
        await gatekeeper.until(hears=False)
        await keeping.revoke(database, str(first.id), ADA)
        with pytest.raises(NotAuthenticated):
            await gatekeeper.caller(f"Bearer {first_secret}")
        # Nobody is told of this one: it must be found out by asking.
        async with database.begin() as conn:
            await repository.revoke(conn, str(second.id))
        await gatekeeper.until(hears=True)
        with pytest.raises(NotAuthenticated):
            await gatekeeper.caller(f"Bearer {second_secret}")


async def test_asked_while_it_was_revoked(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read just before a revocation, and arrives after it, is not believed."""
    gatekeeper = Gatekeeper(database, fresh_for=UNTIL_TOLD)
    token, secret = await a_token(database)
    find = repository.find
    questions = []

    async def late(conn: Any, key: bytes) -> Token | None:
        found = await find(conn, key)
        questions.append(key)
        if len(questions) == 1:
            async with database.begin() as other:
                await repository.revoke(other, str(token.id))
            gatekeeper.forget(str(token.id))
        return found

    monkeypatch.setattr(repository, "find", late)

    with pytest.raises(NotAuthenticated):
        await gatekeeper.caller(f"Bearer {secret}")
    assert len(questions) == 2


async def test_one_that_does_not_answer(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that says nothing is waited for until it believes no longer, and no longer."""
    monkeypatch.setattr(news, "FRESH_FOR", timedelta(milliseconds=200))
    token, _ = await a_token(database)
    silent = await asyncpg.connect(database_url)
    await silent.execute("SELECT pg_advisory_lock_shared($1)", LISTENERS)

    revoked = await keeping.revoke(database, str(token.id), ADA)
    silent.terminate()

    assert [one.id for one in revoked] == [token.id]


async def test_written_down(database: Database) -> None:
    """Who made and who ended a token is in the audit log; its secret is not."""
    token, secret = await a_token(database)
    await keeping.revoke(database, "laptop", ADA)
    await keeping.revoke(database, "laptop", ADA)

    async with database.connect() as conn:
        lines = [line async for line in audit.lines(conn)]

    assert [(line.action, line.target, line.user_id) for line in lines] == [
        ("token.create", "laptop", "ada"),
        ("token.revoke", "laptop", "ada"),
    ]
    assert str(token.id) in lines[0].details
    assert secret not in str(lines)
    assert secret.removeprefix("kgw_") not in str(lines)
