"""The token buckets of one account at the exchange, and whose turn it is.

docs.kalshi.com/getting_started/rate_limits: reads and writes draw on two buckets that refill
continuously; `GET /portfolio/balance` has a third of its own.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from itertools import count
from typing import NamedTuple, Protocol

from .costs import Costs
from .errors import KalshiError
from .wire import AccountLimits, BucketLimit, EndpointCosts


class Lane(IntEnum):
    """Who is asking; the smaller, the sooner."""

    CANCEL = 0
    ORDER = 1
    WAITING = 2
    ACCOUNT = 3
    CATALOGUE = 4


class Bucket(Enum):
    """What a call is paid from."""

    READ = "read"
    WRITE = "write"
    BALANCE = "balance"


class TooExpensive(KalshiError):
    """The call costs more than its bucket can ever hold."""


# The share of a bucket that each lane leaves untouched for those before it.
RESERVES = {
    Lane.CANCEL: 0.0,
    Lane.ORDER: 0.1,
    Lane.WAITING: 0.1,
    Lane.ACCOUNT: 0.25,
    Lane.CATALOGUE: 0.5,
}
# (refill per second, capacity) of the Basic tier, until the exchange tells us ours.
BASIC = {Bucket.READ: (200, 200), Bucket.WRITE: (100, 100), Bucket.BALANCE: (1, 1)}
# These tiers, and an unknown one, read the balance once a second; those above five times.
ONE_BALANCE_A_SECOND = frozenset({"basic", "advanced", ""})
# However many others ask: who has waited behind them for so long goes before them, one at a time.
LONGEST_BEHIND_S = 2.0
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 30.0


class Timer(Protocol):
    """What can be told not to fire."""

    def cancel(self) -> None: ...


@dataclass(frozen=True)
class Level:
    """How much one bucket holds, for people and metrics."""

    bucket: Bucket
    left: float
    capacity: float
    refill_per_s: float
    waiting: dict[Lane, int]


class Budget:
    """Lets each call go when it can be paid, the more urgent first.

    `costs` are the same for all accounts, which may share them. `now` and `call_later` are the
    clock; tests bring their own.
    """

    def __init__(
        self,
        *,
        costs: Costs | None = None,
        now: Callable[[], float] = time.monotonic,
        call_later: Callable[[float, Callable[[], None]], Timer] | None = None,
    ) -> None:
        self.costs = costs or Costs()
        self._queues = {
            bucket: _Queue(bucket, refill, capacity, now, call_later)
            for bucket, (refill, capacity) in BASIC.items()
        }

    def cost(self, method: str, path: str) -> int:
        """Tokens that one call of this operation costs; a batch costs this per item."""
        return self.costs.of(method, path)

    def capacity(self, bucket: Bucket) -> int:
        """The most that a bucket holds, as far as we know."""
        return int(self._queues[bucket].level().capacity)

    async def spend(self, cost: int, bucket: Bucket, lane: Lane) -> None:
        """Wait for our turn, and pay."""
        await self._queues[bucket].spend(cost, lane)

    def refused(self, bucket: Bucket) -> float:
        """The exchange said 429: ours is empty too, and we slow down; seconds until we go on."""
        return self._queues[bucket].refused()

    def learn(self, limits: AccountLimits | None, costs: EndpointCosts | None = None) -> None:
        """Take over what the exchange says of this account; what it leaves out stays as it was."""
        if limits is not None:
            self._resize(Bucket.READ, limits.read)
            self._resize(Bucket.WRITE, limits.write)
            tier = (limits.usage_tier or "").lower()
            rate = 1 if tier in ONE_BALANCE_A_SECOND else 5
            self._queues[Bucket.BALANCE].resize(rate, rate)
        if costs is not None:
            self.costs.learn(costs)

    def snapshot(self) -> list[Level]:
        """What is left in each bucket, and who waits for it."""
        return [queue.level() for queue in self._queues.values()]

    def _resize(self, bucket: Bucket, limit: BucketLimit | None) -> None:
        refill, capacity = BASIC[bucket]
        if limit is not None:
            refill = limit.refill_rate or refill
            capacity = limit.bucket_capacity or max(refill, capacity)
        if refill > 0 and capacity > 0:
            self._queues[bucket].resize(refill, capacity)


class _Waiter(NamedTuple):
    """One call that waits for its turn."""

    lane: Lane
    number: int
    cost: int
    turn: asyncio.Future[None]
    since: float


class _Queue:
    """One bucket and those who wait for it."""

    def __init__(
        self,
        bucket: Bucket,
        refill_per_s: float,
        capacity: float,
        now: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Timer] | None,
    ) -> None:
        self._bucket = bucket
        self._refill = refill_per_s
        self._capacity = capacity
        self._tokens = float(capacity)
        self._now = now
        self._call_later = call_later
        self._counted_at = now()
        self._waiting: dict[Lane, deque[_Waiter]] = {lane: deque() for lane in Lane}
        self._arrivals = count()
        self._helped_at = now()
        self._timer: Timer | None = None
        self._refusals = 0
        self._refused_at = 0.0
        self._paused_until = 0.0

    async def spend(self, cost: int, lane: Lane) -> None:
        if cost > self._capacity:
            raise TooExpensive(f"{cost} tokens out of {self._capacity:g} at most")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(lane, next(self._arrivals), cost, turn, self._now())
        self._waiting[lane].append(waiter)
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._tokens += cost  # paid, and never used
            self._serve()
            raise

    def refused(self) -> float:
        now = self._now()
        self._count(now)
        calm_s = now - self._refused_at - _pause_s(self._refusals)
        self._refusals = 1 if calm_s > LONGEST_PAUSE_S else self._refusals + 1
        self._refused_at = now
        self._tokens = min(self._tokens, 0.0)
        pause_s = _pause_s(self._refusals) * random.uniform(0.75, 1.25)
        self._paused_until = max(self._paused_until, now + pause_s)
        self._serve()
        return self._paused_until - now

    def resize(self, refill_per_s: float, capacity: float) -> None:
        self._count(self._now())
        self._refill = refill_per_s
        self._capacity = capacity
        self._tokens = min(self._tokens, capacity)
        self._serve()

    def level(self) -> Level:
        now = self._now()
        self._count(now)
        waiting = {
            lane: still
            for lane, waiters in self._waiting.items()
            if (still := sum(not waiter.turn.done() for waiter in waiters))
        }
        return Level(
            bucket=self._bucket,
            left=self._tokens,
            capacity=self._capacity,
            refill_per_s=self._refill,
            waiting=waiting,
        )

    def _serve(self) -> None:
        """Let go whoever can pay, in order; come back when the next one can."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._now()
        self._count(now)
        while heads := self._heads():
            behind = self._too_long_behind(heads, now)
            first = behind or heads[0]
            wait_s = self._wait_s(first.cost, Lane.WAITING if behind else first.lane, now)
            if wait_s > 0:
                self._timer = self._later(wait_s)
                return
            self._waiting[first.lane].popleft()
            self._tokens -= first.cost
            first.turn.set_result(None)
            if behind:
                self._helped_at = now

    def _heads(self) -> list[_Waiter]:
        """Who has waited longest in each lane, the most urgent lane first."""
        for waiting in self._waiting.values():
            while waiting and waiting[0].turn.done():
                waiting.popleft()
        return [waiting[0] for waiting in self._waiting.values() if waiting]

    def _too_long_behind(self, heads: list[_Waiter], now: float) -> _Waiter | None:
        """Who has waited behind others for long, if nobody was helped so of late.

        Nobody is helped past an order or a cancel.
        """
        if now - self._helped_at < LONGEST_BEHIND_S or heads[0].lane < Lane.WAITING:
            return None
        behind = [head for head in heads[1:] if now - head.since >= LONGEST_BEHIND_S]
        return min(behind, key=lambda waiter: waiter.number, default=None)

    def _wait_s(self, cost: int, lane: Lane, now: float) -> float:
        """Seconds until `lane` can pay `cost`; nothing passes those ahead of it."""
        cost_now = min(cost, self._capacity)  # the bucket may have shrunk since it was asked
        reserve = min(RESERVES[lane] * self._capacity, self._capacity - cost_now)
        short = cost_now + reserve - self._tokens
        # Less than a millionth is rounding, and would set a timer that fires for nothing.
        refill_s = short / self._refill if short > 1e-6 else 0.0
        # A cancel takes money off the table: it goes as soon as it can be paid.
        pause_s = 0.0 if lane is Lane.CANCEL else self._paused_until - now
        return max(refill_s, pause_s)

    def _count(self, now: float) -> None:
        passed_s = max(0.0, now - self._counted_at)
        self._tokens = min(self._capacity, self._tokens + passed_s * self._refill)
        self._counted_at = now

    def _later(self, delay_s: float) -> Timer:
        call_later = self._call_later or asyncio.get_running_loop().call_later
        return call_later(delay_s, self._serve)


def _pause_s(refusals: int) -> float:
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(refusals, 16) / 2)
