"""The `kalshi_user_credentials` table."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from kalshi_gateway.db import Driver, lock_key
from kalshi_gateway.tables import kalshi_user_credentials as credentials

from .checks import Verdict
from .credential import Kept
from .ring import Sealed

# Written as asyncpg takes it: asked once a second for who signs, and whenever something changed.
CURRENT = "SELECT id FROM kalshi_user_credentials WHERE user_id = $1"


#: Sealing and turning the ring exclude each other.
SEALS = lock_key("seals")


async def save(conn: AsyncConnection, kept: Kept) -> None:
    """Keep a user's key in place of any other."""
    row = {
        "user_id": kept.user_id,
        "id": kept.id,
        "api_key_id": kept.api_key_id,
        "kind": kept.kind,
        "fingerprint": kept.fingerprint,
        "environment": kept.environment,
        "master_key_id": kept.sealed.master_key_id,
        "sealed": kept.sealed.box,
        "created_at": kept.created_at,
        "checked_at": kept.checked_at,
        "verdict": _text(kept.verdict),
    }
    await conn.execute(
        insert(credentials)
        .values(row)
        .on_conflict_do_update(index_elements=[credentials.c.user_id], set_=row)
    )


async def find(conn: AsyncConnection, user_id: str) -> Kept | None:
    """The key of one user."""
    rows = await conn.execute(select(credentials).where(credentials.c.user_id == user_id))
    row = rows.one_or_none()
    return None if row is None else _kept(row)


async def page(conn: AsyncConnection) -> list[Kept]:
    """All keys, by user."""
    rows = await conn.execute(select(credentials).order_by(credentials.c.user_id))
    return [_kept(row) for row in rows]


async def current(driver: Driver, user_id: str) -> UUID | None:
    """Which row the user's key is in now: another id is another key."""
    found: UUID | None = await driver.fetchval(CURRENT, user_id)
    return found


async def remove(conn: AsyncConnection, user_id: str) -> Kept | None:
    """Forget a user's key; what was forgotten, if any was."""
    rows = await conn.execute(
        delete(credentials).where(credentials.c.user_id == user_id).returning(*credentials.c)
    )
    row = rows.one_or_none()
    return None if row is None else _kept(row)


async def note_verdict(
    conn: AsyncConnection, user_id: str, fingerprint: str, verdict: Verdict, checked_at: datetime
) -> None:
    """Keep what a check found, unless the key has been replaced meanwhile."""
    await conn.execute(
        update(credentials)
        .where(credentials.c.user_id == user_id, credentials.c.fingerprint == fingerprint)
        .values(verdict=_text(verdict), checked_at=checked_at)
    )


async def share_seals(conn: AsyncConnection) -> None:
    """Keep the ring from being turned until the transaction ends; many may do so at once."""
    await conn.execute(select(func.pg_advisory_xact_lock_shared(SEALS)))


async def lock_seals(conn: AsyncConnection) -> None:
    """Wait for those who seal, and keep others from it until the transaction ends."""
    await conn.execute(select(func.pg_advisory_xact_lock(SEALS)))


async def claim_older(conn: AsyncConnection, newest: str) -> list[Kept]:
    """Every key under another master key than the newest; nobody changes them meanwhile."""
    rows = await conn.execute(
        select(credentials)
        .where(credentials.c.master_key_id != newest)
        .order_by(credentials.c.user_id)
        .with_for_update()
    )
    return [_kept(row) for row in rows]


async def reseal(conn: AsyncConnection, row_id: UUID, sealed: Sealed) -> None:
    """Put the same key under another seal."""
    await conn.execute(
        update(credentials)
        .where(credentials.c.id == row_id)
        .values(master_key_id=sealed.master_key_id, sealed=sealed.box)
    )


async def master_keys_used(conn: AsyncConnection) -> dict[str, int]:
    """Under which master keys rows are sealed, and how many."""
    rows = await conn.execute(
        select(credentials.c.master_key_id, func.count()).group_by(credentials.c.master_key_id)
    )
    return {str(row[0]): int(row[1]) for row in rows}


def _text(verdict: Verdict | None) -> str | None:
    return None if verdict is None else verdict.model_dump_json()


def _kept(row: Row[Any]) -> Kept:
    return Kept(
        user_id=row.user_id,
        id=row.id,
        api_key_id=row.api_key_id,
        kind=row.kind,
        fingerprint=row.fingerprint,
        environment=row.environment,
        sealed=Sealed(row.master_key_id, bytes(row.sealed)),
        created_at=row.created_at,
        checked_at=row.checked_at,
        verdict=None if row.verdict is None else Verdict.model_validate_json(row.verdict),
    )
