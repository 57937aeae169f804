"""Market: one tradable yes/no contract, as a client sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from kalshi_gateway.kalshi import wire
from kalshi_gateway.units import Contracts, Dollars, Moment, Number, Price, moment

from . import naming

Status = Literal["unopened", "open", "paused", "closed", "settled"]

#: The exchange's word for a market's state, and the word its own filters (and ours) use for it.
STATUSES: Mapping[str, Status] = {
    "initialized": "unopened",
    "active": "open",
    "inactive": "paused",
    "closed": "closed",
    "determined": "closed",
    "disputed": "closed",
    "amended": "closed",
    "finalized": "settled",
    "settled": "settled",  # until early 2026
}

_NOTHING = Decimal(0)
_EVERYTHING = Decimal(1)

# A walk makes a market of each of some 200,000 rows, and a frozen one takes four times as long to
# make: these are changed by nobody all the same.


@dataclass(slots=True)
class Strike:
    """What decides a market with a number in its question."""

    type: Annotated[str | None, Field(examples=["greater"])]
    floor: Number | None
    cap: Number | None


@dataclass(slots=True)
class PriceStep:
    """Between `start` and `end`, prices are multiples of `step`."""

    start: Price | None
    end: Price | None
    step: Price | None


@dataclass(slots=True)
class Leg:
    """One of the markets that a combo is made of."""

    event_ticker: str | None
    ticker: str | None
    side: Annotated[str | None, Field(examples=["yes"])]
    settlement_value: Price | None


class Family(NamedTuple):
    """What a market inherits from its event and series."""

    series_ticker: str | None = None
    category: str | None = None
    tags: tuple[str, ...] = ()
    event_title: str | None = None
    event_sub_title: str | None = None
    words: tuple[str, ...] = ()


@dataclass(slots=True)
class Market:
    """One tradable yes/no contract; what is not known is null, and no quote is null."""

    ticker: Annotated[str, Field(examples=["KXHIGHNY-26JUN15-T85"])]
    event_ticker: str
    series_ticker: str | None
    title: str | None
    outcome: Annotated[str | None, Field(description="What YES means, in a few words.")]
    display_name: Annotated[str, Field(description="Title and outcome as one readable line.")]
    category: str | None
    tags: tuple[str, ...]
    status: Annotated[str, Field(description="unopened, open, paused, closed or settled.")]
    exchange_status: Annotated[str | None, Field(description="The exchange's own word for it.")]
    yes_bid: Price | None
    yes_ask: Price | None
    no_bid: Price | None
    no_ask: Price | None
    yes_bid_size: Contracts | None
    yes_ask_size: Contracts | None
    last_price: Annotated[Price | None, Field(description="Of the last trade, in YES terms.")]
    previous_price: Annotated[Price | None, Field(description="The last price 24 hours ago.")]
    volume: Contracts | None
    volume_24h: Contracts | None
    open_interest: Contracts | None
    result: Annotated[str | None, Field(description="yes, no or scalar, once determined.")]
    settlement_value: Annotated[Dollars | None, Field(description="What one YES contract paid.")]
    open_time: Moment | None
    close_time: Moment | None
    expected_expiration_time: Moment | None
    strike: Strike | None
    price_steps: tuple[PriceStep, ...]
    is_combo: bool
    legs: tuple[Leg, ...]
    exchange_index: Annotated[int | None, Field(description="The shard it trades on.")]
    updated_at: Annotated[
        Moment, Field(description="When the exchange last told us something new about it.")
    ]


@dataclass(frozen=True, slots=True)
class Rules:
    """The words that decide how a market resolves."""

    rules_primary: str | None
    rules_secondary: str | None


def from_wire(row: wire.Market, family: Family, as_of: datetime) -> Market:
    """The exchange's row as ours, named and placed by its family."""
    legs = tuple(
        Leg(leg.event_ticker, leg.market_ticker, leg.side, leg.yes_settlement_value_dollars)
        for leg in row.mve_selected_legs or ()
    )
    is_combo = bool(row.mve_collection_ticker) or row.ticker.startswith("KXMVE")
    strike = None
    if row.strike_type or row.floor_strike is not None or row.cap_strike is not None:
        strike = Strike(row.strike_type, row.floor_strike, row.cap_strike)
    bid = _quote(row.yes_bid_dollars, row.yes_bid_size_fp)
    ask = _quote(row.yes_ask_dollars, row.yes_ask_size_fp)
    return Market(
        ticker=row.ticker,
        event_ticker=row.event_ticker,
        series_ticker=family.series_ticker,
        title=naming.market_title(row.title, family.event_title),
        outcome=naming.clean(row.yes_sub_title),
        display_name=naming.display_name(
            ticker=row.ticker,
            title=row.title,
            outcome=row.yes_sub_title,
            event_title=family.event_title,
            event_sub_title=family.event_sub_title,
            strike_type=row.strike_type,
            floor=row.floor_strike,
            cap=row.cap_strike,
            legs=_told(legs) if is_combo else None,
        ),
        category=family.category,
        tags=family.tags,
        status=STATUSES.get(row.status or "", row.status or "unknown"),
        exchange_status=row.status,
        yes_bid=bid,
        yes_ask=ask,
        # One book: a NO bid is a YES ask seen from the other side.
        no_bid=None if ask is None else row.no_bid_dollars,
        no_ask=None if bid is None else row.no_ask_dollars,
        yes_bid_size=row.yes_bid_size_fp,
        yes_ask_size=row.yes_ask_size_fp,
        last_price=_traded(row.last_price_dollars),
        previous_price=_traded(row.previous_price_dollars),
        volume=row.volume_fp,
        volume_24h=row.volume_24h_fp,
        open_interest=row.open_interest_fp,
        result=row.result or None,
        settlement_value=row.settlement_value_dollars,
        open_time=moment(row.open_time),
        close_time=moment(row.close_time),
        expected_expiration_time=moment(row.expected_expiration_time),
        strike=strike,
        price_steps=tuple(
            PriceStep(band.start, band.end, band.step) for band in row.price_ranges or ()
        ),
        is_combo=is_combo,
        legs=legs,
        exchange_index=row.exchange_index,
        updated_at=as_of.replace(microsecond=0),
    )


def rules_from_wire(row: wire.Market) -> Rules:
    """The texts that only the detail shows."""
    return Rules(row.rules_primary or None, row.rules_secondary or None)


def change(market: Market) -> Decimal | None:
    """How far the last price is from the price a day before."""
    if market.last_price is None or market.previous_price is None:
        return None
    return market.last_price - market.previous_price


def _quote(price: Decimal | None, size: Decimal | None) -> Decimal | None:
    """The price, if somebody stands behind it: an empty side is sent as 0 or 1, at size 0."""
    if price is None or not _NOTHING < price < _EVERYTHING or size == _NOTHING:
        return None
    return price


def _traded(price: Decimal | None) -> Decimal | None:
    """The price, if it is one: nothing trades at 0, which is sent where nothing was traded."""
    return price if price is not None and _NOTHING < price <= _EVERYTHING else None


def _told(legs: tuple[Leg, ...]) -> list[tuple[str, str]]:
    return [(leg.ticker or leg.event_ticker or "", leg.side or "") for leg in legs]
