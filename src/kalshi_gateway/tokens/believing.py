"""What opens doors is known from the database, and believed for a while without asking again."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Generic, Protocol, TypeVar
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from kalshi_gateway.db import Database, DatabaseUnavailable
from kalshi_gateway.news import FRESH_FOR

log = structlog.get_logger(__name__)

#: For this long what was known is believed while the database cannot be asked.
TRUSTED_FOR = timedelta(seconds=60)
#: Known at a time; those asked about longest ago are forgotten when there are more.
MOST_KNOWN = 10_000


class Opens(Protocol):
    """A token, or a virtual key, as it is kept."""

    @property
    def id(self) -> UUID: ...
    @property
    def name(self) -> str: ...
    @property
    def expires_at(self) -> datetime | None: ...

    def holds_at(self, now: datetime) -> bool:
        """Whether it opens anything at that time."""


Shown = TypeVar("Shown")
Row = TypeVar("Row", bound=Opens)
Made = TypeVar("Made")


@dataclass(slots=True)
class Known(Generic[Row, Made]):
    """A row that held when it was asked for, and what is made of it once."""

    row: Row
    made: Made
    asked_at: float  # monotonic
    expires_at: float  # of the clock
    used_at: float | None = None  # of the clock; none: not since it was last written down

    @property
    def has_expired(self) -> bool:
        return time.time() >= self.expires_at


class Believer(ABC, Generic[Shown, Row, Made]):
    """Knows rows by what callers show, and asks the database again every other second.

    It hears of revoked ones at once (`news.py`); while it would not, it believes in none
    without asking.
    """

    def __init__(
        self,
        database: Database,
        fresh_for: timedelta = FRESH_FOR,
        trusted_for: timedelta = TRUSTED_FOR,
        *,
        hears: bool = True,
    ) -> None:
        self.database = database
        self.fresh_for = fresh_for
        self.trusted_for = trusted_for
        self.hears = hears
        self._known: dict[Shown, Known[Row, Made]] = {}
        self._asking: dict[Shown, asyncio.Task[Known[Row, Made] | None]] = {}
        self._forgotten = 0

    @abstractmethod
    async def _look_up(self, conn: AsyncConnection, shown: Shown) -> Row | None:
        """The row that this is shown for, whether it still holds or not."""

    @abstractmethod
    def _make(self, row: Row, before: Made | None) -> Made:
        """What is used of a row at each request; `before` was made of it when last asked for."""

    @abstractmethod
    async def _write_uses(self, conn: AsyncConnection, used_at: Mapping[UUID, datetime]) -> None:
        """Keep when rows were last used."""

    async def _believed(self, shown: Shown) -> Known[Row, Made] | None:
        """The row for which this is shown; None if there is none that holds."""
        known = self._fresh(shown) or await self._asked(shown)
        return None if known is None or known.has_expired else known

    def forget(self, name: str | None) -> None:
        """Ask again about the row of that id, which was revoked, or about all of them."""
        self._forgotten += 1  # what is being read now may be older than this
        stale = time.monotonic() - self.fresh_for.total_seconds()
        for known in self._known.values():
            if name is None:
                known.asked_at = min(known.asked_at, stale)
            elif str(known.row.id) == name:
                known.asked_at = -inf  # not to be trusted without asking, either

    async def note_uses(self) -> None:
        """Write down when they were last used; done beside the requests."""
        used = [(known, known.used_at) for known in self._known.values() if known.used_at]
        if not used:
            return
        async with self.database.begin() as conn:
            await self._write_uses(
                conn, {known.row.id: datetime.fromtimestamp(at, UTC) for known, at in used}
            )
        for known, at in used:
            if known.used_at == at:
                known.used_at = None

    async def note_last_uses(self) -> None:
        """The same on the way out, where it may fail."""
        try:
            await self.note_uses()
        except DatabaseUnavailable:
            log.warning("last uses of tokens not noted")

    def _fresh(self, shown: Shown) -> Known[Row, Made] | None:
        """The same if it is known without asking."""
        known = self._known.get(shown)
        if known is None or not self.hears or known.has_expired:
            return None
        age = time.monotonic() - known.asked_at
        return known if age < self.fresh_for.total_seconds() else None

    async def _asked(self, shown: Shown) -> Known[Row, Made] | None:
        try:
            # A caller that gives up must not take the others' answer with it.
            return await asyncio.shield(self._question(shown))
        except DatabaseUnavailable:
            known = self._known.get(shown)
            if known is None or self._too_old(known):
                raise
            log.warning("caller believed without asking", caller=known.row.name)
            return known

    def _asking_anew(self, shown: Shown) -> asyncio.Future[Known[Row, Made] | None] | None:
        """The question about what was known; None if it was not, or would not be then, either."""
        return self._question(shown) if self.hears and shown in self._known else None

    def _question(self, shown: Shown) -> asyncio.Task[Known[Row, Made] | None]:
        """What the database is asked now; callers that come meanwhile share the question."""
        task = self._asking.get(shown)
        if task is None:
            task = asyncio.create_task(self._find(shown), name="token")
            self._asking[shown] = task
            task.add_done_callback(lambda done: self._done(shown, done))
        return task

    def trusts_any(self) -> bool:
        """Whether any would be believed if the database could not be asked."""
        return any(map(self._trusted, self._known))

    def _trusted(self, shown: Shown) -> Known[Row, Made] | None:
        """What was known of it not too long ago."""
        known = self._known.get(shown)
        return None if known is None or known.has_expired or self._too_old(known) else known

    def _too_old(self, known: Known[Row, Made]) -> bool:
        return time.monotonic() - known.asked_at >= self.trusted_for.total_seconds()

    def _done(self, shown: Shown, task: asyncio.Task[Known[Row, Made] | None]) -> None:
        del self._asking[shown]
        if not task.cancelled():
            task.exception()  # seen, even if every caller has given up

    async def _find(self, shown: Shown) -> Known[Row, Made] | None:
        while True:
            asked_at, forgotten = time.monotonic(), self._forgotten
            async with self.database.connect() as conn:
                row = await self._look_up(conn, shown)
            if forgotten == self._forgotten:
                break
        before = self._known.pop(shown, None)
        if row is None or not row.holds_at(datetime.now(UTC)):
            # What opens nothing is not kept: only what is in use takes up memory.
            return None
        known = Known(
            row,
            self._make(row, None if before is None else before.made),
            asked_at,
            row.expires_at.timestamp() if row.expires_at else inf,
            None if before is None else before.used_at,
        )
        self._known[shown] = known
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return known
