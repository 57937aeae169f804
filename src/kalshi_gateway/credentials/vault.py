"""Users' keys, opened: whoever signs for a user asks here."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from uuid import UUID

from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.clock import ExchangeClock
from kalshi_gateway.kalshi.signing import ApiKey, Signer

from . import repository
from .credential import (
    Credentials,
    CredentialsFromEnvironment,
    Kept,
    NoCredentials,
    OtherEnvironment,
    environment_of,
    shown,
)
from .ring import KeyRing

#: For this long a key is used without asking, by who would hear of another one at once.
BELIEVED_FOR = timedelta(seconds=1)

#: Keys held open; those used least recently are opened anew when they are needed.
MOST_OPENED = 5_000


@dataclass(slots=True)
class _Opened:
    row_id: UUID
    signer: Signer
    asked_at: float  # monotonic


class Vault:
    """Opens users' keys into signers, and parses each key once.

    A signer signs for this gateway's exchange only, `urls`. While a user's key stays the same and
    in use, so does the object: whoever keeps something beside it can compare by identity. It hears
    of other keys (`news.py`); while it would not, it asks before each signature.
    """

    def __init__(
        self,
        database: Database,
        ring: KeyRing,
        *urls: str,
        clock: ExchangeClock | None = None,
        own: tuple[str, ApiKey] | None = None,
        believed_for: timedelta = BELIEVED_FOR,
        hears: bool = False,
    ) -> None:
        self.database = database
        self.ring = ring
        self.environment = environment_of(urls[0])
        self._urls: Sequence[str] = urls
        self._clock = clock or ExchangeClock()
        self._believed_for = believed_for
        self.hears = hears
        self._opened: OrderedDict[str, _Opened] = OrderedDict()
        self._opening: dict[str, asyncio.Task[Signer]] = {}
        # The key of the gateway's own settings speaks for one user, before any that is stored.
        self._own = None if own is None else (own[0], self.signer(own[1]))

    async def open(self, user_id: str) -> Signer:
        """What signs for this user; `NoCredentials` if there is no key."""
        own = self.own_signer(user_id)
        if own is not None:
            return own
        opened = self._opened.get(user_id)
        if opened is not None:
            self._opened.move_to_end(user_id)
            age = time.monotonic() - opened.asked_at
            if self.hears and age < self._believed_for.total_seconds():
                return opened.signer
        # A caller that gives up must not take the others' answer with it.
        return await asyncio.shield(self._shared(user_id))

    async def show(self, user_id: str) -> Credentials:
        """What may be seen of this user's key; `NoCredentials` if there is none."""
        own = self.own_signer(user_id)
        if own is not None:
            return Credentials(
                user_id=user_id,
                source="environment",
                api_key_id=own.key.key_id,
                kind=own.key.kind,
                fingerprint=own.key.fingerprint,
                environment=self.environment,
                created_at=None,
                checked_at=None,
                verdict=None,
            )
        return shown(await self.get(user_id))

    async def get(self, user_id: str) -> Kept:
        """The row of this user's key; `NoCredentials` if there is none."""
        async with self.database.connect() as conn:
            kept = await repository.find(conn, user_id)
        if kept is None:
            raise NoCredentials("No key of the exchange is kept for this user.")
        return kept

    def own_signer(self, user_id: str) -> Signer | None:
        """What signs for the user whose key the settings name, if this is that user."""
        return self._own[1] if self._own is not None and self._own[0] == user_id else None

    def refuse_own(self, user_id: str) -> None:
        """Refuse to change what only the settings may change."""
        if self.own_signer(user_id) is not None:
            raise CredentialsFromEnvironment(
                "This user's key comes from the gateway's settings (KALSHI_API_KEY_ID); "
                "it is changed there."
            )

    def signer(self, key: ApiKey) -> Signer:
        """What signs with this key, for this gateway's exchange and no other host."""
        return Signer(key, *self._urls, clock=self._clock)

    def unseal(self, kept: Kept) -> ApiKey:
        """The key itself; only for signing."""
        if kept.environment != self.environment:
            raise OtherEnvironment(
                f"This user's key belongs to {kept.environment}; "
                f"this gateway speaks to {self.environment}."
            )
        pem = self.ring.open(kept.sealed, kept.bound_to)
        return ApiKey.from_checked_pem(kept.api_key_id, pem)

    def forget(self, name: str | None) -> None:
        """Look again before the next signature for this user; None: for any."""
        for user_id in [*self._opened] if name is None else [name]:
            if user_id in self._opened:
                self._opened[user_id].asked_at = -inf
        for user_id in [*self._opening] if name is None else [name]:
            self._opening.pop(user_id, None)  # it may have looked before the change

    def _shared(self, user_id: str) -> asyncio.Task[Signer]:
        """One look at the database for all who ask at once."""
        task = self._opening.get(user_id)
        if task is None:
            task = asyncio.create_task(self._open(user_id), name="vault")
            self._opening[user_id] = task
            task.add_done_callback(lambda done: self._done(user_id, done))
        return task

    def _done(self, user_id: str, task: asyncio.Task[Signer]) -> None:
        if self._opening.get(user_id) is task:
            del self._opening[user_id]
        if not task.cancelled():
            task.exception()  # seen, even if every caller has given up

    async def _open(self, user_id: str) -> Signer:
        asked_at = time.monotonic()
        opened = self._opened.get(user_id)
        if opened is not None:
            async with self.database.driver() as driver:
                row_id = await repository.current(driver, user_id)
            if row_id == opened.row_id:
                if self._counts(user_id):
                    opened.asked_at = asked_at
                return opened.signer
            self._opened.pop(user_id, None)
        kept = await self.get(user_id)
        signer = self.signer(await asyncio.to_thread(self.unseal, kept))
        if self._counts(user_id):
            self._opened[user_id] = _Opened(kept.id, signer, asked_at)
            while len(self._opened) > MOST_OPENED:
                self._opened.popitem(last=False)
        return signer

    def _counts(self, user_id: str) -> bool:
        """Whether what this task has found was not forgotten meanwhile."""
        return self._opening.get(user_id) is asyncio.current_task()

    def __repr__(self) -> str:
        return f"Vault({self.environment!r})"
