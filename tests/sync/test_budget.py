"""What the catalogue takes of the exchange's budget, and of the memory."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic

import httpx
import pytest

from kalshi_gateway import upstream
from kalshi_gateway.kalshi.budget import Bucket, Budget, Lane
from kalshi_gateway.kalshi.client import http_client
from kalshi_gateway.metrics import Metrics
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.budgets import TIERS
from kalshi_gateway.simulator.exchange import Exchange

from .desk import BASE_URL, Desk, SmallPages, Wire
from .desk import desk as a_desk
from .outages import eventually

#: How much faster than ours both clocks run here, the exchange's and our budget's.
FASTER = 50.0
BEGAN = datetime.now(UTC)
BEGAN_S = monotonic()


def fast_s() -> float:
    return (monotonic() - BEGAN_S) * FASTER


def fast_budget() -> Budget:
    def call_later(delay_s: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay_s / FASTER, call)

    return Budget(now=fast_s, call_later=call_later)


def busy_exchange(markets: int) -> Exchange:
    """Many markets, and refusals for whoever asks more than the Basic tier may."""
    exchange = Exchange.generated(markets, seed=3, now=lambda: BEGAN + timedelta(seconds=fast_s()))
    exchange.limits.unsigned = TIERS["basic"]
    return exchange


@asynccontextmanager
async def counted(url: str, markets: int) -> AsyncIterator[tuple[Desk, list[float]]]:
    """A writer, and what was left of the budget after each of its questions."""
    exchange = busy_exchange(markets)
    left: list[float] = []
    wire = Wire(exchange)
    async with http_client(BASE_URL, transport=wire) as http:
        kalshi = SmallPages(BASE_URL, http, budget=fast_budget())

        def note(_: httpx.Request) -> None:
            levels = kalshi.budget.snapshot()
            left.append(next(level.left for level in levels if level.bucket is Bucket.READ))

        wire.meddle = note
        async with a_desk(url, exchange, wire=wire, kalshi=kalshi) as desk:
            yield desk, left


async def test_a_walk_leaves_half_of_the_budget_to_others(database_url: str) -> None:
    """It is never refused, and at any moment there are ten calls left for whoever waits."""
    async with counted(database_url, 5_000) as (desk, left):
        await desk.walk()

        counters = desk.exchange.counters
        assert len(left) > 100
        assert min(left) >= 100
        assert counters.refused == 0
        assert counters.statuses.keys() == {200}


async def has_asked(left: list[float], pages: int) -> bool:
    return len(left) >= pages


async def test_a_waiting_client_goes_before_the_walk(database_url: str) -> None:
    """In the midst of it, each of three questions is asked at once: at most one page goes first."""
    async with counted(database_url, 1_500) as (desk, left):
        walking = asyncio.create_task(desk.walk())
        asked_after: list[int] = []
        for pages in (10, 20, 30):
            await eventually(partial(has_asked, left, pages))
            ticker = next(iter(desk.listed()))
            before = len(desk.wire.asked)
            await desk.kalshi.market(ticker, lane=Lane.WAITING)
            place = next(
                at
                for at, url in enumerate(desk.wire.asked[before:])
                if url.path.endswith(f"/markets/{ticker}")
            )
            asked_after.append(place)
        await walking

        assert max(asked_after) <= 1
        assert desk.exchange.counters.refused == 0


async def test_whoever_does_not_sign_asks_less() -> None:
    """Unsigned calls are refused at much less than the smallest tier's pace."""
    settings = Settings.model_construct(kalshi_base_url=BASE_URL)
    async with http_client(BASE_URL, transport=Wire(Exchange.generated(20))) as http:
        kalshi = upstream.kalshi(settings, http, Metrics())
        await upstream.Learning(kalshi, signed=False).learn()

        read = next(level for level in kalshi.budget.snapshot() if level.bucket is Bucket.READ)
        assert (read.refill_per_s, read.capacity) == (50, 100)


async def test_memory_does_not_grow_with_the_walks(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 markets are known once, however often they are walked and priced anew."""
    monkeypatch.setattr(SmallPages, "markets_at_once", 1_000)
    exchange = Exchange.generated(10_000, seed=3)
    exchange.limits.on = False
    opened = [entry.ticker for entry in exchange.catalogue.created["open", 0].things][:200]
    async with a_desk(database_url, exchange) as desk:
        await desk.walk()
        known = len(desk.catalogue)

        sizes = []
        tracemalloc.start()
        for number in range(2):
            for ticker in opened:
                exchange.catalogue.change(ticker, last_price_dollars=f"0.{number + 10}00")
            await desk.walk()
            gc.collect()  # pages that hang in a circle are nobody's, and will be gone
            sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()

        assert known == len(desk.listed())
        assert len(desk.catalogue) == known
        assert len(desk.catalogue.wanted_markets) == len(desk.catalogue.wanted_events) == 0
        assert sizes[1] - sizes[0] < 200_000


async def test_settled_markets_leave_the_memory(desk: Desk, exchange: Exchange) -> None:
    """Tens of thousands settle each day: they are in the database, and nobody compares them."""
    await desk.walk()
    known = len(desk.catalogue)
    gone = [ticker for ticker, status in desk.listed().items() if status == "open"]
    for ticker in gone:
        exchange.catalogue.settle(ticker, "yes")
    await desk.writer.changes()
    while_repeated = len(desk.catalogue)
    before = await desk.versions()

    await desk.tell("UPDATE catalogue_walks SET complete_as_of = now() + interval '90 s'")
    await desk.writer.changes()

    assert while_repeated == known
    assert len(desk.catalogue) == known - len(gone)
    assert await desk.rewritten(before) == set()
    await desk.succeed()
    assert len(desk.catalogue) == known - len(gone)
