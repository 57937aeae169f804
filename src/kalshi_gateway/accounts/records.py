"""What the exchange has recorded of a user: fills, orders, settlements, transfers."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from kalshi_gateway.kalshi import portfolio_wire as wire
from kalshi_gateway.units import Contracts, Dollars, Moment, Price, moment

from . import ledger, settling
from .account import cents, moment_of
from .book import known, side_of
from .marks import Side

TransferKind = Literal["deposit", "withdrawal", "subaccount", "shard"]

#: The exchange instance all of this is about; perpetuals are another one.
OURS = "event_contract"

_Outcome = Annotated[
    str | None,
    Field(description="yes or no: which outcome it bought; to sell one is to buy the other."),
]
_BookSide = Annotated[
    str | None, Field(description="The same on the one book: bid for yes, ask for no.")
]


@dataclass(frozen=True, slots=True)
class Fill:
    """What an order got at one price."""

    fill_id: str
    order_id: str | None
    ticker: str
    outcome_side: _Outcome
    book_side: _BookSide
    count: Contracts | None
    yes_price: Price | None
    no_price: Price | None
    fee: Dollars | None
    is_taker: bool | None
    created_time: Moment | None
    subaccount: int | None
    exchange_index: int | None


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for, and what became of it; the price is the limit, not what was paid."""

    order_id: str
    client_order_id: str | None
    ticker: str
    outcome_side: _Outcome
    book_side: _BookSide
    status: Annotated[str | None, Field(description="resting, canceled or executed.")]
    yes_price: Price | None
    no_price: Price | None
    initial_count: Contracts | None
    fill_count: Contracts | None
    remaining_count: Annotated[
        Contracts | None, Field(description="What still rests; 0 once cancelled.")
    ]
    fill_cost: Annotated[Dollars | None, Field(description="As the exchange tells it.")]
    fees: Dollars | None
    created_time: Moment | None
    last_update_time: Moment | None
    expiration_time: Moment | None
    order_group_id: str | None
    subaccount: int | None
    exchange_index: int | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a market paid; bought counts, costs and fees are of its whole life."""

    ticker: str
    event_ticker: str | None
    result: Annotated[str | None, Field(description="yes, no or scalar.")]
    settlement_value: Annotated[
        Price | None, Field(description="What one YES contract got; null if not exactly known.")
    ]
    side: Annotated[Side | None, Field(description="What was held at the end.")]
    contracts: Annotated[Contracts | None, Field(description="How many of it.")]
    revenue: Annotated[Dollars | None, Field(description="What those brought.")]
    yes_bought: Contracts | None
    yes_cost: Dollars | None
    no_bought: Contracts | None
    no_cost: Dollars | None
    fees_paid: Dollars | None
    realized_gross: Annotated[
        Dollars | None, Field(description="What the market brought in all its life, before fees.")
    ]
    realized_net: Annotated[Dollars | None, Field(description="The same less fees.")]
    settled_time: Moment | None
    subaccount: int | None
    exchange_index: int | None


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money that came, went, or moved within the account."""

    transfer_id: str
    kind: TransferKind
    status: Annotated[
        str | None, Field(description="The exchange's word; `applied` and `complete` are done.")
    ]
    method: Annotated[
        str | None, Field(description="ach, wire, crypto, debit or apm; or the other product.")
    ]
    amount: Dollars | None
    fee: Dollars | None
    from_subaccount: int | None
    to_subaccount: int | None
    from_shard: int | None
    to_shard: int | None
    created_time: Moment | None
    finalized_time: Moment | None


def fill(row: wire.Fill) -> Fill:
    """The exchange's row as ours."""
    return Fill(
        fill_id=row.fill_id,
        order_id=row.order_id,
        ticker=row.ticker,
        outcome_side=row.outcome_side,
        book_side=row.book_side,
        count=row.count_fp,
        yes_price=row.yes_price_dollars,
        no_price=row.no_price_dollars,
        fee=row.fee_cost,
        is_taker=row.is_taker,
        created_time=moment(row.filled_at),
        subaccount=row.subaccount_number,
        exchange_index=row.exchange_index,
    )


