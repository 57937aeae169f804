"""Nobody spends more than the exchange allows, and the urgent go first."""

import asyncio
import heapq
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_gateway.kalshi.budget import LONGEST_BEHIND_S, Bucket, Budget, Lane, Level, TooExpensive
from kalshi_gateway.kalshi.wire import (
    AccountLimits,
    BucketLimit,
    EndpointCosts,
    EndpointTokenCost,
)


class Alarm:
    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class FakeTime:
    """A clock that moves when told, and fires what was set on the way."""

    def __init__(self) -> None:
        self.time = 100.0
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._order = count()

    def now(self) -> float:
        return self.time

    def call_later(self, delay: float, action: Callable[[], None]) -> Alarm:
        alarm = Alarm(action)
        heapq.heappush(self._alarms, (self.time + delay, next(self._order), alarm))
        return alarm

    async def pass_by(self, seconds: float) -> None:
        end = self.time + seconds
        await settle()
        while self._alarms and self._alarms[0][0] <= end:
            self.time, _, alarm = heapq.heappop(self._alarms)
            if alarm.action is not None:
                alarm.action()
            await settle()
        self.time = end


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(3):
        await asyncio.sleep(0)


class Spender:
    """Asks for turns, and writes down who got one and when."""

    def __init__(self, budget: Budget, time: FakeTime) -> None:
        self._budget = budget
        self._time = time
        self.gone: list[tuple[float, Lane, int]] = []

    def ask(self, cost: int, lane: Lane, bucket: Bucket = Bucket.READ) -> asyncio.Task[None]:
        return asyncio.create_task(self._go(cost, lane, bucket))

    async def _go(self, cost: int, lane: Lane, bucket: Bucket) -> None:
        await self._budget.spend(cost, bucket, lane)
        self.gone.append((self._time.time, lane, cost))

    @property
    def lanes(self) -> list[Lane]:
        return [lane for _, lane, _ in self.gone]


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def budget(time: FakeTime) -> Budget:
    return Budget(now=time.now, call_later=time.call_later)


@pytest.fixture
def spender(budget: Budget, time: FakeTime) -> Spender:
    return Spender(budget, time)


def level(budget: Budget, bucket: Bucket = Bucket.READ) -> Level:
    return next(level for level in budget.snapshot() if level.bucket is bucket)


def calls_in(action: Callable[[], object]) -> int:
    """How many calls of functions it takes."""
    calls: Counter[str] = Counter()
    sys.setprofile(lambda frame, event, arg: calls.update([event]))
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls.total()


def limits(read: int = 300, capacity: int = 900, tier: str = "advanced") -> AccountLimits:
    bucket = BucketLimit(refill_rate=read, bucket_capacity=capacity)
    return AccountLimits(usage_tier=tier, read=bucket, write=bucket)


async def test_a_full_bucket_answers_at_once(spender: Spender, budget: Budget) -> None:
    """What can be paid goes without waiting."""
    await spender.ask(10, Lane.WAITING)

    assert level(budget).left == 190
    assert level(budget).capacity == 200


async def test_the_basic_tier_is_assumed(budget: Budget) -> None:
    """Until the exchange has told us more, we have what everybody has."""
    sizes = {lvl.bucket: (lvl.refill_per_s, lvl.capacity) for lvl in budget.snapshot()}

    assert sizes == {Bucket.READ: (200, 200), Bucket.WRITE: (100, 100), Bucket.BALANCE: (1, 1)}


async def test_tokens_come_back_with_time(spender: Spender, time: FakeTime) -> None:
    """Twenty reads a second is what Basic sustains after its first burst."""
    for _ in range(60):
        _ = spender.ask(10, Lane.WAITING)

    await time.pass_by(1)

    # A tenth of the bucket is left to cancels and orders: 180 at once, 200 in the second.
    assert len(spender.gone) == 38


async def test_the_urgent_go_first(spender: Spender, time: FakeTime) -> None:
    """Those who wait go by lane, and in one lane by arrival."""
    await spender.ask(200, Lane.CANCEL)
    asked = [Lane.CATALOGUE, Lane.ACCOUNT, Lane.WAITING, Lane.ORDER, Lane.CANCEL]
    tasks = [spender.ask(10, lane) for lane in asked + asked]

    await time.pass_by(10)

    assert all(task.done() for task in tasks)
    assert spender.lanes[1:] == sorted(asked + asked)


