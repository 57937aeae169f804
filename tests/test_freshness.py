"""How old an answer is, and one answer of the exchange kept for all who ask."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from kalshi_gateway.freshness import Kept, Standing
from kalshi_gateway.kalshi.errors import KalshiError, Unavailable

MINUTE = timedelta(minutes=1)


class Exchange:
    """Says one more each time it is asked; slow, old or gone as a test wants it."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers_from = timedelta()
        self.failure: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.was_asked = asyncio.Event()

    async def ask(self) -> tuple[int, datetime]:
        self.asked += 1
        asked_at = datetime.now(UTC) - self.answers_from
        self.was_asked.set()
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return self.asked, asked_at


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


async def test_asked_once_while_fresh(exchange: Exchange) -> None:
    """What is fresh is not asked for again."""
    kept = Kept(exchange.ask, MINUTE)

    answers = [await kept.get() for _ in range(3)]

    assert [value for value, _, _ in answers] == [1, 1, 1]
    assert exchange.asked == 1
    assert not answers[-1][1].meta().stale


async def test_asked_again_when_old(exchange: Exchange) -> None:
    """What is old is asked for again, and the newer answer is kept."""
    kept = Kept(exchange.ask, MINUTE)
    exchange.answers_from = 2 * MINUTE
    await kept.get()
    exchange.answers_from = timedelta()

    assert (await kept.get())[0] == 2
    assert (await kept.get())[0] == 2
    assert exchange.asked == 2


async def test_shared_by_all_who_ask(exchange: Exchange) -> None:
    """Fifty who ask at the same time make one call, and get one answer."""
    kept = Kept(exchange.ask, MINUTE)
    exchange.may_answer.clear()
    asking = [asyncio.create_task(kept.get()) for _ in range(50)]
    await exchange.was_asked.wait()

    exchange.may_answer.set()
    answers = await asyncio.gather(*asking)

    assert {value for value, _, _ in answers} == {1}
    assert exchange.asked == 1


async def test_failure_shared_by_all_who_ask(exchange: Exchange) -> None:
    """Fifty who ask a dead exchange wait for one call between them, not for fifty in a row."""
    kept = Kept(exchange.ask, MINUTE)
    exchange.failure = Unavailable("no answer within 8.0 s")
    exchange.may_answer.clear()
    asking = [asyncio.create_task(kept.get()) for _ in range(50)]
    await exchange.was_asked.wait()

    exchange.may_answer.set()
    outcomes = await asyncio.gather(*asking, return_exceptions=True)

    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert exchange.asked == 1


async def test_one_who_leaves(exchange: Exchange) -> None:
    """Whoever stops waiting does not take the answer from those who still do."""
    kept = Kept(exchange.ask, MINUTE)
    exchange.may_answer.clear()
    leaving, staying = asyncio.create_task(kept.get()), asyncio.create_task(kept.get())
    await exchange.was_asked.wait()

    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    exchange.may_answer.set()

    assert (await staying)[0] == 1
    assert exchange.asked == 1


async def test_stale_when_the_exchange_fails(exchange: Exchange) -> None:
    """The last answer outlives the exchange: it is called stale, with the reason."""
    kept = Kept(exchange.ask, MINUTE)
    exchange.answers_from = 2 * MINUTE
    before = (await kept.get()).standing
    exchange.failure = Unavailable("503 from the exchange")

    value, standing, _ = await kept.get()

    assert value == 1
    assert standing.as_of == before.as_of
    assert standing.meta().stale
    assert standing.warnings == ("the exchange could not be asked: 503 from the exchange",)


async def test_stale_however_patient_its_reader(exchange: Exchange) -> None:
    """An answer that could not be renewed is stale, even if somebody likes old ones."""
    kept = Kept(exchange.ask, timedelta())
    await kept.get()
    exchange.failure = Unavailable("503 from the exchange")

    standing = (await kept.get()).standing

    assert standing.meta().stale


async def test_well_again(exchange: Exchange) -> None:
    """Once the exchange is back, nothing is left of its failure."""
    kept = Kept(exchange.ask, timedelta())
    await kept.get()
    exchange.failure = Unavailable("503 from the exchange")
    await kept.get()
    exchange.failure = None

    value, standing, _ = await kept.get()

    assert value == 3
    assert standing.warnings == ()


async def test_nothing_known(exchange: Exchange) -> None:
    """Without an answer to fall back on there is none, and it says why."""
    kept = Kept(exchange.ask, MINUTE)
    exchange.failure = Unavailable("503 from the exchange")

    with pytest.raises(KalshiError, match="503"):
        await kept.get()


async def test_mistakes_are_no_failures_of_the_exchange(exchange: Exchange) -> None:
    """A mistake of our own is not passed off as an old answer."""
    kept = Kept(exchange.ask, timedelta())
    await kept.get()
    exchange.failure = KeyError("ours")

    with pytest.raises(KeyError):
        await kept.get()


def test_age() -> None:
    """Age is counted in whole seconds since the exchange said it."""
    standing = Standing(datetime.now(UTC) - timedelta(seconds=90.5), 60.0)

    meta = standing.meta(source="kalshi", total=7)

    assert meta.age_seconds in (90, 91)
    assert (meta.stale, meta.source, meta.total, meta.complete) == (True, "kalshi", 7, True)


def test_age_of_what_is_unknown() -> None:
    """What the exchange never said has no age, and is not fresh."""
    meta = Standing(None, 60.0).meta()

    assert (meta.as_of, meta.age_seconds, meta.stale) == (None, None, True)


def test_no_age_below_zero() -> None:
    """A clock that was set back makes nothing younger than now."""
    meta = Standing(datetime.now(UTC) + MINUTE, 60.0).meta()

    assert (meta.age_seconds, meta.stale) == (0, False)
