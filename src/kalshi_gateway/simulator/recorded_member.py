"""The member whose account was recorded: his rows as they were, under a key given out later."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import times
from .accounts import Member
from .bank import CENT
from .holdings import Holding
from .prices import DOLLAR, hundredths, millionths, ten_thousandths
from .rows import Fill, Order, Settlement

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
    "settlements": (
        *("yes_count_fp", "no_count_fp", "yes_total_cost_dollars", "no_total_cost_dollars"),
        *("fee_cost", "revenue", "market_result", "settled_time"),
    ),
}


def admit(
    exchange: "Exchange",
    fills: Iterable[Row],
    orders: Iterable[Row],
    positions: Iterable[Row],
    settlements: Iterable[Row],
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
    member.settlements.extend(_settlement(exchange, row, raw) for row, raw in settlements)
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
    negative = row["position_fp"].startswith("-")
    count = hundredths(row["position_fp"].removeprefix("-"))
    spent = millionths(row["total_traded_dollars"])
    return Holding(
        ticker=row["ticker"],
        event_ticker=_event_of(exchange, row["ticker"]),
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


def _settlement(exchange: "Exchange", row: dict[str, Any], raw: bytes) -> Settlement:
    at_us, ticker = times.parse(row["settled_time"]), row["ticker"]
    holding = Holding(
        ticker=ticker,
        event_ticker=row.get("event_ticker") or _event_of(exchange, ticker),
        shard=row.get("exchange_index") or 0,
        fees=millionths(row["fee_cost"]),
        bought_yes=hundredths(row["yes_count_fp"]),
        bought_no=hundredths(row["no_count_fp"]),
        spent_yes=millionths(row["yes_total_cost_dollars"]),
        spent_no=millionths(row["no_total_cost_dollars"]),
        updated_us=at_us,
        settled_us=at_us,
    )
    return Settlement(
        holding=holding,
        subaccount=0,
        result=row["market_result"],
        value=(row.get("value") or 0) * DOLLAR // 100,
        paid=row["revenue"] * CENT,
        at_us=at_us,
        recorded=raw,
    )


def _event_of(exchange: "Exchange", ticker: str) -> str:
    """The event of a market: as it is listed, else as tickers are mostly made."""
    entry = exchange.catalogue.markets.get(ticker)
    return ticker.rpartition("-")[0] if entry is None else entry.event_ticker
