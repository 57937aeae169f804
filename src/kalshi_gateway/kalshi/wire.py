"""The exchange's shapes, field for field; unknown is None.

docs.kalshi.com/api-reference, version 3.34.0. Money and counts are exact decimals, times are
aware; anything the exchange leaves out or garbles is None.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from typing import Annotated, Any, ClassVar

import msgspec

from .reading import MOST_DIGITS, Shape, Unit, refuse_unplain
from .reading import read as read

Time = Annotated[datetime, msgspec.Meta(tz=True)]
Text = Annotated[str, msgspec.Meta(min_length=1)]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


class PriceRange(Shape, frozen=True, kw_only=True):
    """One band of a price grid: from `start` to `end` any multiple of `step` is a price."""

    identity = _names("start end step")

    start: Decimal
    end: Decimal
    step: Decimal

    def __post_init__(self) -> None:
        # Every market has some: written out, this takes a third of the time of `check`.
        total = self.start + self.end + self.step
        if not total.is_finite() or total.adjusted() >= MOST_DIGITS:
            raise ValueError("a band without bounds")


class MveSelectedLeg(Shape, frozen=True, kw_only=True):
    """One leg of a combo."""

    optional = _names("event_ticker market_ticker side yes_settlement_value_dollars")

    event_ticker: str | None = None
    market_ticker: str | None = None
    side: str | None = None
    yes_settlement_value_dollars: Decimal | None = None

    def __post_init__(self) -> None:
        self.check()


class Market(Shape, frozen=True, kw_only=True):
    """One tradable yes/no contract."""

    identity = _names("ticker event_ticker")
    optional = _names(
        """title subtitle expected_expiration_time expiration_time settlement_value_dollars
        settlement_ts settlement_floor_dollars occurrence_datetime fee_waiver_expiration_time
        early_close_condition strike_type floor_strike cap_strike functional_strike custom_strike
        mve_collection_ticker mve_selected_legs primary_participant_key is_provisional
        exchange_index"""
    )
    legacy = _names(
        """yes_bid yes_ask no_bid no_ask last_price previous_yes_bid previous_yes_ask
        previous_price notional_value settlement_value liquidity liquidity_dollars volume
        volume_24h open_interest tick_size response_price_units fractional_trading_enabled
        risk_limit_cents category available_on_brokers"""
    )
    formerly: ClassVar[dict[str, tuple[str, Unit]]] = {
        "yes_bid_dollars": ("yes_bid", "dollars"),
        "yes_ask_dollars": ("yes_ask", "dollars"),
        "no_bid_dollars": ("no_bid", "dollars"),
        "no_ask_dollars": ("no_ask", "dollars"),
        "last_price_dollars": ("last_price", "dollars"),
        "previous_yes_bid_dollars": ("previous_yes_bid", "dollars"),
        "previous_yes_ask_dollars": ("previous_yes_ask", "dollars"),
        "previous_price_dollars": ("previous_price", "dollars"),
        "notional_value_dollars": ("notional_value", "dollars"),
        "settlement_value_dollars": ("settlement_value", "dollars"),
        "volume_fp": ("volume", "count"),
        "volume_24h_fp": ("volume_24h", "count"),
        "open_interest_fp": ("open_interest", "count"),
    }

    ticker: Text
    event_ticker: Text
    market_type: str | None = None
    title: str | None = None
    subtitle: str | None = None
    yes_sub_title: str | None = None
    no_sub_title: str | None = None
    created_time: Time | None = None
    updated_time: Time | None = None
    open_time: Time | None = None
    close_time: Time | None = None
    expected_expiration_time: Time | None = None
    expiration_time: Time | None = None
    latest_expiration_time: Time | None = None
    settlement_timer_seconds: int | None = None
    status: str | None = None
    yes_bid_dollars: Decimal | None = None
    yes_bid_size_fp: Decimal | None = None
    yes_ask_dollars: Decimal | None = None
    yes_ask_size_fp: Decimal | None = None
    no_bid_dollars: Decimal | None = None
    no_ask_dollars: Decimal | None = None
    last_price_dollars: Decimal | None = None
    volume_fp: Decimal | None = None
    volume_24h_fp: Decimal | None = None
    result: str | None = None
    can_close_early: bool | None = None
    open_interest_fp: Decimal | None = None
    notional_value_dollars: Decimal | None = None
    previous_yes_bid_dollars: Decimal | None = None
    previous_yes_ask_dollars: Decimal | None = None
    previous_price_dollars: Decimal | None = None
    settlement_value_dollars: Decimal | None = None
    settlement_ts: Time | None = None
    settlement_bounds_type: str | None = None
    settlement_floor_dollars: Decimal | None = None
    expiration_value: str | None = None
    occurrence_datetime: Time | None = None
    fee_waiver_expiration_time: Time | None = None
    early_close_condition: str | None = None
    strike_type: str | None = None
    floor_strike: Decimal | None = None
    cap_strike: Decimal | None = None
    functional_strike: str | None = None
    custom_strike: dict[str, Any] | None = None
    rules_primary: str | None = None
    rules_secondary: str | None = None
    mve_collection_ticker: str | None = None
    mve_selected_legs: tuple[MveSelectedLeg, ...] | None = None
    primary_participant_key: str | None = None
    price_level_structure: str | None = None
    price_ranges: tuple[PriceRange, ...] | None = None
    is_provisional: bool | None = None
    exchange_index: int | None = None


class SettlementSource(Shape, frozen=True, kw_only=True):
    """Who says how it ended."""

    optional = _names("name url")

    name: str | None = None
    url: str | None = None


class Event(Shape, frozen=True, kw_only=True):
    """One occasion and its markets; those stay in the raw row, see `nested_markets`."""

    identity = _names("event_ticker")
    optional = _names(
        """category strike_date strike_period product_metadata last_updated_ts fee_type_override
        fee_multiplier_override exchange_index"""
    )
    legacy = _names("available_on_brokers")
    kept_raw = _names("markets")

    event_ticker: Text
    series_ticker: str | None = None
    sub_title: str | None = None
    title: str | None = None
    collateral_return_type: str | None = None
    mutually_exclusive: bool | None = None
    category: str | None = None
    strike_date: Time | None = None
    strike_period: str | None = None
    product_metadata: dict[str, Any] | None = None
    settlement_sources: tuple[SettlementSource, ...] | None = None
    last_updated_ts: Time | None = None
    fee_type_override: str | None = None
    fee_multiplier_override: Decimal | None = None
    exchange_index: int | None = None


class Series(Shape, frozen=True, kw_only=True):
    """A family of questions; `exchange_index` is only where its next events will live."""

    identity = _names("ticker")
    optional = _names("product_metadata volume_fp last_updated_ts exchange_index")
    legacy = _names("volume")

    ticker: Text
    frequency: str | None = None
    title: str | None = None
    category: str | None = None
    categories: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    settlement_sources: tuple[SettlementSource, ...] | None = None
    contract_url: str | None = None
    contract_terms_url: str | None = None
    product_metadata: dict[str, Any] | None = None
    fee_type: str | None = None
    fee_multiplier: Decimal | None = None
    additional_prohibitions: tuple[str, ...] | None = None
    volume_fp: Decimal | None = None
    last_updated_ts: Time | None = None
    exchange_index: int | None = None


class Trade(Shape, frozen=True, kw_only=True):
    """One public print."""

    identity = _names("trade_id ticker")
    optional = _names("taker_side")
    legacy = _names("count price yes_price no_price")
    formerly: ClassVar[dict[str, tuple[str, Unit]]] = {
        "count_fp": ("count", "count"),
        "yes_price_dollars": ("yes_price", "dollars"),
        "no_price_dollars": ("no_price", "dollars"),
    }

    trade_id: Text
    ticker: Text
    count_fp: Decimal | None = None
    yes_price_dollars: Decimal | None = None
    no_price_dollars: Decimal | None = None
    taker_side: str | None = None
    taker_outcome_side: str | None = None
    taker_book_side: str | None = None
    created_time: Time | None = None
    is_block_trade: bool | None = None


Level = tuple[Decimal, Decimal]


class OrderbookFp(Shape, frozen=True, kw_only=True):
    """Bids of both outcomes, each in its own price, as [price, count], best last.

    A side or level we cannot read makes the whole book unusable: a book with a hole is wrong.
    """

    identity = _names("yes_dollars no_dollars")
    legacy = _names("yes no")

    yes_dollars: tuple[Level, ...]
    no_dollars: tuple[Level, ...]

    def __post_init__(self) -> None:
        refuse_unplain([*chain(*self.yes_dollars, *self.no_dollars)])

    def in_order(self) -> "OrderbookFp":
        """The same with each side ascending, as the exchange means to send it."""
        return OrderbookFp(
            yes_dollars=tuple(sorted(self.yes_dollars)), no_dollars=tuple(sorted(self.no_dollars))
        )


class BidAsk(Shape, frozen=True, kw_only=True):
    """How one side of the quote moved in a candle's time."""

    legacy = _names("open low high close")
    formerly: ClassVar[dict[str, tuple[str, Unit]]] = {
        "open_dollars": ("open", "dollars"),
        "low_dollars": ("low", "dollars"),
        "high_dollars": ("high", "dollars"),
        "close_dollars": ("close", "dollars"),
    }

    # Required, so that a candle of the archive, which names them otherwise, is seen to be one.
    open_dollars: Decimal | None
    low_dollars: Decimal | None
    high_dollars: Decimal | None
    close_dollars: Decimal | None

    def __post_init__(self) -> None:
        self.check()


