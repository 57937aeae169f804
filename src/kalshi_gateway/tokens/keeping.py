"""What is done to tokens: made and revoked; each written down."""

from collections.abc import Collection
from datetime import datetime

from kalshi_gateway import news
from kalshi_gateway.audit import repository as audit
from kalshi_gateway.audit.entry import Author, Entry
from kalshi_gateway.db import Database

from . import repository
from .token import Scope, Token


async def create(
    database: Database,
    name: str,
    scopes: Collection[Scope | str],
    user_id: str | None,
    expires_at: datetime | None,
    author: Author,
) -> tuple[Token, str]:
    """A new token and its secret, which is told this once and not kept."""
    async with database.begin() as conn:
        token, secret = await repository.create(conn, name, scopes, user_id, expires_at)
        await audit.record(conn, _entry("token.create", token, author))
    return token, secret


async def create_first(database: Database, name: str, author: Author) -> str | None:
    """The secret of an admin's token, if there has never been any token."""
    async with database.begin() as conn:
        first = await repository.create_first(conn, name)
        if first is None:
            return None
        await audit.record(conn, _entry("token.create", first[0], author))
    return first[1]


async def revoke(database: Database, id_or_name: str, author: Author) -> list[Token]:
    """End a token everywhere: when this returns, no process lets it in any more.

    Only one that is cut off from the database believes in it for up to `TRUSTED_FOR`, and can
    change nothing there meanwhile.
    """
    async with database.begin() as conn:
        revoked = await repository.revoke(conn, id_or_name)
        for token in revoked:
            await news.tell(conn, "token", token.id)
            await audit.record(conn, _entry("token.revoke", token, author))
    if revoked:
        await news.heard_by_all(database)
    return revoked


def _entry(action: str, token: Token, author: Author) -> Entry:
    details = {
        "token_id": str(token.id),
        "scopes": " ".join(sorted(token.scopes)),
        "expires_at": None if token.expires_at is None else token.expires_at.isoformat(),
    }
    return Entry(action, author, token.user_id, token.name, details=details)
