"""How old an answer is, and how we say so."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Generic, Literal, NamedTuple, TypeVar

from pydantic import Field

from .directives import NO_TERMS, NotCached, Terms
from .kalshi.errors import KalshiError
from .kalshi.flights import Flights
from .units import Moment, moment

T = TypeVar("T")

Source = Literal["cache", "kalshi", "stream"]

#: RFC 9211: how a cache came by the answer.
Came = Literal["HIT", "MISS", "STALE", "REVALIDATED", "BYPASS"]

NO_NEWER = "a list is as old as the last walk through the exchange's pages, and cannot be had newer"


@dataclass(frozen=True, slots=True)
class Meta:
    """What can be said of an answer as a whole."""

    as_of: Annotated[Moment | None, Field(description="When the exchange said it.")]
    age_seconds: Annotated[int | None, Field(description="How long ago that was.")]
    stale: Annotated[bool, Field(description="Older than we like it to be.")]
    source: Annotated[Source, Field(description="Where the answer was taken from.")]
    complete: Annotated[bool, Field(description="Nothing that belongs here is missing.")]
    warnings: Annotated[tuple[str, ...], Field(description="What a reader should know.")]
    total: Annotated[
        int | None, Field(description="All rows of the list, where `count=exact` asked.")
    ]


@dataclass(frozen=True, slots=True)
class Standing:
    """How much of something we have, and how old it is; age is told when somebody asks."""

    as_of: datetime | None
    fresh_for_seconds: float
    complete: bool = True
    warnings: tuple[str, ...] = ()
    overdue: bool = False  # it was to be renewed, and could not be
    #: What keeps it from being renewed; of interest once it is old.
    hindrance: str | None = None

    def meta(self, *, source: Source = "cache", total: int | None = None) -> Meta:
        age = None if self.as_of is None else datetime.now(UTC) - self.as_of
        stale = self.overdue or age is None or age.total_seconds() > self.fresh_for_seconds
        hindered = stale and self.hindrance is not None
        return Meta(
            as_of=moment(self.as_of),
            age_seconds=None if age is None else max(0, int(age.total_seconds())),
            stale=stale,
            source=source,
            complete=self.complete,
            warnings=(*self.warnings, str(self.hindrance)) if hindered else self.warnings,
            total=total,
        )

    def late(self, why: str) -> "Standing":
        """The same when something newer was wanted and could not be had."""
        return replace(self, overdue=True, warnings=(*self.warnings, why))

    def walked(self, terms: Terms) -> "Standing":
        """The same of what walks alone renew, and no request."""
        if terms.accepts(self.as_of):
            return self
        if terms.only_if_cached:
            raise NotCached
        return self.late(NO_NEWER)


def came_by(terms: Terms, *, known: bool) -> Came:
    """How something came that was asked for just now."""
    if terms.anew:
        return "BYPASS"
    return "REVALIDATED" if known else "MISS"


class Told(NamedTuple, Generic[T]):
    """A value, how it stands, and how we came by it."""

    value: T
    standing: Standing
    came: Came


class _Held(NamedTuple, Generic[T]):
    value: T
    as_of: datetime


class Kept(Generic[T]):
    """One answer of the exchange: asked for again when old, and kept when that fails."""

    def __init__(
        self, ask: Callable[[], Awaitable[tuple[T, datetime]]], fresh_for: timedelta
    ) -> None:
        self._ask = ask
        self._fresh_for = fresh_for
        self._known: _Held[T] | None = None
        self._flights = Flights()

    async def get(self, terms: Terms = NO_TERMS) -> Told[T]:
        """The answer on these terms; raises what asking raised when nothing is known yet."""
        known = self._known
        if known is not None and self._will_do(known, terms):
            return Told(known.value, self._standing(known), "HIT")
        terms.allow_asking()
        try:
            renewed = await self._flights.share("renewal", self._renew)
        except KalshiError as error:
            if known is None:
                raise
            standing = self._standing(known).late(f"the exchange could not be asked: {error}")
            return Told(known.value, standing, "HIT")
        came = came_by(terms, known=known is not None)
        return Told(renewed.value, self._standing(renewed), came)

    def _will_do(self, known: _Held[T], terms: Terms) -> bool:
        if not terms.accepts(known.as_of):
            return False
        return terms.only_if_cached or datetime.now(UTC) - known.as_of <= self._fresh_for

    def _standing(self, known: _Held[T]) -> Standing:
        return Standing(known.as_of, self._fresh_for.total_seconds())

    async def _renew(self) -> _Held[T]:
        self._known = renewed = _Held(*await self._ask())
        return renewed
