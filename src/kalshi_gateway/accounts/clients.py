"""Each user's own line to the exchange: their key, their budget; all else is shared."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta

import httpx

from kalshi_gateway.kalshi.budget import Lane
from kalshi_gateway.kalshi.client import Kalshi
from kalshi_gateway.kalshi.errors import KeyRejected
from kalshi_gateway.kalshi.signing import Signer

#: Lines remembered; one that is made anew starts with full buckets, as after a long rest.
MOST_LINES = 5_000

#: A member's tier changes with the volume of thirty days.
LEARN_EVERY = timedelta(hours=1)


@dataclass(slots=True)
class Line:
    """A user's client, and the signer it was made with."""

    kalshi: Kalshi
    signer: Signer
    learnt_at: float | None = None  # monotonic

    async def learn(self, lane: Lane) -> None:
        """Take the sizes of this user's buckets from the exchange, now and then."""
        now = time.monotonic()
        if self.learnt_at is not None and now - self.learnt_at < LEARN_EVERY.total_seconds():
            return
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

    Users share connections and what is counted of answers that differ. The breaker is each one's
    own: the exchange may fail for one account and serve all others.
    """

    def __init__(self, http: httpx.AsyncClient, service: Kalshi, most: int = MOST_LINES) -> None:
        self._http = http
        self._service = service
        self._most = most
        self._lines: OrderedDict[str, Line] = OrderedDict()

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

    def _made(self, signer: Signer, *, own: bool) -> Kalshi:
        if own:
            return self._service
        return Kalshi(
            self._service.base_url,
            self._http,
            signer=signer,
            drift=self._service.drift,
            observe=self._service.observe,
        )
