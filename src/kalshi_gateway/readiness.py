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
    asked_every: timedelta = ASKED_EVERY
    _database: Part | None = None
    _asked_at: float = 0.0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _known_revisions: frozenset[str] = frozenset()

    async def report(self) -> Report:
        parts = {"database": await self._database_part()}
        for name, is_hot in self.caches.items():
            hot = is_hot()
            parts[name] = Part(ok=hot, detail="in memory" if hot else "empty")
        return Report(ready=any(part.ok for part in parts.values()), parts=parts)

    async def _database_part(self) -> Part:
        async with self._turn:
            old = time.monotonic() - self._asked_at >= self.asked_every.total_seconds()
            if self._database is None or old:
                self._database = await self._asked()
                self._asked_at = time.monotonic()
            return self._database

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
