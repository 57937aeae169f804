"""How old an answer may be for the one who asks: `Cache-Control`, `max_age`, `refresh`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from .errors import GatewayError

#: In the ASGI scope: the terms that a route has read, for the layer that keeps its answer.
TERMS = "gateway.terms"

#: RFC 9111: a number too big to be kept is as good as this one.
LONGEST_SECONDS = 2**31

#: A directive, and its argument in either form; what is quoted is one argument, commas and all.
DIRECTIVE = re.compile(rb"([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:\"([^\"]*)\"|([^\s,\"]*)))?")

#: The parameters of a query that say the same.
MAX_AGE, REFRESH = b"max_age", b"refresh"
PARAMETERS = frozenset({"max_age", "refresh"})
FLAGS = {b"true": True, b"1": True, b"false": False, b"0": False}


class NotCached(GatewayError):
    """Only what is known here was asked for, and nothing is, or nothing young enough."""

    status = 504
    code = "not_cached"
    title = "Not cached"
    retryable = True

    def __init__(self) -> None:
        super().__init__("Nothing that is known here is young enough, and nobody was to be asked.")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a client accepts; by default whatever we like."""

    max_age_seconds: int | None = None
    #: The exchange is to be asked, whatever is known.
    anew: bool = False
    #: The exchange is not to be asked, whatever is not.
    only_if_cached: bool = False

    @classmethod
    def said(
        cls, header: bytes | None, max_age_seconds: int | None = None, *, anew: bool = False
    ) -> Self:
        """What header and query say together; of two ages the stricter counts."""
        ages = [] if max_age_seconds is None else [max_age_seconds]
        only_if_cached = False
        for name, argument in directives(header or b""):
            if name == b"no-cache":
                anew = True
            elif name == b"only-if-cached":
                only_if_cached = True
            elif name == b"max-age":
                ages += seconds_in(argument)
        return cls(min(ages, default=None), anew, only_if_cached)

    def accepts(self, as_of: datetime | None) -> bool:
        """Whether what the exchange said then will do."""
        if self.anew:
            return False
        if self.max_age_seconds is None:
            return True
        return as_of is not None and _age_seconds(as_of) <= self.max_age_seconds

    def allow_asking(self) -> None:
        """Raise if the exchange is not to be asked."""
        if self.only_if_cached:
            raise NotCached


NO_TERMS = Terms()


def taken_apart(query: bytes, header: bytes | None) -> tuple[bytes, Terms] | None:
    """A query without what it says of the answer's age, and that.

    None where it is not said plainly: then the route has to read it, or to refuse it.
    """
    if MAX_AGE not in query and REFRESH not in query:
        return query, NO_TERMS if header is None else Terms.said(header)
    rest, said = [], dict[bytes, bytes]()
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name not in (MAX_AGE, REFRESH):
            rest.append(part)
        elif name in said:
            return None
        else:
            said[name] = value
    max_age, refresh = said.get(MAX_AGE, b""), said.get(REFRESH, b"false")
    if (MAX_AGE in said and not re.fullmatch(rb"[0-9]{1,9}", max_age)) or refresh not in FLAGS:
        return None
    seconds = int(max_age) if max_age else None
    return b"&".join(rest), Terms.said(header, seconds, anew=FLAGS[refresh])


def directives(header: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """What a `Cache-Control` says: names in lower case, each with its argument, if it has one."""
    for said in DIRECTIVE.finditer(header):
        name, quoted, plain = said.groups()
        yield name.lower(), plain if quoted is None else quoted


def seconds_in(argument: bytes | None) -> list[int]:
    """The number that an argument is, if it is one; all others are to be ignored."""
    if argument is None or not argument.isdigit():
        return []
    return [min(int(argument.lstrip(b"0")[:11] or b"0"), LONGEST_SECONDS)]


def _age_seconds(as_of: datetime) -> float:
    return max(0.0, (datetime.now(UTC) - as_of).total_seconds())


def described_headers(*names: str) -> dict[str, Any]:
    """Headers of an answer, as the API description refers to them."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _problem(description: str, *headers: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {"application/problem+json": {"schema": schema}}
    return {
        "description": description,
        "content": content,
        "headers": described_headers(*headers),
    }


_TELLING = described_headers("Age", "ETag", "Cache-Control", "Cache-Status", "X-Cache")

#: What every route that takes terms may answer, for the API description.
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"headers": _TELLING},
    304: {
        "description": "Nothing but the age has changed since the `ETag` that you have.",
        "headers": _TELLING,
    },
    503: _problem(
        "The exchange cannot answer now, and nothing is known here; see `Retry-After`.",
        "Retry-After",
    ),
    504: _problem("`only-if-cached`, and nothing young enough is known; or no answer in time."),
}
