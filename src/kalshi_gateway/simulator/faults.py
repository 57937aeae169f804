"""What can be made to go wrong: for some requests, for some seconds, at some rate."""

import asyncio
import random
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

Kind = Literal[
    "status",
    "latency",
    "reset",
    "truncate",
    "html",
    "empty",
    "hang",
    "half_page",
    "repeat_cursor",
    "rows",
    "clock",
]
PREFIX = "/trade-api/v2"


class Fault(msgspec.Struct, kw_only=True, eq=False, omit_defaults=True):
    """One thing that goes wrong, and for which requests.

    `times` requests, or `for_seconds` of the exchange's own clock, or until it is switched off;
    only those of an `operation` ("GET /markets") or below a `path` ("/portfolio").
    """

    kind: Kind
    times: int | None = None
    for_seconds: float | None = None
    rate: float = 1.0
    operation: str | None = None
    path: str | None = None
    # status, html
    status: int = 503
    body: str | None = None
    # latency, clock
    seconds: float = 0.0
    # rows: the share of rows hit, and what happens to their fields
    share: float = 1.0
    missing: tuple[str, ...] = ()
    unknown: dict[str, Any] = {}
    retyped: dict[str, Any] = {}
    # written by the exchange
    hits: int = 0
    since: float | None = None
    cursor: str | None = None

    def over(self, elapsed: float) -> bool:
        """Whether it has spent itself."""
        if self.times is not None and self.hits >= self.times:
            return True
        return (
            self.for_seconds is not None
            and self.since is not None
            and elapsed >= self.since + self.for_seconds
        )

    def concerns(self, operation: str, path: str) -> bool:
        """Whether a request is one of those it is for."""
        if self.operation is not None and self.operation != operation:
            return False
        wanted = (self.path or "").removeprefix(PREFIX)
        return path.removeprefix(PREFIX).startswith(wanted)


class Faults:
    """The faults now switched on."""

    def __init__(self, seed: int = 1) -> None:
        self.active: list[Fault] = []
        self.hanging: set[asyncio.Future[None]] = set()
        self._random = random.Random(seed)

    def add(self, fault: Fault) -> Fault:
        """Switch a fault on."""
        self.active.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Switch a fault off; one that is off already stays off."""
        if fault in self.active:
            self.active.remove(fault)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self.active.clear()

    def release(self) -> None:
        """Break the connections that hang, as a server does that stops."""
        for released in self.hanging:
            if not released.done():
                released.set_result(None)

    def take(self, operation: str, path: str, elapsed: float) -> list[Fault]:
        """The faults that hit this request, the first of each kind; they draw nearer their end."""
        hitting: dict[str, Fault] = {}
        for fault in list(self.active):
            if fault.since is None:
                fault.since = elapsed
            if fault.over(elapsed):
                self.active.remove(fault)
            elif fault.kind in hitting or not fault.concerns(operation, path):
                continue
            elif self._strikes(fault):
                fault.hits += 1
                hitting[fault.kind] = fault
        return list(hitting.values())

    def _strikes(self, fault: Fault) -> bool:
        return fault.rate >= 1 or self._random.random() < fault.rate

    # In a test's words; `where` is times, for_seconds, rate, operation, path.

    def status(self, status: int, body: str | None = None, **where: Any) -> Fault:
        """Answer with a status; the body is the exchange's own unless given."""
        return self.add(Fault(kind="status", status=status, body=body, **where))

    def latency(self, seconds: float, **where: Any) -> Fault:
        """Answer late."""
        return self.add(Fault(kind="latency", seconds=seconds, **where))

    def reset(self, **where: Any) -> Fault:
        """Break the connection without an answer."""
        return self.add(Fault(kind="reset", **where))

    def truncated(self, **where: Any) -> Fault:
        """Break the connection in the middle of the body."""
        return self.add(Fault(kind="truncate", **where))

    def html(self, status: int = 503, **where: Any) -> Fault:
        """Answer as the proxy before the exchange does when the exchange is away."""
        return self.add(Fault(kind="html", status=status, **where))

    def empty(self, status: int = 200, **where: Any) -> Fault:
        """Answer without a body."""
        return self.add(Fault(kind="empty", status=status, **where))

    def hang(self, **where: Any) -> Fault:
        """Never answer."""
        return self.add(Fault(kind="hang", **where))

    def half_page(self, **where: Any) -> Fault:
        """Cut pages short; their cursor goes on behind what was sent."""
        return self.add(Fault(kind="half_page", **where))

    def repeated_cursor(self, **where: Any) -> Fault:
        """Give every page the cursor of the first one."""
        return self.add(Fault(kind="repeat_cursor", **where))

    def rows(
        self,
        *,
        missing: Iterable[str] = (),
        unknown: Mapping[str, Any] | None = None,
        retyped: Mapping[str, Any] | None = None,
        share: float = 1.0,
        **where: Any,
    ) -> Fault:
        """Send rows without some fields, with unknown ones, or with other values in them."""
        return self.add(
            Fault(
                kind="rows",
                missing=tuple(missing),
                unknown=dict(unknown or {}),
                retyped=dict(retyped or {}),
                share=share,
                **where,
            )
        )

    def clock_off(self, seconds: float, **where: Any) -> Fault:
        """Be wrong about the time by that much: signatures are checked and dated by it."""
        return self.add(Fault(kind="clock", seconds=seconds, **where))