class PriceMoves(Shape, frozen=True, kw_only=True):
    """How the traded price moved; all None when nothing was traded, but for the previous one."""

    optional = _names(
        """open_dollars low_dollars high_dollars close_dollars mean_dollars previous_dollars
        min_dollars max_dollars"""
    )
    legacy = _names("open low high close mean previous min max")
    formerly: ClassVar[dict[str, tuple[str, Unit]]] = {
        "open_dollars": ("open", "dollars"),
        "low_dollars": ("low", "dollars"),
        "high_dollars": ("high", "dollars"),
        "close_dollars": ("close", "dollars"),
        "mean_dollars": ("mean", "dollars"),
        "previous_dollars": ("previous", "dollars"),
        "min_dollars": ("min", "dollars"),
        "max_dollars": ("max", "dollars"),
    }

    open_dollars: Decimal | None = None
    low_dollars: Decimal | None = None
    high_dollars: Decimal | None = None
    close_dollars: Decimal | None = None
    mean_dollars: Decimal | None = None
    previous_dollars: Decimal | None = None
    min_dollars: Decimal | None = None
    max_dollars: Decimal | None = None

    def __post_init__(self) -> None:
        self.check()


class Candle(Shape, frozen=True, kw_only=True):
    """A minute, an hour or a day of one market, of the live tier or the archive alike."""

    identity = _names("end_period_ts")
    legacy = _names("volume open_interest")
    formerly: ClassVar[dict[str, tuple[str, Unit]]] = {
        "volume_fp": ("volume", "count"),
        "open_interest_fp": ("open_interest", "count"),
    }

    end_period_ts: int
    yes_bid: BidAsk | None = None
    yes_ask: BidAsk | None = None
    price: PriceMoves | None = None
    volume_fp: Decimal | None = None
    open_interest_fp: Decimal | None = None

    @property
    def ends_at(self) -> datetime:
        """The last second it counts."""
        return datetime.fromtimestamp(self.end_period_ts, UTC)


