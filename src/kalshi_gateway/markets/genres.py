"""Genres: a category with the tags of a series. A list of a category or of a tag is some genres.

A category may be the operator's own: that is some genres as well, whatever the exchange calls them.
"""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from kalshi_gateway.db import Driver

# A row may be there already, written by whoever met the genre first. In their order: nobody waits
# for a row of who waits for his.
_LEARN = """
    INSERT INTO genres (id, category, tags)
    SELECT id, lower(category), lowered(ARRAY(SELECT json_array_elements_text(tags)))
    FROM unnest($1::bigint[], $2::text[], $3::json[]) AS met (id, category, tags)
    WHERE NOT EXISTS (SELECT FROM genres WHERE genres.id = met.id)
    ORDER BY id
    ON CONFLICT DO NOTHING
"""

#: The genres that the operator's own categories gather, once each.
GATHERED = """
    SELECT min(own.name) AS name, genres.id AS genre FROM own_categories own JOIN genres
    ON (own.category IS NULL OR genres.category = lower(own.category))
    AND (own.tag IS NULL OR genres.tags @> ARRAY[lower(own.tag)])
    GROUP BY lower(own.name), genres.id
"""

_SUM = "SELECT coalesce(array_agg(id), '{}'), coalesce(sum(share), 0) FROM genres WHERE"
_IN_CATEGORY = f"""
    (category = lower($1) OR id = ANY(ARRAY(
        SELECT genre FROM ({GATHERED}) AS gathered WHERE lower(name) = lower($1))))
"""
_TAGGED = "tags @> ARRAY[lower({})]"

_RECOUNT = """
    WITH counted AS (
        SELECT genre, count(*) AS markets FROM instruments
        WHERE status = 'open' AND NOT is_combo GROUP BY genre
    )
    UPDATE genres SET share = coalesce(markets / (SELECT sum(markets) FROM counted), 0)
    FROM genres AS before LEFT JOIN counted ON counted.genre = before.id
    WHERE genres.id = before.id
"""


class Genre(NamedTuple):
    """A category and some tags, in the order of the alphabet; the id is 64 bits of both."""

    id: int
    category: str | None
    tags: tuple[str, ...]


class Genres(NamedTuple):
    """Some of them, and how much of all open markets is theirs."""

    ids: list[int]
    share: float


@lru_cache(4096)
def genre_of(category: str | None, tags: tuple[str, ...]) -> Genre:
    """What a market of these is; of neither is one, too."""
    tags = tuple(sorted(set(tags)))
    told = blake2b(msgspec.json.encode((category, tags)), digest_size=8).digest()
    return Genre(int.from_bytes(told, signed=True), category, tags)


async def having(conn: Driver, category: str | None, tag: str | None) -> Genres:
    """All that have what is not None, in whatever case it is written; one of the two is given.

    The category is the exchange's, or one of the operator's own.
    """
    named = [name for name in (category, tag) if name is not None]
    conditions = [_IN_CATEGORY] if category is not None else []
    if tag is not None:
        conditions.append(_TAGGED.format(f"${len(named)}"))
    (row,) = await conn.fetch(f"{_SUM} {' AND '.join(conditions)}", *named)
    return Genres(*row)


async def learn(conn: Driver, genres: Iterable[Genre]) -> None:
    """Add what is not known yet; inside the caller's transaction."""
    met = list(genres)
    await conn.execute(
        _LEARN,
        [genre.id for genre in met],
        [genre.category for genre in met],
        [msgspec.json.encode(genre.tags).decode() for genre in met],
    )


async def recount(conn: Driver) -> None:
    """Count anew how much of all markets each has: what is read first depends on it."""
    await conn.execute(_RECOUNT)