@pytest.mark.parametrize(
    ("lane", "left"),
    [(Lane.CATALOGUE, 100), (Lane.ACCOUNT, 50), (Lane.WAITING, 20), (Lane.CANCEL, 0)],
)
async def test_each_lane_leaves_something_to_those_before_it(
    spender: Spender, budget: Budget, time: FakeTime, lane: Lane, left: int
) -> None:
    """Background work never empties the bucket; a cancel may."""
    tasks = [spender.ask(10, lane) for _ in range(30)]
    await settle()

    assert level(budget).left == left
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_cancel_never_waits_for_the_catalogue(spender: Spender, time: FakeTime) -> None:
    """However long the queue of background work is, a cancel goes at once."""
    background = [spender.ask(10, Lane.CATALOGUE) for _ in range(500)]
    await time.pass_by(3)

    cancel = spender.ask(2, Lane.CANCEL)
    await settle()

    assert cancel.done()
    assert not all(task.done() for task in background)
    await time.pass_by(60)


async def test_the_catalogue_goes_on_however_many_clients_wait(
    spender: Spender, time: FakeTime
) -> None:
    """Who has waited behind others for two seconds goes before them, one every two seconds."""
    for _ in range(2000):
        _ = spender.ask(10, Lane.WAITING)
    walks = [spender.ask(10, Lane.CATALOGUE) for _ in range(5)]

    gone = []
    for _ in range(5):
        await time.pass_by(2.1)
        gone.append(sum(walk.done() for walk in walks))

    assert gone == [1, 2, 3, 4, 5]


async def test_those_who_wait_hold_up_nobody() -> None:
    """Finding whose turn it is takes no more work while thousands wait than while a few do."""
    work = []
    for waiting in (20, 3000):
        time = FakeTime()
        budget = Budget(now=time.now, call_later=time.call_later)
        spender = Spender(budget, time)
        asked = [spender.ask(100, lane) for lane in (Lane.WAITING, Lane.CATALOGUE) * waiting]
        await settle()
        budget.refused(Bucket.READ)
        time.time += LONGEST_BEHIND_S

        work.append(calls_in(partial(budget.refused, Bucket.READ)))

        for task in asked:
            task.cancel()

    assert work[0] == work[1]


async def test_a_whole_batch_waits_for_a_full_bucket(
    spender: Spender, time: FakeTime, budget: Budget
) -> None:
    """A batch that needs all there is goes when all is there, reserve or not."""
    await spender.ask(10, Lane.CANCEL, Bucket.WRITE)

    batch = spender.ask(100, Lane.ORDER, Bucket.WRITE)
    await time.pass_by(0.09)
    assert not batch.done()
    await time.pass_by(0.02)

    assert batch.done()


async def test_what_can_never_be_paid_is_refused(budget: Budget) -> None:
    """A call that costs more than the bucket holds fails at once instead of never."""
    with pytest.raises(TooExpensive):
        await budget.spend(101, Bucket.WRITE, Lane.ORDER)


async def test_a_shrunken_bucket_still_serves(
    spender: Spender, time: FakeTime, budget: Budget
) -> None:
    """Who asked before the bucket became smaller than the cost goes when it is full."""
    await spender.ask(200, Lane.CANCEL)
    task = spender.ask(150, Lane.WAITING)
    await settle()

    budget.learn(limits(read=50, capacity=100))
    await time.pass_by(2.1)

    assert task.done()


async def test_the_balance_has_its_own_second(spender: Spender, time: FakeTime) -> None:
    """One balance a second, without a burst, whatever else is read."""
    for _ in range(4):
        _ = spender.ask(1, Lane.ACCOUNT, Bucket.BALANCE)

    await time.pass_by(3)

    moments = [at for at, _, _ in spender.gone]
    assert moments == pytest.approx([100, 101, 102, 103])


async def test_a_cancelled_wait_costs_nothing(
    spender: Spender, time: FakeTime, budget: Budget
) -> None:
    """Who leaves the queue is not paid for and does not hold up others."""
    await spender.ask(200, Lane.CANCEL)
    leaving = spender.ask(100, Lane.CANCEL)
    staying = spender.ask(10, Lane.CATALOGUE)
    await settle()

    leaving.cancel()
    await time.pass_by(0.6)

    assert leaving.cancelled()
    assert staying.done()
    assert level(budget).left == pytest.approx(110)


