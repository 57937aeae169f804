"""The exchange's shapes of what one member has, field for field; unknown is None.

docs.kalshi.com/api-reference, version 3.34.0. What ends in `_dollars` or `_fp` is exact; a few
sums are still whole cents, and say so in their names or in a comment here.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar

from .reading import Shape, Unit
from .wire import Text, Time


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


class IndexedBalance(Shape, frozen=True, kw_only=True):
    """The part of a sum that lies on one shard."""

    identity = _names("exchange_index balance")

    exchange_index: int
    balance: Decimal

    def __post_init__(self) -> None:
        self.check()


class Balance(Shape, frozen=True, kw_only=True):
    """Money free to use; `balance` is the same in whole cents, cut off."""

    identity = _names("balance_dollars")
    optional = _names("balance_breakdown")
    formerly: ClassVar[dict[str, tuple[str, Unit]]] = {"balance_dollars": ("balance", "dollars")}

    balance_dollars: Decimal
    balance: int | None = None
    portfolio_value: int | None = None  # cents
    updated_ts: int | None = None
    balance_breakdown: tuple[IndexedBalance, ...] | None = None


class MarketPosition(Shape, frozen=True, kw_only=True):
    """Contracts in one market, YES above zero and NO below; it names no subaccount."""

    identity = _names("ticker position_fp")
    legacy = _names(
        "position market_exposure realized_pnl fees_paid total_traded resting_orders_count"
    )
    formerly: ClassVar[dict[str, tuple[str, Unit]]] = {
        "position_fp": ("position", "count"),
        "market_exposure_dollars": ("market_exposure", "dollars"),
        "realized_pnl_dollars": ("realized_pnl", "dollars"),
        "fees_paid_dollars": ("fees_paid", "dollars"),
        "total_traded_dollars": ("total_traded", "dollars"),
    }

    ticker: Text
    position_fp: Decimal
    exchange_index: int | None = None
    total_traded_dollars: Decimal | None = None
    market_exposure_dollars: Decimal | None = None
    realized_pnl_dollars: Decimal | None = None
    fees_paid_dollars: Decimal | None = None
    last_updated_ts: Time | None = None


class Fill(Shape, frozen=True, kw_only=True):
    """What an order got at one price.

    `side` and `action` are known and not read: sales of NO come with both meanings
    (docs.kalshi.com/getting_started/order_direction against what production sends, 2026-07).
    """

    identity = _names("fill_id ticker")
    optional = _names("created_time subaccount_number ts")
    legacy = _names("count price yes_price no_price yes_price_fixed no_price_fixed client_order_id")
    kept_raw = _names("side action trade_id market_ticker")
    formerly: ClassVar[dict[str, tuple[str, Unit]]] = {
        "count_fp": ("count", "count"),
        "yes_price_dollars": ("yes_price_fixed", "dollars"),
        "no_price_dollars": ("no_price_fixed", "dollars"),
    }

    fill_id: Text
    ticker: Text
    exchange_index: int | None = None
    order_id: str | None = None
    outcome_side: str | None = None
    book_side: str | None = None
    count_fp: Decimal | None = None
    yes_price_dollars: Decimal | None = None
    no_price_dollars: Decimal | None = None
    is_taker: bool | None = None
    created_time: Time | None = None
    fee_cost: Decimal | None = None  # dollars
    subaccount_number: int | None = None
    ts: int | None = None

    @property
    def filled_at(self) -> datetime | None:
        """When it happened, as finely as is known."""
        return self.created_time or moment_of(self.ts)


class Order(Shape, frozen=True, kw_only=True):
    """What was asked for, and what became of it; the price is the limit, not what was paid."""

    identity = _names("order_id ticker")
    optional = _names(
        """expiration_time created_time last_update_time self_trade_prevention_type order_group_id
        cancel_order_on_pause subaccount_number exchange_index"""
    )
    legacy = _names(
        """yes_price no_price fill_count remaining_count initial_count queue_position taker_fees
        maker_fees taker_fill_cost maker_fill_cost"""
    )
    kept_raw = _names("side action")
    formerly: ClassVar[dict[str, tuple[str, Unit]]] = {
        "yes_price_dollars": ("yes_price", "dollars"),
        "no_price_dollars": ("no_price", "dollars"),
        "fill_count_fp": ("fill_count", "count"),
        "remaining_count_fp": ("remaining_count", "count"),
        "initial_count_fp": ("initial_count", "count"),
        "taker_fees_dollars": ("taker_fees", "dollars"),
        "maker_fees_dollars": ("maker_fees", "dollars"),
        "taker_fill_cost_dollars": ("taker_fill_cost", "dollars"),
        "maker_fill_cost_dollars": ("maker_fill_cost", "dollars"),
    }

    order_id: Text
    ticker: Text
    user_id: str | None = None
    client_order_id: str | None = None
    outcome_side: str | None = None
    book_side: str | None = None
    type: str | None = None
    status: str | None = None
    yes_price_dollars: Decimal | None = None
    no_price_dollars: Decimal | None = None
    fill_count_fp: Decimal | None = None
    remaining_count_fp: Decimal | None = None
    initial_count_fp: Decimal | None = None
    taker_fill_cost_dollars: Decimal | None = None
    maker_fill_cost_dollars: Decimal | None = None
    taker_fees_dollars: Decimal | None = None
    maker_fees_dollars: Decimal | None = None
    expiration_time: Time | None = None
    created_time: Time | None = None
    last_update_time: Time | None = None
    self_trade_prevention_type: str | None = None
    order_group_id: str | None = None
    cancel_order_on_pause: bool | None = None
    subaccount_number: int | None = None
    exchange_index: int | None = None


class Settlement(Shape, frozen=True, kw_only=True):
    """What a market paid; counts, costs and fees are of its whole life, not of what was held."""

    identity = _names("ticker")
    optional = _names("value")
    legacy = _names("yes_count no_count yes_total_cost no_total_cost")
    formerly: ClassVar[dict[str, tuple[str, Unit]]] = {
        "yes_count_fp": ("yes_count", "count"),
        "no_count_fp": ("no_count", "count"),
        "yes_total_cost_dollars": ("yes_total_cost", "dollars"),
        "no_total_cost_dollars": ("no_total_cost", "dollars"),
    }

    ticker: Text
    exchange_index: int | None = None
    event_ticker: str | None = None
    market_result: str | None = None
    yes_count_fp: Decimal | None = None
    yes_total_cost_dollars: Decimal | None = None
    no_count_fp: Decimal | None = None
    no_total_cost_dollars: Decimal | None = None
    revenue: int | None = None  # cents, for the contracts held at the end
    settled_time: Time | None = None
    fee_cost: Decimal | None = None  # dollars
    value: int | None = None  # cents of one YES contract; cannot say parts of a cent


class Payment(Shape, frozen=True, kw_only=True):
    """A deposit or a withdrawal."""

    identity = _names("id")
    optional = _names("finalized_ts")

    id: Text
    status: str | None = None
    type: str | None = None
    amount_cents: int | None = None
    fee_cents: int | None = None
    created_ts: int | None = None
    finalized_ts: int | None = None


class SubaccountBalance(Shape, frozen=True, kw_only=True):
    """What one subaccount has on one shard."""

    identity = _names("subaccount_number balance")

    subaccount_number: int
    balance: Decimal
    exchange_index: int | None = None
    updated_ts: int | None = None


class SubaccountTransfer(Shape, frozen=True, kw_only=True):
    """Money that went from one subaccount to another."""

    identity = _names("transfer_id")

    transfer_id: Text
    from_subaccount: int | None = None
    to_subaccount: int | None = None
    amount_cents: int | None = None
    created_ts: int | None = None
    exchange_index: int | None = None


class ShardTransfer(Shape, frozen=True, kw_only=True):
    """Money that went from one shard, or exchange instance, to another."""

    identity = _names("transfer_id")
    optional = _names("client_transfer_id")

    transfer_id: Text
    client_transfer_id: str | None = None
    source: str | None = None
    destination: str | None = None
    source_exchange_shard: int | None = None
    destination_exchange_shard: int | None = None
    amount: Decimal | None = None  # dollars
    status: str | None = None
    created_ts: int | None = None


class UserDataTimestamp(Shape, frozen=True, kw_only=True):
    """Up to when balance, orders, fills and positions are current."""

    identity = _names("as_of_time")

    as_of_time: Time


class ApiKey(Shape, frozen=True, kw_only=True):
    """One of the member's keys, as the exchange lists it."""

    identity = _names("api_key_id")
    optional = _names("subaccount fcm_subtrader_id")

    api_key_id: Text
    name: str | None = None
    scopes: tuple[str, ...] | None = None
    subaccount: int | None = None
    fcm_subtrader_id: str | None = None

    def __post_init__(self) -> None:
        self.check()


class ApiKeys(Shape, frozen=True, kw_only=True):
    """The member's keys, and until when they may trade without a new word on where he is."""

    identity = _names("api_keys")
    optional = _names("api_key_region_expiration_ts")

    api_keys: tuple[ApiKey, ...]
    api_key_region_expiration_ts: int | None = None


def moment_of(seconds: int | None) -> datetime | None:
    """Unix seconds as a moment; what no calendar holds is unknown."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
