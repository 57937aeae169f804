"""What has been asked of the exchange, counted."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Counters:
    """Requests by operation and by status, tokens spent by bucket, refusals for want of tokens."""

    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    refused: int = 0

    @property
    def total(self) -> int:
        """All requests."""
        return self.requests.total()

    def reset(self) -> None:
        """Begin again at zero."""
        for counter in (self.requests, self.statuses, self.tokens, self.faults):
            counter.clear()
        self.refused = 0

    def describe(self) -> dict[str, Any]:
        """All of it, for the control door."""
        return {
            "total": self.total,
            "refused": self.refused,
            "requests": dict(self.requests),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "tokens": dict(self.tokens),
            "faults": dict(self.faults),
        }
