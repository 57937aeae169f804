"""The shapes of what is answered about a user, as the API description shows them."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from kalshi_gateway.freshness import Meta
from kalshi_gateway.units import Dollars, Moment

from .account import Account, Position
from .pnl import Pnl
from .reconcile import Reconciliation
from .records import Fill, Order, Settlement

NextCursor = Annotated[str | None, Field(description="Asks for the next page; null at the end.")]
EventTicker = Annotated[
    str | None, Field(description="Null where the catalogue does not know the market.")
]
DisplayName = Annotated[str, Field(description="The market for people; its ticker if unknown.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDetail(Account):
    """Money and positions of one user."""

    meta: Meta


@dataclass(frozen=True, slots=True)
class PositionList:
    """Some positions, by ticker."""

    positions: tuple[Position, ...]
    next_cursor: NextCursor
    meta: Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFill(Fill):
    """A fill, and what its market is called."""

    event_ticker: EventTicker
    display_name: DisplayName


@dataclass(frozen=True, slots=True)
class FillList:
    """Some fills, newest first."""

    fills: tuple[NamedFill, ...]
    next_cursor: NextCursor
    meta: Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedOrder(Order):
    """An order, and what its market is called."""

    event_ticker: EventTicker
    display_name: DisplayName


@dataclass(frozen=True, slots=True)
class OrderList:
    """Some orders, newest first."""

    orders: tuple[NamedOrder, ...]
    next_cursor: NextCursor
    meta: Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSettlement(Settlement):
    """A settlement, and what its market was called."""

    display_name: DisplayName


@dataclass(frozen=True, slots=True)
class SettlementList:
    """Some settlements, newest first."""

    settlements: tuple[NamedSettlement, ...]
    next_cursor: NextCursor
    meta: Meta


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What an account was worth at one time."""

    at: Moment
    balance: Dollars
    portfolio_value: Dollars | None
    equity: Annotated[Dollars | None, Field(description="Balance and portfolio value together.")]


@dataclass(frozen=True, slots=True)
class HistoryList:
    """What an account was worth, newest first."""

    history: tuple[Snapshot, ...]
    next_cursor: NextCursor
    meta: Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class PnlDetail(Pnl):
    """Profit and loss, and whether cash and positions add up."""

    reconciliation: Reconciliation
    meta: Meta
