"""Asks the exchange by name for what no walk has brought."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from kalshi_gateway.db import Driver
from kalshi_gateway.kalshi.budget import Lane
from kalshi_gateway.kalshi.client import Kalshi, Page
from kalshi_gateway.kalshi.errors import KalshiError, KeyRejected, Rejected

from .catalogue import Catalogue
from .walking import Prepare
from .wanted import Wanted

log = structlog.get_logger(__name__)

#: A question may wait long for its turn, since everybody else goes first.
PATIENCE = timedelta(minutes=2)
#: Tickers in one question; 300 were seen to work.
TICKERS_AT_ONCE = 200
EVENTS_AT_ONCE = 100

Ask = Callable[[list[str]], Awaitable[set[str]]]


class Mender:
    """Fetches what the catalogue wants by name, over the writer's connection."""

    def __init__(
        self, conn: Driver, writing: asyncio.Lock, kalshi: Kalshi, catalogue: Catalogue
    ) -> None:
        self._conn = conn
        self._writing = writing
        self._kalshi = kalshi
        self._catalogue = catalogue

    async def mend(self) -> bool:
        """Ask for all that is wanted; False if the exchange failed, and some still is."""
        try:
            await self._ask_for_all()
        except KalshiError as error:
            log.warning("catalogue not mended", why=str(error))
            return False
        return True

    async def _ask_for_all(self) -> None:
        """Events before their markets; what comes may name events that nobody has shown yet."""
        catalogue = self._catalogue
        while True:
            events = await self._ask_for(catalogue.wanted_events, EVENTS_AT_ONCE, self._events)
            markets = await self._ask_for(catalogue.wanted_markets, TICKERS_AT_ONCE, self._markets)
            if not events and not markets:
                return

    async def _ask_for(self, wanted: Wanted, at_once: int, ask: Ask) -> int:
        """Ask for what is due, in parts; how many that was."""
        due = wanted.due(datetime.now(UTC))
        unknown = 0
        for part in _parts(due, at_once):
            try:
                found = await ask(part)
            except KeyRejected:
                raise
            except Rejected as error:
                # The same question will be refused again: the others need not wait behind it.
                log.warning("question refused", count=len(part), why=str(error))
                found = set()
            unknown += len(wanted.asked(part, found, datetime.now(UTC)))
        if unknown:
            log.warning("not known to the exchange", asked=ask.__name__.strip("_"), count=unknown)
        return len(due)

    async def _events(self, tickers: list[str]) -> set[str]:
        return await self._named(self._kalshi.events_page, tickers, self._catalogue.events)

    async def _markets(self, tickers: list[str]) -> set[str]:
        """Just these, from the live tier and then among the archived ones."""
        keep = self._catalogue.markets
        found = await self._named(self._kalshi.markets_page, tickers, keep, mve_filter=None)
        missing = sorted(set(tickers) - found)
        if missing:
            archive = self._kalshi.historical_markets_page
            found |= await self._named(archive, missing, keep, mve_filter=None)
        return found

    async def _named(
        self,
        call: Callable[..., Awaitable[Page]],
        tickers: list[str],
        prepare: Prepare,
        **asked: Any,
    ) -> set[str]:
        """What the exchange shows when it is asked for these; a page of it may be cut short."""
        found: set[str] = set()
        cursor: str | None = None
        for _ in tickers:
            page = await call(
                tickers=tickers, cursor=cursor, lane=Lane.CATALOGUE, deadline=PATIENCE, **asked
            )
            found |= await self._keep(page, prepare)
            cursor = page.cursor
            if cursor is None:
                break
        return found

    async def _keep(self, page: Page, prepare: Prepare) -> set[str]:
        async with self._writing:
            batch = await prepare(page.rows, page.asked_at)
            async with self._conn.transaction():
                await batch.save(self._conn)
            batch.keep()
        return set(batch.seen)


def _parts(tickers: Sequence[str], size: int) -> Iterable[list[str]]:
    for start in range(0, len(tickers), size):
        yield list(tickers[start : start + size])
