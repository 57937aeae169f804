"""What a search finds, the closest matches first, then the most traded, then the next to close.

Each kind of match is a range of its own, and the ranges are read one after another until a page is
full. A word that few rows have is looked up in the index of words, and what is found is sorted. A
word that many have would take long to sort: there the rows are read in their order, most of them
have it, and a page is soon full.
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


class _Explained(msgspec.Struct, rename={"rows": "Plan Rows", "parts": "Plans"}):
    rows: int
    parts: "list[_Explained]" = []


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
    found: list[Ranked] = []
    for match, asked in _kinds(shelf, search, question, farthest_first=farthest_first):
        if after is not None and (match < after.match if farthest_first else match > after.match):
            continue
        start = after if after is not None and match == after.match else None
        ranges = _Ranges(conn, shelf, match, asked, start, limit - len(found), farthest_first)
        rows: list[Ranked] = []
        for status in (None,) if statuses is None else statuses:
            rows += await ranges.read(status)
        rows.sort(key=lambda row: row[1:], reverse=farthest_first)
        found += rows[: limit - len(found)]
        if len(found) == limit:
            break
    return found


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
class _Ranges:
    """The rows of one kind of match, a range for each status."""

    conn: Driver
    shelf: Shelf
    match: Match
    question: Question
    after: Ranked | None
    limit: int
    farthest_first: bool

    async def read(self, status: str | None) -> list[Ranked]:
        """The first rows of one status, or of all that the question allows."""
        if status is None:
            return await self._looked_up("true")
        within = f"status = '{status}'"
        if self.match != Match.TICKER and await self._is_common(within):
            rows = await self._walked(within)
            if len(rows) == self.limit:
                return rows
        return await self._looked_up(within)

    async def _is_common(self, within: str) -> bool:
        """Whether fewer rows are read in their order than would have to be looked up and sorted.

        How many rows there are is what Postgres expects: it knows how frequent words are. To
        read one in order takes up to twice as long.
        """
        explained = await self.conn.fetchval(
            f"EXPLAIN (FORMAT JSON) SELECT FROM {self.shelf.table}"
            f" WHERE {self.question.where(within)}"
            f" UNION ALL SELECT FROM {self.shelf.table} WHERE {within}",
            *self.question.values,
        )
        parts = msgspec.json.decode(explained, type=list[_Plan])[0].whole.parts
        matching, all_rows = (part.rows for part in parts)
        return matching * matching > 2 * self.limit * all_rows

    async def _walked(self, within: str) -> list[Ranked]:
        """Rows as they come, up to a number that is soon read."""
        asked = self.question.also()
        return await self._fetch(
            asked,
            f"SELECT volume, close, {self.shelf.name} AS name FROM ("
            f" SELECT *, {_VOLUME} AS volume, {_CLOSE} AS close FROM {self.shelf.table}"
            f" WHERE {within} AND {self._beyond(asked)}"
            f" ORDER BY {self._ordered(self.shelf.name)} LIMIT {MOST_WALKED}"
            f") AS walked WHERE {self.question.where()}",
        )

    async def _looked_up(self, within: str) -> list[Ranked]:
        """Rows as the index of words has them, sorted."""
        asked = self.question.also()
        return await self._fetch(
            asked,
            # Materialized, lest the rows be read in their order after all.
            "WITH found AS MATERIALIZED ("
            f" SELECT {_VOLUME} AS volume, {_CLOSE} AS close, {self.shelf.name} AS name"
            f" FROM {self.shelf.table} WHERE {asked.where(within, self._beyond(asked))}"
            ") SELECT volume, close, name FROM found",
        )

    async def _fetch(self, asked: Question, select: str) -> list[Ranked]:
        rows = await self.conn.fetch(
            f"{select} ORDER BY {self._ordered('name')} LIMIT {self.limit}", *asked.values
        )
        return [Ranked(int(self.match), *row) for row in rows]

    def _ordered(self, name: str) -> str:
        direction = "DESC" if self.farthest_first else "ASC"
        return f"volume {direction}, close {direction}, {name} {direction}"

    def _beyond(self, asked: Question) -> str:
        if self.after is None:
            return "true"
        sign = "<" if self.farthest_first else ">"
        place = ", ".join(asked.value(key) for key in self.after[1:])
        return f"({_VOLUME}, {_CLOSE}, {self.shelf.name}) {sign} ({place})"
