"""The loop that keeps the catalogue fresh: one writer among all processes."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import structlog

from kalshi_gateway.db import LOST, Driver, leadership
from kalshi_gateway.kalshi.budget import Lane
from kalshi_gateway.kalshi.client import Kalshi, Page

from . import closing, genres, totals, vocabulary, walks
from .catalogue import Catalogue
from .mending import PATIENCE, Mender
from .walking import Fetch, Prepare, Progress, Scope, Walked, Walker

log = structlog.get_logger(__name__)

JOB = "catalogue"
#: What a power cut takes from the catalogue is asked for again: its walks' cursors go with it. What
#: was planned for an empty table is no plan for one that is filling. And statistics of a walk are
#: made from a third of the rows, until Postgres itself comes to look more closely.
WRITER_SETTINGS = {
    "synchronous_commit": "off",
    "plan_cache_mode": "force_custom_plan",
    "default_statistics_target": "30",
}
#: After so many changed rows the planner should look at the table anew.
MANY_CHANGES = 10_000
NIGHTLY = timedelta(hours=24)
#: The client has retried already: what failed now will fail in a second, too.
AFTER_FAILURE = timedelta(seconds=15)
#: How soon another process takes over when the leader is gone.
TAKEOVER = timedelta(seconds=3)
CLOCK = timedelta(seconds=2)
#: The exchange's edge may answer 15 seconds old, and its `min_…_ts` bounds are exclusive.
OVERLAP = timedelta(seconds=60)
#: The exchange's clock is measured by the second: a smaller difference may be ours.
SKEW_THAT_COUNTS = timedelta(seconds=2)

_ORDER_SEARCH_INDEXES = """
    SELECT gin_clean_pending_list(i.indexrelid)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
    WHERE i.indrelid = 'instruments'::regclass AND a.amname = 'gin'
"""

# What was stored before its walk began; all of the table is read for it, so once for all walks.
_HELD = """
    SELECT status, array_agg(ticker ORDER BY ticker)
    FROM instruments JOIN unnest($1::text[], $2::timestamptz[]) AS walked (state, began_at)
    ON status = state AND as_of < began_at
    WHERE NOT is_combo
    GROUP BY status
