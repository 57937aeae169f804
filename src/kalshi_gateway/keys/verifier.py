"""Who has signed a request with a virtual key."""

import time
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.types import Scope

from kalshi_gateway.auth import Caller
from kalshi_gateway.tokens.believing import Believer, Known

from . import repository
from .key import PublicKey, VirtualKey, parsed
from .signature import Flaw, Signed

#: In the ASGI scope: what a request's signature was found to be; each is looked at once.
VERDICT = "gateway.verdict"
#: Likewise: the method by which the client asks, and which it signs, if we go on by another.
METHOD = "gateway.method"


class Opened(NamedTuple):
    """A key in memory, parsed, and whoever signs with it."""

    public_key: PublicKey
    der: bytes
    caller: Caller


class Proof(NamedTuple):
    """Who has signed, and by which signature."""

    caller: Caller
    signature_sha256: bytes


class Verifier(Believer[UUID, VirtualKey, Opened]):
    """Knows virtual keys by their ids, and verifies what they have signed."""

    async def verdict(self, scope: Scope) -> Proof | Flaw | None:
        """Who has signed this request, or what is wrong; None if it names no key."""
        found: Proof | Flaw | None = scope.get(VERDICT)
        if found is not None:
            return found
        signed = Signed.of(scope["headers"])
        if signed is None:
            return None
        flaw = signed.flaw(_now_ms())
        if flaw is not None:
            return flaw
        key_id = _key_id(signed)
        known = None if key_id is None else await self._believed(key_id)
        return Flaw.KEY_UNKNOWN if known is None else _judged(known, signed, scope)

    def caller_at_once(self, scope: Scope) -> Caller | None:
        """Who has signed this request if the key is known without asking."""
        signed = Signed.of(scope["headers"])
        if signed is None or signed.flaw(_now_ms()) is not None:
            return None
        key_id = _key_id(signed)
        known = None if key_id is None else self._fresh(key_id)
        if known is None:
            return None
        verdict = scope[VERDICT] = _judged(known, signed, scope)
        return verdict.caller if isinstance(verdict, Proof) else None

    async def _look_up(self, conn: AsyncConnection, shown: UUID) -> VirtualKey | None:
        return await repository.find(conn, shown)

    def _make(self, row: VirtualKey, before: Opened | None) -> Opened:
        same = before is not None and before.der == row.public_key
        public_key = before.public_key if before and same else parsed(row.public_key)
        return Opened(public_key, row.public_key, Caller(row.name, row.scopes, row.user_id, row.id))

    async def _write_uses(self, conn: AsyncConnection, used_at: Mapping[UUID, datetime]) -> None:
        await repository.note_uses(conn, used_at)


def _judged(known: Known[VirtualKey, Opened], signed: Signed, scope: Scope) -> Proof | Flaw:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    method: str = scope.get(METHOD) or scope["method"]
    signature = signed.verified(known.made.public_key, method, path.partition(b"?")[0])
    if signature is None:
        return Flaw.SIGNATURE_INCORRECT
    known.used_at = time.time()
    return Proof(known.made.caller, sha256(known.row.id.bytes + signature).digest())


def _now_ms() -> float:
    return time.time() * 1000


def _key_id(signed: Signed) -> UUID | None:
    try:
        return UUID(signed.key_id.decode())
    except ValueError:
        return None
