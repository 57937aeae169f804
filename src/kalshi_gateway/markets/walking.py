"""One walk through pages of the exchange: resumed where it stopped, complete only at its end."""

import asyncio
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
from .batch import Batch

log = structlog.get_logger(__name__)

#: Pages of one walk that may wait to be stored while the next one is read.
WAITING_PAGES = 3
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
        storing: deque[asyncio.Future[None]] = deque()
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
                while len(storing) >= WAITING_PAGES:
                    await storing.popleft()
                before = storing[-1] if storing else None
                storing.append(
                    asyncio.ensure_future(self._store(scope, page, batch, walked, before))
                )
                if page.cursor is None:
                    await storing[-1]
                    return
        finally:
            coming.cancel()
            # What was already being stored is stored; its own failure has been raised, or is
            # the lost connection that whoever comes next will meet.
            await asyncio.gather(coming, *storing, return_exceptions=True)

    async def _store(
        self,
        scope: Scope,
        page: Page,
        batch: Batch,
        walked: Walked,
        before: asyncio.Future[None] | None,
    ) -> None:
        if before is not None:
            await before  # raises if that page was not stored: this one must not be, either
        async with self._writing, self._conn.transaction():
            await batch.save(self._conn)
            await walks.advance(
                self._conn, scope.name, page.cursor, len(page.rows), batch.set_aside
            )
        batch.keep()
        walked.pages += 1
        walked.rows += len(page.rows)
        walked.changed += batch.changed
        if self._progress is not None:
            self._progress(scope.name, walked.pages, walked.rows)
