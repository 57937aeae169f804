"""The `tokens` table."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Row,
    Uuid,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from kalshi_gateway.db import lock_key
from kalshi_gateway.errors import FieldError, GatewayError, Unprocessable
from kalshi_gateway.tables import tokens

from .token import Scope, Token, digest, new_secret

_KEPT = [column for column in tokens.c if column is not tokens.c.secret_sha256]


class TokenNameTaken(GatewayError):
    """Another token of that name is in use; names tell people which one to revoke."""

    status = 409
    code = "token_name_taken"
    title = "Token name taken"


async def create(
    conn: AsyncConnection,
    name: str,
    scopes: Collection[Scope | str],
    user_id: str | None,
    expires_at: datetime | None,
) -> tuple[Token, str]:
    """A new token and its secret, which is told this once and not kept."""
    wanted = _checked(name, scopes, user_id, expires_at)
    await _take_turns(conn)
    if await conn.scalar(select(exists().where(tokens.c.name == name, _in_use()))):
        raise TokenNameTaken(f"A token named {name} is in use; revoke it or choose another name.")
    secret = new_secret()
    row = await conn.execute(
        insert(tokens)
        .values(
            name=name,
            secret_sha256=digest(secret),
            scopes=sorted(wanted),
            user_id=user_id,
            expires_at=expires_at,
        )
        .returning(*_KEPT)
    )
    return _token(row.one()), secret


async def create_first(conn: AsyncConnection, name: str) -> tuple[Token, str] | None:
    """An admin's token if there has never been any; of processes that ask together, one gets it."""
    await _take_turns(conn)
    if await any_exist(conn):
        return None
    return await create(conn, name, [Scope.ADMIN], None, None)


async def page(conn: AsyncConnection) -> list[Token]:
    """All tokens, also those that open nothing any more; newest first."""
    rows = await conn.execute(select(*_KEPT).order_by(tokens.c.created_at.desc(), tokens.c.id))
    return [_token(row) for row in rows]


async def find(conn: AsyncConnection, secret_sha256: bytes) -> Token | None:
    """The token with that digest, whether it still holds or not."""
    rows = await conn.execute(select(*_KEPT).where(tokens.c.secret_sha256 == secret_sha256))
    row = rows.one_or_none()
    return None if row is None else _token(row)


async def revoke(conn: AsyncConnection, id_or_name: str) -> list[Token]:
    """End the token with that id, or the one in use with that name; what was ended, if any was."""
    rows = await conn.execute(
        update(tokens)
        .where(tokens.c.revoked_at.is_(None), _named(id_or_name))
        .values(revoked_at=func.now())
        .returning(*_KEPT)
    )
    return [_token(row) for row in rows]


async def holds(conn: AsyncConnection, token_id: UUID) -> bool:
    """Whether a token is in use; until the transaction ends nobody can end it."""
    rows = await conn.execute(
        select(tokens.c.id).where(tokens.c.id == token_id, _in_use()).with_for_update(read=True)
    )
    return rows.one_or_none() is not None


async def any_exist(conn: AsyncConnection) -> bool:
    """Whether a token was ever made, even if it opens nothing any more."""
    return bool(await conn.scalar(select(exists().select_from(tokens))))


async def note_uses(conn: AsyncConnection, used_at: Mapping[UUID, datetime]) -> None:
    """Keep when tokens were last used; another process may know of a later use."""
    used = bindparam("used_at", type_=DateTime(timezone=True))
    await conn.execute(
        update(tokens)
        .where(tokens.c.id == bindparam("token_id", type_=Uuid()))
        .where(or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at < used))
        .values(last_used_at=used),
        [{"token_id": token_id, "used_at": at} for token_id, at in used_at.items()],
    )


def _checked(
    name: str, scopes: Collection[Scope | str], user_id: str | None, expires_at: datetime | None
) -> frozenset[Scope]:
    known = frozenset(Scope)
    admin = Scope.ADMIN in scopes
    rules = {
        ("name", "must not be empty"): bool(name.strip()),
        ("scopes", f"must be some of {', '.join(Scope)}"): bool(scopes) and known >= set(scopes),
        ("user_id", "must be given, except for an admin's token"): admin or bool(user_id),
        ("user_id", "must not be given for an admin's token"): not (admin and user_id),
        ("expires_at", "must be in the future"): (
            expires_at is None or expires_at > datetime.now(UTC)
        ),
    }
    errors = tuple(
        FieldError(f"/{field}", text) for (field, text), holds in rules.items() if not holds
    )
    if errors:
        raise Unprocessable(
            "; ".join(f"{error.pointer[1:]} {error.message}" for error in errors), errors=errors
        )
    return frozenset(Scope(scope) for scope in scopes)


async def _take_turns(conn: AsyncConnection) -> None:
    await conn.execute(select(func.pg_advisory_xact_lock(lock_key("tokens"))))


def _in_use() -> ColumnElement[bool]:
    return and_(
        tokens.c.revoked_at.is_(None),
        or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > func.now()),
    )


def _named(id_or_name: str) -> ColumnElement[bool]:
    try:
        return tokens.c.id == UUID(id_or_name)
    except ValueError:
        return and_(tokens.c.name == id_or_name, _in_use())


def _token(row: Row[tuple[object, ...]]) -> Token:
    return Token.model_validate(dict(row._mapping))
