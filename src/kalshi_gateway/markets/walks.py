"""The `catalogue_walks` table: how far each walk has come, and when it last reached its end."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from kalshi_gateway.db import Driver


@dataclass(frozen=True, slots=True)
class Walk:
    """One thing that is walked: under way while it has a cursor."""

    scope: str
    began_at: datetime
    cursor: str | None
    pages: int
    rows: int
    set_aside: int
    #: Rows that the last walk that reached its end had to set aside.
    left_out: int
    complete_as_of: datetime | None
    failure: str | None


class Step(NamedTuple):
    """One more page of a walk; without a cursor it was the last one."""

    scope: str
    cursor: str | None
    rows: int
    set_aside: int


async def find(conn: Driver, scope: str) -> Walk | None:
    row = await conn.fetchrow(f"SELECT {_COLUMNS} FROM catalogue_walks WHERE scope = $1", scope)
    return None if row is None else Walk(**row)


async def all_known(conn: Driver) -> Mapping[str, Walk]:
    """Every walk by its scope."""
    rows = await conn.fetch(f"SELECT {_COLUMNS} FROM catalogue_walks ORDER BY scope")
    return {row["scope"]: Walk(**row) for row in rows}


async def begin(conn: Driver, scope: str, began_at: datetime) -> Walk:
    """Start over from the first page."""
    row = await conn.fetchrow(
        "INSERT INTO catalogue_walks (scope, began_at) VALUES ($1, $2)"
        " ON CONFLICT (scope) DO UPDATE SET began_at = excluded.began_at, cursor = NULL,"
        f" pages = 0, rows = 0, set_aside = 0 RETURNING {_COLUMNS}",
        scope,
        began_at,
    )
    assert row is not None  # noqa: S101 - an upsert without a condition returns its row
    return Walk(**row)


async def advance(conn: Driver, steps: Iterable[Step]) -> None:
    """These pages are stored, too, in their order."""
    await conn.executemany(
        "UPDATE catalogue_walks SET cursor = $2::text, pages = pages + 1, rows = rows + $3,"
        " set_aside = set_aside + $4, failure = NULL,"
        " left_out = CASE WHEN $2::text IS NULL THEN set_aside + $4 ELSE left_out END,"
        " complete_as_of = CASE WHEN $2::text IS NULL THEN began_at ELSE complete_as_of END"
        " WHERE scope = $1",
        steps,
    )


async def fail(conn: Driver, scope: str, failure: str, *, resumable: bool) -> None:
    """The walk stopped half-way; it goes on from its cursor unless the cursor is to blame."""
    await conn.execute(
        "UPDATE catalogue_walks SET failure = $2, cursor = CASE WHEN $3::boolean THEN cursor END"
        " WHERE scope = $1",
        scope,
        failure.replace("\0", ""),  # it may quote the exchange
        resumable,
    )


_COLUMNS = "scope, began_at, cursor, pages, rows, set_aside, left_out, complete_as_of, failure"