class ExchangeIndexStatus(Shape, frozen=True, kw_only=True):
    """Whether one shard of the exchange is open."""

    identity = _names("exchange_index")

    exchange_index: int
    description: str | None = None
    exchange_active: bool | None = None
    trading_active: bool | None = None
    intra_exchange_transfers_active: bool | None = None


class ExchangeStatus(Shape, frozen=True, kw_only=True):
    """Whether the exchange is open; the flags at the top speak of shard 0 only."""

    identity = _names("exchange_active trading_active")
    optional = _names(
        """intra_exchange_transfers_active exchange_estimated_resume_time
        exchange_index_statuses"""
    )

    exchange_active: bool
    trading_active: bool
    intra_exchange_transfers_active: bool | None = None
    exchange_estimated_resume_time: Time | None = None
    exchange_index_statuses: tuple[ExchangeIndexStatus, ...] | None = None


class DailySchedule(Shape, frozen=True, kw_only=True):
    """One session, HH:MM in Eastern Time; 00:00 to 00:00 is the whole day."""

    identity = _names("open_time close_time")

    open_time: str
    close_time: str


class WeeklySchedule(Shape, frozen=True, kw_only=True):
    """The sessions of a week, for as long as this one holds."""

    start_time: Time | None = None
    end_time: Time | None = None
    monday: tuple[DailySchedule, ...] | None = None
    tuesday: tuple[DailySchedule, ...] | None = None
    wednesday: tuple[DailySchedule, ...] | None = None
    thursday: tuple[DailySchedule, ...] | None = None
    friday: tuple[DailySchedule, ...] | None = None
    saturday: tuple[DailySchedule, ...] | None = None
    sunday: tuple[DailySchedule, ...] | None = None


