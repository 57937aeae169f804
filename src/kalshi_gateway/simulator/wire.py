"""Rows as the exchange sends them, field for field, keys in its alphabetical order."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

ABSENT = UNSET
encode = msgspec.json.Encoder().encode


class PriceRange(msgspec.Struct, frozen=True, gc=False):
    """A band of prices and the step inside it."""

    end: str
    start: str
    step: str


class Market(msgspec.Struct, kw_only=True, gc=False):
    """One market (docs.kalshi.com/api-reference/market/get-market, 3.34.0)."""

    can_close_early: bool = True
    cap_strike: int | float | UnsetType = UNSET
    close_time: str
    created_time: str
    custom_strike: dict[str, str] | UnsetType = UNSET
    early_close_condition: str | UnsetType = UNSET
    event_ticker: str
    exchange_index: int = 0
    expected_expiration_time: str | UnsetType = UNSET
    expiration_time: str | UnsetType = UNSET
    expiration_value: str = ""
    fee_waiver_expiration_time: str | UnsetType = UNSET
    floor_strike: int | float | UnsetType = UNSET
    functional_strike: str | UnsetType = UNSET
    is_provisional: bool | UnsetType = UNSET
    last_price_dollars: str = "0.0000"
    latest_expiration_time: str
    market_type: str = "binary"
    mve_collection_ticker: str | UnsetType = UNSET
    mve_selected_legs: list[dict[str, str]] | UnsetType = UNSET
    no_ask_dollars: str = "1.0000"
    no_bid_dollars: str = "0.0000"
    no_sub_title: str = ""
    notional_value_dollars: str = "1.0000"
    occurrence_datetime: str | UnsetType = UNSET
    open_interest_fp: str = "0.00"
    open_time: str
    previous_price_dollars: str = "0.0000"
    previous_yes_ask_dollars: str = "0.0000"
    previous_yes_bid_dollars: str = "0.0000"
    price_level_structure: str = "linear_cent"
    price_ranges: tuple[PriceRange, ...]
    primary_participant_key: str | UnsetType = UNSET
    result: str = ""
    rules_primary: str = ""
    rules_secondary: str = ""
    settlement_bounds_type: str = "default"
    settlement_floor_dollars: str | UnsetType = UNSET
    settlement_timer_seconds: int = 60
    settlement_ts: str | UnsetType = UNSET
    settlement_value_dollars: str | UnsetType = UNSET
    status: str = "active"
    strike_type: str | UnsetType = UNSET
    subtitle: str | UnsetType = UNSET
    ticker: str
    title: str | UnsetType = UNSET
    updated_time: str
    volume_24h_fp: str = "0.00"
    volume_fp: str = "0.00"
    yes_ask_dollars: str = "1.0000"
    yes_ask_size_fp: str = "0.00"
    yes_bid_dollars: str = "0.0000"
    yes_bid_size_fp: str = "0.00"
    yes_sub_title: str = ""


class Event(msgspec.Struct, kw_only=True, gc=False):
    """One event (docs.kalshi.com/api-reference/events/get-event)."""

    category: str | UnsetType = UNSET
    collateral_return_type: str = ""
    event_ticker: str
    exchange_index: int = 0
    fee_multiplier_override: float | UnsetType = UNSET
    fee_type_override: str | UnsetType = UNSET
    last_updated_ts: str | UnsetType = UNSET
    mutually_exclusive: bool = False
    product_metadata: dict[str, Any] | UnsetType = UNSET
    series_ticker: str
    settlement_sources: list[dict[str, str]] | None = None
    strike_date: str | UnsetType = UNSET
    strike_period: str | UnsetType = UNSET
    sub_title: str = ""
    title: str = ""


class Series(msgspec.Struct, kw_only=True, gc=False):
    """One series (docs.kalshi.com/api-reference/market/get-series)."""

    additional_prohibitions: list[str] | None = None
    categories: list[str] = msgspec.field(default_factory=list)
    category: str
    contract_terms_url: str = ""
    contract_url: str = ""
    exchange_index: int = 0
    fee_multiplier: int | float = 1
    fee_type: str = "quadratic"
    frequency: str = "custom"
    last_updated_ts: str | UnsetType = UNSET
    product_metadata: dict[str, Any] | UnsetType = UNSET
    settlement_sources: list[dict[str, str]] | None = None
    tags: list[str] | None = None
    ticker: str
    title: str = ""


def plain(row: msgspec.Struct) -> dict[str, Any]:
    """A row's present fields by name."""
    return {
        name: value for name in row.__struct_fields__ if (value := getattr(row, name)) is not UNSET
    }
