"""What was typed into a search, as questions to the catalogue: the closest one first.

Every word has to be found. A row in which all of them stand as they were typed is a closer match
than one that has only words beginning so; a synonym is farther, and a mended typo farthest.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from kalshi_gateway.cursors import CursorInvalid
from kalshi_gateway.db import Driver

from . import spelling, vocabulary
from .words import LONGEST_WORD, typed, words

#: "New York City" is the longest name that is looked up as one.
LONGEST_NAME = 4
#: Letters that all synonyms of a search may have together: it has to fit into a cursor.
ROOM_FOR_SYNONYMS = 1_000

#: The beginning of so many words that it is slow to look up; checked in what the others found.
SHORT = 2

_WORD = re.compile(rf"[^\W_][\w.-]{{,{LONGEST_WORD - 1}}}")

_TICKER = re.compile(r"(?i:kx)[A-Za-z0-9._-]+|[A-Za-z0-9._]+-[A-Za-z0-9._-]+")

Words = tuple[str, ...]


class Match(IntEnum):
    """How close a row is to what was typed."""

    MENDED = 0
    SYNONYM = 1
    BEGINNING = 2
    WORD = 3
    TICKER = 4


@dataclass(frozen=True)
class Reading:
    """What cannot be told from the text alone: kept in cursors, so that walks stay the same."""

    #: By a name that was typed, what else is called so.
    synonyms: Mapping[str, tuple[Words, ...]] = field(default_factory=dict)
    #: By a word that is not in the catalogue, what was probably meant.
    mended: Mapping[str, Words] = field(default_factory=dict)


@dataclass(frozen=True)
class Query:
    """What to find, for a `::tsquery` cast."""

    # Not for `to_tsquery`, which would cut the words anew by its own rules.
    whole: str
    #: Finds at least as much, and is quick to look up.
    anchor: str


@dataclass(frozen=True)
class Search:
    """One query for each kind of match; each finds all that a closer one finds, and more."""

    #: How the ticker reads if that is what was typed.
    tickers: Words
    #: Without one there is nothing more to find in that way.
    queries: Mapping[Match, Query]
    reading: Reading

    @property
    def widest(self) -> Query | None:
        """What finds everything; None if nothing can be found."""
        return self.queries[min(self.queries)] if self.queries else None

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(
            f"“{word}” is not in the catalogue; searched as well: {', '.join(meant)}"
            for word, meant in self.reading.mended.items()
        )


@dataclass(frozen=True)
class _Name:
    """One word or several that mean something together, and what else they mean."""

    words: Sequence[str]
    synonyms: Sequence[Words] = ()

    @property
    def is_short(self) -> bool:
        return max(map(len, self.words)) <= SHORT

    def query(self, match: Match, mended: Mapping[str, Words]) -> str:
        # Words are letters, digits, points and dashes: there is nothing in them to escape.
        end = "" if match == Match.WORD else ":*"
        said = []
        for word in self.words:
            meant = mended.get(word, ()) if match == Match.MENDED else ()
            said.append(_either([f"'{word}'{end}", *(f"'{other}'" for other in meant)]))
        synonyms = self.synonyms if match <= Match.SYNONYM else ()
        return _either([_all(said), *(_all([f"'{w}'" for w in means]) for means in synonyms)])


async def understand(conn: Driver, text: str) -> Search:
    """What the text may mean, with synonyms and mended typos."""
    asked = typed(text)
    synonyms = await _synonyms(conn, asked)
    # What the operator has a synonym for is no mistake.
    named = [word for name in _named(asked, synonyms) if not name.synonyms for word in name.words]
    mended = {
        word: tuple(meant)
        for word in await vocabulary.unknown(conn, [word for word in named if _is_mendable(word)])
        if (meant := await vocabulary.nearest(conn, word))
    }
    return as_read(text, Reading(synonyms, mended))


def as_read(text: str, reading: Reading) -> Search:
    """The search of a text that was understood before; refuses words that are none."""
    said = [*(means for name in reading.synonyms.values() for means in name)]
    said += reading.mended.values()
    if not all(means and all(map(_WORD.fullmatch, means)) for means in said):
        raise CursorInvalid
    names = _named(typed(text), reading.synonyms)
    kinds = []
    if names:
        kinds += [Match.WORD, Match.BEGINNING]
        if any(name.synonyms for name in names):
            kinds.append(Match.SYNONYM)
        if reading.mended:
            kinds.append(Match.MENDED)
    queries = {match: _query(names, match, reading.mended) for match in kinds}
    return Search(_tickers(text), queries, reading)


def _query(names: Sequence[_Name], match: Match, mended: Mapping[str, Words]) -> Query:
    whole = [name.query(match, mended) for name in names]
    if match == Match.WORD:
        return Query(_all(whole), _all(whole))
    anchor = [query for query, name in zip(whole, names, strict=True) if not name.is_short]
    return Query(_all(whole), _all(anchor or whole))


def _tickers(text: str) -> Words:
    """What looks like a ticker, whose capitals nobody types."""
    whole = text.strip()
    if not _TICKER.fullmatch(whole):
        return ()
    return tuple(dict.fromkeys((whole.upper(), whole)))


def _is_mendable(word: str) -> bool:
    return spelling.mistakes_in(word) > 0 and vocabulary.WORD.fullmatch(word) is not None


def _named(asked: Sequence[str], synonyms: Mapping[str, tuple[Words, ...]]) -> list[_Name]:
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


async def _synonyms(conn: Driver, asked: Sequence[str]) -> dict[str, tuple[Words, ...]]:
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
    found: dict[str, tuple[Words, ...]] = {row["typed"]: () for row in rows}
    room = {name: ROOM_FOR_SYNONYMS // len(found) for name in found}
    for row in rows:
        name, means = row["typed"], tuple(words(row["means"]))
        room[name] -= len(row["means"])
        if means and means not in found[name] and room[name] >= 0:
            found[name] = (*found[name], means)
    return found


def _all(queries: Sequence[str]) -> str:
    return queries[0] if len(queries) == 1 else f"({' & '.join(queries)})"


def _either(queries: Sequence[str]) -> str:
    return queries[0] if len(queries) == 1 else f"({' | '.join(queries)})"
