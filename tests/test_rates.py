"""How much one caller may send: counted by token, or by address, and always told."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from kalshi_gateway import hot, rates
from kalshi_gateway.db import Database
from kalshi_gateway.rates import WINDOW_SECONDS, Rates
from kalshi_gateway.settings import Settings
from kalshi_gateway.tokens import repository as tokens
from tests.markets.builders import note_all_walked
from tests.serving import lets_in, served

SERIES = "/kalshi/series"
PER_SECOND = 3
QUOTA = PER_SECOND * WINDOW_SECONDS


@pytest.fixture
def settings(settings: Settings) -> Settings:
    changed = {"gateway_auth": "token", "gateway_requests_per_second": PER_SECOND}
    return settings.model_copy(update=changed)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds by which requests are counted; they stand still."""
    now = [1_000.0]
    monkeypatch.setattr(rates, "monotonic_ns", lambda: int(now[0] * rates.SECOND))
    return now


@pytest.fixture(autouse=True)
async def known_catalogue(database: Database) -> None:
    await note_all_walked(database)


@pytest.fixture
async def client(app: FastAPI, clock: list[float]) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        served(app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        await lets_in(app, client)
        yield client


async def a_token(database: Database, name: str) -> dict[str, str]:
    async with database.begin() as conn:
        _, secret = await tokens.create(conn, name, ["read"], name, None)
    return {"Authorization": f"Bearer {secret}"}


async def known(client: httpx.AsyncClient, shown: dict[str, str], clock: list[float]) -> None:
    """Let the gateway know the token; what that took is earned again."""
    assert (await client.get(SERIES, headers=shown)).status_code == 200
    clock[0] += WINDOW_SECONDS


async def test_a_token_that_sends_too_much_is_refused(
    client: httpx.AsyncClient,
    database: Database,
    clock: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With 429, and told when to come again; then it may, and meanwhile others may."""
    monkeypatch.setattr(hot, "FRESH_SECONDS", 600.0)
    one, other = await a_token(database, "one"), await a_token(database, "other")
    await known(client, one, clock)
    await known(client, other, clock)

    taken = [await client.get(SERIES, headers=one) for _ in range(QUOTA)]
    refused = await client.get(SERIES, headers=one)
    beside = await client.get(SERIES, headers=other)
    clock[0] += 1.0
    later = await client.get(SERIES, headers=one)

    assert [answer.status_code for answer in taken] == [200] * QUOTA
    assert [answer.headers["x-ratelimit-remaining"] for answer in taken] == [
        str(QUOTA - number) for number in range(1, QUOTA + 1)
    ]
    assert refused.status_code == 429
    assert refused.json()["code"] == "too_many_requests"
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["ratelimit"] == f'"requests";r=0;t={WINDOW_SECONDS}'
    assert (beside.status_code, later.status_code) == (200, 200)


async def test_every_answer_tells_what_is_left(
    client: httpx.AsyncClient, database: Database, clock: list[float]
) -> None:
    """By the standard headers and by the older ones, whoever answers."""
    shown = await a_token(database, "one")
    await known(client, shown, clock)

    for path in (SERIES, "/kalshi/series/NONE", SERIES):
        answer = await client.get(path, headers=shown)
        left = answer.headers["x-ratelimit-remaining"]
        assert answer.headers["ratelimit-policy"] == f'"requests";q={QUOTA};w={WINDOW_SECONDS}'
        assert answer.headers["ratelimit"].startswith(f'"requests";r={left};t=')
        assert answer.headers["x-ratelimit-limit"] == str(QUOTA)
        assert int(answer.headers["x-ratelimit-reset"]) <= WINDOW_SECONDS


async def test_tokens_that_are_none_count_for_their_address(
    client: httpx.AsyncClient, database: Database, clock: list[float]
) -> None:
    """Another one each time gets no more than the same, and costs real ones nothing."""
    shown = await a_token(database, "one")
    await known(client, shown, clock)

    guesses = [
        await client.get(SERIES, headers={"Authorization": f"Bearer kgw_{number:043}"})
        for number in range(QUOTA + 1)
    ]
    real = await client.get(SERIES, headers=shown)

    assert [answer.status_code for answer in guesses] == [401] * QUOTA + [429]
    assert real.status_code == 200


async def test_who_watches_over_us_is_not_refused(
    client: httpx.AsyncClient, clock: list[float]
) -> None:
    """Probes are answered however often they come."""
    for _ in range(QUOTA + 3):
        answer = await client.get("/healthz")
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers


async def test_no_limit_says_nothing(database_url: str) -> None:
    """With 0 nobody is counted."""
    assert not Rates(0).on


@given(
    per_second=st.integers(1, 50),
    pauses=st.lists(st.integers(0, 3 * rates.SECOND), min_size=1, max_size=200),
)
def test_over_any_time_no_more_is_taken_than_was_earned(per_second: int, pauses: list[int]) -> None:
    """In a span of any length: a window's quota at once, and what each second brings."""
    moment = rates.SECOND
    counted = Rates(per_second)
    taken: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rates, "monotonic_ns", lambda: moment)
        for pause in pauses:
            moment += pause
            if not counted.take("one").refused:
                taken.append(moment)

    for start, began in enumerate(taken):
        for count, ended in enumerate(taken[start:], 1):
            earned = (ended - began) // (rates.SECOND // per_second)
            assert count <= rates.WINDOW // (rates.SECOND // per_second) + earned + 1


def test_callers_who_are_gone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is taken only by those who have not earned everything again."""
    monkeypatch.setattr(rates, "MOST_CALLERS", 10)
    moment = rates.SECOND
    monkeypatch.setattr(rates, "monotonic_ns", lambda: moment)
    counted = Rates(1)
    for number in range(10):
        counted.take(number)

    moment += rates.WINDOW
    counted.take("new")

    assert len(counted) == 1