def order(row: wire.Order) -> Order:
    """The exchange's row as ours."""
    return Order(
        order_id=row.order_id,
        client_order_id=row.client_order_id or None,
        ticker=row.ticker,
        outcome_side=row.outcome_side,
        book_side=row.book_side,
        status=row.status,
        yes_price=row.yes_price_dollars,
        no_price=row.no_price_dollars,
        initial_count=row.initial_count_fp,
        fill_count=row.fill_count_fp,
        remaining_count=row.remaining_count_fp,
        fill_cost=_both(row.taker_fill_cost_dollars, row.maker_fill_cost_dollars),
        fees=_both(row.taker_fees_dollars, row.maker_fees_dollars),
        created_time=moment(row.created_time),
        last_update_time=moment(row.last_update_time),
        expiration_time=moment(row.expiration_time),
        order_group_id=row.order_group_id or None,
        subaccount=row.subaccount_number,
        exchange_index=row.exchange_index,
    )


def settlement(
    row: wire.Settlement, yes_value: Decimal | None = None, subaccount: int | None = None
) -> Settlement:
    """The exchange's row as ours; `yes_value` is the market's `settlement_value_dollars`."""
    paid = ledger.payout(row, yes_value, subaccount)
    gross = known(settling.lifetime(paid))
    held = None
    if row.yes_count_fp is not None and row.no_count_fp is not None:
        held = row.yes_count_fp - row.no_count_fp
    return Settlement(
        ticker=row.ticker,
        event_ticker=row.event_ticker,
        result=row.market_result or None,
        settlement_value=paid.yes_value,
        side=None if held is None else side_of(held),
        contracts=None if held is None else abs(held),
        revenue=paid.revenue,
        yes_bought=row.yes_count_fp,
        yes_cost=row.yes_total_cost_dollars,
        no_bought=row.no_count_fp,
        no_cost=row.no_total_cost_dollars,
        fees_paid=row.fee_cost,
        realized_gross=gross,
        realized_net=None if gross is None or row.fee_cost is None else gross - row.fee_cost,
        settled_time=moment(row.settled_time),
        subaccount=subaccount,
        exchange_index=row.exchange_index,
    )


def deposit(row: wire.Payment) -> Transfer:
    """Money from outside; it arrives in the primary subaccount."""
    return _payment(row, "deposit")


def withdrawal(row: wire.Payment) -> Transfer:
    """Money that left; it leaves the primary subaccount."""
    return _payment(row, "withdrawal")


def subaccount_transfer(row: wire.SubaccountTransfer) -> Transfer:
    """Money from one subaccount to another; it has been done when it is listed."""
    return Transfer(
        transfer_id=row.transfer_id,
        kind="subaccount",
        status="complete",
        method=None,
        amount=cents(row.amount_cents),
        fee=None,
        from_subaccount=row.from_subaccount,
        to_subaccount=row.to_subaccount,
        from_shard=row.exchange_index,
        to_shard=row.exchange_index,
        created_time=moment_of(row.created_ts),
        finalized_time=moment_of(row.created_ts),
    )


def shard_transfer(row: wire.ShardTransfer) -> Transfer:
    """Money from one shard to another; to or from another product it leaves or comes."""
    kind: TransferKind = "shard"
    if row.source != row.destination:
        kind = "deposit" if row.destination == OURS else "withdrawal"
    return Transfer(
        transfer_id=row.transfer_id,
        kind=kind,
        status=row.status,
        method={"deposit": row.source, "withdrawal": row.destination}.get(kind),
        amount=row.amount,
        fee=None,
        from_subaccount=None,
        to_subaccount=None,
        from_shard=row.source_exchange_shard,
        to_shard=row.destination_exchange_shard,
        created_time=moment_of(row.created_ts),
        finalized_time=None,
    )


def _payment(row: wire.Payment, kind: TransferKind) -> Transfer:
    return Transfer(
        transfer_id=row.id,
        kind=kind,
        status=row.status,
        method=row.type,
        amount=cents(row.amount_cents),
        fee=cents(row.fee_cents),
        from_subaccount=0 if kind == "withdrawal" else None,
        to_subaccount=0 if kind == "deposit" else None,
        from_shard=None,
        to_shard=None,
        created_time=moment_of(row.created_ts),
        finalized_time=moment_of(row.finalized_ts),
    )


def _both(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other
