"""How complete and how old the catalogue is, as its walks tell."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from kalshi_gateway.db import Database
from kalshi_gateway.freshness import Standing

from . import walks
from .market import Status
from .repository import Found, Inside
from .sync import WALKED
from .walks import Walk

REREAD_SECONDS = 1.0

#: No walk sees combos: one is as old as its own row, and asked for again when older than this.
COMBO_FRESH_FOR = timedelta(seconds=30)

#: What is walked for names, and the changes that keep each of them up to date.
NAMES = {
    "series": "changes:series",
    "events:open": "changes:events",
    "events:unopened": "changes:events",
    "events:closed": "changes:events",
}
MARKET_CHANGES = ("changes:created", "changes:updated", "changes:settled")

SETTLED = "settled markets are those that settled while this gateway was watching"
NO_COMBOS = "combos are those that were asked for by their ticker"
NAMELESS = "events and series are still being read: names may be missing"

Walks = Mapping[str, Walk]


class Part(NamedTuple):
    """One thing that is walked: when all of it was last known, and what is missing of it."""

    as_of: datetime | None
    warnings: tuple[str, ...] = ()
    #: Why the last try to walk it again came to no end.
    failure: str | None = None


class Progress:
    """What the walks have written down, read again at most once a second."""

    def __init__(
        self, database: Database, *, changes_every: timedelta, prices_every: timedelta
    ) -> None:
        self._database = database
        self._changes_every = changes_every
        self._prices_every = prices_every
        self._walks: Walks = {}
        self._read_at = float("-inf")

    async def walks(self) -> Walks:
        """Every walk by its scope."""
        if time.monotonic() - self._read_at > REREAD_SECONDS:
            async with self._database.driver() as conn:
                self._walks = await walks.all_known(conn)
            self._read_at = time.monotonic()
        return self._walks

    async def markets(
        self, statuses: Iterable[Status] | None, *, with_combos: bool = False
    ) -> Standing:
        """How things stand with markets in these states; None: with those anybody may name."""
        known = await self.walks()
        wanted = list(statuses or WALKED)
        parts = [_markets(known, status) for status in wanted]
        if any(_names(known, scope).as_of is None for scope in NAMES):
            parts.append(Part(_as_of(parts), (NAMELESS,)))
        if with_combos:
            parts.append(Part(_as_of(parts), (NO_COMBOS,)))
        priced = "open" in wanted or "paused" in wanted
        return _standing(parts, 2 * (self._prices_every if priced else self._changes_every))

    async def market(self, found: Found) -> Standing:
        """How things stand with one market: a walk confirms rows that it does not touch."""
        # Of a combo that has settled there is nothing more to hear, as of any market.
        if found.is_combo and found.status != "settled":
            return Standing(found.as_of, 2 * COMBO_FRESH_FOR.total_seconds())
        known = await self.walks()
        as_of = _confirmed(known, found.status, found.as_of)
        hindrance = _hindrance([_markets(known, found.status)])
        return Standing(as_of, 2 * self._prices_every.total_seconds(), hindrance=hindrance)

    async def series(self) -> Standing:
        """How things stand with all series."""
        return _standing([_names(await self.walks(), "series")], 3 * self._changes_every)

    async def categories(self) -> Standing:
        """How things stand with series and the open markets that are counted for them."""
        known = await self.walks()
        parts = [*(_names(known, scope) for scope in NAMES), _markets(known, "open")]
        return _standing(parts, 2 * self._prices_every)

    async def events(self, *, with_markets: bool) -> Standing:
        """How things stand with events, which are what their markets make of them."""
        known = await self.walks()
        parts = [
            *(_names(known, scope) for scope in NAMES),
            *(_markets(known, status) for status in WALKED),
        ]
        if with_markets:
            parts.append(Part(_as_of(parts), (SETTLED,)))
        return _standing(parts, 2 * self._prices_every)

    async def event(self, row_as_of: datetime, inside: Sequence[Inside]) -> Standing:
        """How things stand with one event and the markets in it."""
        known = await self.walks()
        named = [_names(known, scope) for scope in NAMES if scope != "series"]
        rows = [
            max(row_as_of, _as_of(named) or row_as_of),
            *(_confirmed(known, market.status, market.as_of) for market in inside),
        ]
        walked = [_markets(known, status) for status in WALKED]
        warnings = [text for part in walked for text in part.warnings]
        part = Part(min(rows), (*warnings, SETTLED), _failure([*named, *walked]))
        return _standing([part], 2 * self._prices_every)

    async def one_series(self, row_as_of: datetime) -> Standing:
        """How things stand with one series."""
        walked = _names(await self.walks(), "series")
        part = Part(max(row_as_of, walked.as_of or row_as_of), failure=walked.failure)
        return _standing([part], 3 * self._changes_every)

    async def is_complete(self) -> bool:
        """Whether all that is walked has been walked, with nothing left out."""
        return (await self.events(with_markets=False)).complete


def _standing(parts: Sequence[Part], fresh_for: timedelta) -> Standing:
    warnings = tuple(dict.fromkeys(text for part in parts for text in part.warnings))
    return Standing(
        as_of=_as_of(parts),
        fresh_for_seconds=fresh_for.total_seconds(),
        complete=not warnings,
        warnings=warnings,
        hindrance=_hindrance(parts),
    )


def _hindrance(parts: Iterable[Part]) -> str | None:
    failure = _failure(parts)
    return None if failure is None else f"the exchange could not be read: {failure}"


def _failure(parts: Iterable[Part]) -> str | None:
    return next((part.failure for part in parts if part.failure), None)


def _as_of(parts: Iterable[Part]) -> datetime | None:
    """Together they are as old as the oldest of them, and unknown if one is."""
    known = [part.as_of for part in parts]
    return None if None in known else min(moment for moment in known if moment)


def _confirmed(known: Walks, status: str, row_as_of: datetime) -> datetime:
    """When a row was last known to be as we have it."""
    walked_as_of = _markets(known, status).as_of
    return max(row_as_of, walked_as_of) if walked_as_of else row_as_of


def _markets(known: Walks, status: str) -> Part:
    """Markets in one state.

    Prices are only seen by walking, so open and paused markets are as old as their walk; of the
    others, metadata is all there is, and each round of changes confirms it.
    """
    changes = [_walked(known, scope, "changed") for scope in MARKET_CHANGES]
    changed = Part(_as_of(changes), failure=_failure(changes))
    if status == "settled":
        return changed._replace(warnings=(SETTLED,))
    walked = _walked(known, f"markets:{status}", status)
    return walked if status in ("open", "paused") else _kept_up(walked, changed)


def _names(known: Walks, scope: str) -> Part:
    """Series, or the events in one state: walked once, and then kept up to date."""
    walked = _walked(known, scope, " ".join(reversed(scope.split(":"))))
    return _kept_up(walked, _walked(known, NAMES[scope], "changed"))


def _kept_up(walked: Part, changed: Part) -> Part:
    """What was walked once, and is renewed by changes: it grows old where they cannot be had."""
    failure = changed.failure or walked.failure
    if walked.as_of is None or changed.as_of is None:
        return walked._replace(failure=failure)
    return walked._replace(as_of=max(walked.as_of, changed.as_of), failure=failure)


def _walked(known: Walks, scope: str, what: str) -> Part:
    what = f"{what} markets" if scope.startswith("markets:") else what
    walk = known.get(scope)
    if walk is None or walk.complete_as_of is None:
        text = f"{what} are still being read: {walk.rows if walk else 0} so far"
        return Part(None, (text,), walk.failure if walk else None)
    # While it walks again, what the last whole walk could not read is missing still.
    if left_out := max(walk.set_aside, walk.left_out):
        text = f"{left_out} {what} could not be read and are left out"
        return Part(walk.complete_as_of, (text,), walk.failure)
    return Part(walk.complete_as_of, failure=walk.failure)