class MaintenanceWindow(Shape, frozen=True, kw_only=True):
    """When the exchange will be closed."""

    identity = _names("start_datetime end_datetime")

    start_datetime: Time
    end_datetime: Time


class Schedule(Shape, frozen=True, kw_only=True):
    """When the exchange is open."""

    standard_hours: tuple[WeeklySchedule, ...] | None = None
    maintenance_windows: tuple[MaintenanceWindow, ...] | None = None


class BucketLimit(Shape, frozen=True, kw_only=True):
    """The size of one token bucket."""

    refill_rate: int | None = None
    bucket_capacity: int | None = None


class ApiUsageLevelGrant(Shape, frozen=True, kw_only=True):
    """Why the account has its tier."""

    optional = _names("expires_ts")

    exchange_instance: str | None = None
    level: str | None = None
    expires_ts: int | None = None
    source: str | None = None


class AccountLimits(Shape, frozen=True, kw_only=True):
    """What the account may ask per second."""

    usage_tier: str | None = None
    read: BucketLimit | None = None
    write: BucketLimit | None = None
    grants: tuple[ApiUsageLevelGrant, ...] | None = None


class EndpointTokenCost(Shape, frozen=True, kw_only=True):
    """What one operation costs, where it is not the default."""

    identity = _names("method path cost")

    method: str
    path: str
    cost: int


class EndpointCosts(Shape, frozen=True, kw_only=True):
    """What operations cost in tokens."""

    default_cost: int | None = None
    endpoint_costs: tuple[EndpointTokenCost, ...] | None = None


class HistoricalCutoff(Shape, frozen=True, kw_only=True):
    """What is older lives in the archive."""

    optional = _names("market_positions_last_updated_ts")

    market_settled_ts: Time | None = None
    trades_created_ts: Time | None = None
    orders_updated_ts: Time | None = None
    market_positions_last_updated_ts: Time | None = None


class _Nested(msgspec.Struct):
    markets: list[msgspec.Raw] | None = None


def nested_markets(event: bytes | msgspec.Raw) -> Sequence[msgspec.Raw]:
    """The markets inside an event's raw row, each with its own text; none if it carries none."""
    try:
        return msgspec.json.decode(event, type=_Nested).markets or ()
    except msgspec.DecodeError:
        return ()
