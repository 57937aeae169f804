"""Whether this process can answer: the database, or what it already holds in memory."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import asyncpg
from pydantic import BaseModel

from . import migrate
from .db import Database, DatabaseUnavailable

#: Asking is open to everybody, so the database is asked no more often than this.
ASKED_EVERY = timedelta(seconds=1)

#: Where answers lie in memory it is waited for no longer: whoever asks may not wait long, either.
WAITS = timedelta(seconds=1)


class Part(BaseModel):
    """One thing an answer may come from."""

    ok: bool
    detail: str


class Report(BaseModel):
    """Whether requests can be answered, and from what."""

    ready: bool
    parts: dict[str, Part]


@dataclass
class Readiness:
    """Asks the database; rooms that can answer without it add themselves to `caches`.

    The exchange is no part of this: while it is down, what is known is still answered.
    """

    database: Database
    caches: dict[str, Callable[[], bool]] = field(default_factory=dict)
    _asking: asyncio.Task[Part] | None = None
    _asked_at: float = 0.0
    _known_revisions: frozenset[str] = frozenset()

    async def report(self) -> Report:
        caches = {name: is_hot() for name, is_hot in self.caches.items()}
        parts = {"database": await self._database_part(patient=not any(caches.values()))}
        for name, hot in caches.items():
            parts[name] = Part(ok=hot, detail="in memory" if hot else "empty")
        return Report(ready=any(part.ok for part in parts.values()), parts=parts)

    async def _database_part(self, *, patient: bool) -> Part:
        """What the database says, or has just said, to all who want to know."""
        asking = self._asking
        old = time.monotonic() - self._asked_at >= ASKED_EVERY.total_seconds()
        if asking is None or (asking.done() and old):
            asking = self._asking = asyncio.create_task(self._asked(), name="readiness")
            self._asked_at = time.monotonic()
        await asyncio.wait({asking}, timeout=None if patient else WAITS.total_seconds())
        return asking.result() if asking.done() else Part(ok=False, detail="does not answer")

    async def _asked(self) -> Part:
        try:
            async with self.database.driver() as conn:
                revision = await conn.fetchval("SELECT version_num FROM alembic_version")
        except DatabaseUnavailable:
            return Part(ok=False, detail="cannot be reached")
        except asyncpg.UndefinedTableError:
            revision = None
        return self._migrated(revision)

    def _migrated(self, revision: str | None) -> Part:
        if not self._known_revisions:
            self._known_revisions = migrate.known()
        if revision == migrate.head():
            return Part(ok=True, detail=f"at revision {revision}")
        if revision is not None and revision not in self._known_revisions:
            # A newer gateway migrated it while this one still serves.
            return Part(ok=True, detail=f"at revision {revision}, newer than this gateway")
        return Part(ok=False, detail=f"at revision {revision}, to be migrated")
