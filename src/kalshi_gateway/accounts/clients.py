"""Each user's own line to the exchange: their key, their budget; all else is shared."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta

import httpx
import structlog

from kalshi_gateway.kalshi.budget import Budget, Lane
from kalshi_gateway.kalshi.client import Kalshi
from kalshi_gateway.kalshi.errors import KalshiError, KeyRejected
from kalshi_gateway.kalshi.signing import Signer

log = structlog.get_logger(__name__)

#: Lines remembered; one that is made anew starts with full buckets, as after a long rest.
MOST_LINES = 5_000

#: A member's tier changes with the volume of thirty days.
LEARN_EVERY = timedelta(hours=1)
#: Where nobody waits for it and it failed, it is tried again so much later.
TRY_AGAIN_AFTER = timedelta(minutes=1)


@dataclass(slots=True)
class Line:
    """A user's client, and the signer it was made with."""

    kalshi: Kalshi
    signer: Signer
    # Both monotonic.
    learnt_at: float | None = None
    tried_at: float | None = None

    @property
    def is_due(self) -> bool:
        """Whether it should learn again."""
        return _passed(LEARN_EVERY, self.learnt_at)

    async def learn(self, lane: Lane) -> None:
        """Take the sizes of this user's buckets from the exchange, now and then."""
        if not self.is_due:
            return
        now = time.monotonic()
        try:
            limits = await self.kalshi.account_limits(lane=lane)
        except KeyRejected as error:
            if error.status != 403:  # a key may be good, and not for this
                raise
        else:
            self.kalshi.budget.learn(limits.value)
        self.learnt_at = now


class Lines:
    """Lines by user, the most recently used ones.

    Users share connections, what operations cost, and what is counted of answers that differ. The
    breakers are each one's own: the exchange may fail for one account and serve all others.
    """

    def __init__(self, http: httpx.AsyncClient, service: Kalshi, most: int = MOST_LINES) -> None:
        self._http = http
        self._service = service
        self._most = most
        self._lines: OrderedDict[str, Line] = OrderedDict()
        self._learning: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._lines)

    def line(self, user_id: str, signer: Signer, *, own: bool) -> Line:
        """The user's line; one made with another key is not used again.

        The user of the service's own key asks over the service's line: it is one account.
        """
        line = self._lines.get(user_id)
        if line is None or line.signer is not signer:
            line = self._lines[user_id] = Line(self._made(signer, own=own), signer)
        self._lines.move_to_end(user_id)
        while len(self._lines) > self._most:
            self._lines.popitem(last=False)
        return line

    def learn_soon(self, line: Line) -> None:
        """Have it learn beside what is asked over it; the service's own does so by itself."""
        if line.kalshi is self._service or not line.is_due:
            return
        if not _passed(TRY_AGAIN_AFTER, line.tried_at):
            return
        line.tried_at = time.monotonic()
        task = asyncio.create_task(_learn(line), name="budget of a user")
        self._learning.add(task)
        task.add_done_callback(self._learning.discard)

    async def close(self) -> None:
        """Give up what is being learnt."""
        for task in self._learning:
            task.cancel()
        if self._learning:
            await asyncio.wait(self._learning)

    def _made(self, signer: Signer, *, own: bool) -> Kalshi:
        if own:
            return self._service
        return Kalshi(
            self._service.base_url,
            self._http,
            signer=signer,
            budget=Budget(costs=self._service.budget.costs),
            drift=self._service.drift,
            observe=self._service.observe,
        )


async def _learn(line: Line) -> None:
    try:
        await line.learn(Lane.WAITING)
    except KalshiError as error:
        log.warning("budget not learnt", why=str(error))


def _passed(period: timedelta, since: float | None) -> bool:
    return since is None or time.monotonic() - since >= period.total_seconds()
