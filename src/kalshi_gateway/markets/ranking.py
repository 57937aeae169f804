"""What a search finds, the closest matches first, then the most traded, then the next to close.

A search that few rows match is looked up in the index of words, and what is found is sorted. One
that many match would take long to sort. There each kind of match is a range of its own, and the
ranges are read one after another until a page is full; where still many rows match, they are read
in their order: most of them match, and a page is soon full.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import msgspec

from kalshi_gateway.db import Driver

from .question import Question
from .search import Match, Search

#: Rows read in their order before the index of words is asked after all: some 20 ms.
MOST_WALKED = 20_000
#: So few are looked up in a millisecond, however many others there are.
ALWAYS_LOOKED_UP = 1_000

# As the indexes by relevance have them. A row without a volume comes after one with none.
_VOLUME = "(- coalesce(volume_24h_centicontracts, -1))"
_CLOSE = "(coalesce(close_time, '2201-01-01 00:00:00+00'::timestamptz))"


@dataclass(frozen=True)
class Shelf:
    """A table that is searched, and the column that names its rows."""

    table: str
    name: str


MARKETS = Shelf("instruments", "ticker")
EVENTS = Shelf("events", "event_ticker")


class Ranked(NamedTuple):
    """A row that was found, by what it is ordered by: the volume negative, the largest first."""

    match: int
    volume: int
    close_time: datetime
    name: str


class _Explained(msgspec.Struct, rename={"rows": "Plan Rows"}):
    rows: int


class _Plan(msgspec.Struct, rename={"whole": "Plan"}):
    whole: _Explained


async def best(
    conn: Driver,
    shelf: Shelf,
    search: Search,
    question: Question,
    statuses: Sequence[str] | None,
    *,
    limit: int,
    after: Ranked | None = None,
    farthest_first: bool = False,
) -> list[Ranked]:
    """No more than `limit` of what is found, in order; from behind `after`, if that is given."""
    if search.widest is None:
        return []
    within = [None] if statuses is None else [f"status = '{status}'" for status in statuses]
    order = _Order(conn, shelf, limit, after, farthest_first)
    everything = question.also()
    everything.conditions.append(everything.has_words(search.widest))
    if not [part for part in within if part and await order.is_common(everything, part)]:
        closeness = match_of(everything, shelf.name, search)
        rows = [
            row for part in within for row in await order.looked_up(everything, part, closeness)
        ]
        return order.merged(rows)
    found: list[Ranked] = []
    for match, asked in _kinds(shelf, search, question, farthest_first=farthest_first):
        if after is not None and (match < after.match if farthest_first else match > after.match):
            continue
        rows = [row for part in within for row in await order.read(match, asked, part)]
        found += order.merged(rows)[: limit - len(found)]
        if len(found) == limit:
            break
    return found


def match_of(question: Question, name: str, search: Search) -> str:
    """How closely a row that is found matches, as a number in SQL."""
    *closer, widest = sorted(search.queries, reverse=True)
    kinds = [f"WHEN {question.has_words(search.queries[m])} THEN {int(m)}" for m in closer]
    if search.tickers:
        named = f"{name} = ANY({question.value(list(search.tickers))})"
        kinds.insert(0, f"WHEN {named} THEN {int(Match.TICKER)}")
    return f"CASE {' '.join(kinds)} ELSE {int(widest)} END"


def _kinds(
    shelf: Shelf, search: Search, question: Question, *, farthest_first: bool
) -> list[tuple[Match, Question]]:
    """Each kind of match with its question, which leaves out what is a closer match."""
    kinds: list[tuple[Match, Question]] = []
    left = question.also()
    if search.tickers:
        named = f"{shelf.name} = ANY({left.value(list(search.tickers))})"
        kinds.append((Match.TICKER, left.also(named)))
        left.conditions.append(f"NOT {named}")
    for match in sorted(search.queries, reverse=True):
        query, asked = search.queries[match], left.also()
        asked.conditions.append(asked.has_words(query))
        kinds.append((match, asked))
        left.conditions.append(left.lacks_words(query))
    return kinds[::-1] if farthest_first else kinds


@dataclass(frozen=True)
class _Order:
    """The order of a list, and the ways to read it from some place on."""

    conn: Driver
    shelf: Shelf
    limit: int
    after: Ranked | None
    farthest_first: bool

    def merged(self, rows: list[Ranked]) -> list[Ranked]:
        """The first of all that was read, as one list."""
        rows.sort(key=_key, reverse=self.farthest_first)
        return rows[: self.limit]

    async def read(self, match: Match, question: Question, within: str | None) -> list[Ranked]:
        """The first rows of one kind of match, and of one status if that is given."""
        if match != Match.TICKER and within and await self.is_common(question, within, effort=2):
            rows = await self._walked(match, question, within)
            if len(rows) == self.limit:
                return rows
        return await self.looked_up(question, within, str(int(match)))

    async def is_common(self, question: Question, within: str, *, effort: int = 1) -> bool:
        """Whether fewer rows are read in their order than would have to be looked up and sorted.

        How many rows there are is what Postgres expects: it knows how frequent words are. To
        read one in order is an effort of so many look-ups.
        """
        matching = await self._expected(question.also(within))
        if matching < ALWAYS_LOOKED_UP:
            return False
        all_rows = await self._expected(Question([within]))
        return matching * matching > effort * self.limit * all_rows

    async def _expected(self, question: Question) -> int:
        explained = await self.conn.fetchval(
            f"EXPLAIN (FORMAT JSON) SELECT FROM {self.shelf.table} WHERE {question.where()}",
            *question.values,
        )
        return msgspec.json.decode(explained, type=list[_Plan])[0].whole.rows

    async def _walked(self, match: Match, question: Question, within: str) -> list[Ranked]:
        """Rows as they come, up to a number that is soon read."""
        asked = question.also()
        beyond = "true"
        if self.after is not None and self.after.match == match:
            columns = f"({_VOLUME}, {_CLOSE}, {self.shelf.name})"
            beyond = f"{columns} {self._sign} ({self._place(asked, self.after[1:])})"
        return await self._fetch(
            asked,
            f"SELECT {int(match)} AS match, volume, close, {self.shelf.name} AS name FROM ("
            f" SELECT *, {_VOLUME} AS volume, {_CLOSE} AS close FROM {self.shelf.table}"
            f" WHERE {within} AND {beyond}"
            f" ORDER BY {self._ordered('volume', 'close', self.shelf.name)} LIMIT {MOST_WALKED}"
            f") AS walked WHERE {question.where()}"
            f" ORDER BY {self._ordered('volume', 'close', 'name')}",
        )

    async def looked_up(self, question: Question, within: str | None, match: str) -> list[Ranked]:
        """Rows as the index of words has them, sorted."""
        asked = question.also()
        beyond = "true"
        if self.after is not None:
            place = self._place(asked, _key(self.after))
            beyond = f"(-match, volume, close, name) {self._sign} ({place})"
        return await self._fetch(
            asked,
            # Materialized, lest the rows be read in their order after all.
            "WITH found AS MATERIALIZED ("
            f" SELECT {match} AS match, {_VOLUME} AS volume, {_CLOSE} AS close,"
            f" {self.shelf.name} AS name"
            f" FROM {self.shelf.table} WHERE {question.where(within or 'true')}"
            f") SELECT match, volume, close, name FROM found WHERE {beyond}"
            f" ORDER BY {self._ordered('-match', 'volume', 'close', 'name')}",
        )

    async def _fetch(self, asked: Question, select: str) -> list[Ranked]:
        rows = await self.conn.fetch(f"{select} LIMIT {self.limit}", *asked.values)
        return [Ranked(*row) for row in rows]

    @property
    def _sign(self) -> str:
        return "<" if self.farthest_first else ">"

    def _ordered(self, *columns: str) -> str:
        direction = "DESC" if self.farthest_first else "ASC"
        return ", ".join(f"{column} {direction}" for column in columns)

    def _place(self, asked: Question, keys: Sequence[object]) -> str:
        return ", ".join(asked.value(key) for key in keys)


def _key(row: Ranked) -> tuple[int, int, datetime, str]:
    """What rows are ordered by: the closest match is the least."""
    return -row.match, row.volume, row.close_time, row.name