"""

#: Every state a market can be found in; what is settled is learnt as it happens.
WALKED = ("open", "paused", "unopened", "closed")


class NotLeading(Exception):
    """Another process keeps this catalogue fresh."""


class Sync:
    """Walks, repairs and timers, run by whoever leads."""

    def __init__(
        self,
        database_url: str,
        kalshi: Kalshi,
        *,
        changes_every: timedelta,
        prices_every: timedelta,
        progress: Progress | None = None,
    ) -> None:
        self._database_url = database_url
        self._kalshi = kalshi
        self._changes_every = changes_every
        self._prices_every = prices_every
        self._progress = progress

    async def run(self) -> None:
        """Lead whenever nobody else does, for as long as the process lives."""
        while True:
            try:
                async with leadership(self._database_url, JOB, WRITER_SETTINGS) as conn:
                    if conn is not None:
                        await (await self._writer(conn)).lead()
            except* (*LOST, asyncpg.InterfaceError) as lost:
                log.warning("catalogue writer lost the database", why=str(lost.exceptions[0]))
            except* Exception:
                log.exception("catalogue writer stopped")
            await asyncio.sleep(TAKEOVER.total_seconds())

    async def once(self) -> list[Walked]:
        """One full walk now; `NotLeading` if another process is at it."""
        async with leadership(self._database_url, JOB, WRITER_SETTINGS) as conn:
            if conn is None:
                raise NotLeading
            return await (await self._writer(conn)).everything()

    async def _writer(self, conn: Driver) -> "Writer":
        catalogue = Catalogue(self._kalshi.drift)
        await catalogue.load(conn)
        log.info("catalogue writer leads", markets=len(catalogue))
        return Writer(
            conn,
            self._kalshi,
            catalogue,
            changes_every=self._changes_every,
            prices_every=self._prices_every,
            progress=self._progress,
        )


class Writer:
    """The one process that may write the catalogue, while its connection holds the lock."""

    def __init__(
        self,
        conn: Driver,
        kalshi: Kalshi,
        catalogue: Catalogue,
        *,
        changes_every: timedelta,
        prices_every: timedelta,
        progress: Progress | None,
    ) -> None:
        self._conn = conn
        self._kalshi = kalshi
        self._catalogue = catalogue
        self._changes_every = changes_every
        self._prices_every = prices_every
        self._writing = asyncio.Lock()
        self._walker = Walker(conn, self._writing, progress)
        self._mender = Mender(conn, self._writing, kalshi, catalogue)

    async def lead(self) -> None:
        """Keep everything fresh until the connection, and the lock with it, is lost."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_repeat(CLOCK, self.walk_due))
            tasks.create_task(_repeat(self._changes_every, self.changes))
            tasks.create_task(_repeat(CLOCK, self.turn))
            tasks.create_task(_repeat(CLOCK, self._mend_patiently))

    async def everything(self) -> list[Walked]:
        """Each walk once, due or not."""
        walked = await self._walk(self._scopes())
        await self.mend()
        return walked

    async def walk_due(self) -> None:
        """Every walk that was never finished, or not for its period."""
        walked = await self._walk([scope for scope in self._scopes() if await self._due(scope)])
        if any(walk.failure for walk in walked):
            await asyncio.sleep(AFTER_FAILURE.total_seconds())

    async def changes(self) -> None:
        """What was created, changed or settled since we last asked, once all is known."""
        async with self._writing:
            known = await walks.all_known(self._conn)
        walked_as_of = [
            known[name].complete_as_of if name in known else None
            for name in ("series", "events:open", *(f"markets:{status}" for status in WALKED))
        ]
        complete = [as_of for as_of in walked_as_of if as_of is not None]
        if len(complete) < len(walked_as_of):
            return
        seen: set[str] = set()
        for scope in self._changes(known, min(complete)):
            seen |= (await self._walker.walk(scope)).seen
        self._catalogue.release_settled(seen)

    async def turn(self) -> None:
        """Open and close by the clock; what the exchange says of it will be asked."""
        async with self._writing, self._conn.transaction():
            turned = await closing.turn(self._conn, datetime.now(UTC), self._skew)
            await totals.restate(self._conn, set(turned.values()))
        self._catalogue.read_again(turned)

    async def mend(self) -> bool:
        """Ask by name for what the walks did not bring; False if the exchange failed."""
        return await self._mender.mend()

    async def _mend_patiently(self) -> None:
        if not await self.mend():
            await asyncio.sleep(AFTER_FAILURE.total_seconds())

    @property
    def _skew(self) -> timedelta:
        """How far the exchange's clock is ahead of ours, if that is worth a correction."""
        skew = self._kalshi.skew or timedelta()
        return skew if abs(skew) >= SKEW_THAT_COUNTS else timedelta()

    def _scopes(self) -> list[Scope]:
        """All that is walked, names before what they name."""
        kalshi, catalogue = self._kalshi, self._catalogue
        events = [
            Scope(
                f"events:{status}",
                NIGHTLY,
                _pages(kalshi.events_page, status=status),
                catalogue.events,
            )
            for status in ("open", "unopened", "closed")
        ]
        markets = [
            Scope(
                f"markets:{status}",
                self._prices_every if status in ("open", "paused") else NIGHTLY,
                _pages(kalshi.markets_page, status=status),
                catalogue.markets,
            )
            for status in WALKED
        ]
        return [
            Scope("series", NIGHTLY, _single(kalshi.series_list), catalogue.series),
            *events,
            *markets,
        ]

    def _changes(self, known: Mapping[str, walks.Walk], first: datetime) -> Iterable[Scope]:
        kalshi, catalogue = self._kalshi, self._catalogue

        def since(name: str) -> int:
            last = known[name].complete_as_of if name in known else None
            return int(((last or first) + self._skew - OVERLAP).timestamp())

        asked: list[tuple[str, Fetch, Prepare]] = [
            (
                "changes:series",
                _single(kalshi.series_list, min_updated_ts=since("changes:series")),
                catalogue.series,
            ),
            (
                "changes:events",
                _pages(kalshi.events_page, min_updated_ts=since("changes:events")),
                catalogue.events,
            ),
            *(
                (
                    f"changes:{what}",
                    _pages(kalshi.markets_page, **{f"min_{what}_ts": since(f"changes:{what}")}),
                    catalogue.markets,
                )
                for what in ("created", "updated", "settled")
            ),
        ]
        return [Scope(name, self._changes_every, fetch, keep) for name, fetch, keep in asked]

    async def _due(self, scope: Scope) -> bool:
        async with self._writing:
            state = await walks.find(self._conn, scope.name)
        if state is None or state.complete_as_of is None or state.cursor is not None:
            return True
        return datetime.now(UTC) - state.complete_as_of >= scope.period

    async def _walk(self, scopes: Iterable[Scope]) -> list[Walked]:
        """One kind after the other, the walks of a kind side by side.

        A page leads to the next one only, so a single walk mostly waits for the exchange.
        """
        walked: list[Walked] = []
        for kind, group in itertools.groupby(scopes, lambda scope: scope.kind):
            walked += (brought := await _together(map(self._walker.walk, group)))
            await self._tidy(kind, sum(walk.changed for walk in brought))
            if kind == "markets":
                await self._ask_for_unseen(brought)
        return walked

    async def _tidy(self, kind: str, changed: int) -> None:
        async with self._writing:
            if kind == "markets":
                await self._conn.execute(_ORDER_SEARCH_INDEXES)
            if changed > MANY_CHANGES:
                await self._conn.execute("ANALYZE series, events, instruments")
                await vocabulary.recount(self._conn)
                await genres.recount(self._conn)

    async def _ask_for_unseen(self, walked: Iterable[Walked]) -> None:
        """Ask by name for what whole walks of a state should have shown, and did not."""
        whole = {w.scope.partition(":")[2]: w for w in walked if w.complete and w.whole}
        if not whole:
            return
        async with self._writing:
            began_at = [walk.began_at for walk in whole.values()]
            held = await self._conn.fetch(_HELD, list(whole), began_at)
        for status, tickers in held:
            seen = whole[status].seen
            self._catalogue.wanted_markets.add(t for t in tickers if t not in seen)


def _pages(call: Callable[..., Awaitable[Page]], **asked: Any) -> Fetch:
    async def fetch(cursor: str | None) -> Page:
        return await call(cursor=cursor, lane=Lane.CATALOGUE, deadline=PATIENCE, **asked)

    return fetch


def _single(call: Callable[..., Awaitable[Page]], **asked: Any) -> Fetch:
    """What has one page only, and so no cursor."""

    async def fetch(_: str | None) -> Page:
        return await call(lane=Lane.CATALOGUE, deadline=PATIENCE, **asked)

    return fetch


async def _together(under_way: Iterable[Awaitable[Walked]]) -> list[Walked]:
    """What all walks bring; the first error ends the others, too."""
    tasks = [asyncio.ensure_future(walk) for walk in under_way]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _repeat(period: timedelta, job: Callable[[], Awaitable[None]]) -> None:
    """Run `job` again and again; an error ends it, and the lead with it."""
    while True:
        await job()
        await asyncio.sleep(period.total_seconds())
