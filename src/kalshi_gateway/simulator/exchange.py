"""The exchange: everything it knows and everything that can be made to go wrong with it."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from . import recordings, times
from .accounts import Members
from .budgets import Limits
from .catalogue import Catalogue
from .clock import Clock, utc_now
from .counters import Counters
from .desk import Desk
from .faults import Faults
from .generator import Generator
from .groups import Groups
from .lag import Lag
from .ledger import Ledger
from .life import Life
from .matching import Matching
from .past import Past
from .reference import Reference
from .signatures import Keys
from .tape import Tape
from .traders import Traders

# The live tier reached back some 60 days (production, 2026-09).
LIVE_FOR = timedelta(days=60)
# Orders leave it after two weeks (production, 2026-09).
ORDERS_LIVE_FOR = timedelta(days=14)


class Exchange:
    """A whole exchange; `create_app` puts it behind HTTP."""

    def __init__(self, *, seed: int = 1, now: Callable[[], datetime] | None = None) -> None:
        self.seed = seed
        self.clock = Clock(now or utc_now)
        midnight = self.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        self.catalogue = Catalogue(self.clock, times.micros(midnight - LIVE_FOR))
        self.trades_cutoff_us = self.catalogue.cutoff_us
        # How far the historical tier reaches over the cutoffs: both may know what lies there.
        self.overlap_us = 0
        self.orders_cutoff_us = times.micros(midnight - ORDERS_LIVE_FOR)
        self.faults = Faults(seed)
        self.counters = Counters()
        self.members = Members()
        self.keys = Keys(self.members)
        self.ledger = Ledger(self.catalogue, self.members, self.clock, seed)
        self.catalogue.followers.append(self.ledger.follow)
        self.lag = Lag()
        self.desk = Desk(self)
        self.matching = Matching(self)
        self.groups = Groups(self)
        self.limits = Limits()
        self.tape = Tape(self.catalogue, seed, self.clock.micros())
        self.reference = Reference(self.catalogue)
        self.reference.followers.append(self.ledger.pause)
        # What could not be used of recordings (file, what, why), and how much of each kind was.
        self.set_aside: list[tuple[str, str, str]] = []
        self.counts: dict[str, int] = {}
        self._life: Life | None = None

    @classmethod
    def generated(
        cls,
        markets: int = 2000,
        *,
        seed: int = 1,
        now: Callable[[], datetime] | None = None,
        members: int = 0,
    ) -> "Exchange":
        """An invented catalogue of so many markets, and a twentieth as many combos beside them.

        Its members have a past and act by themselves; they get keys from `exchange.keys.issue`.
        """
        exchange = cls(seed=seed, now=now)
        source = Generator(seed, exchange.clock.micros(), exchange.catalogue.cutoff_us)
        source.fill(exchange.catalogue, markets)
        traders = Traders(exchange, Past(exchange).fill(members))
        exchange._life = Life(exchange, source, traders)
        return exchange

    @classmethod
    def recorded(cls, directory: Path, *, now: Callable[[], datetime] | None = None) -> "Exchange":
        """The recorded rows in a directory, verbatim; nothing in it moves."""
        exchange = cls(now=now)
        recordings.load(exchange, directory)
        return exchange

    def archive(self, before_us: int) -> None:
        """Move whatever ended before a moment into the historical tier."""
        self.catalogue.cutoff_us = before_us
        self.trades_cutoff_us = self.orders_cutoff_us = before_us

    def step(self, n: int = 1) -> None:
        """Let so many moments of the exchange's life pass; recorded ones have none."""
        if self._life is not None:
            for _ in range(n):
                self._life.step()

    def catch_up(self) -> None:
        """Open, close, settle and expire what time has made due, and nothing else."""
        if self._life is not None:
            self._life.catch_up()

    async def live(self, every: timedelta = timedelta(seconds=1), steps: int = 1) -> None:
        """Live on for ever, some moments at a time."""
        while True:
            await asyncio.sleep(every.total_seconds())
            self.step(steps)
