"""The loop over accounts that are due: any number of processes share them, none twice."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import structlog

from kalshi_gateway.db import DatabaseUnavailable

from . import repository
from .refresh import LEASE, Refresher
from .repository import Cached

log = structlog.get_logger(__name__)

#: Accounts that one process refreshes by itself at a time: the slow ones are outnumbered.
AT_ONCE = 24
LOOK_EVERY = timedelta(seconds=1)
NOTE_WATCHED_EVERY = timedelta(seconds=15)

_chance = random.Random()


class DueAccounts:
    """Claims accounts whose turn has come, those that waited longest first."""

    def __init__(self, refresher: Refresher, own_user: str) -> None:
        self._refresher = refresher
        self._own_user = own_user
        self._busy: set[asyncio.Task[Cached]] = set()

    async def run(self) -> None:
        """Refresh whatever is due, for ever."""
        while True:
            try:
                found = await self.look()
            except DatabaseUnavailable:
                log.warning("accounts due not found")
                found = 0
            except Exception:
                log.exception("background job failed", job="accounts")
                found = 0
            if len(self._busy) >= AT_ONCE:
                await asyncio.wait(self._busy, return_when=asyncio.FIRST_COMPLETED)
            elif not found:
                await asyncio.sleep(LOOK_EVERY.total_seconds() * _chance.uniform(0.5, 1.5))
            self.forget_done()

    async def look(self) -> int:
        """Begin with as many due accounts as there is room for; with how many."""
        room = self._room()
        if room <= 0:
            return 0
        refresher, claim = self._refresher, uuid4()
        own = refresher.vault.own_signer(self._own_user)
        async with refresher.database.driver() as conn:
            await repository.admit(conn, refresher.vault.environment)
            if own is not None:
                await repository.admit_one(conn, self._own_user, refresher.key_of(own))
            own_user = None if own is None else self._own_user
            found = await repository.claim_due(conn, claim, LEASE, room, own_user)
        begun = 0
        for user_id in found:
            task = refresher.refresh_claimed(user_id, claim)
            if task is not None:
                self._busy.add(task)
                begun += 1
                continue
            async with refresher.database.driver() as conn:
                await repository.let_go(conn, user_id, claim)
        return begun

    def forget_done(self) -> None:
        """Make room for others."""
        self._busy = {task for task in self._busy if not task.done()}

    def _room(self) -> int:
        """Of an exchange that fails for everybody, one account at a time finds out how it is."""
        state = self._refresher.outage.state
        if state == "open":
            return 0
        most = AT_ONCE if state == "closed" else 1
        return most - len(self._busy)


class Watched:
    """Who was asked for lately: noted now and then, beside the requests."""

    def __init__(self, refresher: Refresher) -> None:
        self._database = refresher.database
        self._seen: dict[str, datetime] = {}

    def see(self, user_id: str) -> None:
        """Somebody asks for this account."""
        self._seen[user_id] = datetime.now(UTC)

    async def note(self) -> None:
        """Write it down."""
        seen, self._seen = self._seen, {}
        if not seen:
            return
        try:
            async with self._database.driver() as conn:
                await repository.note_watched(conn, seen)
        except DatabaseUnavailable:
            self._seen = seen | self._seen
            raise
