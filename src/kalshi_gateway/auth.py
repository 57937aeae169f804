"""Who is calling, and for which user they may speak."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from .db import Database, DatabaseUnavailable
from .errors import GatewayError
from .tokens import repository
from .tokens.token import Scope, Token, digest, looks_like_one

log = structlog.get_logger(__name__)

#: For this long a token is believed without asking: so soon is a revoked one refused everywhere.
FRESH_FOR = timedelta(seconds=2)

#: For this long a token that was known is believed while the database cannot be asked.
TRUSTED_FOR = timedelta(seconds=60)

NOTE_USES_EVERY = timedelta(minutes=1)


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


@dataclass
class _Known:
    token: Token
    asked_at: float


@dataclass
class Gatekeeper:
    """Knows tokens by their digests, and asks the database again every other second."""

    database: Database
    fresh_for: timedelta = FRESH_FOR
    trusted_for: timedelta = TRUSTED_FOR
    _known: dict[bytes, _Known] = field(default_factory=dict)
    _asking: dict[bytes, asyncio.Task[Token | None]] = field(default_factory=dict)
    _used_at: dict[UUID, datetime] = field(default_factory=dict)

    async def caller(self, authorization: str | None) -> Caller:
        """Who shows this Authorization header."""
        token = await self._token(_secret(authorization))
        now = datetime.now(UTC)
        if token is None or not token.holds_at(now):
            raise NotAuthenticated(
                "This token is unknown, expired or revoked.", error="invalid_token"
            )
        self._used_at[token.id] = now
        return Caller(token.name, token.scopes, token.user_id, token.id)

    async def note_uses(self) -> None:
        """Write down when tokens were last used; done beside the requests."""
        used_at, self._used_at = self._used_at, {}
        try:
            async with self.database.begin() as conn:
                await repository.note_uses(conn, used_at)
        except DatabaseUnavailable:
            self._used_at = used_at | self._used_at
            raise

    async def note_last_uses(self) -> None:
        """The same on the way out, where it may fail."""
        try:
            await self.note_uses()
        except DatabaseUnavailable:
            log.warning("last uses of tokens not noted")

    async def _token(self, secret: str) -> Token | None:
        key = digest(secret)
        known = self._known.get(key)
        age = None if known is None else time.monotonic() - known.asked_at
        if known and age is not None and age < self.fresh_for.total_seconds():
            return known.token
        try:
            return await self._ask(key)
        except DatabaseUnavailable:
            if known and age is not None and age < self.trusted_for.total_seconds():
                log.warning("token believed without asking", token=known.token.name)
                return known.token
            raise

    async def _ask(self, key: bytes) -> Token | None:
        """Ask the database; callers that come meanwhile share the question."""
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._find(key), name="token")
            self._asking[key] = task
            task.add_done_callback(lambda done: self._asked(key, done))
        # A caller that gives up must not take the others' answer with it.
        return await asyncio.shield(task)

    def _asked(self, key: bytes, task: asyncio.Task[Token | None]) -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # seen, even if every caller has given up

    async def _find(self, key: bytes) -> Token | None:
        asked_at = time.monotonic()
        async with self.database.connect() as conn:
            token = await repository.find(conn, key)
        if token is None:
            self._known.pop(key, None)
        else:
            self._known[key] = _Known(token, asked_at)
        return token


def _secret(authorization: str | None) -> str:
    if not authorization:
        raise NotAuthenticated("This takes a token: Authorization: Bearer kgw_…")
    scheme, _, secret = authorization.partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not looks_like_one(secret):
        raise NotAuthenticated("This is not a token of this gateway.", error="invalid_token")
    return secret
