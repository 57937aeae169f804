"""`token create|list|revoke`."""

import sys
from datetime import datetime

from rich.console import Console
from rich.table import Table

from kalshi_gateway import migrate, settings
from kalshi_gateway.db import Database
from kalshi_gateway.tokens import keeping, repository
from kalshi_gateway.tokens.token import Token
from kalshi_gateway.units import to_json

from .author import author
from .database import database_url


async def create(
    name: str,
    scopes: list[str],
    user_id: str | None,
    expires_at: datetime | None,
    *,
    as_json: bool,
) -> None:
    """Make a token and show its secret, this once."""
    async with database_url(settings.load()) as url:
        await migrate.to_head(url)
        async with Database.opened(url) as database:
            token, secret = await keeping.create(
                database, name, scopes, user_id, expires_at, author()
            )
    if as_json:
        _write(to_json({**_shown(token), "token": secret}).decode())
    else:
        _write(secret)


async def show(*, as_json: bool) -> None:
    """List all tokens, also those that open nothing any more."""
    async with database_url(settings.load()) as url:
        await migrate.to_head(url)
        async with Database.opened(url) as database, database.connect() as conn:
            found = await repository.page(conn)
    if as_json:
        _write(to_json({"tokens": [_shown(token) for token in found]}).decode())
        return
    table = Table("name", "scopes", "user", "created", "expires", "last used", "revoked", "id")
    for token in found:
        table.add_row(*(str(value or "") for value in _columns(token)))
    Console().print(table)


async def revoke(id_or_name: str) -> bool:
    """End a token in every process at once; False if none in use is called so."""
    async with database_url(settings.load()) as url:
        await migrate.to_head(url)
        async with Database.opened(url) as database:
            return bool(await keeping.revoke(database, id_or_name, author()))


def _shown(token: Token) -> dict[str, object]:
    shown = {
        name: value.replace(microsecond=0) if isinstance(value, datetime) else value
        for name, value in token.model_dump().items()
    }
    return {**shown, "scopes": sorted(token.scopes)}


def _columns(token: Token) -> tuple[object, ...]:
    return (
        token.name,
        " ".join(sorted(token.scopes)),
        token.user_id,
        _day(token.created_at),
        _day(token.expires_at),
        _day(token.last_used_at),
        _day(token.revoked_at),
        token.id,
    )


def _day(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M}"


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