async def test_a_turn_that_came_too_late_is_given_back(
    spender: Spender, time: FakeTime, budget: Budget
) -> None:
    """Cancelled in the very moment its turn came, the call gives its tokens back."""
    await spender.ask(200, Lane.CANCEL)
    task = asyncio.create_task(budget.spend(100, Bucket.READ, Lane.CANCEL))
    await settle()

    time.time += 1
    budget.learn(None, None)
    budget.learn(limits(read=200, capacity=200))  # serves, before the task has run again
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert level(budget).left == 200


async def test_a_refusal_empties_the_bucket_and_slows_down(
    spender: Spender, budget: Budget, time: FakeTime
) -> None:
    """After a 429 we believe the exchange: nothing is left, and the next ones wait longer."""
    pauses = [budget.refused(Bucket.READ) for _ in range(12)]

    waiting = spender.ask(10, Lane.WAITING)
    await time.pass_by(pauses[-1] - 0.01)
    assert not waiting.done()
    await time.pass_by(0.02)

    assert waiting.done()
    assert pauses[0] <= 0.5
    assert 20 <= pauses[-1] <= 40
    assert level(budget, Bucket.WRITE).left == 100


async def test_a_cancel_goes_on_after_a_refusal(
    spender: Spender, budget: Budget, time: FakeTime
) -> None:
    """A cancel waits for its two tokens after a 429, and for nothing else."""
    for _ in range(10):
        budget.refused(Bucket.WRITE)

    cancel = spender.ask(2, Lane.CANCEL, Bucket.WRITE)
    await time.pass_by(0.021)

    assert cancel.done()


async def test_calm_is_forgiven(budget: Budget, time: FakeTime) -> None:
    """After a quiet while a refusal counts as the first one again."""
    for _ in range(8):
        budget.refused(Bucket.READ)
    await time.pass_by(120)

    assert budget.refused(Bucket.READ) <= 0.5


async def test_learned_sizes_count(spender: Spender, time: FakeTime, budget: Budget) -> None:
    """Refill and capacity are what the exchange says they are."""
    budget.learn(limits(read=300, capacity=900))

    assert (level(budget).refill_per_s, level(budget).capacity) == (300, 900)
    await time.pass_by(10)
    assert level(budget).left == 900


@pytest.mark.parametrize(
    "said",
    [
        AccountLimits(),
        AccountLimits(read=BucketLimit(), write=BucketLimit()),
        AccountLimits(read=BucketLimit(refill_rate=0, bucket_capacity=0)),
        AccountLimits(read=BucketLimit(refill_rate=-5, bucket_capacity=-5)),
    ],
)
async def test_nonsense_about_sizes_leaves_the_basic_tier(
    budget: Budget, said: AccountLimits
) -> None:
    """Limits that are missing, zero or negative do not stop us for ever."""
    budget.learn(said)

    assert (level(budget).refill_per_s, level(budget).capacity) == (200, 200)


@pytest.mark.parametrize(
    ("tier", "rate"), [("basic", 1), ("Advanced", 1), ("expert", 5), ("prime", 5), (None, 1)]
)
async def test_higher_tiers_read_the_balance_more_often(
    budget: Budget, tier: str | None, rate: int
) -> None:
    """Five balances a second above Advanced, one otherwise."""
    budget.learn(AccountLimits(usage_tier=tier))

    assert level(budget, Bucket.BALANCE).refill_per_s == rate


@pytest.mark.parametrize(
    ("method", "path", "cost"),
    [
        ("GET", "/markets", 10),
        ("GET", "/markets/{ticker}", 10),
        ("GET", "/portfolio/orders", 10),
        ("GET", "/portfolio/orders/{order_id}", 2),
        ("get", "/trade-api/v2/portfolio/orders/0af2", 2),
        ("DELETE", "/portfolio/events/orders/{order_id}", 2),
        ("DELETE", "/portfolio/events/orders/batched", 2),
        ("POST", "/portfolio/events/orders", 10),
        ("GET", "/portfolio/balance", 1),
    ],
)
def test_known_costs(budget: Budget, method: str, path: str, cost: int) -> None:
    """Costs are known for templates and for real paths, with and without the prefix."""
    assert budget.cost(method, path) == cost


