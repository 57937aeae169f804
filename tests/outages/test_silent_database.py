"""A database that refuses nobody and answers nothing, as when the way to it is cut off."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import pytest
import structlog

from kalshi_gateway import db, hot, news
from kalshi_gateway.app import Gateway, create_app
from kalshi_gateway.db import Database
from kalshi_gateway.tokens import repository as tokens
from tests.markets.builders import a_market, a_series, an_event, note_all_walked, store
from tests.markets.gateway import QUIET
from tests.markets.upstream import Upstream
from tests.serving import served
from tests.sync.outages import eventually
from tests.wires import Wire, wire

#: Who waits for the database without knowing better waits for ever, and the test fails.
FOR_EVER = 3600.0
LONG_S = 60.0

KNOWN = ("/kalshi/markets", "/kalshi/series", "/kalshi/markets/KXHIGHNY-26JUN15-T85")
with_and_without_tokens = pytest.mark.parametrize("mode", ["off", "token"])


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMMAND_SECONDS", "ACQUIRE_SECONDS"):
        monkeypatch.setattr(db, name, FOR_EVER)
    monkeypatch.setattr(db, "SHOWS_WITHIN_SECONDS", 0.2)


@pytest.fixture
async def secret(database: Database) -> str:
    """A token of a reader; beside it the catalogue is filled."""
    await store(database, a_series(), an_event(), a_market())
    await note_all_walked(database)
    async with database.begin() as conn:
        _, secret = await tokens.create(conn, "reader", ["read"], "ada", None)
    return secret


@asynccontextmanager
async def answering(
    mode: str, secret: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient, Wire]]:
    """A gateway that has just answered what is known, and no longer takes it for young."""
    async with wire(database_url) as way:
        settings = QUIET.model_copy(update={"gateway_auth": mode})
        exchange = httpx.MockTransport(Upstream())
        app = create_app(settings, database_url=way.url, exchange=exchange)
        async with served(app) as port, client_of(port, secret) as client:
            await client.get("/healthz")
            await eventually(lambda: hears(app, True))
            for path in KNOWN:
                assert (await client.get(path)).status_code == 200
            monkeypatch.setattr(hot, "RENEWED_SECONDS", 0.0)
            try:
                async with asyncio.timeout(LONG_S):
                    yield app, client, way
            finally:
                way.mend()


def client_of(port: int, secret: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {secret}"},
        trust_env=False,
        timeout=LONG_S,
    )


async def hears(app: Gateway, wanted: bool) -> bool:
    """Whether it hears what changes, for which there is a connection that is listened to."""
    return app.front.ready.hears is wanted


@contextmanager
def unnoticed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody who listens finds the silence odd."""
    with monkeypatch.context() as patched:
        for name in ("SILENCE", "LIVES_WITHIN"):
            patched.setattr(news, name, getattr(news, name) * 3600)
        yield


def is_last_known(response: httpx.Response) -> bool:
    meta = response.json()["meta"]
    return (
        response.status_code == 200
        and response.headers["X-Cache"] == "STALE"
        and any("database" in text for text in meta["warnings"])
    )


@with_and_without_tokens
async def test_known_and_unknown(
    mode: str, secret: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known is answered, marked; what is not is refused; all of it recovers."""
    async with answering(mode, secret, database_url, monkeypatch) as (app, client, way):
        way.silence()
        await eventually(lambda: hears(app, False))

        known = [await client.get(path) for path in KNOWN * 2]
        unknown = await client.get("/kalshi/markets?limit=7")
        ready = await client.get("/readyz")
        monkeypatch.setattr(db, "RETRY_AFTER_SECONDS", 0)
        way.mend()
        await eventually(lambda: fresh(client))

        assert all(is_last_known(response) for response in known)
        assert unknown.status_code == 503
        assert int(unknown.headers["Retry-After"]) >= 1
        assert ready.status_code == 200
        assert ready.json()["parts"]["database"] == {"ok": False, "detail": "cannot be reached"}


async def fresh(client: httpx.AsyncClient) -> bool:
    responses = [await client.get(path) for path in (*KNOWN, "/kalshi/markets?limit=7")]
    return all(each.status_code == 200 and not each.json()["meta"]["stale"] for each in responses)


async def test_one_asks_for_all(
    secret: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all who want to know whether it still is silent one tries, and not before its time."""
    async with answering("off", secret, database_url, monkeypatch) as (app, client, way):
        monkeypatch.setattr(news, "TRY_AGAIN", news.TRY_AGAIN * 3600)
        monkeypatch.setattr(db, "RETRY_AFTER_SECONDS", 3600)
        way.silence()
        await eventually(lambda: hears(app, False))
        before = way.connections

        await asyncio.gather(*(client.get(f"/kalshi/markets?limit={n}") for n in range(1, 20)))
        await asyncio.gather(*(client.get(f"/kalshi/markets?limit={n}") for n in range(1, 20)))

        assert way.connections == before + 1


async def test_ready_from_memory(
    secret: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks whether a gateway is ready waits no second for a database it can do without."""
    with unnoticed(monkeypatch):
        async with answering("off", secret, database_url, monkeypatch) as (_, client, way):
            monkeypatch.setattr("kalshi_gateway.readiness.ASKED_EVERY", news.SILENCE * 0)
            way.silence()

            ready = [await client.get("/readyz") for _ in range(2)]

        for response in ready:
            assert response.status_code == 200
            parts = response.json()["parts"]
            assert parts["database"] == {"ok": False, "detail": "does not answer"}
            assert parts["memory"]["ok"] is True


async def test_tokens_are_believed(
    secret: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token is asked about for as long as it takes to be let in, once, and then believed."""
    with unnoticed(monkeypatch):
        async with answering("token", secret, database_url, monkeypatch) as (app, client, way):
            monkeypatch.setattr(db, "ACQUIRE_SECONDS", 0.2)
            gatekeeper = app.state.resources.gatekeeper
            gatekeeper.fresh_for *= 0
            way.silence()

            with structlog.testing.capture_logs() as logs:
                response = await client.get(KNOWN[0])

        assert is_last_known(response)
        assert [line["event"] for line in logs].count("caller believed without asking") == 1
