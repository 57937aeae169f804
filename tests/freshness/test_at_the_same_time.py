"""Requests that are the same at the same time become one, and only those."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from kalshi_gateway import hot
from kalshi_gateway.app import create_app
from kalshi_gateway.db import Database
from kalshi_gateway.tokens import repository as tokens
from tests.markets.builders import a_series, an_event, store
from tests.markets.gateway import QUIET
from tests.markets.upstream import Upstream
from tests.test_hot import layer_of

from .conftest import a_client_of
from .routes import EVENT, TICKER, Route, of_kind

MANY = 1_000

MARKET = f"/kalshi/markets/{TICKER}"


class Counted:
    """Says when so many requests have come in."""

    def __init__(self, app: ASGIApp, wanted: int) -> None:
        self.app = app
        self.wanted = wanted
        self.all_in = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.wanted -= 1
        if self.wanted == 0:
            asyncio.get_running_loop().call_soon(self.all_in.set)
        await self.app(scope, receive, send)


async def ask_all(
    app: FastAPI,
    upstream: Upstream,
    path: str,
    *,
    many: int = MANY,
    **headers: str,
) -> list[httpx.Response]:
    """All ask while the exchange is still thinking of its first answer."""
    counted = Counted(app, many)
    upstream.may_answer.clear()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(counted), base_url="http://localhost", headers=headers
    ) as client:
        asking = [asyncio.create_task(client.get(path)) for _ in range(many)]
        await counted.all_in.wait()
        await upstream.was_asked.wait()
        upstream.may_answer.set()
        return await asyncio.gather(*asking)


@pytest.fixture
async def running(app: FastAPI, database: Database) -> None:
    """The event is known, the market is not."""
    await store(database, a_series(), an_event(EVENT))


@of_kind("momentary")
@pytest.mark.usefixtures("known", "client")
async def test_many_ask_what_passes(app: FastAPI, upstream: Upstream, route: Route) -> None:
    """A hundred who want the same book, tape or candles make one question of it."""
    responses = await ask_all(app, upstream, route.path, many=100)

    assert {response.status_code for response in responses} == {200}
    assert upstream.times_asked(route.upstream) == 1


@of_kind("momentary")
@pytest.mark.usefixtures("known")
async def test_who_is_read_a_moment_late_is_given_the_same(
    client: httpx.AsyncClient,
    upstream: Upstream,
    route: Route,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of many who ask at once some are read when the first has its answer; later ones ask anew."""
    monkeypatch.setattr(hot, "SAME_TIME_SECONDS", 600.0)
    first = await client.get(route.path)
    late = await client.get(route.path)
    monkeypatch.setattr(hot, "SAME_TIME_SECONDS", 0.0)
    later = await client.get(route.path)

    assert [answer.headers["x-cache"] for answer in (first, late, later)] == ["MISS", "HIT", "MISS"]
    assert upstream.times_asked(route.upstream) == 2


@pytest.mark.usefixtures("running", "client")
async def test_a_thousand_ask_for_an_unknown_market(app: FastAPI, upstream: Upstream) -> None:
    """A thousand identical cold requests make one upstream call, and get one answer."""
    responses = await ask_all(app, upstream, MARKET)

    assert {response.status_code for response in responses} == {200}
    assert len({response.content for response in responses}) <= 2  # a second may go by
    assert {response.headers["etag"] for response in responses} == {responses[0].headers["etag"]}
    assert upstream.asked == [f"/markets/{TICKER}"]


@pytest.mark.usefixtures("known", "client")
async def test_many_refresh(app: FastAPI, upstream: Upstream) -> None:
    """A hundred who want it anew at the same time share one call as well."""
    responses = await ask_all(app, upstream, MARKET, many=100, **{"Cache-Control": "no-cache"})

    assert {response.headers["x-cache"] for response in responses} == {"BYPASS"}
    assert upstream.asked == [f"/markets/{TICKER}"]


