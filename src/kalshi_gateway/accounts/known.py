"""What is known of an account, on a client's terms: at once, or after a refresh."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from kalshi_gateway.audit import repository as audit
from kalshi_gateway.audit.entry import Author, Entry
from kalshi_gateway.credentials.credential import NoCredentials
from kalshi_gateway.credentials.vault import Vault
from kalshi_gateway.db import Database
from kalshi_gateway.directives import NO_TERMS, Terms
from kalshi_gateway.errors import GatewayError, Unavailable
from kalshi_gateway.freshness import Came, Standing, came_by
from kalshi_gateway.kalshi.errors import KalshiError

from . import pace, repository
from .due import Watched
from .refresh import Refresher
from .repository import Cached

#: Older than so many times the setting, an account is older than it should be.
STALE_AFTER = 2


@dataclass(frozen=True, slots=True)
class Looked:
    """An account, how it stands, and how we came by it."""

    cached: Cached
    standing: Standing
    came: Came = "HIT"

    @property
    def body(self) -> str:
        """The finished JSON object."""
        if self.cached.body is None:
            raise Unavailable("The account has not been read yet.", retry_after_seconds=1)
        return self.cached.body

    @property
    def ledger_id(self) -> UUID:
        """Where all that is recorded of the member hangs."""
        if self.cached.ledger_id is None:
            raise Unavailable("The account has not been read yet.", retry_after_seconds=1)
        return self.cached.ledger_id


class Accounts:
    """Finds accounts; only those never seen, or wanted newer, are waited for."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        refresher: Refresher,
        watched: Watched,
        *,
        fresh_for: timedelta,
    ) -> None:
        self._database = database
        self._vault = vault
        self._refresher = refresher
        self._watched = watched
        self._fresh_for = fresh_for

    async def find(self, user_id: str, terms: Terms = NO_TERMS) -> Looked:
        """The account on these terms; while it cannot be read anew, as last known."""
        self._watched.see(user_id)
        cached = await self._cached(user_id)
        if cached is None:
            terms.allow_asking()
            return self._read(await self._refresher.refresh(user_id), "MISS")
        if self._will_do(cached, terms):
            if self._is_old(cached):
                self._refresher.refresh_soon(user_id)
            return self._read(cached)
        terms.allow_asking()
        try:
            renewed = await self._refresher.refresh_since(user_id, cached.epoch)
        except (KalshiError, GatewayError) as error:
            if await self._cached(user_id) is None:
                raise  # the key has gone meanwhile
            why = f"this is the last known answer: {pace.in_words(error)}"
            return replace(self._read(cached), standing=self._standing(cached).late(why))
        return self._read(renewed, came_by(terms, known=True))

    async def refreshed(self, user_id: str, author: Author) -> Looked:
        """The account as the exchange tells it now; raises what kept it from being read."""
        self._watched.see(user_id)
        cached = await self._cached(user_id)
        try:
            epoch = 0 if cached is None else cached.epoch
            renewed = await self._refresher.refresh_since(user_id, epoch)
        except (KalshiError, GatewayError):
            await self._write_down(Entry("account.refresh", author, user_id, outcome="failed"))
            raise
        await self._write_down(Entry("account.refresh", author, user_id))
        return self._read(renewed, "BYPASS")

    async def _write_down(self, entry: Entry) -> None:
        async with self._database.begin() as conn:
            await audit.record(conn, entry)

    async def _cached(self, user_id: str) -> Cached | None:
        """What is kept, if it is the account of the key that would sign now."""
        async with self._database.driver() as conn:
            cached, key = await repository.find(conn, user_id)
        own = self._vault.own_signer(user_id)
        if own is not None:
            key = self._refresher.key_of(own)
        if key is None:
            raise NoCredentials("No key of the exchange is kept for this user.")
        if cached is None or cached.body is None or cached.signed_with != key:
            return None
        return cached if key.startswith(f"{self._vault.environment} ") else None

    def _will_do(self, cached: Cached, terms: Terms) -> bool:
        if terms.only_if_cached:
            return terms.accepts(cached.as_of)
        return cached.known_epoch >= cached.epoch and terms.accepts(cached.as_of)

    def _is_old(self, cached: Cached) -> bool:
        """Whether it should be read behind the answer; not while it waits after a failure."""
        if cached.is_claimed or (cached.failures and not cached.is_due):
            return False
        return cached.as_of is None or datetime.now(UTC) - cached.as_of > self._fresh_for

    def _read(self, cached: Cached, came: Came = "HIT") -> Looked:
        return Looked(cached, self._standing(cached), came)

    def _standing(self, cached: Cached) -> Standing:
        standing = Standing(
            as_of=cached.as_of,
            fresh_for_seconds=STALE_AFTER * self._refresher.every.total_seconds(),
            complete=cached.complete,
            warnings=cached.warnings,
            overdue=cached.known_epoch < cached.epoch,
        )
        if cached.failures and cached.failure is not None:
            return standing.late(f"this is the last known answer: {cached.failure}")
        return standing
