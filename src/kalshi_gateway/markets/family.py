"""Series and Event: a family of questions, and one occasion of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

from kalshi_gateway.kalshi import wire
from kalshi_gateway.units import Moment, Number, moment

from . import naming
from .market import Family
from .words import words


@dataclass(frozen=True, slots=True)
class SettlementSource:
    """Where the exchange reads the outcome."""

    name: str | None
    url: str | None


@dataclass(frozen=True, slots=True)
class Series:
    """A family of questions that are asked again and again."""

    ticker: Annotated[str, Field(examples=["KXHIGHNY"])]
    title: str | None
    category: str | None
    categories: tuple[str, ...]
    tags: tuple[str, ...]
    frequency: str | None
    settlement_sources: tuple[SettlementSource, ...]
    contract_terms_url: str | None
    fee_type: str | None
    fee_multiplier: Annotated[Number | None, Field(description="Scales the fee formula.")]
    exchange_index: Annotated[int | None, Field(description="The shard of its next events.")]
    updated_at: Moment


@dataclass(frozen=True, slots=True)
class Event:
    """One occasion of a series; its markets are the outcomes one can trade."""

    event_ticker: Annotated[str, Field(examples=["KXHIGHNY-26JUN15"])]
    series_ticker: str | None
    title: str | None
    sub_title: str | None
    category: str | None
    tags: tuple[str, ...]
    mutually_exclusive: Annotated[
        bool | None, Field(description="At most one of its markets resolves to YES.")
    ]
    strike_date: Moment | None
    strike_period: str | None
    exchange_index: int | None
    updated_at: Moment


def series_from_wire(row: wire.Series, as_of: datetime) -> Series:
    """The exchange's row as ours."""
    return Series(
        ticker=row.ticker,
        title=naming.clean(row.title),
        category=row.category or None,
        categories=tuple(row.categories or ([row.category] if row.category else [])),
        tags=tuple(row.tags or ()),
        frequency=row.frequency or None,
        settlement_sources=tuple(
            SettlementSource(source.name or None, source.url or None)
            for source in row.settlement_sources or ()
        ),
        contract_terms_url=row.contract_terms_url or None,
        fee_type=row.fee_type or None,
        fee_multiplier=row.fee_multiplier,
        exchange_index=row.exchange_index,
        updated_at=as_of.replace(microsecond=0),
    )


def event_from_wire(row: wire.Event, series: Series | None, as_of: datetime) -> Event:
    """The exchange's row as ours; category and tags come from its series."""
    return Event(
        event_ticker=row.event_ticker,
        series_ticker=row.series_ticker or None,
        title=naming.clean(row.title),
        sub_title=naming.clean(row.sub_title),
        category=(series and series.category) or row.category or None,
        tags=series.tags if series else (),
        mutually_exclusive=row.mutually_exclusive,
        strike_date=moment(row.strike_date),
        strike_period=row.strike_period or None,
        exchange_index=row.exchange_index,
        updated_at=as_of.replace(microsecond=0),
    )


def series_words(series: Series) -> list[str]:
    """What a series is found by."""
    return words(series.title, series.ticker, series.category, *series.categories, *series.tags)


def event_words(event: Event, series: Series | None) -> list[str]:
    """What an event is found by: its own words, then its series'."""
    own = words(event.title, event.sub_title, event.event_ticker, event.category)
    return list(dict.fromkeys([*own, *(series_words(series) if series else ())]))


def family_of(event: Event, series: Series | None) -> Family:
    """What the event's markets inherit."""
    return Family(
        series_ticker=event.series_ticker,
        category=event.category,
        tags=event.tags,
        event_title=event.title,
        event_sub_title=event.sub_title,
        words=tuple(event_words(event, series)),
    )
