"""The `virtual_keys` table, and `spent_signatures`, with which its keys have signed writes."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import DateTime, Row, Uuid, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_unless_there
from sqlalchemy.ext.asyncio import AsyncConnection

from kalshi_gateway.tables import spent_signatures, virtual_keys

from .key import Kind, VirtualKey


async def create(
    conn: AsyncConnection,
    user_id: str,
    kind: Kind | str,
    scopes: Collection[str],
    public_key: bytes,
) -> VirtualKey:
    """A new key; its private half is nobody's but the one who signs with it."""
    row = await conn.execute(
        insert(virtual_keys)
        .values(user_id=user_id, kind=kind, scopes=sorted(scopes), public_key=public_key)
        .returning(virtual_keys)
    )
    return _key(row.one())


async def page(conn: AsyncConnection) -> list[VirtualKey]:
    """All keys, also those that open nothing any more; newest first."""
    rows = await conn.execute(
        select(virtual_keys).order_by(virtual_keys.c.created_at.desc(), virtual_keys.c.id)
    )
    return [_key(row) for row in rows]


async def find(conn: AsyncConnection, key_id: UUID) -> VirtualKey | None:
    """The key with that id, whether it still holds or not."""
    rows = await conn.execute(select(virtual_keys).where(virtual_keys.c.id == key_id))
    row = rows.one_or_none()
    return None if row is None else _key(row)


async def revoke(conn: AsyncConnection, key_id: UUID) -> VirtualKey | None:
    """End a key; None if there is none of that id in use."""
    rows = await conn.execute(
        update(virtual_keys)
        .where(virtual_keys.c.id == key_id, virtual_keys.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(virtual_keys)
    )
    row = rows.one_or_none()
    return None if row is None else _key(row)


async def holds(conn: AsyncConnection, key_id: UUID) -> bool:
    """Whether a key is in use; until the transaction ends nobody can end it."""
    in_use = virtual_keys.c.revoked_at.is_(None)
    rows = await conn.execute(
        select(virtual_keys.c.id)
        .where(virtual_keys.c.id == key_id, in_use)
        .with_for_update(read=True)
    )
    return rows.one_or_none() is not None


async def note_uses(conn: AsyncConnection, used_at: Mapping[UUID, datetime]) -> None:
    """Keep when keys were last used; another process may know of a later use."""
    used = bindparam("used_at", type_=DateTime(timezone=True))
    await conn.execute(
        update(virtual_keys)
        .where(virtual_keys.c.id == bindparam("key_id", type_=Uuid()))
        .where(or_(virtual_keys.c.last_used_at.is_(None), virtual_keys.c.last_used_at < used))
        .values(last_used_at=used),
        [{"key_id": key_id, "used_at": at} for key_id, at in used_at.items()],
    )


async def spend(conn: AsyncConnection, signature_sha256: bytes) -> bool:
    """Use up a signature; False if it was used before, in whichever process."""
    spent = await conn.execute(
        insert_unless_there(spent_signatures)
        .values(signature_sha256=signature_sha256)
        .on_conflict_do_nothing()
        .returning(spent_signatures.c.signature_sha256)
    )
    return spent.one_or_none() is not None


async def forget_spent(conn: AsyncConnection, older_than: timedelta) -> None:
    """Forget signatures whose time no process takes any more."""
    await conn.execute(
        delete(spent_signatures).where(spent_signatures.c.spent_at < func.now() - older_than)
    )


def _key(row: Row[tuple[object, ...]]) -> VirtualKey:
    return VirtualKey.model_validate(dict(row._mapping))
