"""Pages that wait while others are stored: they go together, and nothing of them is lost by it."""

import asyncio
import gc
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from kalshi_gateway.db import Driver, alone
from kalshi_gateway.kalshi.client import Page
from kalshi_gateway.kalshi.drift import Drift
from kalshi_gateway.markets import batch as batches
from kalshi_gateway.markets import walks
from kalshi_gateway.markets.batch import Batch
from kalshi_gateway.markets.catalogue import Catalogue
from kalshi_gateway.markets.walking import PAGES_AT_ONCE, Scope, Walked, Walker
from tests.markets.builders import Row, a_row, a_series_row, an_event_row

NOW = datetime.now(UTC)
OPEN = "markets:open"


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Driver]:
    conn = await alone(database_url)
    yield conn
    await conn.close()


def a_page(number: int, *rows: bytes, last: bool = False) -> Page:
    return Page(
        rows=[msgspec.Raw(row) for row in rows],
        cursor=None if last else f"after-{number}",
        asked_at=NOW + timedelta(seconds=number),
    )


def a_market(ticker: str, **said: object) -> bytes:
    return msgspec.json.encode(a_row(ticker, **said))


def pages_of(*tickers: str) -> list[Page]:
    """A page of each."""
    last = len(tickers) - 1
    return [
        a_page(number, a_market(ticker), last=number == last)
        for number, ticker in enumerate(tickers)
    ]


async def walked_at_once(
    conn: Driver, catalogue: Catalogue, pages: Sequence[Page], *, wait_for: int | None = None
) -> Walked:
    """Walk them while somebody else writes, until so many of them are ready to be stored."""
    writing = asyncio.Lock()
    all_ready = asyncio.Event()
    ready = 0

    async def fetch(cursor: str | None) -> Page:
        number = 0 if cursor is None else int(cursor.partition("-")[2]) + 1
        if number == 1:  # the walk has begun, and its first page is not stored yet
            await writing.acquire()
        return pages[number]

    async def prepare(rows: Sequence[msgspec.Raw], as_of: datetime) -> Batch:
        nonlocal ready
        batch = await catalogue.markets(rows, as_of)
        ready += 1
        if ready == (wait_for or len(pages)):
            asyncio.get_running_loop().call_soon(all_ready.set)
        return batch

    async def let_go() -> None:
        await all_ready.wait()
        writing.release()

    scope = Scope(OPEN, timedelta(hours=1), fetch, prepare)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(let_go())
        walk = tasks.create_task(Walker(conn, writing).walk(scope))
    return await walk


async def transactions(conn: Driver) -> list[int]:
    """How many markets each of them stored that are still as it left them."""
    rows = await conn.fetch("SELECT xmin::text AS stored_by FROM instruments")
    return sorted(Counter(row["stored_by"] for row in rows).values())


async def test_pages_that_wait_are_stored_together(conn: Driver) -> None:
    """In one transaction, with one step of the walk for each."""
    tickers = [f"KXWAIT-{number}" for number in range(PAGES_AT_ONCE)]

    walked = await walked_at_once(conn, Catalogue(Drift()), pages_of(*tickers))

    state = await walks.find(conn, OPEN)
    assert await transactions(conn) == [PAGES_AT_ONCE]
    assert (walked.pages, walked.rows, walked.changed) == (PAGES_AT_ONCE,) * 3
    assert walked.complete
    assert state is not None
    assert (state.pages, state.rows, state.cursor) == (PAGES_AT_ONCE, PAGES_AT_ONCE, None)


async def test_not_all_that_wait_are_stored_together(conn: Driver) -> None:
    """However many wait: others want to write, too, and what fails is not all."""
    tickers = [f"KXWAIT-{number}" for number in range(2 * PAGES_AT_ONCE)]

    await walked_at_once(conn, Catalogue(Drift()), pages_of(*tickers))

    assert await transactions(conn) == [PAGES_AT_ONCE, PAGES_AT_ONCE]


async def test_no_more_pages_wait_than_there_is_room_for(conn: Driver) -> None:
    """A walk that is far ahead of the database waits for it, and comes to its end."""
    tickers = [f"KXWAIT-{number}" for number in range(5 * PAGES_AT_ONCE)]

    walked = await walked_at_once(
        conn, Catalogue(Drift()), pages_of(*tickers), wait_for=2 * PAGES_AT_ONCE
    )

    assert walked.complete
    assert await conn.fetchval("SELECT count(*) FROM instruments") == len(tickers)