@pytest.mark.usefixtures("client")
async def test_many_hear_of_a_failure(app: FastAPI, upstream: Upstream) -> None:
    """What the first of them is told, all are told: the exchange is not asked once for each."""
    upstream.down = True

    responses = await ask_all(app, upstream, MARKET, many=100)

    assert {response.status_code for response in responses} == {503}
    assert all(int(response.headers["retry-after"]) > 0 for response in responses)
    assert len(upstream.asked) <= 4  # one call, and its retries
    assert len({response.headers["x-request-id"] for response in responses}) == 100


async def test_who_may_not_ask(database_url: str, database: Database, upstream: Upstream) -> None:
    """Nobody gets from another's request what they may not have, nor is refused for another."""
    app = create_app(
        QUIET.model_copy(update={"gateway_auth": "token"}),
        database_url=database_url,
        exchange=httpx.MockTransport(upstream),
    )
    await store(database, a_series(), an_event(EVENT))
    async with database.begin() as conn:
        _, secret = await tokens.create(conn, "reader", ["read"], "ada", None)
    good, bad = ({"Authorization": f"Bearer {one}"} for one in (secret, "kgw_" + "x" * 43))
    async with a_client_of(app) as client:
        await client.get("/kalshi/exchange", headers=good)  # from now on the token is known
        upstream.was_asked.clear()
        upstream.may_answer.clear()
        first = asyncio.create_task(client.get(MARKET, headers=good))
        await upstream.was_asked.wait()
        refused = [(await client.get(MARKET, headers=who)).status_code for who in (bad, {})]
        second = asyncio.create_task(client.get(MARKET, headers=good))
        await asyncio.sleep(0)
        upstream.may_answer.set()

        assert refused == [401, 401]
        assert [(await one).status_code for one in (first, second)] == [200, 200]
    assert upstream.times_asked(f"/markets/{TICKER}") == 1


@pytest.mark.usefixtures("running")
async def test_the_first_leaves(
    app: FastAPI, client: httpx.AsyncClient, upstream: Upstream
) -> None:
    """Whoever gives up takes nobody along: the next one asks for itself."""
    upstream.may_answer.clear()
    first = asyncio.create_task(client.get(MARKET))
    await upstream.was_asked.wait()
    counted = Counted(app, 1)
    transport = httpx.ASGITransport(counted)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as other:
        second = asyncio.create_task(other.get(MARKET))
        await counted.all_in.wait()

        first.cancel()
        upstream.may_answer.set()

        assert (await second).status_code == 200
    assert first.cancelled()
    assert len(layer_of(app)._together) == 0


# --- what is never shared


Inner = Callable[[Scope, Receive, Send], Awaitable[None]]


def behind(inner: Inner, monkeypatch: pytest.MonkeyPatch) -> httpx.AsyncClient:
    """A client of the layer with this application behind it, where everybody may read."""
    monkeypatch.setattr(hot, "_may_read", lambda scope, asked: True)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(hot.Hot(inner)), base_url="http://localhost"
    )


async def test_what_belongs_to_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies under a user is made for each who asks, never for several of them at once."""
    both = asyncio.Barrier(2)

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await both.wait()  # which nobody passes alone
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": dict(scope["headers"])[b"user"]})

    async with behind(inner, monkeypatch) as client:
        path = "/kalshi/users/ada/account"
        asked = [client.get(path, headers={"User": name}) for name in ("ada", "bob")]
        responses = await asyncio.gather(*asked)

    assert [response.text for response in responses] == ["ada", "bob"]


async def test_a_stream_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for the same stream gets one of their own as soon as the first has begun."""
    both = asyncio.Barrier(2)

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await both.wait()
        await send({"type": "http.response.body", "body": b"event"})

    async with behind(inner, monkeypatch) as client:
        responses = await asyncio.gather(*(client.get("/kalshi/stream/events") for _ in range(2)))

    assert [response.text for response in responses] == ["event", "event"]


async def test_other_terms_are_another_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants it younger does not wait for one who does not mind."""
    both = asyncio.Barrier(2)

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await both.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async with behind(inner, monkeypatch) as client:
        asked = [client.get("/kalshi/thing"), client.get("/kalshi/thing?max_age=5")]
        responses = await asyncio.gather(*asked)

    assert [response.status_code for response in responses] == [200, 200]
