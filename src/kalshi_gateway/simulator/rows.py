"""A member's rows: fills, orders, settlements, payments and transfers, as the exchange sends them.

Counts are in hundredths, prices in ten-thousandths of a dollar, all other money in millionths.
"""

from typing import Any, Literal

import msgspec

from . import times
from .holdings import Holding
from .prices import DOLLAR, contracts, dollars, four_decimals, six_decimals
from .shelves import Place

OrderStatus = Literal["resting", "canceled", "executed"]
PaymentStatus = Literal["pending", "applied", "failed", "returned"]
PaymentType = Literal["ach", "wire", "crypto", "debit", "apm"]


class Fill(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A member's half of a trade; its id is the public trade's."""

    fill_id: str
    order_id: str
    ticker: str
    shard: int
    subaccount: int
    bid: bool
    price: int
    count: int
    fee: int
    taker: bool
    at_us: int
    recorded: bytes | None = None

    def row(self) -> dict[str, Any]:
        """As sent; `action` and `side` are the old words, with the exchange's own confusion.

        Asks say `sell` and `no` at once (production, 2026-07).
        """
        side = "yes" if self.bid else "no"
        return {
            "action": "buy" if self.bid else "sell",
            "book_side": "bid" if self.bid else "ask",
            "count_fp": contracts(self.count),
            "created_time": times.rfc3339(self.at_us),
            "exchange_index": self.shard,
            "fee_cost": six_decimals(self.fee),
            "fill_id": self.fill_id,
            "is_taker": self.taker,
            "market_ticker": self.ticker,
            "no_price_dollars": dollars(DOLLAR - self.price),
            "order_id": self.order_id,
            "outcome_side": side,
            "side": side,
            "subaccount_number": self.subaccount,
            "ticker": self.ticker,
            "trade_id": self.fill_id,
            "ts": self.at_us // times.SECOND,
            "yes_price_dollars": dollars(self.price),
        }


class Order(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An order as it stands; a changed one is another."""

    order_id: str
    user_id: str
    client_order_id: str
    ticker: str
    event_ticker: str
    shard: int
    subaccount: int
    bid: bool
    price: int
    initial: int
    remaining: int
    created_us: int
    updated_us: int
    status: OrderStatus = "resting"
    filled: int = 0
    taker_cost: int = 0
    maker_cost: int = 0
    taker_fees: int = 0
    maker_fees: int = 0
    # Fees rounded up and not yet given back; taker's and maker's fills share it.
    saved: int = 0
    self_trade_prevention: str = "taker_at_cross"
    expires_us: int | None = None
    cancel_on_pause: bool = False
    order_group_id: str | None = None
    reason: str | None = None
    recorded: bytes | None = None

    def place(self) -> Place:
        """Where it is listed: newest first (demo, 2026-06)."""
        return -self.created_us, self.order_id

    def after(
        self, count: int, price: int, fee: int, saved: int, at_us: int, *, taker: bool
    ) -> "Order":
        """The order after a fill."""
        left = self.remaining - count
        cost = count * (price if self.bid else DOLLAR - price)
        return msgspec.structs.replace(
            self,
            remaining=left,
            filled=self.filled + count,
            status="resting" if left else "executed",
            taker_cost=self.taker_cost + (cost if taker else 0),
            maker_cost=self.maker_cost + (0 if taker else cost),
            taker_fees=self.taker_fees + (fee if taker else 0),
            maker_fees=self.maker_fees + (0 if taker else fee),
            saved=saved,
            reason="Trade",
            updated_us=at_us,
            recorded=None,
        )

    def canceled(self, reason: str | None, at_us: int) -> "Order":
        """The order taken from the book; nothing of it remains, and `initial` does not tell."""
        return msgspec.structs.replace(
            self, status="canceled", remaining=0, reason=reason, updated_us=at_us, recorded=None
        )

    def row(self) -> dict[str, Any]:
        """As sent; what is not set is left out (demo, 2026-06)."""
        row: dict[str, Any] = {
            "action": "buy" if self.bid else "sell",
            "book_side": "bid" if self.bid else "ask",
            "client_order_id": self.client_order_id,
            "created_time": times.rfc3339(self.created_us),
            "exchange_index": self.shard,
            "fill_count_fp": contracts(self.filled),
            "initial_count_fp": contracts(self.initial),
            "last_update_time": times.rfc3339(self.updated_us),
            "maker_fees_dollars": six_decimals(self.maker_fees),
            "maker_fill_cost_dollars": six_decimals(self.maker_cost),
            "no_price_dollars": dollars(DOLLAR - self.price),
            "order_id": self.order_id,
            "outcome_side": "yes" if self.bid else "no",
            "remaining_count_fp": contracts(self.remaining),
            "self_trade_prevention_type": self.self_trade_prevention,
            # Orders of the second version are all told in YES.
            "side": "yes",
            "status": self.status,
            "subaccount_number": self.subaccount,
            "taker_fees_dollars": six_decimals(self.taker_fees),
            "taker_fill_cost_dollars": six_decimals(self.taker_cost),
            "ticker": self.ticker,
            "type": "limit",
            "user_id": self.user_id,
            "yes_price_dollars": dollars(self.price),
        }
        if self.expires_us is not None:
            row["expiration_time"] = times.rfc3339(self.expires_us)
        if self.cancel_on_pause:
            row["cancel_order_on_pause"] = True
        if self.order_group_id is not None:
            row["order_group_id"] = self.order_group_id
        return row


class Settlement(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a market paid a member; the counts and costs are of his whole life in it."""

    holding: Holding  # after it was paid
    subaccount: int
    result: str
    value: int  # of YES, in ten-thousandths
    paid: int  # before what rounding kept
    at_us: int
    recorded: bytes | None = None

    def place(self) -> Place:
        """Where it is listed: newest first."""
        return -self.at_us, f"{self.holding.ticker} {self.subaccount}"

    def row(self) -> dict[str, Any]:
        """As sent; `revenue` and `value` are whole cents and cannot say more."""
        held = self.holding
        return {
            "event_ticker": held.event_ticker,
            "exchange_index": held.shard,
            "fee_cost": six_decimals(held.fees),
            "market_result": self.result,
            "no_count_fp": contracts(held.bought_no),
            "no_total_cost_dollars": six_decimals(held.spent_no),
            "revenue": self.paid // 10_000,
            "settled_time": times.rfc3339(self.at_us),
            "ticker": held.ticker,
            "value": self.value // 100,
            "yes_count_fp": contracts(held.bought_yes),
            "yes_total_cost_dollars": six_decimals(held.spent_yes),
        }


class Payment(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Money that comes from, or goes to, a member's bank."""

    payment_id: str
    deposit: bool
    status: PaymentStatus
    type: PaymentType
    amount_cents: int
    fee_cents: int
    created_us: int
    finalized_us: int | None

    def place(self) -> Place:
        """Where it is listed: newest first."""
        return -self.created_us, self.payment_id

    def row(self) -> dict[str, Any]:
        """As sent."""
        row = {
            "amount_cents": self.amount_cents,
            "created_ts": self.created_us // times.SECOND,
            "fee_cents": self.fee_cents,
            "id": self.payment_id,
            "status": self.status,
            "type": self.type,
        }
        if self.finalized_us is not None:
            row["finalized_ts"] = self.finalized_us // times.SECOND
        return row


class Transfer(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Money moved between a member's own subaccounts, or between shards."""

    transfer_id: str
    amount: int
    from_subaccount: int
    to_subaccount: int
    from_shard: int
    to_shard: int
    at_us: int

    def place(self) -> Place:
        """Where it is listed: newest first."""
        return -self.at_us, self.transfer_id

    @property
    def between_shards(self) -> bool:
        """Whether it is listed with the transfers between shards."""
        return self.from_shard != self.to_shard

    def row(self) -> dict[str, Any]:
        """As sent, in one of two shapes."""
        if self.between_shards:
            return {
                "amount": four_decimals(self.amount),
                "created_ts": self.at_us // times.SECOND,
                "destination": "event_contract",
                "destination_exchange_shard": self.to_shard,
                "source": "event_contract",
                "source_exchange_shard": self.from_shard,
                "status": "complete",
                "transfer_id": self.transfer_id,
            }
        return {
            "amount_cents": self.amount // 10_000,
            "created_ts": self.at_us // times.SECOND,
            "exchange_index": self.from_shard,
            "from_subaccount": self.from_subaccount,
            "to_subaccount": self.to_subaccount,
            "transfer_id": self.transfer_id,
        }