async def test_of_two_pages_stored_together_the_later_word_holds(conn: Driver) -> None:
    """In the table and in the writer's memory, though both pages showed the market for new."""
    catalogue = Catalogue(Drift())
    early, late = (a_market("KXTWICE-1", last_price_dollars=price) for price in ("0.4", "0.5"))
    pages = [a_page(0, early, a_market("KXTWICE-2")), a_page(1, late, last=True)]

    await walked_at_once(conn, catalogue, pages)

    price = "SELECT last_price_microdollars FROM instruments WHERE ticker = 'KXTWICE-1'"
    assert await conn.fetchval(price) == 500_000
    assert (await catalogue.markets([msgspec.Raw(late)], NOW)).changed == 0
    assert (await catalogue.markets([msgspec.Raw(early)], NOW)).changed == 1


async def test_a_last_page_out_of_a_cache_ends_its_walk_all_the_same(conn: Driver) -> None:
    """It is older than the page before it, yet the walk has come to its end with it."""
    pages = pages_of("KXCACHED-1", "KXCACHED-2", "KXCACHED-3")
    pages[-1] = replace(pages[-1], asked_at=NOW - timedelta(seconds=15))

    walked = await walked_at_once(conn, Catalogue(Drift()), pages)

    state = await walks.find(conn, OPEN)
    assert state is not None
    assert (walked.complete, state.cursor, state.complete_as_of) == (True, None, walked.began_at)


async def test_a_row_that_cannot_be_kept_spoils_no_page_beside_its_own(conn: Driver) -> None:
    """It is set aside where it was shown; all others are stored."""
    catalogue = Catalogue(Drift())
    bad = a_market("KXBAD-1", status="act\x00ive")
    pages = [
        a_page(0, a_market("KXGOOD-1")),
        a_page(1, bad, a_market("KXGOOD-2")),
        a_page(2, a_market("KXGOOD-3"), last=True),
    ]
    prepared = [await catalogue.markets(page.rows, page.asked_at) for page in pages]

    async with conn.transaction():
        await batches.save(conn, prepared)

    stored = await conn.fetch("SELECT ticker FROM instruments ORDER BY ticker")
    assert [row["ticker"] for row in stored] == ["KXGOOD-1", "KXGOOD-2", "KXGOOD-3"]
    assert [batch.set_aside for batch in prepared] == [0, 1, 0]
    assert [batch.changed for batch in prepared] == [1, 1, 1]


@pytest.mark.parametrize(
    ("kind", "bad", "good"),
    [
        ("series", a_series_row("KX\0"), a_series_row("KXGOOD")),
        ("events", an_event_row("KX\0-1"), an_event_row("KXGOOD-1")),
        ("events", an_event_row("KXBAD-1", category="Spo\0rts"), an_event_row("KXGOOD-1")),
    ],
    ids=["series", "event", "category"],
)
async def test_a_name_that_cannot_be_kept_changes_nothing_elsewhere(
    conn: Driver, kind: str, bad: Row, good: Row
) -> None:
    """A new name is news for others, too; one that is set aside is none, and stops nothing."""
    prepare = getattr(Catalogue(Drift()), kind)
    batch = await prepare([msgspec.Raw(msgspec.json.encode(row)) for row in (bad, good)], NOW)

    async with conn.transaction():
        await batch.save(conn)
    batch.keep()

    assert [row[0] for row in await conn.fetch(f"SELECT title FROM {kind}")] == [good["title"]]
    assert (batch.set_aside, batch.changed) == (1, 1)


async def test_what_is_stored_leaves_the_memory_at_once(conn: Driver) -> None:
    """A page is some megabytes: none waits for the collector of garbage."""
    catalogue = Catalogue(Drift())
    batch = await catalogue.markets([msgspec.Raw(a_market("KXGONE-1"))], NOW)
    async with conn.transaction():
        await batch.save(conn)

    batch.keep()

    held = weakref.ref(batch)
    gc.disable()
    try:
        del batch
        assert held() is None
    finally:
        gc.enable()
