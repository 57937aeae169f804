"""A page of a list in the order of one column: at any depth as quick as the first one.

Rows are read in their order from the index of that column, and those that the question leaves out
are passed over. Of one series so many would be passed over that its open markets have indexes of
their own for the sorts most asked for, as those of a small category have for all; else its rows are
read and sorted, unless they are very many. Where rows have to be looked at to be left out,
Postgres, which takes several such conditions together to leave next to none, would rather read and
sort all of them: so some are looked at in their order first, which mostly fills a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg

from kalshi_gateway.db import Driver

from .listing import COLUMNS, Listing, MarketListing, Place, place_of
from .question import Question
from .ranking import Shelf

#: Orders in which the open markets of a series are an index's own.
SORTED_IN_SERIES = ("volume_24h", "close_time")

#: So many rows of a series are sorted sooner than they would be met among all others.
MOST_SORTED = 2_000

#: So many are looked at in their order before Postgres has its way.
MOST_WALKED = 2_000

#: What so many conditions leave, Postgres can tell: it takes them for independent of each other.
MOST_TOLD = 3


async def rows(
    conn: Driver, shelf: Shelf, body: str, question: Question, listing: Listing
) -> list[asyncpg.Record]:
    """Name, key and body of one row more than a page; `body` is what makes it, in SQL."""
    limit = listing.limit + 1
    after = None if listing.cursor is None else place_of(listing, keys=1)
    found: list[asyncpg.Record] = []
    if after is None or after.keys[0] is not None:
        found = await _Part(shelf, body, question, listing, after, limit, known=True).read(conn)
        after = None
    if len(found) < limit:
        # Rows whose key is unknown come last, in both directions.
        left = limit - len(found)
        found += await _Part(shelf, body, question, listing, after, left, known=False).read(conn)
    return found


def ranges(listing: Listing) -> list[list[str]]:
    """Conditions that together are the list: each is a range of an index, a set of them is not."""
    if isinstance(listing, MarketListing) and listing.include_combos and listing.tickers is None:
        combos = ("NOT is_combo", "is_combo")
        return [[*status, kind] for status in statuses(listing) for kind in combos]
    return statuses(listing)


def statuses(listing: Listing) -> list[list[str]]:
    """One condition per status; no condition where all are asked for."""
    if listing.statuses is None:
        return [[]]
    return [[f"status = '{status}'"] for status in listing.statuses]


@dataclass(frozen=True)
class _Part:
    """The rows with a known sort key, or those without."""

    shelf: Shelf
    body: str
    question: Question
    listing: Listing
    after: Place | None
    limit: int
    known: bool

    async def read(self, conn: Driver) -> list[asyncpg.Record]:
        conditions, values = self._conditions()
        if self.listing.series is not None and not self._has_index_of_series:
            found = await conn.fetch(self._all_sorted(conditions), *values)
            if not found or found[0]["among"] <= MOST_SORTED:
                return found
        if self._expected_wrongly and len(ranges(self.listing)) == 1:
            fetch = partial(_planned_for, conn) if self.question.varies else conn.fetch
            found = await fetch(self._walked(conditions), *values)
            if len(found) == self.limit:
                return found
        return await conn.fetch(self._in_order(conditions), *values)

    @property
    def _has_index_of_series(self) -> bool:
        """Whether these rows of a series are an index's own, in this order."""
        return (
            self.listing.ordering in SORTED_IN_SERIES
            and "NOT is_combo" in self.question.conditions
            and ranges(self.listing) == [["status = 'open'"]]
        )

    @property
    def _expected_wrongly(self) -> bool:
        """Whether Postgres would expect far fewer rows than there are."""
        return bool(self.question.told_by_row) and len(self.question.conditions) > MOST_TOLD

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
        parts = [
            f"({self._select(f'{self.body} AS body', part, conditions)}"
            f" ORDER BY {self._order} LIMIT {self.limit})"
            for part in ranges(self.listing)
        ]
        if len(parts) == 1:
            return parts[0]
        return (
            f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS page"
            f" ORDER BY {self._ordered('key', 'name')} LIMIT {self.limit}"
        )

    def _walked(self, conditions: Sequence[str]) -> str:
        (part,) = ranges(self.listing)
        told = self.question.without_rows().where(*part, *conditions)
        # How many may be looked at is a subquery, too: of so many that it is not told, Postgres
        # expects a tenth to be read, and reads in order what is quickest to begin with.
        return (
            f"SELECT {self.shelf.name} AS name, {self._column} AS key, {self.body} AS body"
            f" FROM (SELECT * FROM {self.shelf.table} WHERE {told}"
            f" ORDER BY {self._order} LIMIT (SELECT {MOST_WALKED})) AS walked"
            f" WHERE {' AND '.join(self.question.told_by_row)}"
            f" ORDER BY {self._order} LIMIT {self.limit}"
        )

    def _all_sorted(self, conditions: Sequence[str]) -> str:
        # Sorted without their bodies, which takes half as long. Materialized, lest they be read in
        # their order after all.
        parts = [self._select("ctid AS at", part, conditions) for part in ranges(self.listing)]
        order = self._ordered("key", "name")
        return (
            f"WITH few AS MATERIALIZED ({' UNION ALL '.join(parts)} LIMIT {MOST_SORTED + 1}),"
            f" page AS (SELECT * FROM few ORDER BY {order} LIMIT {self.limit})"
            f" SELECT name, key, {self.body} AS body, (SELECT count(*) FROM few) AS among"
            f" FROM page JOIN {self.shelf.table} ON {self.shelf.table}.ctid = page.at"
            f" ORDER BY {order}"
        )

    def _select(self, what: str, part: Sequence[str], conditions: Sequence[str]) -> str:
        return (
            f"SELECT {self.shelf.name} AS name, {self._column} AS key, {what}"
            f" FROM {self.shelf.table} WHERE {self.question.where(*part, *conditions)}"
        )

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
