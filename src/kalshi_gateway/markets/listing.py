"""What a client may ask of a list, and the cursors that walk it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from kalshi_gateway import cursors
from kalshi_gateway.directives import PARAMETERS

from .market import Status
from .search import Reading

Order = Literal["asc", "desc"]
MarketSort = Literal[
    "volume_24h", "close_time", "open_interest", "last_price", "change", "created", "relevance"
]
EventSort = Literal["volume_24h", "close_time", "open_interest", "created", "relevance"]

#: What a list is ordered by, as the tables call it.
COLUMNS: Mapping[str, str] = {
    "volume_24h": "volume_24h_centicontracts",
    "close_time": "close_time",
    "open_interest": "open_interest_centicontracts",
    "last_price": "last_price_microdollars",
    "change": "change_microdollars",
    "created": "created_time",
}

MOST_TICKERS = 1_000


def _split(value: Any) -> Any:
    """Both `tickers=A,B` and `tickers=A&tickers=B`."""
    if isinstance(value, list):
        if len(value) > MOST_TICKERS:
            raise ValueError(f"at most {MOST_TICKERS}")
        return [part for item in value for part in str(item).split(",") if part]
    return value


def _utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None


Words = Annotated[
    Annotated[str, Field(max_length=200)] | None,
    # A search field that is still empty asks for nothing.
    AfterValidator(lambda text: text if text and text.strip() else None),
    Field(description="Words, or beginnings of words; synonyms and small typos count."),
]
Name = Annotated[str | None, Field(max_length=200)]
Instant = Annotated[
    datetime | None,
    AfterValidator(lambda value: value and _utc(value)),
    Field(description="RFC 3339, or Unix seconds."),
]
# As long as the words that a search was taken for make it.
Cursor = Annotated[str | None, Field(max_length=8_000)]
# A number in the description, too: to its reader text is another kind of value.
Dollar = Annotated[
    Decimal,
    Field(ge=0, le=1, max_digits=8, decimal_places=6),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
Count = Annotated[
    Decimal,
    Field(ge=0, max_digits=15, decimal_places=2),
    WithJsonSchema({"type": "number", "minimum": 0}),
]


class _Parameters(BaseModel):
    """What is asked of a list; anything else is refused, lest a misspelt filter be none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_terms(cls, said: Any) -> Any:
        """How old the answer may be is no question to the list, and read by `Terms`."""
        return {name: value for name, value in said.items() if name not in PARAMETERS}


class Listing(_Parameters):
    """The questions that every list understands."""

    q: Words = None
    category: Name = None
    tag: Name = None
    series: Name = None
    status: Annotated[
        list[Status] | None, Field(description="Repeatable; open unless tickers are named.")
    ] = None
    closes_before: Instant = None
    closes_after: Instant = None
    order: Annotated[
        Order | None, Field(description="desc, but asc for close_time; unknowns come last.")
    ] = None
    sort: str | None = None
    cursor: Cursor = None
    limit: int = 100
    count: Annotated[
        Literal["none", "exact"], Field(description="exact: the number of all in meta.total.")
    ] = "none"

    @property
    def statuses(self) -> tuple[Status, ...] | None:
        """The states asked for; None for all of them."""
        return tuple(dict.fromkeys(self.status or ["open"]))

    @property
    def ordering(self) -> str:
        """The sort that is meant: `relevance` where words are searched, else `volume_24h`."""
        if self.sort is None or (self.sort == "relevance" and self.q is None):
            return "volume_24h" if self.q is None else "relevance"
        return self.sort

    @property
    def descending(self) -> bool:
        if self.order is not None:
            return self.order == "desc"
        return self.ordering != "close_time"


class MarketListing(Listing):
    """What may be asked of `GET /kalshi/markets`."""

    event: Name = None
    tickers: Annotated[
        Annotated[list[str], Field(max_length=MOST_TICKERS)] | None,
        BeforeValidator(_split),
        Field(description="Comma list, or repeated."),
    ] = None
    min_volume: Annotated[
        Count | None, Field(description="Contracts since the market opened; two decimals.")
    ] = None
    min_price: Annotated[
        Dollar | None, Field(description="Of the last trade, in dollars; at most six decimals.")
    ] = None
    max_price: Annotated[
        Dollar | None, Field(description="Of the last trade, in dollars; at most six decimals.")
    ] = None
    include_combos: bool = False
    sort: Annotated[
        MarketSort | None, Field(description="relevance for searches, else volume_24h.")
    ] = None
    limit: Annotated[int, Field(ge=1, le=1_000)] = 100

    @property
    def statuses(self) -> tuple[Status, ...] | None:
        return None if self.tickers and not self.status else super().statuses


class EventListing(Listing):
    """What may be asked of `GET /kalshi/events`."""

    sort: Annotated[
        EventSort | None, Field(description="relevance for searches, else volume_24h.")
    ] = None
    markets: Annotated[bool, Field(description="false leaves the markets out.")] = True
    limit: Annotated[int, Field(ge=1, le=200)] = 100


class SeriesListing(_Parameters):
    """What may be asked of `GET /kalshi/series`."""

    q: Words = None
    category: Name = None
    tag: Name = None
    cursor: Cursor = None
    limit: Annotated[int, Field(ge=1, le=1_000)] = 100


class CategoryListing(_Parameters):
    """What may be asked of `GET /kalshi/categories`."""

    q: Annotated[Words, Field(description="Count only what these words find, as lists do.")] = None


@dataclass(frozen=True, slots=True)
class Place:
    """The last row a client has seen: its sort keys, most significant first, and its name."""

    keys: tuple[int | datetime | None, ...]
    name: str
    #: Of a search: what its words were taken for, lest that change on the way.
    reading: Reading | None = None


def cursor_after(place: Place, listing: Listing | SeriesListing) -> str:
    """Where the next page of this list begins."""
    return cursors.pack(place, _asked(listing))


def cursor_of(listing: Listing | SeriesListing) -> Place:
    """The place that the list's cursor names, whatever it is."""
    return cursors.unpack(listing.cursor or "", _asked(listing), Place)


def place_of(listing: Listing | SeriesListing, *, keys: int) -> Place:
    """Where the list's cursor points; one with other keys is none of this list's."""
    place = cursor_of(listing)
    # A single key may be unknown, since such rows come last; of several, none can be.
    unknown = len(place.keys) > 1 and None in place.keys
    if len(place.keys) != keys or unknown or "\0" in place.name:
        raise cursors.CursorInvalid
    return place


def _asked(listing: Listing | SeriesListing) -> object:
    """What a cursor is bound to: everything asked but the place in the list."""
    asked = listing.model_dump(mode="json", exclude={"cursor", "limit", "count"})
    return type(listing).__name__, asked