def test_learned_costs_count(budget: Budget) -> None:
    """What the exchange says a call costs is what we count, exact paths before patterns."""

    def row(method: str, path: str, cost: int) -> EndpointTokenCost:
        return EndpointTokenCost(method=method, path=f"/trade-api/v2{path}", cost=cost)

    budget.learn(
        None,
        EndpointCosts(
            default_cost=12,
            endpoint_costs=(
                row("GET", "/cfbenchmarks/*endpoint", 150),
                row("GET", "/portfolio/orders/:order_id", 3),
                row("GET", "/portfolio/orders/queue_positions", 7),
                row("GET", "/portfolio/balance", 10),
                row("GET", "/broken", -1),
            ),
        ),
    )

    assert budget.cost("GET", "/markets") == 12
    assert budget.cost("GET", "/cfbenchmarks/values") == 150
    assert budget.cost("GET", "/portfolio/orders/{order_id}") == 3
    assert budget.cost("GET", "/portfolio/orders/queue_positions") == 7
    assert budget.cost("GET", "/portfolio/balance") == 1
    assert budget.cost("GET", "/broken") == 12


async def test_who_waits_is_shown(spender: Spender, time: FakeTime, budget: Budget) -> None:
    """The snapshot names the lanes that wait, for status and metrics."""
    await spender.ask(200, Lane.CANCEL)
    for lane in (Lane.WAITING, Lane.CATALOGUE, Lane.CATALOGUE):
        _ = spender.ask(10, lane)
    await settle()

    assert level(budget).waiting == {Lane.WAITING: 1, Lane.CATALOGUE: 2}
    await time.pass_by(5)
    assert level(budget).waiting == {}


async def test_real_time_passes_too() -> None:
    """On the real clock a waiting call goes by itself."""
    budget = Budget()
    await budget.spend(200, Bucket.READ, Lane.CANCEL)

    await budget.spend(2, Bucket.READ, Lane.CANCEL)

    assert level(budget).left < 200


steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(1, 60), st.sampled_from(Lane)),
        st.tuples(st.just("pass"), st.floats(0, 0.8), st.none()),
        st.tuples(st.just("leave"), st.integers(0, 30), st.none()),
    ),
    max_size=60,
)


@given(steps=steps)
@settings(max_examples=60, deadline=None)
def test_no_window_holds_more_than_the_exchange_allows(
    steps: list[tuple[str, float, Lane | None]],
) -> None:
    """Between any two moments no more is spent than a full bucket and what came back meanwhile."""
    time = FakeTime()
    budget = Budget(now=time.now, call_later=time.call_later)
    spender = Spender(budget, time)

    async def run() -> None:
        asked: list[asyncio.Task[None]] = []
        for what, amount, lane in steps:
            if lane is not None:
                asked.append(spender.ask(int(amount), lane))
                await settle()
            elif what == "pass":
                await time.pass_by(amount)
            elif amount < len(asked):
                asked[int(amount)].cancel()
                await settle()
        await time.pass_by(60)
        assert all(task.done() for task in asked)

    asyncio.run(run())

    for first, (since, _, _) in enumerate(spender.gone):
        spent = 0
        for at, _, cost in spender.gone[first:]:
            spent += cost
            assert spent <= 200 + 200 * (at - since) + 1e-3


@given(costs=st.lists(st.tuples(st.integers(1, 60), st.sampled_from(Lane)), min_size=2))
@settings(max_examples=60, deadline=None)
def test_no_lane_overtakes_a_more_urgent_one(costs: list[tuple[int, Lane]]) -> None:
    """Of all who wait at once, none goes before one of a smaller lane, unless it waited long."""
    time = FakeTime()
    budget = Budget(now=time.now, call_later=time.call_later)
    spender = Spender(budget, time)
    began = time.now()

    async def run() -> None:
        await spender.ask(200, Lane.CANCEL)
        for cost, lane in costs:
            _ = spender.ask(cost, lane)
        await time.pass_by(120)

    asyncio.run(run())

    assert len(spender.gone) == len(costs) + 1
    for (at, lane, _), (_, next_lane, _) in pairwise(spender.gone):
        helped = at - began >= LONGEST_BEHIND_S and next_lane >= Lane.WAITING
        assert lane <= next_lane or helped
