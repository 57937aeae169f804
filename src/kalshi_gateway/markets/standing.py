"""How complete and how old the catalogue is, as its walks tell."""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from kalshi_gateway.db import Database
from kalshi_gateway.freshness import Standing

from . import walks
from .market import Status
from .sync import WALKED
from .walks import Walk

REREAD_SECONDS = 1.0

NAMES = ("series", "events:open", "events:unopened")


class Progress:
    """What the walks have written down, read again at most once a second."""

    def __init__(
        self, database: Database, *, changes_every: timedelta, prices_every: timedelta
    ) -> None:
        self._database = database
        self._changes_every = changes_every
        self._prices_every = prices_every
        self._walks: Mapping[str, Walk] = {}
        self._read_at = float("-inf")

    async def walks(self) -> Mapping[str, Walk]:
        """Every walk by its scope."""
        if time.monotonic() - self._read_at > REREAD_SECONDS:
            async with self._database.driver() as conn:
                self._walks = await walks.all_known(conn)
            self._read_at = time.monotonic()
        return self._walks

    async def markets(self, statuses: Iterable[Status] | None) -> Standing:
        """How things stand with markets in these states; None: with those anybody may name."""
        known = await self.walks()
        wanted = list(statuses or WALKED)
        as_of = [_as_of(known, status) for status in wanted]
        warnings = [text for status in wanted for text in _warnings(known, status)]
        if any(name not in known or known[name].complete_as_of is None for name in NAMES):
            warnings.append("events and series are still being read: names may be missing")
        late = self._prices_every if "open" in wanted or "paused" in wanted else self._changes_every
        return Standing(
            as_of=None if None in as_of else min(moment for moment in as_of if moment),
            fresh_for_seconds=2 * late.total_seconds(),
            complete=not warnings,
            warnings=tuple(dict.fromkeys(warnings)),
        )

    async def one(self, status: str, row_as_of: datetime) -> Standing:
        """How things stand with one market: a walk confirms rows that it does not touch."""
        walked_as_of = _as_of(await self.walks(), status)
        return Standing(
            as_of=max(row_as_of, walked_as_of) if walked_as_of else row_as_of,
            fresh_for_seconds=2 * self._prices_every.total_seconds(),
        )

    async def family(self, row_as_of: datetime) -> Standing:
        """How things stand with one series or event."""
        confirmed_as_of = (await self.families()).as_of
        return Standing(
            as_of=max(row_as_of, confirmed_as_of) if confirmed_as_of else row_as_of,
            fresh_for_seconds=3 * self._changes_every.total_seconds(),
        )

    async def families(self) -> Standing:
        """How things stand with series and events."""
        known = await self.walks()
        as_of = [
            max(
                (known[name].complete_as_of for name in names if name in known),
                key=lambda moment: moment.timestamp() if moment else 0.0,
                default=None,
            )
            for names in (
                ("series", "changes:series"),
                ("events:open", "changes:events"),
                ("events:unopened", "changes:events"),
            )
        ]
        return Standing(
            as_of=None if None in as_of else min(moment for moment in as_of if moment),
            fresh_for_seconds=3 * self._changes_every.total_seconds(),
            complete=None not in as_of,
            warnings=() if None not in as_of else ("events and series are still being read",),
        )


def _as_of(known: Mapping[str, Walk], status: str) -> datetime | None:
    """When all markets in this state were last known to be as we have them.

    Prices are only seen by walking, so open and paused markets are as old as their walk; of the
    others, metadata is all there is, and each round of changes confirms it.
    """
    walked = known.get(f"markets:{status}")
    changed = known.get("changes:settled")
    if status == "settled":
        return changed.complete_as_of if changed else None
    if walked is None or walked.complete_as_of is None:
        return None
    if status in ("open", "paused") or changed is None or changed.complete_as_of is None:
        return walked.complete_as_of
    return max(walked.complete_as_of, changed.complete_as_of)


def _warnings(known: Mapping[str, Walk], status: str) -> Iterable[str]:
    if status == "settled":
        yield "settled markets are those that settled while this gateway was watching"
        return
    walk = known.get(f"markets:{status}")
    if walk is None or walk.complete_as_of is None:
        rows = walk.rows if walk else 0
        yield f"{status} markets are still being read: {rows} so far"
    elif walk.set_aside and walk.cursor is None:
        yield f"{walk.set_aside} {status} markets could not be read and are left out"
