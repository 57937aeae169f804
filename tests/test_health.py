"""/healthz, /readyz, /metrics."""

import httpx
import pytest
from fastapi import FastAPI

from kalshi_gateway import __version__, migrate
from kalshi_gateway.app import create_app
from kalshi_gateway.db import Database
from kalshi_gateway.readiness import Readiness
from kalshi_gateway.settings import Settings
from kalshi_gateway.tokens import repository as tokens
from tests import postgres
from tests.markets.builders import note_all_walked

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


async def test_alive_without_database(settings: Settings) -> None:
    """A gateway whose database is down starts, and says that it lives."""
    app = create_app(settings, database_url=NOWHERE)

    async with app.router.lifespan_context(app):
        response = await get(app, "/healthz")

    assert response.status_code == 200
    assert response.json() == {"status": "ok", "version": __version__}


async def test_ready_with_migrated_database(client: httpx.AsyncClient) -> None:
    """With its database in reach and migrated a gateway can answer."""
    response = await client.get("/readyz")

    assert response.status_code == 200
    assert response.json()["ready"] is True
    assert response.json()["parts"]["database"]["ok"] is True


async def test_unready_without_database(settings: Settings) -> None:
    """With neither database nor anything in memory a gateway cannot answer, and says why."""
    app = create_app(settings, database_url=NOWHERE)

    async with app.router.lifespan_context(app):
        response = await get(app, "/readyz")

    assert response.status_code == 503
    assert response.json() == {
        "ready": False,
        "parts": {
            "database": {"ok": False, "detail": "cannot be reached"},
            "memory": {"ok": False, "detail": "empty"},
        },
    }


async def test_ready_from_memory(settings: Settings) -> None:
    """Something hot in memory is enough to be ready while the database is down."""
    app = create_app(settings, database_url=NOWHERE)

    async with app.router.lifespan_context(app):
        app.state.resources.readiness.caches["markets"] = lambda: True
        response = await get(app, "/readyz")

    assert response.status_code == 200
    assert response.json()["parts"]["database"]["ok"] is False
    assert response.json()["parts"]["markets"] == {"ok": True, "detail": "in memory"}


async def test_ready_for_nobody(settings: Settings, database_url: str, database: Database) -> None:
    """What lies in memory is of no use once no token would be believed without the database."""
    with_tokens = settings.model_copy(update={"gateway_auth": "token"})
    app = create_app(with_tokens, database_url=database_url)
    await note_all_walked(database)
    async with database.begin() as conn:
        _, secret = await tokens.create(conn, "reader", ["read"], "ada", None)

    async with app.router.lifespan_context(app):
        before = await get(app, "/kalshi/categories", Authorization=f"Bearer {secret}")
        trusted = await get(app, "/readyz")
        app.state.resources.gatekeeper.trusted_for *= 0  # what a minute does
        after = await get(app, "/readyz")

    assert before.status_code == 200
    assert trusted.json()["parts"]["memory"]["ok"] is True
    assert after.json()["parts"]["memory"]["ok"] is False


@pytest.mark.parametrize(
    ("statement", "ok"),
    [
        ("UPDATE alembic_version SET version_num = '0001'", False),
        ("UPDATE alembic_version SET version_num = '9999'", True),
        ("DELETE FROM alembic_version", False),
        ("DROP TABLE alembic_version", False),
    ],
    ids=["old", "newer than the gateway", "none", "never migrated"],
)
async def test_readiness_and_revision(database: Database, statement: str, ok: bool) -> None:
    """An old schema is not ready; one that a newer gateway has migrated is."""
    async with database.driver() as conn:
        await conn.execute(statement)

    report = await Readiness(database).report()

    assert report.ready is ok


async def test_readiness_comes_back(cluster: postgres.Cluster, settings: Settings) -> None:
    """A gateway that started before its database is ready as soon as that is there."""
    async with cluster.empty_database() as url:
        app = create_app(settings, database_url=url)
        async with app.router.lifespan_context(app):
            before = await Readiness(app.state.resources.database).report()
            await migrate.to_head(url)
            after = await Readiness(app.state.resources.database).report()

    assert (before.ready, after.ready) == (False, True)


async def test_metrics_count_by_template(client: httpx.AsyncClient) -> None:
    """Requests are counted by method, route template and status; paths nobody serves as one."""
    await client.get("/healthz")
    await client.get("/problems/no-such-problem")
    await client.get("/some/path")
    await client.get("/another/path")

    text = (await client.get("/metrics")).text

    assert 'gateway_requests_total{method="GET",route="/healthz",status="200"} 1.0' in text
    assert 'gateway_requests_total{method="GET",route="/problems/{code}",status="404"} 1.0' in text
    assert 'gateway_requests_total{method="GET",route="none",status="404"} 2.0' in text
    assert 'gateway_request_seconds_count{route="/healthz"} 1.0' in text
    assert "gateway_requests_in_flight 1.0" in text


async def test_metrics_count_what_came_from_where(client: httpx.AsyncClient) -> None:
    """Answers that tell how they were come by are counted by that; others are not."""
    for path in ("/kalshi/exchange", "/kalshi/exchange", "/kalshi/exchange?refresh=true"):
        await client.get(path)
    await client.get("/healthz")
    await client.get("/kalshi/exchange", headers={"If-None-Match": "*"})

    text = (await client.get("/metrics")).text

    counted = [line for line in text.splitlines() if line.startswith("gateway_cache_results_total")]
    assert sorted(counted) == [
        f'gateway_cache_results_total{{result="{result}",route="/kalshi/exchange"}} {count}'
        for result, count in (("BYPASS", 1.0), ("HIT", 2.0), ("MISS", 1.0))
    ]


async def test_metrics_of_two_apps_are_apart(settings: Settings) -> None:
    """Each application has a registry of its own."""
    one = create_app(settings, database_url=NOWHERE)
    other = create_app(settings, database_url=NOWHERE)

    async with one.router.lifespan_context(one), other.router.lifespan_context(other):
        await get(one, "/healthz")
        text = (await get(other, "/metrics")).text

    assert 'route="/healthz"' not in text


@pytest.mark.parametrize(
    ("client_host", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.7", {}, 401),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 401),
        ("127.0.0.1", {"Host": "gateway.example.com"}, 401),
    ],
)
async def test_metrics_are_for_this_machine(
    settings: Settings, client_host: str, headers: dict[str, str], status: int
) -> None:
    """Without a token only this machine itself reads the metrics, and no proxy on it."""
    app = create_app(settings.model_copy(update={"gateway_auth": "token"}), database_url=NOWHERE)

    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, client=(client_host, 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            response = await client.get("/metrics", headers=headers)

    assert response.status_code == status


async def get(app: FastAPI, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get(path, headers=headers)
