"""Pages of the exchange on their way into a table, and what becomes of their rows."""

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg

from kalshi_gateway.db import Driver

from . import genres, totals, vocabulary
from .genres import Genre
from .storing import EVENTS, MARKETS, SERIES, Record, Stage

#: What the driver or Postgres says of a figure or a text that no column of ours can hold.
UNSTORABLE = (
    OverflowError,
    UnicodeEncodeError,
    asyncpg.exceptions.DataError,  # found by Postgres
    asyncpg.DataError,  # found by the driver
    asyncpg.exceptions.ProgramLimitExceededError,
)


@dataclass(frozen=True)
class Kind:
    """What a page has rows of: where the exchange lists it, and where we keep it."""

    endpoint: str
    table: str
    key: str
    stage: Stage

    @property
    def found_by(self) -> int:
        """Where a record has the words it is found by."""
        return self.stage.columns.index("search")

    @property
    def event(self) -> int | None:
        """Where a record names its event, whose totals it changes."""
        columns = self.stage.columns
        return columns.index("event_ticker") if "event_ticker" in columns else None


SERIES_KIND = Kind("/series", "series", "ticker", SERIES)
EVENT_KIND = Kind("/events", "events", "event_ticker", EVENTS)
MARKET_KIND = Kind("/markets", "instruments", "ticker", MARKETS)


async def nothing(_: Driver, __: "Batch") -> None:
    """What most pages need or change elsewhere."""


def forgotten(_: "Batch") -> None:
    """What somebody remembers who has no memory."""


@dataclass
class Batch:
    """One page, ready to be stored; `keep` it once the transaction has committed."""

    kind: Kind
    as_of: datetime
    #: All that the page named, whether it is new or not.
    seen: list[str] = field(default_factory=list)
    #: What is new, by its key.
    records: dict[str, Record] = field(default_factory=dict)
    #: Those of them that the writer has never stored.
    unheard_of: set[str] = field(default_factory=set)
    set_aside: int = 0
    #: Records that Postgres would not take.
    refused: list[str] = field(default_factory=list)
    #: Records that came too late: what is stored was asked for after them.
    overtaken: set[str] = field(default_factory=set)
    #: Words that need not be learnt; and all others of its records, once somebody listened to them.
    known_words: Set[str] = frozenset()
    heard: set[str] | None = None
    #: What each of its series or events is of; markets are of no other.
    genres: dict[str, Genre] = field(default_factory=dict)
    #: What it takes hold of elsewhere before it is stored, in the same transaction. Given the
    #: batch, like the next: a batch that they had in them would hold itself in memory.
    reserve: Callable[[Driver, "Batch"], Awaitable[None]] = nothing
    #: What it changes elsewhere.
    spread: Callable[[Driver, "Batch"], Awaitable[None]] = nothing
    #: What its writer remembers of it.
    remember: Callable[["Batch"], None] = forgotten

    @property
    def changed(self) -> int:
        return len(self.records)

    @property
    def stored(self) -> list[str]:
        """The keys of its records that are in the table now."""
        return [key for key in self.records if key not in self.overtaken]

    async def save(self, conn: Driver) -> None:
        """Store whatever can be stored; inside the caller's transaction."""
        await save(conn, [self])

    def listen(self) -> set[str]:
        """What its records bring in words; while others are stored, it costs nobody a wait."""
        if self.heard is None:
            found_by = self.kind.found_by
            documents = [record[found_by] for record in self.records.values()]
            self.heard = vocabulary.heard(documents, self.known_words)
        return self.heard

    def keep(self) -> None:
        """It is stored for good."""
        self.remember(self)

    async def _store(self, conn: Driver, records: Mapping[str, Record]) -> None:
        """Store all, or, where one of them cannot be, all but those."""
        unheard_of = [records[key] for key in records if key in self.unheard_of]
        standing = [records[key] for key in records if key not in self.unheard_of]
        try:
            async with conn.transaction():
                await self.kind.stage.add(conn, unheard_of)
                self.overtaken |= await self.kind.stage.renew(conn, standing)
        except asyncpg.UniqueViolationError:  # another process was asked for one of them
            self.unheard_of.clear()
            await self._store(conn, records)
        except UNSTORABLE:
            keys = list(records)
            if len(keys) == 1:
                self.refused += keys
                return
            for half in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
                await self._store(conn, {key: records[key] for key in half})

    def _take_part(self, whole: "Batch") -> None:
        """What became of all is what became of these."""
        self.refused = [key for key in whole.refused if key in self.records]
        for key in self.refused:
            del self.records[key]
            self.genres.pop(key, None)
            self.heard = None
        self.set_aside += len(self.refused)
        self.overtaken = {
            key
            for key, record in self.records.items()
            if key in whole.overtaken or whole.records[key] is not record
        }


async def save(conn: Driver, pages: Sequence[Batch]) -> None:
    """Store what can be stored of these, of one kind, the oldest first, as if they were one page.

    Inside the caller's transaction.
    """
    whole = Batch(pages[0].kind, pages[0].as_of, known_words=pages[0].known_words)
    for page in pages:
        whole.records |= page.records
        whole.unheard_of |= page.unheard_of
    if not whole.records:
        return
    for page in pages:
        await page.reserve(conn, page)
    await whole._store(conn, whole.records)
    for key in whole.refused:
        del whole.records[key]
    for page in pages:
        page._take_part(whole)
        await page.spread(conn, page)
    heard = set[str]().union(*(page.listen() for page in pages)) - whole.known_words
    if heard:
        await vocabulary.learn(conn, heard)
    met = set[Genre]().union(*(page.genres.values() for page in pages))
    if met:
        await genres.learn(conn, met)
    event = whole.kind.event
    if event is not None:
        await totals.restate(conn, {record[event] for record in whole.records.values()})
