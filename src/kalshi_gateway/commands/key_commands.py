"""`key create|list|revoke`."""

import sys
from datetime import datetime
from uuid import UUID

from rich.console import Console
from rich.table import Table

from kalshi_gateway import migrate, settings
from kalshi_gateway.db import Database
from kalshi_gateway.keys import keeping, repository
from kalshi_gateway.keys.key import VirtualKey
from kalshi_gateway.units import to_json

from .author import author
from .database import database_url


async def create(user_id: str, scopes: list[str], kind: str, *, as_json: bool) -> None:
    """Make a key and show its private half, this once."""
    async with database_url(settings.load()) as url:
        await migrate.to_head(url)
        async with Database.opened(url) as database:
            key, pem = await keeping.create(database, user_id, scopes, author(), kind)
    if as_json:
        _write(to_json({**_shown(key), "private_key": pem}).decode())
    else:
        _write(f"{key.id}\n{pem.strip()}")


async def show(*, as_json: bool) -> None:
    """List all keys, also those that open nothing any more."""
    async with database_url(settings.load()) as url:
        await migrate.to_head(url)
        async with Database.opened(url) as database, database.connect() as conn:
            found = await repository.page(conn)
    if as_json:
        _write(to_json({"keys": [_shown(key) for key in found]}).decode())
        return
    table = Table("id", "user", "kind", "scopes", "created", "last used", "revoked")
    for key in found:
        table.add_row(*(str(value or "") for value in _columns(key)))
    Console().print(table)


async def revoke(key_id: str) -> bool:
    """End a key in every process at once; False if none in use has this id."""
    try:
        wanted = UUID(key_id)
    except ValueError:
        return False
    async with database_url(settings.load()) as url:
        await migrate.to_head(url)
        async with Database.opened(url) as database:
            return await keeping.revoke(database, wanted, author()) is not None


def _shown(key: VirtualKey) -> dict[str, object]:
    shown = {
        name: value.replace(microsecond=0) if isinstance(value, datetime) else value
        for name, value in key.model_dump(exclude={"public_key"}).items()
    }
    return {**shown, "scopes": sorted(key.scopes), "fingerprint": key.fingerprint}


def _columns(key: VirtualKey) -> tuple[object, ...]:
    return (
        key.id,
        key.user_id,
        key.kind,
        " ".join(sorted(key.scopes)),
        _day(key.created_at),
        _day(key.last_used_at),
        _day(key.revoked_at),
    )


def _day(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M}"


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
