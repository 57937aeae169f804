"""The shapes of the catalogue's answers, as the API description shows them."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from kalshi_gateway.freshness import Meta
from kalshi_gateway.units import Contracts, Moment

from .family import Event, Series
from .market import Market
from .tape import Candle, OrderBook, Trade

NextCursor = Annotated[str | None, Field(description="Asks for the next page; null at the end.")]


@dataclass(frozen=True, slots=True)
class MarketList:
    """Some markets."""

    markets: tuple[Market, ...]
    next_cursor: NextCursor
    meta: Meta


@dataclass(slots=True, kw_only=True)
class MarketDetail(Market):
    """One market with its rules."""

    rules_primary: str | None
    rules_secondary: str | None
    meta: Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSummary(Event):
    """An event, what its markets add up to, and the markets unless they were left out."""

    status: Annotated[str | None, Field(description="open while any of its markets is.")]
    volume_24h: Contracts | None
    open_interest: Contracts | None
    close_time: Annotated[Moment | None, Field(description="When its last market closes.")]
    markets: tuple[Market, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDetail(EventSummary):
    """One event with its markets."""

    meta: Meta


@dataclass(frozen=True, slots=True)
class EventList:
    """Some events."""

    events: tuple[EventSummary, ...]
    next_cursor: NextCursor
    meta: Meta


@dataclass(frozen=True, slots=True)
class SeriesList:
    """Some series."""

    series: tuple[Series, ...]
    next_cursor: NextCursor
    meta: Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesDetail(Series):
    """One series."""

    meta: Meta


@dataclass(frozen=True, slots=True)
class Facet:
    """A name to filter by, and how much it finds."""

    name: str
    series: int
    open_markets: int


@dataclass(frozen=True, slots=True)
class CategoryFacet:
    """One category, with its tags."""

    name: str
    own: Annotated[bool, Field(description="The operator's own; false: the exchange's.")]
    series: int
    open_markets: int
    tags: tuple[Facet, ...]


@dataclass(frozen=True, slots=True)
class CategoryList:
    """All categories."""

    categories: tuple[CategoryFacet, ...]
    meta: Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class BookDetail(OrderBook):
    """One order book, and when it was read."""

    meta: Meta


@dataclass(frozen=True, slots=True)
class TradeList:
    """Some trades, newest first."""

    trades: tuple[Trade, ...]
    next_cursor: NextCursor
    meta: Meta


@dataclass(frozen=True, slots=True)
class CandleList:
    """Candles, oldest first."""

    ticker: str
    period: str
    candles: tuple[Candle, ...]
    meta: Meta
