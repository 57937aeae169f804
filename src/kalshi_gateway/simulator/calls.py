"""One request as a handler sees it: who calls, when, and the parameters, strictly read."""

import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.datastructures import QueryParams

from . import budgets, refusals, times
from .signatures import Key

if TYPE_CHECKING:
    from .exchange import Exchange

TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


@dataclass(frozen=True)
class Answer:
    """A finished answer."""

    body: bytes
    status: int = 200
    media: str = "application/json"


@dataclass(slots=True)
class Call:
    """One request."""

    exchange: "Exchange"
    operation: "Operation"
    path: dict[str, str]
    query: QueryParams
    key: Key | None
    now_us: int
    halved: bool = False
    body: bytes = b""

    def text(self, name: str) -> str | None:
        """A parameter that is there and not empty."""
        return self.query.get(name) or None

    def integer(self, name: str) -> int | None:
        """A whole number of 64 bits."""
        text = self.text(name)
        if text is None:
            return None
        if not re.fullmatch(r"[+-]?[0-9]{1,19}", text) or abs(number := int(text)) >= 2**63:
            raise self.unparsed(name, text)
        return number

    def moment(self, name: str) -> int | None:
        """Microseconds of a time in RFC 3339."""
        text = self.text(name)
        try:
            return None if text is None else times.parse(text)
        except ValueError:
            raise self.unparsed(name, text or "") from None

    def required(self, name: str) -> int:
        """A whole number that must be there."""
        number = self.integer(name)
        if number is None:
            raise self.unvalidated(name, "required")
        return number

    def flag(self, name: str) -> bool:
        """A truth value; absent is false."""
        text = self.text(name)
        if text is None or text in FALSE:
            return False
        if text not in TRUE:
            raise self.unparsed(name, text)
        return True

    def limit(self, default: int, maximum: int) -> int:
        """Rows per page; more than the maximum is refused, not clamped (measured 2026-06, demo)."""
        number = self.integer("limit")
        if number is None or number == 0:
            return default
        if number > maximum:
            raise self.unvalidated("limit", "lte")
        if number < 0:
            raise self.unvalidated("limit", "gte")
        return number

    def names(self, name: str) -> list[str] | None:
        """A comma-separated list; None when the parameter is absent."""
        text = self.text(name)
        return None if text is None else [part for part in text.split(",") if part]

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        """One of a few words."""
        text = self.text(name)
        if text is not None and text not in choices:
            raise self.unvalidated(name, "oneof")
        return text

    def window(self, family: str) -> tuple[int | None, int | None]:
        """The bounds of a timestamp family, in microseconds."""
        bounds = (self.integer(f"min_{family}_ts"), self.integer(f"max_{family}_ts"))
        return _micros(bounds[0]), _micros(bounds[1])

    def unvalidated(self, name: str, rule: str) -> refusals.Refused:
        """400 in the words of the exchange's validator (measured 2026-06, demo)."""
        field = "".join(part.capitalize() for part in name.split("_"))
        action = self.operation.action
        return refusals.message(
            400,
            f"Parameter validation failed for {action}: Key: '{action}Params.{field}' "
            f"Error:Field validation for '{field}' failed on the '{rule}' tag",
        )

    def unparsed(self, name: str, text: str) -> refusals.Refused:
        """400 for a value of the wrong type."""
        return refusals.message(400, f"Invalid format for parameter {name}: {text!r}")


Handler = Callable[[Call], Coroutine[Any, Any, Answer]]
Count = Callable[[bytes], int]


def one(_: bytes) -> int:
    """What most operations cost their price for."""
    return 1


@dataclass(frozen=True)
class Operation:
    """One operation of the exchange: its path, who may ask, and what it costs."""

    method: str
    path: str
    action: str
    handler: Handler
    scopes: tuple[str, ...] = ()  # a key with one of these is required
    bucket: budgets.BucketName = "read"
    cost: int = budgets.DEFAULT_COST
    # Of how many things the body is; each costs.
    count: Count = one

    @property
    def name(self) -> str:
        """How counters and faults call it, such as "GET /markets/{ticker}"."""
        return f"{self.method} {self.path}"


def joined(name: str, rows: list[bytes], **more: bytes) -> bytes:
    """A list answer put together from ready rows, keys in alphabetical order."""
    members = {name: b"[" + b",".join(rows) + b"]", **more}
    inside = b",".join(b'"%s":%s' % (key.encode(), members[key]) for key in sorted(members))
    return b"{" + inside + b"}"


def _micros(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1_000_000
