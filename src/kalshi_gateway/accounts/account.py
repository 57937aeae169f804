"""Account: what one user has, as a client sees it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated

from pydantic import Field

from kalshi_gateway.kalshi import portfolio_wire as wire
from kalshi_gateway.units import Contracts, Dollars, Moment, Price, moment

from .book import Book, dollars, known, side_of
from .marks import NO_FACTS, MarketFacts, MarkSource, Side, mark


@dataclass(frozen=True, slots=True)
class ShardBalance:
    """Money free to use on one shard: only that can back an order there."""

    exchange_index: int
    balance: Dollars


@dataclass(frozen=True, slots=True)
class Position:
    """Contracts held in one market; what is not known is null."""

    ticker: str
    event_ticker: str | None
    display_name: str
    side: Annotated[Side, Field(description="Which outcome is held.")]
    contracts: Contracts
    average_price: Annotated[
        Price | None, Field(description="What one contract cost, without fees.")
    ]
    cost: Annotated[Dollars | None, Field(description="What all of them cost, without fees.")]
    mark_price: Annotated[
        Price | None, Field(description="What one contract of this side would bring now.")
    ]
    mark_source: Annotated[
        MarkSource,
        Field(description="The best bid for this side; `last` if nobody bids; `none` if unknown."),
    ]
    market_value: Dollars | None
    unrealized_pnl: Annotated[
        Dollars | None, Field(description="Market value less cost, before fees.")
    ]
    realized_pnl: Annotated[
        Dollars | None,
        Field(
            description="Of what was closed in this market, before fees; "
            "null while our fills do not add up to the position."
        ),
    ]
    exchange_realized_pnl: Annotated[
        Dollars | None, Field(description="The exchange's own figure for the same.")
    ]
    fees_paid: Dollars | None
    close_time: Moment | None
    exchange_index: Annotated[int | None, Field(description="The shard it is held on.")]
    subaccount: Annotated[int, Field(description="0 is the primary one.")]


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the positions; one unknown part makes the sum unknown."""

    cost: Dollars | None
    market_value: Dollars | None
    unrealized_pnl: Dollars | None
    realized_pnl: Dollars | None
    fees_paid: Dollars | None


@dataclass(frozen=True, slots=True)
class Account:
    """Money and positions of one user, as the exchange last told them."""

    user_id: str
    balance: Annotated[Dollars, Field(description="Money free to use, on all shards.")]
    portfolio_value: Annotated[
        Dollars | None, Field(description="What the positions are worth, as the exchange says.")
    ]
    equity: Annotated[Dollars | None, Field(description="Balance and portfolio value together.")]
    balance_by_shard: tuple[ShardBalance, ...]
    positions: tuple[Position, ...]
    totals: Totals


def account(user_id: str, balance: wire.Balance, positions: Sequence[Position]) -> Account:
    """The account out of what the exchange said of its parts."""
    worth = cents(balance.portfolio_value)
    return Account(
        user_id=user_id,
        balance=balance.balance_dollars,
        portfolio_value=worth,
        equity=None if worth is None else balance.balance_dollars + worth,
        balance_by_shard=tuple(
            ShardBalance(part.exchange_index, part.balance)
            for part in balance.balance_breakdown or ()
        ),
        positions=tuple(positions),
        totals=totals(positions),
    )


def position(
    row: wire.MarketPosition,
    book: Book | None,
    facts: MarketFacts = NO_FACTS,
    subaccount: int = 0,
) -> Position | None:
    """The exchange's position with our P&L beside it; None when nothing is held.

    Count, cost and fees are the exchange's own; the book steps in where it agrees on the count.
    """
    side = side_of(row.position_fp)
    if side is None:
        return None
    count = abs(row.position_fp)
    agreeing = book if book is not None and agrees(book, row) else None
    cost = row.market_exposure_dollars
    if cost is None and agreeing is not None:
        cost = dollars(agreeing.cost)
    fees = row.fees_paid_dollars
    if fees is None and agreeing is not None:
        fees = known(agreeing.fees)
    marked = mark(side, facts)
    value = None if marked.price is None else count * marked.price
    return Position(
        ticker=row.ticker,
        event_ticker=facts.event_ticker,
        display_name=facts.display_name or row.ticker,
        side=side,
        contracts=count,
        average_price=None if cost is None else dollars(Fraction(cost) / Fraction(count)),
        cost=cost,
        mark_price=marked.price,
        mark_source=marked.source,
        market_value=value,
        unrealized_pnl=None if value is None or cost is None else value - cost,
        realized_pnl=None if agreeing is None else dollars(agreeing.realized),
        exchange_realized_pnl=row.realized_pnl_dollars,
        fees_paid=fees,
        close_time=moment(facts.close_time),
        exchange_index=row.exchange_index
        if row.exchange_index is not None
        else facts.exchange_index,
        subaccount=subaccount,
    )


def agrees(book: Book, row: wire.MarketPosition) -> bool:
    """Whether the fills we know lead to the contracts the exchange says are held."""
    return book.contracts == Fraction(row.position_fp)


def totals(positions: Iterable[Position]) -> Totals:
    """Sums over positions; of none they are 0, of an unknown part unknown."""
    held = list(positions)
    return Totals(
        cost=total(p.cost for p in held),
        market_value=total(p.market_value for p in held),
        unrealized_pnl=total(p.unrealized_pnl for p in held),
        realized_pnl=total(p.realized_pnl for p in held),
        fees_paid=total(p.fees_paid for p in held),
    )


def total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum, or None when a part of it is not known: never silently less."""
    found = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        found += amount
    return found


def cents(amount: int | None) -> Decimal | None:
    """Whole cents as dollars."""
    return None if amount is None else Decimal(amount).scaleb(-2)


def moment_of(seconds: int | None) -> datetime | None:
    """Unix seconds as a moment of ours."""
    return moment(wire.moment_of(seconds))
