"""Finished answers given again: quickly, honestly, and to nobody who may not have them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.engine import make_url

from kalshi_gateway import hot
from kalshi_gateway.answers import takes_gzip
from kalshi_gateway.app import create_app
from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.client import http_client
from kalshi_gateway.markets.sync import Sync
from kalshi_gateway.metrics import Metrics
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator import app as simulator
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.tokens import repository as tokens
from kalshi_gateway.upstream import kalshi

#: What differs between two answers a moment apart, whoever gave them.
PASSING = {
    "x-request-id",
    "age",
    "cache-status",
    "content-length",
    "date",
    "ratelimit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
}


@pytest.fixture
async def known(database_url: str, settings: Settings, exchange: Exchange) -> Exchange:
    """The exchange whose catalogue the database holds."""
    transport = httpx.ASGITransport(simulator.create_app(exchange))
    async with http_client(settings.kalshi_base_url, transport=transport) as http:
        sync = Sync(
            database_url,
            kalshi(settings, http, Metrics()),
            changes_every=timedelta(minutes=1),
            prices_every=timedelta(minutes=5),
        )
        assert all(walk.complete for walk in await sync.once())
    return exchange


@pytest.fixture
def paths(known: Exchange) -> list[str]:
    """One of each route that answers from what we have."""
    catalogue = known.catalogue
    market = next(
        entry for entry in catalogue.markets.values() if not entry.ticker.startswith("KXMVE")
    )
    return [
        "/kalshi/markets",
        "/kalshi/markets?status=unopened&sort=close_time&limit=2",
        "/kalshi/markets?q=the&count=exact",
        f"/kalshi/markets/{market.ticker}",
        "/kalshi/events?limit=2",
        f"/kalshi/events/{market.event_ticker}",
        "/kalshi/series",
        f"/kalshi/series/{next(iter(catalogue.series))}",
        "/kalshi/categories",
    ]


async def test_the_same_request_through_both_paths_is_answered_alike(
    paths: list[str], client: httpx.AsyncClient
) -> None:
    """Routed or given at once: status, headers and body are the same."""
    for path in paths:
        routed = await client.get(path)
        at_once = await client.get(path)

        assert routed.status_code == at_once.status_code == 200, routed.text
        assert _content(at_once) == _content(routed)
        assert _headers(at_once) == _headers(routed)


async def test_what_the_client_has_is_not_sent_again(
    paths: list[str], client: httpx.AsyncClient
) -> None:
    """With its ETag the client gets 304, whichever way the answer comes."""
    for path in paths:
        etag = (await client.get(path)).headers["etag"]

        for extra in ({}, {"Cache-Control": "max-age=60"}):
            again = await client.get(path, headers={"If-None-Match": f'"other", {etag}', **extra})
            assert again.status_code == 304
            assert again.content == b""
            assert again.headers["etag"] == etag
        other = await client.get(path, headers={"If-None-Match": '"other"'})
        assert other.status_code == 200


async def test_a_compressed_answer_says_the_same(
    paths: list[str], client: httpx.AsyncClient
) -> None:
    """gzip is for those who take it, and changes nothing."""
    plain = await client.get(paths[0], headers={"Accept-Encoding": "identity"})
    zipped = await client.get(paths[0], headers={"Accept-Encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert _content(zipped) == _content(plain)


@pytest.mark.parametrize(
    ("accepts", "zipped"),
    [
        ("br;q=1.0, gzip;q=0.9, deflate;q=0.8", True),
        ("deflate, GZIP ; Q=0.001", True),
        ("x-gzip", False),
        ("gzip;q=0, identity", False),
        ("gzip; q=0.000", False),
        ("", False),
    ],
)
def test_who_takes_gzip(accepts: str, zipped: bool) -> None:
    """RFC 9110: whoever names it, however much less it is liked than others, unless not at all."""
    assert takes_gzip(accepts.encode()) is zipped


async def test_an_answer_is_made_anew_behind_the_one_that_is_given(
    paths: list[str],
    client: httpx.AsyncClient,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What grew older than a moment is given once more, and the next one knows what changed."""
    monkeypatch.setattr(hot, "FRESH_SECONDS", 0.0)
    before = await client.get(paths[0])
    async with database.driver() as conn:
        await conn.execute("UPDATE instruments SET body = replace(body, '\"open\"', '\"OPEN\"')")

    given = await client.get(paths[0])
    await _renewed()
    after = await client.get(paths[0])

    assert _content(given) == _content(before)
    assert '"OPEN"' in after.text
    assert after.headers["etag"] != before.headers["etag"]


