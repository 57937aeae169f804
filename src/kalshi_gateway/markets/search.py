"""What was typed into a search, as questions to the catalogue: the closest one first.

Every word has to be found. A row in which all of them stand as they were typed is a closer match
than one that has only words beginning so; a synonym is farther, and a mended typo farthest.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from kalshi_gateway.cursors import CursorInvalid
from kalshi_gateway.db import Driver

from . import spelling, vocabulary
from .words import typed, words

#: "New York City" is the longest name that is looked up as one.
LONGEST_NAME = 4
#: Letters that all synonyms of a search may have together: it has to fit into a cursor.
ROOM_FOR_SYNONYMS = 1_000

#: A query of ours: quoted words, joined by and, or and brackets.
_QUERY = re.compile(r"(?:'[^\W_](?:[\w.-]*)'(?::\*)?|[ &|()])*")


class Match(IntEnum):
    """How close a row is to what was typed."""

    MENDED = 0
    SYNONYM = 1
    BEGINNING = 2
    WORD = 3
    TICKER = 4


@dataclass(frozen=True)
class Search:
    """One question for each kind of match; each finds all that a closer one finds, and more."""

    #: How the ticker reads if that is what was typed.
    tickers: tuple[str, ...]
    #: For a `::tsquery` cast; without one there is nothing more to find in that way.
    queries: Mapping[Match, str]
    #: What was searched in place of words that are not in the catalogue.
    mended: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def widest(self) -> str | None:
        """What finds everything; None if nothing can be found."""
        return self.queries[min(self.queries)] if self.queries else None

    @property
    def wider(self) -> tuple[str, ...]:
        """What cannot be told from the text alone: kept in cursors, so that walks stay the same."""
        return tuple(self.queries.get(match, "") for match in (Match.SYNONYM, Match.MENDED))

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(
            f"no “{word}” is known; {' and '.join(meant)} was searched as well"
            for word, meant in self.mended.items()
        )


@dataclass(frozen=True)
class _Name:
    """One word or several that mean something together, and what else they mean."""

    words: Sequence[str]
    synonyms: Iterable[Sequence[str]] = ()

    def query(self, match: Match, mended: Mapping[str, Sequence[str]]) -> str:
        end = "" if match == Match.WORD else ":*"
        said = []
        for word in self.words:
            other = mended.get(word, ()) if match == Match.MENDED else ()
            said.append(_either([f"'{word}'{end}", *(f"'{meant}'" for meant in other)]))
        if match > Match.SYNONYM:
            return _all(said)
        return _either([_all(said), *(_all([f"'{w}'" for w in means]) for means in self.synonyms)])


async def understand(conn: Driver, text: str) -> Search:
    """What the text may mean, with synonyms and mended typos."""
    asked = typed(text)
    names = _named(asked, await _synonyms(conn, asked))
    mended = {
        word: meant
        for word in await vocabulary.unknown(conn, [word for word in asked if _is_mendable(word)])
        if (meant := await vocabulary.nearest(conn, word))
    }
    queries = _as_typed(asked)
    if any(name.synonyms for name in names):
        queries[Match.SYNONYM] = _all([name.query(Match.SYNONYM, {}) for name in names])
    if mended:
        queries[Match.MENDED] = _all([name.query(Match.MENDED, mended) for name in names])
    return Search(_tickers(text), queries, mended)


def resumed(text: str, wider: Sequence[str]) -> Search:
    """The same search as on the page before, which left `wider` in its cursor."""
    queries = _as_typed(typed(text))
    if len(wider) != 2 or not all(_QUERY.fullmatch(query) for query in wider):
        raise CursorInvalid
    for match, query in zip((Match.SYNONYM, Match.MENDED), wider, strict=True):
        if query:
            queries[match] = query
    return Search(_tickers(text), queries)


def _as_typed(asked: Sequence[str]) -> dict[Match, str]:
    if not asked:
        return {}
    name = _Name(asked)
    return {match: name.query(match, {}) for match in (Match.WORD, Match.BEGINNING)}


def _tickers(text: str) -> tuple[str, ...]:
    """A text without blanks may be a ticker, whose capitals nobody types."""
    whole = text.strip()
    if not whole.isascii() or len(whole.split()) != 1 or "\0" in whole:
        return ()
    return tuple(dict.fromkeys((whole.upper(), whole)))


def _is_mendable(word: str) -> bool:
    return spelling.mistakes_in(word) > 0 and vocabulary.WORD.fullmatch(word) is not None


def _named(asked: Sequence[str], synonyms: Mapping[str, list[list[str]]]) -> list[_Name]:
    """The words in their order, those together that are a name with synonyms."""
    names = []
    start = 0
    while start < len(asked):
        for end in range(min(start + LONGEST_NAME, len(asked)), start, -1):
            found = synonyms.get(" ".join(asked[start:end]))
            if found or end == start + 1:
                names.append(_Name(asked[start:end], found or ()))
                start = end
                break
    return names


async def _synonyms(conn: Driver, asked: Sequence[str]) -> dict[str, list[list[str]]]:
    """By each name in what was typed, the words of what else it means."""
    names = [
        " ".join(asked[start:end])
        for start in range(len(asked))
        for end in range(start + 1, min(start + LONGEST_NAME, len(asked)) + 1)
    ]
    rows = await conn.fetch(
        "SELECT lower(typed) AS typed, means FROM search_synonyms"
        " WHERE lower(typed) = ANY($1) ORDER BY shipped, typed, means",
        names,
    )
    found: dict[str, list[list[str]]] = {}
    room = ROOM_FOR_SYNONYMS
    for row in rows:
        means = words(row["means"])
        room -= len(row["means"])
        known = found.setdefault(row["typed"], [])
        if means and means not in known and room >= 0:
            known.append(means)
    return found


def _all(queries: Sequence[str]) -> str:
    return queries[0] if len(queries) == 1 else f"({' & '.join(queries)})"


def _either(queries: Sequence[str]) -> str:
    return queries[0] if len(queries) == 1 else f"({' | '.join(queries)})"
