"""Who is calling, and for which user they may speak."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import inf
from uuid import UUID

import structlog

from .db import Database, DatabaseUnavailable
from .errors import GatewayError
from .tokens import repository
from .tokens.revocations import FRESH_FOR
from .tokens.token import Scope, Token, digest, looks_like_one

log = structlog.get_logger(__name__)

#: For this long a token that was known is believed while the database cannot be asked.
TRUSTED_FOR = timedelta(seconds=60)

NOTE_USES_EVERY = timedelta(minutes=1)

BEARER = b"Bearer "


class NotAuthenticated(GatewayError):
    """The request carries no token that holds."""

    status = 401
    code = "not_authenticated"
    title = "Not authenticated"

    def __init__(self, detail: str, *, error: str | None = None) -> None:
        # RFC 6750: the reason is named only if a token was shown at all.
        challenge = 'Bearer realm="kalshi-gateway"' + (f', error="{error}"' if error else "")
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class ScopeMissing(GatewayError):
    """The token holds, but not for this."""

    status = 403
    code = "scope_missing"
    title = "Scope missing"


class WrongUser(GatewayError):
    """The token speaks for another user."""

    status = 403
    code = "wrong_user"
    title = "Wrong user"


@dataclass(frozen=True)
class Caller:
    """Whoever sent a request, as far as we can tell."""

    name: str
    scopes: frozenset[Scope]
    user_id: str | None
    token_id: UUID | None = None

    def has(self, scope: Scope) -> bool:
        """Who may trade or administer may read; to trade must be said of a token by name."""
        return scope in self.scopes or scope is Scope.READ

    def require(self, scope: Scope) -> None:
        if not self.has(scope):
            raise ScopeMissing(f"This takes a token with the scope {scope}.")

    def speak_for(self, user_id: str) -> None:
        """Refuse to speak for anybody but the token's own user; an admin's speaks for all."""
        if self.user_id is not None and self.user_id != user_id:
            raise WrongUser("This token speaks for another user.")


#: Whoever calls while GATEWAY_AUTH=off; only this machine can.
LOCAL = Caller("local", frozenset(Scope), None)


@dataclass(slots=True)
class _Known:
    token: Token
    caller: Caller
    asked_at: float  # monotonic
    expires_at: float  # of the clock
    used_at: float | None = None  # of the clock; none: not since it was last written down


@dataclass
class Gatekeeper:
    """Knows tokens by their digests, and asks the database again every other second.

    It hears of revoked tokens at once (`tokens/revocations.py`); while it would not, it believes
    in none without asking.
    """

    database: Database
    fresh_for: timedelta = FRESH_FOR
    trusted_for: timedelta = TRUSTED_FOR
    hears: bool = True
    _known: dict[bytes, _Known] = field(default_factory=dict)
    _asking: dict[bytes, asyncio.Task[_Known | None]] = field(default_factory=dict)
    _forgotten: int = 0

    async def caller(self, authorization: str | None) -> Caller:
        """Who shows this Authorization header."""
        key = digest(_secret(authorization))
        known = self._fresh(key) or await self._asked(key)
        if known is None or time.time() >= known.expires_at:
            raise NotAuthenticated(
                "This token is unknown, expired or revoked.", error="invalid_token"
            )
        known.used_at = time.time()
        return known.caller

    def caller_at_once(self, authorization: bytes) -> Caller | None:
        """Who shows this header if that is known without asking; for answers given at once."""
        if not authorization.startswith(BEARER):
            return None
        known = self._fresh(sha256(authorization[len(BEARER) :]).digest())
        if known is None:
            return None
        known.used_at = time.time()
        return known.caller

    def forget(self, token_id: UUID | None) -> None:
        """Ask again about a token, which was revoked, or about all, one of which may have been."""
        self._forgotten += 1  # what is being read now may be older than this
        stale = time.monotonic() - self.fresh_for.total_seconds()
        for known in self._known.values():
            if token_id is None:
                known.asked_at = min(known.asked_at, stale)
            elif known.token.id == token_id:
                known.asked_at = -inf  # not to be trusted without asking, either

    async def note_uses(self) -> None:
        """Write down when tokens were last used; done beside the requests."""
        used = [(known, known.used_at) for known in self._known.values() if known.used_at]
        if not used:
            return
        async with self.database.begin() as conn:
            await repository.note_uses(
                conn, {known.token.id: datetime.fromtimestamp(at, UTC) for known, at in used}
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

    def _fresh(self, key: bytes) -> _Known | None:
        known = self._known.get(key)
        if known is None or not self.hears or time.time() >= known.expires_at:
            return None
        age = time.monotonic() - known.asked_at
        return known if age < self.fresh_for.total_seconds() else None

    async def _asked(self, key: bytes) -> _Known | None:
        """Ask the database; callers that come meanwhile share the question."""
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._find(key), name="token")
            self._asking[key] = task
            task.add_done_callback(lambda done: self._done(key, done))
        try:
            # A caller that gives up must not take the others' answer with it.
            return await asyncio.shield(task)
        except DatabaseUnavailable:
            known = self._known.get(key)
            if known is None or self._too_old(known):
                raise
            log.warning("token believed without asking", token=known.token.name)
            return known

    def _too_old(self, known: _Known) -> bool:
        return time.monotonic() - known.asked_at >= self.trusted_for.total_seconds()

    def _done(self, key: bytes, task: asyncio.Task[_Known | None]) -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # seen, even if every caller has given up

    async def _find(self, key: bytes) -> _Known | None:
        while True:
            asked_at, forgotten = time.monotonic(), self._forgotten
            async with self.database.connect() as conn:
                token = await repository.find(conn, key)
            if forgotten == self._forgotten:
                break
        before = self._known.get(key)
        if token is None or not token.holds_at(datetime.now(UTC)):
            # What opens nothing is not kept: only tokens in use take up memory.
            self._known.pop(key, None)
            return None
        caller = Caller(token.name, token.scopes, token.user_id, token.id)
        expires_at = token.expires_at.timestamp() if token.expires_at else inf
        used_at = None if before is None else before.used_at
        known = _Known(token, caller, asked_at, expires_at, used_at)
        self._known[key] = known
        return known


def _secret(authorization: str | None) -> str:
    if not authorization:
        raise NotAuthenticated("This takes a token: Authorization: Bearer kgw_…")
    scheme, _, secret = authorization.partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not looks_like_one(secret):
        raise NotAuthenticated("This is not a token of this gateway.", error="invalid_token")
    return secret
