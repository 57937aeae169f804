"""How old an answer is, and how we say so."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from .kalshi.errors import KalshiError
from .kalshi.flights import Flights
from .units import Moment, moment

T = TypeVar("T")

Source = Literal["cache", "kalshi", "stream"]


@dataclass(frozen=True, slots=True)
class Meta:
    """What can be said of an answer as a whole."""

    as_of: Annotated[Moment | None, Field(description="When the exchange said it.")]
    age_seconds: Annotated[int | None, Field(description="How long ago that was.")]
    stale: Annotated[bool, Field(description="Older than we like it to be.")]
    source: Annotated[Source, Field(description="Where the answer was taken from.")]
    complete: Annotated[bool, Field(description="Nothing that belongs here is missing.")]
    warnings: Annotated[tuple[str, ...], Field(description="What a reader should know.")] = ()
    total: Annotated[
        int | None, Field(description="All rows of the list, where `count=exact` asked.")
    ] = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How much of something we have, and how old it is; age is told when somebody asks."""

    as_of: datetime | None
    fresh_for_seconds: float
    complete: bool = True
    warnings: tuple[str, ...] = ()
    overdue: bool = False  # it was to be renewed, and could not be

    def meta(self, *, source: Source = "cache", total: int | None = None) -> Meta:
        age = None if self.as_of is None else datetime.now(UTC) - self.as_of
        return Meta(
            as_of=moment(self.as_of),
            age_seconds=None if age is None else max(0, int(age.total_seconds())),
            stale=self.overdue or age is None or age.total_seconds() > self.fresh_for_seconds,
            source=source,
            complete=self.complete,
            warnings=self.warnings,
            total=total,
        )


class Kept(Generic[T]):
    """One answer of the exchange: asked for again when old, and kept when that fails."""

    def __init__(
        self, ask: Callable[[], Awaitable[tuple[T, datetime]]], fresh_for: timedelta
    ) -> None:
        self._ask = ask
        self._fresh_for = fresh_for
        self._known: tuple[T, datetime] | None = None
        self._flights = Flights()

    async def get(self) -> tuple[T, Standing]:
        """The answer and how it stands; raises what asking raised when nothing is known yet."""
        failure: KalshiError | None = None
        known = self._known
        if known is None or datetime.now(UTC) - known[1] > self._fresh_for:
            try:
                known = await self._flights.share("renewal", self._renew)
            except KalshiError as error:
                if known is None:
                    raise
                failure = error
        value, as_of = known
        return value, Standing(
            as_of=as_of,
            fresh_for_seconds=self._fresh_for.total_seconds(),
            warnings=() if failure is None else (f"the exchange could not be asked: {failure}",),
            overdue=failure is not None,
        )

    async def _renew(self) -> tuple[T, datetime]:
        self._known = known = await self._ask()
        return known
