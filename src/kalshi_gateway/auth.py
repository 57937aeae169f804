"""Who is calling, and for which user they may speak."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from .errors import GatewayError
from .tokens import repository
from .tokens.believing import Believer
from .tokens.token import Scope, Token, digest, looks_like_one

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


class TokenEnded(NotAuthenticated):
    """The token is none that holds."""

    def __init__(self) -> None:
        super().__init__("This token is unknown, expired or revoked.", error="invalid_token")


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
        if not self.may_speak_for(user_id):
            raise WrongUser("This token speaks for another user.")

    def may_speak_for(self, user_id: str) -> bool:
        """Whether it is the token's own user, or the token an admin's."""
        return self.user_id in (None, user_id)


def may_read(caller: Caller | None, owner: str | None = None) -> bool:
    """Whether who calls is known and may read: what is that user's own, if it is anybody's."""
    if caller is None or not caller.has(Scope.READ):
        return False
    return owner is None or caller.may_speak_for(owner)


#: Whoever calls while GATEWAY_AUTH=off; only this machine can.
LOCAL = Caller("local", frozenset(Scope), None)


class Gatekeeper(Believer[bytes, Token, Caller]):
    """Knows tokens by their digests."""

    async def caller(self, authorization: str | None) -> Caller:
        """Who shows this Authorization header."""
        known = await self._believed(digest(_secret(authorization)))
        if known is None:
            raise TokenEnded
        known.used_at = time.time()
        return known.made

    def caller_at_once(self, authorization: bytes) -> Caller | None:
        """Who shows this header if that is known without asking; for answers given at once."""
        if not authorization.startswith(BEARER):
            return None
        known = self._fresh(sha256(authorization[len(BEARER) :]).digest())
        if known is None:
            return None
        known.used_at = time.time()
        return known.made

    def caller_meanwhile(self, authorization: str) -> Caller | None:
        """Who shows this header as far as is known, while nobody can be asked."""
        known = self._trusted(digest(_secret(authorization)))
        return None if known is None else known.made

    def asking(self, authorization: bytes) -> asyncio.Future[Any] | None:
        """Until when it is asked about a token that was known; None: that would be of no use."""
        if not authorization.startswith(BEARER):
            return None
        return self._asking_anew(sha256(authorization[len(BEARER) :]).digest())

    async def _look_up(self, conn: AsyncConnection, shown: bytes) -> Token | None:
        return await repository.find(conn, shown)

    def _make(self, row: Token, before: Caller | None) -> Caller:
        return Caller(row.name, row.scopes, row.user_id, row.id)

    async def _write_uses(self, conn: AsyncConnection, used_at: Mapping[UUID, datetime]) -> None:
        await repository.note_uses(conn, used_at)


def _secret(authorization: str | None) -> str:
    if not authorization:
        raise NotAuthenticated("This takes a token: Authorization: Bearer kgw_…")
    scheme, _, secret = authorization.partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not looks_like_one(secret):
        raise NotAuthenticated("This is not a token of this gateway.", error="invalid_token")
    return secret
