"""The exchange: everything it knows and everything that can be made to go wrong with it."""

from collections.abc import Callable
from datetime import datetime, timedelta

from . import generator, times
from .budgets import Limits
from .catalogue import Catalogue
from .clock import Clock, utc_now
from .counters import Counters
from .faults import Faults
from .reference import Reference
from .signatures import Keys

# The live tier reached back some 60 days (measured 2026-09).
LIVE_FOR = timedelta(days=60)


class Exchange:
    """A whole exchange; `create_app` puts it behind HTTP."""

    def __init__(self, *, seed: int = 1, now: Callable[[], datetime] | None = None) -> None:
        self.seed = seed
        self.clock = Clock(now or utc_now)
        midnight = self.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        self.catalogue = Catalogue(self.clock, times.micros(midnight - LIVE_FOR))
        self.faults = Faults(seed)
        self.counters = Counters()
        self.keys = Keys()
        self.limits = Limits()
        self.reference = Reference(self.catalogue)
        self.set_aside: list[tuple[str, str, str]] = []
        self.counts: dict[str, int] = {}

    @classmethod
    def generated(
        cls, markets: int = 2000, *, seed: int = 1, now: Callable[[], datetime] | None = None
    ) -> "Exchange":
        """An invented catalogue of so many markets, and a twentieth as many combos beside them."""
        exchange = cls(seed=seed, now=now)
        source = generator.Generator(seed, exchange.clock.micros(), exchange.catalogue.cutoff_us)
        source.fill(exchange.catalogue, markets)
        return exchange
