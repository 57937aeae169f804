"""What is done to virtual keys: made and revoked; each written down."""

import asyncio
from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from kalshi_gateway import news
from kalshi_gateway.audit import repository as audit
from kalshi_gateway.audit.entry import Author, Entry
from kalshi_gateway.db import Database
from kalshi_gateway.errors import FieldError, Unprocessable

from . import repository
from .key import SCOPES, Kind, VirtualKey, new_pair

LONGEST_USER_ID = 128

#: A signature counts within ten seconds of its time; clocks of processes may differ.
SPENT_FOR = timedelta(minutes=10)
FORGET_EVERY = timedelta(minutes=1)


async def create(
    database: Database,
    user_id: str,
    scopes: Collection[str],
    author: Author,
    kind: Kind | str = Kind.RSA,
) -> tuple[VirtualKey, str]:
    """A new key and its private half as PEM, which is told this once and not kept."""
    _check(user_id, kind, scopes)
    public_key, pem = await asyncio.to_thread(new_pair, Kind(kind))
    async with database.begin() as conn:
        key = await repository.create(conn, user_id, kind, scopes, public_key)
        await audit.record(conn, _entry("key.create", key, author))
    return key, pem


async def revoke(database: Database, key_id: UUID, author: Author) -> VirtualKey | None:
    """End a key everywhere: when this returns, no process takes its signatures any more.

    Only one that is cut off from the database lets it read for up to `TRUSTED_FOR`: it writes
    nothing, since it could not write that down.
    """
    async with database.begin() as conn:
        key = await repository.revoke(conn, key_id)
        if key is None:
            return None
        await news.tell(conn, "key", key.id)
        await audit.record(conn, _entry("key.revoke", key, author))
    await news.heard_by_all(database)
    return key


async def forget_spent(database: Database) -> None:
    """Forget signatures that no process takes any more."""
    async with database.begin() as conn:
        await repository.forget_spent(conn, SPENT_FOR)


def _check(user_id: str, kind: str, scopes: Collection[str]) -> None:
    """Refuse what no key can be made for."""
    rules = {
        ("user_id", "must be given"): bool(user_id.strip()),
        ("user_id", f"may have {LONGEST_USER_ID} characters"): len(user_id) <= LONGEST_USER_ID,
        ("kind", f"must be one of {', '.join(Kind)}"): kind in frozenset(Kind),
        ("scopes", f"must be some of {', '.join(sorted(SCOPES))}"): (
            bool(scopes) and set(scopes) <= SCOPES
        ),
    }
    errors = tuple(
        FieldError(f"/{field}", text) for (field, text), holds in rules.items() if not holds
    )
    if errors:
        raise Unprocessable(
            "; ".join(f"{error.pointer[1:]} {error.message}" for error in errors), errors=errors
        )


def _entry(action: str, key: VirtualKey, author: Author) -> Entry:
    details = {
        "kind": str(key.kind),
        "scopes": " ".join(sorted(key.scopes)),
        "fingerprint": key.fingerprint,
    }
    return Entry(action, author, key.user_id, str(key.id), details=details)
