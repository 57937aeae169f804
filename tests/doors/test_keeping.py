"""What the door keeps of the exchange's answers takes bounded memory."""

import httpx
from fastapi import FastAPI

from kalshi_gateway.doors.reads import Reads

PREFIX = "/trade-api/v2"


def reads_of(app: FastAPI) -> Reads:
    reads: Reads = app.state.resources.reads
    return reads


async def test_one_large_answer_is_kept(
    app: FastAPI, client: httpx.AsyncClient, direct: httpx.AsyncClient
) -> None:
    """An answer that takes a third of the room is given again, as all series are."""
    path = f"{PREFIX}/series"
    reads_of(app)._most_bytes = 4 * len((await direct.get(path)).content)

    answers = [await client.get(path) for _ in range(2)]

    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "HIT"]


async def test_one_huge_answer_is_not(
    app: FastAPI, client: httpx.AsyncClient, direct: httpx.AsyncClient
) -> None:
    """What takes most of the room would displace all else."""
    path = f"{PREFIX}/series"
    reads_of(app)._most_bytes = 2 * len((await direct.get(path)).content)

    answers = [await client.get(path) for _ in range(2)]

    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "MISS"]


async def test_long_questions_take_room(app: FastAPI, client: httpx.AsyncClient) -> None:
    """What was asked counts, as it may be longer than what is answered."""
    reads = reads_of(app)
    reads._most_bytes = room = 100_000

    for number in range(30):
        await client.get(f"{PREFIX}/exchange/schedule?x={'x' * 7_000}{number}")

    assert 0 < sum(len(target) for _, target, _, _ in reads._kept) <= room
