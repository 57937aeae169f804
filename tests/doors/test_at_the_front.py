"""What the exchange's door keeps for everybody is given before the application is asked."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from kalshi_gateway.app import create_app
from kalshi_gateway.audit.entry import Author
from kalshi_gateway.db import Database
from kalshi_gateway.front import Front
from kalshi_gateway.kalshi.signing import ApiKey, Signer
from kalshi_gateway.keys import keeping
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.exchange import Exchange
from tests.serving import lets_in, served

from .people import People

TOLD = Author("test")
SCHEDULE = "/trade-api/v2/exchange/schedule"
SPORTS = "/trade-api/v2/search/filters_by_sport"
BALANCE = "/trade-api/v2/portfolio/balance"

#: What is another from answer to answer, whoever gives it.
PASSING = {"x-request-id", "age", "date", "ratelimit", "x-ratelimit-remaining"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"gateway_requests_per_second": 1_000})


@pytest.fixture
def at_front(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The URLs that were answered without the application."""
    answered: list[bytes] = []
    answer = Front.answer

    def told(self: Front, url: bytes, *rest: Any) -> tuple[bytes, bytes] | None:
        ready = answer(self, url, *rest)
        if ready is not None:
            answered.append(url)
        return ready

    monkeypatch.setattr(Front, "answer", told)
    return answered


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a real server."""
    async with (
        served(app) as port,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Accept-Encoding": "identity"},
            trust_env=False,
        ) as client,
    ):
        await lets_in(app, client)
        yield client


async def signer(client: httpx.AsyncClient, app: FastAPI, database: Database) -> Signer:
    """A virtual key that the gateway knows without asking."""
    key, pem = await keeping.create(database, "ada", ["read"], TOLD, "ed25519")
    made = Signer(ApiKey.from_pem(str(key.id), pem), str(client.base_url))
    app.state.resources.verifier.fresh_for = timedelta(minutes=10)
    assert (await client.get(SCHEDULE, auth=made)).status_code == 200
    return made


def said(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in PASSING}


@pytest.mark.parametrize("path", [SCHEDULE, SPORTS])
@pytest.mark.parametrize("headers", [{}, {"Accept-Encoding": "gzip"}, {"Accept-Language": "es"}])
async def test_the_same_both_ways(
    client: httpx.AsyncClient, at_front: list[bytes], path: str, headers: Mapping[str, str]
) -> None:
    """Status, headers and body are those that the application sends."""
    first = await client.get(path, headers=headers)
    at_once = await client.get(path, headers=headers)
    # One header that nobody at the front reads sends the same question the long way.
    routed = await client.get(path, headers={**headers, "X-Forwarded-For": "127.0.0.1"})

    assert first.headers["X-Cache"] == "MISS"
    assert at_front == [path.encode()]
    assert (at_once.status_code, at_once.content) == (routed.status_code, routed.content)
    assert said(at_once) == said(routed)
    assert {"age", "date", "x-request-id", "ratelimit"} <= at_once.headers.keys()


async def test_signed_and_with_token(
    client: httpx.AsyncClient,
    app: FastAPI,
    at_front: list[bytes],
    database: Database,
    exchange: Exchange,
) -> None:
    """Who signs, or shows a token, is given it, too, if signature and token hold."""
    key = await signer(client, app, database)
    token = await People(client, exchange, database).token("ada", "read")
    await client.get(SCHEDULE, headers=token)
    at_front.clear()

    good = [await client.get(SCHEDULE, auth=key), await client.get(SCHEDULE, headers=token)]
    given = len(at_front)
    headers = {**key.headers("GET", client.base_url.join(SPORTS)), "X-Request-ID": "a"}
    bad = [
        await client.get(SCHEDULE, headers=headers),
        await client.get(SCHEDULE, headers={"Authorization": "Bearer kgw_none"}),
    ]
    await keeping.revoke(database, UUID(key.key.key_id), TOLD)
    ended = await client.get(SCHEDULE, auth=key)

    assert [answer.status_code for answer in good] == [200, 200]
    assert given == 2
    assert [answer.status_code for answer in (*bad, ended)] == [401, 401, 401]
    assert len(at_front) == 2


@pytest.mark.parametrize(
    "headers",
    [{"Cache-Control": "no-cache"}, {"Connection": "close"}, {"Origin": "http://localhost"}],
    ids=str,
)
async def test_whatever_is_out_of_the_ordinary_goes_the_long_way(
    client: httpx.AsyncClient, at_front: list[bytes], headers: Mapping[str, str]
) -> None:
    """Nobody is given what is not meant because it lies ready."""
    await client.get(SCHEDULE)

    answer = await client.get(SCHEDULE, headers=headers)

    assert answer.status_code == 200
    assert at_front == []


async def test_nothing_private_lies_there(
    people: People, client: httpx.AsyncClient, at_front: list[bytes]
) -> None:
    """What a user may read is never given without asking who they are."""
    ada = await people.admit()
    for _ in range(2):
        assert (await client.get(BALANCE, headers=ada.token)).status_code == 200

    stranger = await client.get(BALANCE)

    assert stranger.status_code == 401
    assert at_front == []


async def test_it_keeps_its_status(
    client: httpx.AsyncClient, at_front: list[bytes], exchange: Exchange
) -> None:
    """What the exchange says with another status than 200 lies ready with that."""
    exchange.faults.status(503, '{"exchange_active":false}', operation="GET /exchange/status")

    answers = [await client.get("/trade-api/v2/exchange/status") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert at_front == [b"/trade-api/v2/exchange/status"]


async def test_it_grows_old(
    client: httpx.AsyncClient, app: FastAPI, at_front: list[bytes], exchange: Exchange
) -> None:
    """What is no longer young is asked for anew."""
    await client.get(SCHEDULE)
    [kept] = app.state.resources.reads._kept.values()
    kept.asked_at -= kept.fresh_seconds + 1

    answer = await client.get(SCHEDULE)

    assert answer.headers["X-Cache"] == "REVALIDATED"
    assert at_front == []
    assert exchange.counters.requests["GET /exchange/schedule"] == 2


async def test_without_tokens_only_this_machine_is_answered(
    settings: Settings, database_url: str, at_front: list[bytes], transport: Any
) -> None:
    """A page that reaches us by another name gets nothing, ready or not."""
    local = settings.model_copy(update={"gateway_auth": "off"})
    app = create_app(local, database_url=database_url, exchange=transport)
    async with served(app) as port, httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{port}{SCHEDULE}"
        own = [await client.get(url) for _ in range(2)]
        foreign = await client.get(url, headers={"Host": "evil.example"})

    assert [answer.status_code for answer in own] == [200, 200]
    assert foreign.status_code == 403
    assert len(at_front) == 1


async def test_it_is_counted(client: httpx.AsyncClient, at_front: list[bytes]) -> None:
    """Metrics do not tell the two ways apart."""
    for _ in range(3):
        await client.get(SCHEDULE)

    told = (await client.get("/metrics")).text

    route = 'gateway_requests_total{method="GET",route="/trade-api/v2/{path:path}",status="200"}'
    assert f"{route} 3.0" in told
    assert len(at_front) == 2
