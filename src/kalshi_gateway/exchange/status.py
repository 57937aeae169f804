"""How this gateway is doing with the exchange: catalogue, budget, breaker, clock, drift."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from kalshi_gateway import __version__
from kalshi_gateway.kalshi.client import Kalshi
from kalshi_gateway.kalshi.drift import Difference
from kalshi_gateway.markets.walks import Walk
from kalshi_gateway.units import Moment, moment

#: The most frequent differences; all of them are in the metrics.
MOST_DRIFT = 100


@dataclass(frozen=True, slots=True)
class WalkStatus:
    """One walk through the exchange's pages."""

    scope: str
    began_at: Moment | None
    under_way: Annotated[bool, Field(description="It has a next page, or never came to an end.")]
    pages: int
    rows: int
    set_aside: Annotated[int, Field(description="Rows that could not be read.")]
    complete_as_of: Annotated[
        Moment | None, Field(description="When the last walk that reached its end began.")
    ]
    failure: Annotated[str | None, Field(description="Why the last try stopped.")]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """How complete the catalogue is."""

    complete: bool
    walks: tuple[WalkStatus, ...]


@dataclass(frozen=True, slots=True)
class Bucket:
    """One token bucket of our account at the exchange."""

    name: str
    tokens_left: int
    capacity: int
    refill_per_second: int
    waiting: Annotated[int, Field(description="Calls that wait for their turn.")]


@dataclass(frozen=True, slots=True)
class ExchangeLink:
    """The way to the exchange."""

    base_url: str
    breaker: Annotated[
        str,
        Field(
            description="Of the operation that fares worst. closed: it passes; open: left alone."
        ),
    ]
    failures_in_a_row: Annotated[int, Field(description="Of the operation that fares worst.")]
    clock_skew_seconds: Annotated[
        float | None, Field(description="How far its clock is ahead of ours.")
    ]
    budget: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """One way in which the exchange's answers differ from what we know of them."""

    endpoint: str
    field: str
    kind: Annotated[str, Field(description="unknown, missing, retyped or set_aside.")]
    count: int
    first_at: Moment | None
    last_at: Moment | None
    example: str | None


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """How this gateway is doing."""

    version: str
    catalogue: Catalogue
    exchange: ExchangeLink
    drift: tuple[Drift, ...]


def gateway_status(kalshi: Kalshi, walks: Mapping[str, Walk], *, complete: bool) -> GatewayStatus:
    """Everything at one glance."""
    skew = kalshi.skew
    return GatewayStatus(
        version=__version__,
        catalogue=Catalogue(
            complete=complete,
            walks=tuple(_walk(walk) for walk in walks.values()),
        ),
        exchange=ExchangeLink(
            base_url=kalshi.base_url,
            breaker=kalshi.breakers.state,
            failures_in_a_row=kalshi.breakers.failed_in_a_row,
            clock_skew_seconds=None if skew is None else round(skew.total_seconds(), 3),
            budget=tuple(
                Bucket(
                    level.bucket.value,
                    int(level.left),
                    int(level.capacity),
                    int(level.refill_per_s),
                    sum(level.waiting.values()),
                )
                for level in kalshi.budget.snapshot()
            ),
        ),
        drift=tuple(_drift(difference) for difference in kalshi.drift.snapshot()[:MOST_DRIFT]),
    )


def _walk(walk: Walk) -> WalkStatus:
    return WalkStatus(
        scope=walk.scope,
        began_at=moment(walk.began_at),
        under_way=walk.cursor is not None or walk.complete_as_of is None,
        pages=walk.pages,
        rows=walk.rows,
        set_aside=walk.set_aside,
        complete_as_of=moment(walk.complete_as_of),
        failure=walk.failure,
    )


def _drift(difference: Difference) -> Drift:
    return Drift(
        difference.endpoint,
        difference.field,
        difference.kind,
        difference.count,
        moment(difference.first_at),
        moment(difference.last_at),
        difference.example,
    )