async def test_known_answers_go_on_while_the_database_is_gone(
    paths: list[str],
    client: httpx.AsyncClient,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are marked stale and say why; what is unknown is 503 with Retry-After."""
    monkeypatch.setattr(hot, "RENEWED_SECONDS", 0.0)
    known = [await client.get(path) for path in paths]

    async with _gone(database_url):
        for path, before in zip(paths, known, strict=True):
            last_known = await client.get(path)
            assert last_known.status_code == 200
            assert _content(last_known) == _content(before)
            meta = last_known.json()["meta"]
            assert meta["stale"] is True
            assert any("database" in warning for warning in meta["warnings"])
            assert last_known.headers["x-cache"] == "STALE"
        unknown = await client.get("/kalshi/markets?limit=7")
        assert unknown.status_code == 503
        assert int(unknown.headers["retry-after"]) > 0

    assert (await client.get(paths[0])).json()["meta"]["stale"] is False


async def test_a_revoked_token_gets_no_hot_answer(
    paths: list[str], settings: Settings, database_url: str, database: Database
) -> None:
    """Nor does one that was never given, or none at all."""
    app = create_app(
        settings.model_copy(update={"gateway_auth": "token"}), database_url=database_url
    )
    async with database.begin() as conn:
        token, secret = await tokens.create(conn, "reader", ["read"], "ada", None)
    async with _client(app) as client:
        shown = {"Authorization": f"Bearer {secret}"}
        assert (await client.get(paths[0], headers=shown)).status_code == 200
        assert (await client.get(paths[0], headers=shown)).status_code == 200
        assert (await client.get(paths[0])).status_code == 401
        wrong = {"Authorization": "Bearer kgw_" + "x" * 43}
        assert (await client.get(paths[0], headers=wrong)).status_code == 401

        async with database.begin() as conn:
            await tokens.revoke(conn, str(token.id))
        app.state.resources.gatekeeper._known.clear()  # what two seconds do
        assert (await client.get(paths[0], headers=shown)).status_code == 401


async def test_the_answers_that_are_kept_take_bounded_memory(
    paths: list[str], app: FastAPI, client: httpx.AsyncClient
) -> None:
    """The least recently asked for go first."""
    await client.get(paths[0])
    layer = layer_of(app)
    layer._ready.most_bytes = 20_000

    for number in range(1, 40):
        await client.get(f"/kalshi/markets?limit={number}")

    assert layer._ready.answers
    assert layer._ready.taken_bytes <= 20_000
    assert layer._ready.taken_bytes == sum(
        kept.answer.size + len(path) + len(query)
        for (path, query), kept in layer._ready.answers.items()
    )


# --- helpers


def _content(response: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(response.content)
    del body["meta"]
    return body


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in PASSING}


async def _renewed() -> None:
    renewing = [task for task in asyncio.all_tasks() if task.get_name() == "renewed answer"]
    assert renewing
    await asyncio.wait(renewing)


@asynccontextmanager
async def _gone(database_url: str) -> AsyncIterator[None]:
    """A database that lets nobody in, and has thrown out who was there."""
    url = make_url(database_url)
    conn = await asyncpg.connect(url.set(database="postgres").render_as_string(hide_password=False))
    try:
        await conn.execute(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS false')
        await conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
            url.database,
        )
        yield
    finally:
        await conn.execute(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS true')
        await conn.close()


@asynccontextmanager
async def _client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client,
    ):
        yield client


def layer_of(app: FastAPI) -> hot.Hot:
    """The layer itself, within the stack that the first request has built."""
    layer: Any = app.middleware_stack or app.build_middleware_stack()
    while not isinstance(layer, hot.Hot):
        layer = layer.app
    return layer
