"""A page of a list in the order of one column: at any depth as quick as the first one.

Rows are read in their order from the index of that column, which tells all that markets are
filtered by: those that the question leaves out are passed over, fifteen in a microsecond. Within a
series, and within a genre, open markets are in order as well. A category or a tag is some genres:
their ranges are merged, unless they are so much of all that it is sooner met there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg

from kalshi_gateway.db import Driver

from .genres import Genres
from .listing import COLUMNS, Listing, MarketListing, Place, place_of
from .question import Question
from .ranking import Shelf

#: In the time that one more range takes to begin with, so many rows are passed over.
ROWS_PER_RANGE = 100

#: To plan for so many takes some milliseconds, when a connection does so for the first time.
MOST_RANGES = 16

#: What so many conditions leave, Postgres can tell: it takes them for independent of each other.
MOST_TOLD = 2


async def rows(
    conn: Driver, shelf: Shelf, body: str, question: Question, listing: Listing
) -> list[asyncpg.Record]:
    """Name, key and body of one row more than a page; `body` is what makes it, in SQL."""
    limit = listing.limit + 1
    after = None if listing.cursor is None else place_of(listing, keys=1)
    question = question.also()
    part = partial(_Part, shelf, body, question, listing, _ranges(question, listing))
    found: list[asyncpg.Record] = []
    if after is None or after.keys[0] is not None:
        found = await part(after, limit, known=True).read(conn)
        after = None
    if len(found) < limit:
        # Rows whose key is unknown come last, in both directions.
        found += await part(after, limit - len(found), known=False).read(conn)
    return found


def statuses(listing: Listing) -> list[list[str]]:
    """One condition per status; no condition where all are asked for."""
    if listing.statuses is None:
        return [[]]
    return [[f"status = '{status}'"] for status in listing.statuses]


def _ranges(question: Question, listing: Listing) -> list[list[str]]:
    """Conditions that together are the list: each is a range of an index, a set of them is not."""
    ranges = statuses(listing)
    if isinstance(listing, MarketListing) and listing.include_combos and listing.tickers is None:
        combos = ("NOT is_combo", "is_combo")
        ranges = [[*status, kind] for status in ranges for kind in combos]
    if question.genres is None or not _are_merged(question.genres, question, listing):
        question.conditions += question.of_genres()
        return ranges
    named = [f"genre = {question.asked(genre, 'bigint')}" for genre in question.genres.ids]
    return [[*part, genre] for part in ranges for genre in named]


def _are_merged(genres: Genres, question: Question, listing: Listing) -> bool:
    """Whether genres are read one by one, rather than among all others."""
    if not question.read_one_way or listing.series is not None:
        return False
    if not 0 < len(genres.ids) <= MOST_RANGES:
        return False
    passed_over = listing.limit / max(genres.share, 1e-9)
    filtered = bool(question.values)
    return filtered or passed_over > (len(genres.ids) - 1) * ROWS_PER_RANGE


@dataclass(frozen=True)
class _Part:
    """The rows with a known sort key, or those without."""

    shelf: Shelf
    body: str
    question: Question
    listing: Listing
    ranges: Sequence[Sequence[str]]
    after: Place | None
    limit: int
    known: bool

    async def read(self, conn: Driver) -> list[asyncpg.Record]:
        conditions, values = self._conditions()
        planned_once = self.question.read_one_way or not self.question.values
        fetch = conn.fetch if planned_once else partial(_planned_for, conn)
        return await fetch(self._in_order(conditions), *values)

    def _conditions(self) -> tuple[list[str], list[Any]]:
        """What each row has to be, and the values that are spoken of."""
        values = list(self.question.values)
        conditions = [f"{self._column} IS {'NOT ' if self.known else ''}NULL"]
        if self.after is not None:
            name = (self.shelf.name, self.after.name)
            places = [(self._column, self.after.keys[0]), name] if self.known else [name]
            # Each as a subquery: Postgres then plans for any place, and not anew for every page.
            said = ", ".join(
                f"(SELECT ${number}::{_type_of(key)})"
                for number, (key, _) in enumerate(places, len(values) + 1)
            )
            beyond = "<" if self.listing.descending else ">"
            conditions.append(f"({', '.join(key for key, _ in places)}) {beyond} ({said})")
            values += [value for _, value in places]
        return conditions, values

    def _in_order(self, conditions: Sequence[str]) -> str:
        parts = [self._one_range(part, conditions) for part in self.ranges]
        if len(parts) == 1:
            return parts[0]
        either = " UNION ALL ".join(f"({part})" for part in parts)
        return (
            f"SELECT * FROM ({either}) AS page"
            f" ORDER BY {self._ordered('key', 'name')} LIMIT {self.limit}"
        )

    def _one_range(self, part: Sequence[str], conditions: Sequence[str]) -> str:
        return (
            f"SELECT {self.shelf.name} AS name, {self._column} AS key, {self.body} AS body"
            f" FROM {self.shelf.table} WHERE {self.question.where(*part, *conditions)}"
            f" ORDER BY {self._order} LIMIT {self._enough}"
        )

    @property
    def _enough(self) -> str:
        """The limit; kept from Postgres where it would expect next to nothing, and sort it all.

        Of so many that it is not told it expects a tenth to be read, and reads in order what is
        quickest to begin with.
        """
        told = len(self.question.conditions) <= MOST_TOLD
        return str(self.limit) if told else f"(SELECT {self.limit})"

    @property
    def _column(self) -> str:
        return COLUMNS[self.listing.ordering]

    @property
    def _order(self) -> str:
        """As the index has it: rows without a key come by name alone."""
        columns = (self._column, self.shelf.name) if self.known else (self.shelf.name,)
        return self._ordered(*columns)

    def _ordered(self, *columns: str) -> str:
        direction = "DESC" if self.listing.descending else "ASC"
        return ", ".join(f"{column} {direction}" for column in columns)


async def _planned_for(conn: Driver, statement: str, *values: Any) -> list[asyncpg.Record]:
    """What is found with these values, planned for them each time.

    A statement that is asked again is soon planned for any values, and there between two moments
    lies next to nothing, whichever they are.
    """
    prepared = await conn.prepare(statement, name="")
    return await prepared.fetch(*values)


def _type_of(column: str) -> str:
    match column.rpartition("_")[2]:
        case "centicontracts":
            return "bigint"
        case "microdollars":
            return "integer"
        case "time":
            return "timestamptz"
        case _:
            return "text"
