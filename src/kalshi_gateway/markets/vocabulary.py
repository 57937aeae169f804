"""The words of the catalogue, and those of them that a misspelt word may stand for."""

import re
from collections.abc import Iterable, Sequence, Set

from kalshi_gateway.db import Driver

from . import spelling

#: Numbers and tickers are none: to mend them would be to search for another one.
WORD = re.compile(r"[^0-9.-]{3,}")

#: Markets looked at to tell how often a word is used.
SAMPLE = 10_000
#: Words that share the most with a misspelt one, compared with it letter by letter.
CANDIDATES = 200

_LEARN = """
    WITH fresh AS (
        INSERT INTO vocabulary (word)
        SELECT heard FROM unnest($1::text[]) AS heard
        WHERE NOT EXISTS (SELECT FROM vocabulary WHERE word = heard)
        ORDER BY heard COLLATE "C"
        ON CONFLICT DO NOTHING
        RETURNING word
    )
    INSERT INTO vocabulary_trigrams (trigram, word)
    SELECT DISTINCT substr('  ' || word || '  ', start, 3), word
    FROM fresh, generate_series(1, length(word) + 2) AS start
    ON CONFLICT DO NOTHING
"""

# Words that became twice as frequent or half as frequent; smaller changes are the sample's.
_RECOUNT = r"""
    WITH share AS (
        SELECT least(100, 100.0 * $1 / greatest(reltuples, 1))::numeric(9, 6) AS percent
        FROM pg_class WHERE oid = 'instruments'::regclass
    ), counted AS (
        SELECT word, (ndoc * 100 / percent)::int AS documents
        FROM share, ts_stat(format(
            'SELECT search FROM instruments TABLESAMPLE SYSTEM (%s)', percent))
    )
    UPDATE vocabulary SET documents = counted.documents FROM counted
    WHERE vocabulary.word = counted.word
    AND NOT vocabulary.documents BETWEEN counted.documents / 2 AND counted.documents * 2
"""

# Neither a word we know nor the beginning of one.
_UNKNOWN = """
    SELECT coalesce(array_agg(typed ORDER BY place), '{}')
    FROM unnest($1::text[]) WITH ORDINALITY AS asked (typed, place)
    WHERE NOT EXISTS (
        SELECT FROM vocabulary
        WHERE word >= typed COLLATE "C" AND word < (typed || U&'\\+10FFFF') COLLATE "C"
    )
"""

_ALIKE = """
    SELECT word, documents FROM (
        SELECT word, count(*) AS shared FROM vocabulary_trigrams
        WHERE trigram = ANY($1) GROUP BY word HAVING count(*) >= $2
    ) AS alike JOIN vocabulary USING (word)
    WHERE length(word) >= $3
    ORDER BY shared DESC, documents DESC, word LIMIT $4
"""


def heard(documents: Iterable[Iterable[str]], known: Set[str] = frozenset()) -> set[str]:
    """The words worth knowing among all those of some documents, but for those that are known."""
    found: set[str] = set().union(*documents)
    return {word for word in found - known if WORD.fullmatch(word)}


async def learn(conn: Driver, words: Iterable[str]) -> None:
    """Add what is not known yet; inside the caller's transaction."""
    await conn.execute(_LEARN, sorted(words))


async def recount(conn: Driver) -> None:
    """Estimate anew, from a sample of the markets, how many have each word."""
    await conn.execute(_RECOUNT, SAMPLE)


async def unknown(conn: Driver, words: Sequence[str]) -> list[str]:
    """Those that are not in the catalogue, and that no word in it begins with."""
    missing: list[str] = await conn.fetchval(_UNKNOWN, words)
    return missing


async def nearest(conn: Driver, word: str) -> list[str]:
    """What a misspelt word may stand for, the likeliest first."""
    rows = await conn.fetch(
        _ALIKE,
        spelling.trigrams(word),
        spelling.least_shared(word),
        len(word) - spelling.mistakes_in(word),
        CANDIDATES,
    )
    return spelling.likeliest(word, {row["word"]: row["documents"] for row in rows})
