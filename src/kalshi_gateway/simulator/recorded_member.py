"""The member whose account was recorded: his rows as they were, under a key given out later."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import times
from .accounts import Member
from .holdings import Holding
from .prices import hundredths, millionths, ten_thousandths
from .rows import Fill, Order

if TYPE_CHECKING:
    from .exchange import Exchange

Row = tuple[dict[str, Any], bytes]
# What was recorded of an account: the answer's list and what tells its rows apart.
LISTS = {
    "portfolio_fills": ("fills", "fill_id"),
    "portfolio_orders": ("orders", "order_id"),
    "portfolio_positions": ("market_positions", "ticker"),
    "portfolio_settlements": ("settlements", "ticker"),
}
ANSWERS = {
    "portfolio_balance": "GET /portfolio/balance",
    "account_limits": "GET /account/limits",
}
NEEDED = {
    "fills": ("count_fp", "yes_price_dollars", "created_time", "fee_cost"),
    "orders": ("initial_count_fp", "yes_price_dollars", "created_time", "user_id"),
    "market_positions": ("position_fp", "market_exposure_dollars", "last_updated_ts"),
    "settlements": ("yes_count_fp", "settled_time"),
}


def admit(
    exchange: "Exchange",
    fills: Iterable[Row],
    orders: Iterable[Row],
    positions: Iterable[Row],
    answers: dict[str, bytes],
    cash: str,
) -> Member:
    """Make a member of what was recorded; he is called as his orders call him."""
    known = [_order(row, raw) for row, raw in orders]
    member = Member(known[0].user_id if known else "recorded", "recorded")
    for order in known:
        member.orders.set(order.order_id, order, order.updated_us)
        member.placed.add(order.place())
    member.fills.extend(_fill(row, raw) for row, raw in fills)
    for row, raw in positions:
        holding = _holding(exchange, row, raw)
        member.holdings.set((0, holding.ticker), holding, holding.updated_us)
    if cash:
        member.cash.set((0, 0), millionths(cash), 0)
    member.recorded.update(answers)
    return exchange.members.add(member)


def _fill(row: dict[str, Any], raw: bytes) -> Fill:
    return Fill(
        fill_id=row["fill_id"],
        order_id=row["order_id"],
        ticker=row["ticker"],
        shard=row.get("exchange_index") or 0,
        subaccount=row.get("subaccount_number") or 0,
        bid=row["book_side"] == "bid",
        price=ten_thousandths(row["yes_price_dollars"]),
        count=hundredths(row["count_fp"]),
        fee=millionths(row["fee_cost"]),
        taker=row["is_taker"],
        at_us=times.parse(row["created_time"]),
        recorded=raw,
    )


def _order(row: dict[str, Any], raw: bytes) -> Order:
    return Order(
        order_id=row["order_id"],
        user_id=row["user_id"],
        client_order_id=row["client_order_id"],
        ticker=row["ticker"],
        event_ticker=row["ticker"].rpartition("-")[0],
        shard=row.get("exchange_index") or 0,
        subaccount=row.get("subaccount_number") or 0,
        bid=row["book_side"] == "bid",
        price=ten_thousandths(row["yes_price_dollars"]),
        initial=hundredths(row["initial_count_fp"]),
        remaining=hundredths(row["remaining_count_fp"]),
        filled=hundredths(row["fill_count_fp"]),
        status=row["status"],
        taker_cost=millionths(row["taker_fill_cost_dollars"]),
        maker_cost=millionths(row["maker_fill_cost_dollars"]),
        taker_fees=millionths(row["taker_fees_dollars"]),
        maker_fees=millionths(row["maker_fees_dollars"]),
        created_us=times.parse(row["created_time"]),
        updated_us=times.parse(row["last_update_time"]),
        recorded=raw,
    )


def _holding(exchange: "Exchange", row: dict[str, Any], raw: bytes) -> Holding:
    """What can be told of a position from its row alone: all that was spent, on the side held."""
    entry = exchange.catalogue.markets.get(row["ticker"])
    event = row["ticker"].rpartition("-")[0] if entry is None else entry.event_ticker
    negative = row["position_fp"].startswith("-")
    count = hundredths(row["position_fp"].removeprefix("-"))
    spent = millionths(row["total_traded_dollars"])
    return Holding(
        ticker=row["ticker"],
        event_ticker=event,
        shard=row.get("exchange_index") or 0,
        position=-count if negative else count,
        exposure=millionths(row["market_exposure_dollars"]),
        realized=millionths(row["realized_pnl_dollars"]),
        fees=millionths(row["fees_paid_dollars"]),
        bought_yes=0 if negative else count,
        bought_no=count if negative else 0,
        spent_yes=0 if negative else spent,
        spent_no=spent if negative else 0,
        updated_us=times.parse(row["last_updated_ts"]),
        recorded=raw,
    )
