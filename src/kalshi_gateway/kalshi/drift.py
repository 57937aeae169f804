"""Where the exchange's answers differ from what we know of them, counted."""

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

Kind = Literal["unknown", "missing", "retyped", "set_aside"]

LONGEST_EXAMPLE = 80
LONGEST_FIELD = 80

# Only what everybody may read is ever quoted.
PUBLIC = re.compile(
    r"(?:GET )?/?(?:trade-api/v2/)?"
    r"(?:markets|events|series|exchange|search|milestones|live_data|structured_targets"
    r"|historical/(?:markets|trades|cutoff)|account/endpoint_costs)\b"
)
UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True)
class Difference:
    """One way in which one endpoint differs, and how often it did."""

    endpoint: str
    field: str
    kind: Kind
    count: int
    first_at: datetime
    last_at: datetime
    example: str | None


class Drift:
    """A count of differences, of so many at most; `on_first` is called once for each new one."""

    def __init__(
        self, *, on_first: Callable[[Difference], None] | None = None, most: int = 2_000
    ) -> None:
        self.on_first = on_first
        self._most = most
        self._seen: dict[tuple[str, str, Kind], _Tally] = {}
        self._remembered: dict[Hashable, dict[Any, Any]] = {}

    def note(self, endpoint: str, field: str, kind: Kind, example: object = None) -> None:
        """Count one difference; `example` is the value that showed it."""
        key = (endpoint, field[:LONGEST_FIELD], kind)
        tally = self._seen.get(key)
        if tally is not None:
            tally.count += 1
            tally.last_at = datetime.now(UTC)
        elif len(self._seen) < self._most:
            self._begin(key, _quoted(example) if PUBLIC.match(endpoint) else None)

    def remembered(self, about: Hashable) -> dict[Any, Any]:
        """A place where a reader keeps what it has already understood about its rows."""
        memory = self._remembered.get(about)
        if memory is None:
            memory = self._remembered[about] = {}
        return memory

    def snapshot(self) -> list[Difference]:
        """All differences so far, the most frequent first."""
        return sorted(
            (tally.said(key) for key, tally in self._seen.items()), key=lambda d: -d.count
        )

    def _begin(self, key: tuple[str, str, Kind], example: str | None) -> None:
        tally = self._seen[key] = _Tally(example)
        if self.on_first is not None:
            self.on_first(tally.said(key))


class _Tally:
    __slots__ = ("count", "example", "first_at", "last_at")

    def __init__(self, example: str | None) -> None:
        self.count = 1
        self.first_at = self.last_at = datetime.now(UTC)
        self.example = example

    def said(self, key: tuple[str, str, Kind]) -> Difference:
        return Difference(*key, self.count, self.first_at, self.last_at, self.example)


def _quoted(example: object) -> str | None:
    """A short, printable piece of the value."""
    if example is None:
        return None
    try:
        text = (
            bytes(example)
            if isinstance(example, (bytes, msgspec.Raw))
            else msgspec.json.encode(example)
        )
    except (TypeError, RecursionError):
        return None
    short = text[: 4 * LONGEST_EXAMPLE].decode(errors="replace")
    return UNPRINTABLE.sub("?", short)[:LONGEST_EXAMPLE]
