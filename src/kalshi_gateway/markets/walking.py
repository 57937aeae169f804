"""One walk through pages of the exchange: resumed where it stopped, complete only at its end."""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from kalshi_gateway.db import Driver
from kalshi_gateway.kalshi.client import Page
from kalshi_gateway.kalshi.errors import KalshiError

from . import walks
from .batch import Batch, save

log = structlog.get_logger(__name__)

#: So many pages are stored at once, if they wait: what is stored costs a dozen turns of the loop.
PAGES_AT_ONCE = 4
#: Those that are being stored, and as many that wait.
MOST_READY = 2 * PAGES_AT_ONCE
#: A cursor older than this may have been forgotten by the exchange: start over.
RESUMABLE_FOR = timedelta(minutes=30)

Fetch = Callable[[str | None], Awaitable[Page]]
Prepare = Callable[[Sequence[msgspec.Raw], datetime], Awaitable[Batch]]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Scope:
    """Something that can be walked from a first page to a last one."""

    name: str
    period: timedelta
    fetch: Fetch
    prepare: Prepare

    @property
    def kind(self) -> str:
        """series, events, markets or changes."""
        return self.name.partition(":")[0]


@dataclass
class Walked:
    """What a walk brought."""

    scope: str
    complete: bool = False
    #: Whether it began at the first page, so that what it did not see is not there.
    whole: bool = False
    began_at: datetime | None = None
    pages: int = 0
    rows: int = 0
    changed: int = 0
    seen: set[str] = field(default_factory=set)
    failure: str | None = None


@dataclass(eq=False)
class _Ready:
    """A page on its way into the tables."""

    page: Page
    batch: Batch
    walked: Walked

    @property
    def step(self) -> walks.Step:
        """How far its walk has come with it."""
        return walks.Step(
            self.walked.scope, self.page.cursor, len(self.page.rows), self.batch.set_aside
        )


class Astray(Exception):
    """The exchange sent a cursor that is none, or one or a page that this walk has had before."""


class Walker:
    """Stores pages over the one connection that may write the catalogue."""

    def __init__(
        self, conn: Driver, writing: asyncio.Lock, progress: Progress | None = None
    ) -> None:
        self._conn = conn
        self._writing = writing
        #: One page is read at a time: whoever stores gets a turn after each few rows of one.
        self._reading = asyncio.Lock()
        self._ready: list[_Ready] = []
        self._room = asyncio.Semaphore(MOST_READY)
        self._progress = progress

    async def walk(self, scope: Scope) -> Walked:
        """All pages of `scope`; a failure is told, and recorded for the next try."""
        async with self._writing:
            state = await walks.find(self._conn, scope.name)
            now = datetime.now(UTC)
            resumed = (
                state is not None
                and state.cursor is not None
                and now - state.began_at < RESUMABLE_FOR
            )
            if state is None or not resumed:
                state = await walks.begin(self._conn, scope.name, now)
        walked = Walked(scope.name, whole=not resumed, began_at=state.began_at)
        try:
            await self._pages(scope, state.cursor, walked)
        except (KalshiError, Astray) as error:
            walked.failure = str(error) or type(error).__name__
            async with self._writing:
                await walks.fail(
                    self._conn,
                    scope.name,
                    walked.failure,
                    resumable=not isinstance(error, Astray),
                )
            log.warning("walk stopped", scope=scope.name, pages=walked.pages, why=walked.failure)
        else:
            walked.complete = True
            log.info(
                "walk complete",
                scope=scope.name,
                pages=walked.pages,
                rows=walked.rows,
                changed=walked.changed,
            )
        return walked

    async def _pages(self, scope: Scope, cursor: str | None, walked: Walked) -> None:
        """Several pages at a time are on their way: one asked for, one read, some being stored."""
        been: set[str] = set() if cursor is None else {cursor}
        coming = asyncio.ensure_future(scope.fetch(cursor))
        storing: deque[asyncio.Task[None]] = deque()
        try:
            while True:
                page = await coming
                if page.cursor is not None:
                    if not page.cursor.isprintable():
                        raise Astray("the exchange sent a cursor that is none")
                    if page.cursor in been:
                        raise Astray("the exchange repeated a cursor")
                    been.add(page.cursor)
                    coming = asyncio.ensure_future(scope.fetch(page.cursor))
                async with self._reading:
                    batch = await scope.prepare(page.rows, page.asked_at)
                # A cursor that the exchange cannot read is answered with the first page, silently.
                # Rows may move between pages, so a few seen twice mean nothing; a whole page does.
                if page.cursor is not None and batch.seen and walked.seen.issuperset(batch.seen):
                    raise Astray("the exchange began again at an earlier page")
                walked.seen.update(batch.seen)
                await self._room.acquire()
                storing.append(self._put(_Ready(page, batch, walked)))
                while storing[0].done():
                    storing.popleft().result()
                if page.cursor is None:
                    await storing[-1]
                    return
        finally:
            coming.cancel()
            # What was already being stored is stored; its own failure has been raised, or is
            # the lost connection that whoever comes next will meet.
            await asyncio.gather(coming, *storing, return_exceptions=True)

    def _put(self, ready: _Ready) -> asyncio.Task[None]:
        """Have a page stored when its turn comes; whoever puts it has made room for it."""
        self._ready.append(ready)
        task = asyncio.create_task(self._store(ready))
        task.add_done_callback(lambda _: self._room.release())
        return task

    async def _store(self, ready: _Ready) -> None:
        """Store a page, and with it what waits behind it, unless it was stored like that itself."""
        async with self._writing:
            if ready not in self._ready:
                return
            # Where this fails they stay: nothing may be stored before what comes before it.
            waiting = self._ready[:PAGES_AT_ONCE]
            kind = waiting[0].batch.kind
            at_once = list(itertools.takewhile(lambda each: each.batch.kind is kind, waiting))
            by_age = sorted(at_once, key=lambda each: each.page.asked_at)
            async with self._conn.transaction():
                await save(self._conn, [each.batch for each in by_age])
                # In the walks' own order: a last page out of a cache is older than the others.
                await walks.advance(self._conn, [each.step for each in at_once])
            del self._ready[: len(at_once)]
        for each in by_age:
            each.batch.keep()
            each.walked.pages += 1
            each.walked.rows += len(each.page.rows)
            each.walked.changed += each.batch.changed
            if self._progress is not None:
                self._progress(each.walked.scope, each.walked.pages, each.walked.rows)
