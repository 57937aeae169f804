"""What the server answers before it asks the application: the same, for the same, and counted."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
from fastapi import FastAPI

from kalshi_gateway import hot
from kalshi_gateway.app import create_app
from kalshi_gateway.db import Database
from kalshi_gateway.settings import Settings
from kalshi_gateway.tokens import repository as tokens
from tests.markets.builders import a_series, note_all_walked, store
from tests.serving import answered_at_front, lets_in, served

SERIES = "/kalshi/series"

#: What is another from answer to answer, whoever gives it.
PASSING = {"x-request-id", "age", "date", "cache-status", "ratelimit", "x-ratelimit-remaining"}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer stays fresh for as long as a test takes."""
    monkeypatch.setattr(hot, "FRESH_SECONDS", 600.0)
    monkeypatch.setattr(hot, "RENEWED_SECONDS", 600.0)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"gateway_auth": "token", "gateway_requests_per_second": 1_000}
    )


@pytest.fixture
async def secret(database: Database) -> str:
    async with database.begin() as conn:
        _, secret = await tokens.create(conn, "reader", ["read"], "alice", None)
    return secret


@pytest.fixture
async def at_front(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The URLs that were answered without the application."""
    return answered_at_front(monkeypatch)


@pytest.fixture(autouse=True)
async def known(database: Database) -> None:
    """A catalogue whose answers are worth compressing."""
    await store(database, *(a_series(f"KXSERIES{number}") for number in range(20)))
    await note_all_walked(database)


@pytest.fixture
async def client(app: FastAPI, secret: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a real server, for whom the path lies ready."""
    async with (
        served(app) as port,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {secret}", "Accept-Encoding": "identity"},
            trust_env=False,
        ) as client,
    ):
        await lets_in(app, client)
        assert (await client.get(SERIES)).status_code == 200
        yield client


@pytest.mark.parametrize(
    "headers",
    [{}, {"Accept-Encoding": "gzip"}, {"If-None-Match": "*"}, {"If-None-Match": '"other"'}],
    ids=str,
)
async def test_an_answer_is_the_same_at_the_front_and_by_the_long_way(
    client: httpx.AsyncClient, at_front: list[bytes], headers: Mapping[str, str]
) -> None:
    """Status, headers and body are those that the application sends."""
    at_once = await client.get(SERIES, headers=headers)
    assert at_front == [SERIES.encode()]

    # One header that nobody at the front reads sends the same question the long way.
    routed = await client.get(SERIES, headers={**headers, "X-Forwarded-For": "127.0.0.1"})

    assert at_front == [SERIES.encode()]
    assert at_once.status_code == routed.status_code
    assert _said(at_once) == _said(routed)
    assert at_once.content.split(b',"meta"')[0] == routed.content.split(b',"meta"')[0]


async def test_a_sane_request_id_is_repeated(
    client: httpx.AsyncClient, at_front: list[bytes]
) -> None:
    """Every answer has one; that of the client, if it is one."""
    shown = await client.get(SERIES, headers={"X-Request-ID": "abc-1"})
    odd = await client.get(SERIES, headers={"X-Request-ID": "a b"})
    none = await client.get(SERIES)

    assert len(at_front) == 3
    assert shown.headers["x-request-id"] == "abc-1"
    assert odd.headers["x-request-id"] != none.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"Authorization": ""}, 401),
        ("GET", {"Authorization": "Bearer kgw_none"}, 401),
        ("GET", {"Cache-Control": "no-cache"}, 200),
        ("GET", {"Connection": "close"}, 200),
        ("HEAD", {}, 200),
        ("POST", {}, 405),
    ],
    ids=str,
)
async def test_whatever_is_out_of_the_ordinary_goes_the_long_way(
    client: httpx.AsyncClient,
    at_front: list[bytes],
    method: str,
    headers: Mapping[str, str],
    status: int,
) -> None:
    """Nobody is let in, or given what is not meant, because an answer lies ready."""
    answer = await client.request(method, SERIES, headers=headers)

    assert at_front == []
    assert answer.status_code == status


async def test_one_request_makes_an_answer_anew(
    client: httpx.AsyncClient,
    at_front: list[bytes],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While that is under way all others are given the answer there is, and wait for nothing."""
    monkeypatch.setattr(hot, "FRESH_SECONDS", 0.0)
    async with database.driver() as conn, conn.transaction():
        await conn.execute("LOCK TABLE series")  # so that it does not end
        await client.get(SERIES)
        assert at_front == []

        meanwhile = [await client.get(SERIES) for _ in range(3)]

        assert {answer.status_code for answer in meanwhile} == {200}
        assert len(at_front) == 3


async def test_a_revoked_token_gets_nothing_that_lies_ready(
    client: httpx.AsyncClient, at_front: list[bytes], app: FastAPI, secret: str
) -> None:
    """The front believes whom the application believes, and not a moment longer."""
    gatekeeper = app.state.resources.gatekeeper
    async with app.state.resources.database.begin() as conn:
        await tokens.revoke(conn, "reader")
    gatekeeper.forget(None)

    answer = await client.get(SERIES)

    assert at_front == []
    assert answer.status_code == 401


async def test_what_is_answered_at_the_front_is_counted(
    client: httpx.AsyncClient, at_front: list[bytes]
) -> None:
    """Metrics do not tell the two ways apart."""
    for _ in range(3):
        await client.get(SERIES)

    told = (await client.get("/metrics")).text
    assert len(at_front) == 3
    assert 'gateway_requests_total{method="GET",route="/kalshi/series",status="200"} 4.0' in told
    assert 'gateway_request_seconds_count{route="/kalshi/series"} 4.0' in told
    assert 'gateway_cache_results_total{result="HIT",route="/kalshi/series"} 4.0' in told


async def test_requests_in_one_piece_are_answered_in_their_order(
    client: httpx.AsyncClient, at_front: list[bytes], secret: str
) -> None:
    """What lies ready does not overtake what has to be made, nor what was asked before it."""
    port = client.base_url.port
    paths = [SERIES, "/healthz", SERIES, "/healthz"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    writer.write(
        b"".join(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {number}\r\n"
            f"Authorization: Bearer {secret}\r\n\r\n".encode()
            for number, path in enumerate(paths)
        )
    )
    bodies = [await _read(reader) for _ in paths]

    writer.close()
    await writer.wait_closed()
    assert [request_id for request_id, _ in bodies] == ["0", "1", "2", "3"]
    assert [b'"series"' in body for _, body in bodies] == [True, False, True, False]
    assert at_front[:1] == [SERIES.encode()]


async def test_without_tokens_only_this_machine_is_answered(
    app: FastAPI, settings: Settings, database_url: str, at_front: list[bytes]
) -> None:
    """A page that reaches us by another name gets nothing, ready or not."""
    open_to_all = create_app(
        settings.model_copy(update={"gateway_auth": "off"}), database_url=database_url
    )
    async with (
        served(open_to_all) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        await client.get(SERIES)
        ours = await client.get(SERIES)
        foreign = await client.get(SERIES, headers={"Host": "evil.example"})
        page = await client.get(SERIES, headers={"Origin": "https://evil.example"})

    assert len(at_front) == 1
    assert (ours.status_code, foreign.status_code, page.status_code) == (200, 403, 403)


def _said(answer: httpx.Response) -> dict[str, str]:
    return {
        name: value
        for name, value in answer.headers.items()
        if name not in PASSING and (name != "content-length" or answer.status_code == 304)
    }


async def _read(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """The id and the body of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    said = dict(line.split(": ", 1) for line in head[1:] if line)
    return said["x-request-id"], await reader.readexactly(int(said["content-length"]))
