"""One market's contracts, replayed exactly: weighted-average cost in signed YES terms.

Contracts held are above zero for YES and below for NO. To buy NO at q is to sell YES at 1 - q, so
a fill is a signed count at a YES price. It first closes what is open, at the average price of
that; the rest opens the other side. This is how the exchange counts `realized_pnl_dollars`
(measured 2026-07 on production: three markets replayed, all equal; first in, first out is not).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from .marks import Side

Kind = Literal["fill", "settlement"]

ZERO = Fraction(0)
ONE = Fraction(1)
MICRODOLLARS_PER_DOLLAR = 1_000_000
#: Beyond this an average is rounded: its digits grow with every fill of a position that is never
#: closed, and nobody sees the sixtieth. What is closed and what is open stay exact together.
FINEST = 10**60


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill, as it counts: contracts above zero bought YES, below zero NO."""

    fill_id: str
    ticker: str
    at: datetime
    contracts: Decimal
    yes_price: Decimal
    fee: Decimal | None
    subaccount: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """What one fill or settlement changed.

    Cost and proceeds are those of the contracts it closed, in the price of their side; of the
    fees, what was paid now, the part of that for closing, and what their opening had cost.
    """

    at: datetime | None
    ticker: str
    subaccount: int
    kind: Kind
    side: Side | None
    closed: Fraction
    cost: Fraction
    proceeds: Fraction
    fee: Fraction | None
    closing_fee: Fraction | None
    opening_fees: Fraction | None
    opened_at: datetime | None

    @property
    def realized(self) -> Fraction:
        """What was won or lost, before fees."""
        return self.proceeds - self.cost


@dataclass(slots=True)
class Book:
    """One market of one subaccount, growing as it is replayed."""

    ticker: str
    subaccount: int
    contracts: Fraction = ZERO
    average: Fraction = ZERO  # YES price of what is open
    cash: Fraction = ZERO  # what came in less what went out, in YES terms
    known_fees: Fraction = ZERO
    knows_fees: bool = True
    opening_fees: Fraction | None = ZERO  # of what is open
    bought: dict[Side, Fraction] = field(default_factory=lambda: {"yes": ZERO, "no": ZERO})
    spent: dict[Side, Fraction] = field(default_factory=lambda: {"yes": ZERO, "no": ZERO})
    fills: int = 0
    first_at: datetime | None = None
    opened_at: datetime | None = None
    settled: bool = False

    @property
    def side(self) -> Side | None:
        """What is held; None when nothing is."""
        return side_of(self.contracts)

    @property
    def average_price(self) -> Fraction:
        """What one open contract cost, in the price of its side; 0 when nothing is open."""
        return _of_side(self.side, self.average)

    @property
    def cost(self) -> Fraction:
        """What all open contracts cost, without fees."""
        return abs(self.contracts) * self.average_price

    @property
    def realized(self) -> Fraction:
        """What closed contracts brought more than they cost, before fees."""
        return self.cash + self.contracts * self.average

    @property
    def fees(self) -> Fraction | None:
        """All fees paid so far, those for what is still open included."""
        return self.known_fees if self.knows_fees else None

    @property
    def balance(self) -> Fraction:
        """Money that came in less what went out, fees apart.

        NO bought at 1 - p is YES sold at p, and a dollar locked up to pay it with.
        """
        return self.cash - max(-self.contracts, ZERO)

    def fill(self, execution: Execution) -> Entry:
        """Take in one fill."""
        count, price = Fraction(execution.contracts), Fraction(execution.yes_price)
        fee = None if execution.fee is None else Fraction(execution.fee)
        side: Side = "yes" if count > 0 else "no"
        size = abs(count)
        self.bought[side] += size
        self.spent[side] += size * _of_side(side, price)
        self.fills += 1
        self.first_at = self.first_at or execution.at
        return self._move(execution.at, "fill", count, price, fee)

    def settle(self, at: datetime | None, yes_value: Fraction, fee: Fraction) -> Entry:
        """Let all that is open be paid."""
        self.settled = True
        return self._move(at, "settlement", -self.contracts, yes_value, fee)

    def write_off(self, brought: Fraction, fee: Fraction) -> None:
        """End with what the market brought in all its life, whatever we know of its fills."""
        self.cash, self.contracts, self.average = brought, ZERO, ZERO
        self.known_fees += fee
        self.opening_fees, self.opened_at, self.settled = ZERO, None, True

    def _move(
        self,
        at: datetime | None,
        kind: Kind,
        count: Fraction,
        price: Fraction,
        fee: Fraction | None,
    ) -> Entry:
        side, whole, size = self.side, abs(self.contracts), abs(count)
        closes = side is not None and side != side_of(count)
        closed = min(whole, size) if closes else ZERO
        average, opened_at = self.average, self.opened_at
        self.cash -= count * price
        self.contracts += count
        self._pay(fee)
        released = self._close(closed, whole)
        self._open(at, size - closed if closes else size, price, fee, size)
        return Entry(
            at=at,
            ticker=self.ticker,
            subaccount=self.subaccount,
            kind=kind,
            side=side if closed else None,
            closed=closed,
            cost=closed * _of_side(side, average) if closed else ZERO,
            proceeds=closed * _of_side(side, price) if closed else ZERO,
            fee=fee,
            closing_fee=fee if kind == "settlement" else _share(fee, closed, size),
            opening_fees=released,
            opened_at=opened_at if closed else None,
        )

    def _pay(self, fee: Fraction | None) -> None:
        if fee is None:
            self.knows_fees = False
        elif fee:
            self.known_fees += fee

    def _close(self, closed: Fraction, whole: Fraction) -> Fraction | None:
        """Let go of some of what was open; the fees that their opening had cost."""
        released = _share(self.opening_fees, closed, whole)
        if closed == whole:
            self.average, self.opening_fees, self.opened_at = ZERO, ZERO, None
        elif closed and self.opening_fees is not None and released is not None:
            self.opening_fees -= released
        return released

    def _open(
        self,
        at: datetime | None,
        opened: Fraction,
        price: Fraction,
        fee: Fraction | None,
        size: Fraction,
    ) -> None:
        """Mix newly opened contracts, which are in the count already, with what was open."""
        if not opened:
            return
        whole = abs(self.contracts)
        if opened == whole:
            self.average = price
        else:
            mixed = (self.average * (whole - opened) + price * opened) / whole
            self.average = _bounded(mixed)
        paid = _share(fee, opened, size)
        known = self.opening_fees is not None and paid is not None
        self.opening_fees = (self.opening_fees or ZERO) + (paid or ZERO) if known else None
        self.opened_at = self.opened_at or at


def dollars(amount: Fraction) -> Decimal:
    """To the microdollar, as finely as the exchange tells money; halves go to the even one."""
    return Decimal(round(amount * MICRODOLLARS_PER_DOLLAR)) / MICRODOLLARS_PER_DOLLAR


def known(amount: Fraction | None) -> Decimal | None:
    """The same of what may be unknown."""
    return None if amount is None else dollars(amount)


def added(amounts: Iterable[Fraction | None]) -> Fraction | None:
    """The sum, or None when a part of it is not known: never silently less."""
    found = ZERO
    for amount in amounts:
        if amount is None:
            return None
        found += amount
    return found


def side_of(contracts: Fraction | Decimal) -> Side | None:
    """What a signed count holds."""
    if contracts == 0:
        return None
    return "yes" if contracts > 0 else "no"


def _of_side(side: Side | None, yes_price: Fraction) -> Fraction:
    """The price of one side, by that of YES."""
    return ONE - yes_price if side == "no" else yes_price


def _bounded(amount: Fraction) -> Fraction:
    if amount.denominator <= FINEST:
        return amount
    return Fraction(round(amount * FINEST), FINEST)


def _share(amount: Fraction | None, part: Fraction, whole: Fraction) -> Fraction | None:
    """The part of an amount that falls on some of the contracts; none falls on none."""
    if not part:
        return ZERO
    if amount is None or part == whole:
        return amount
    return _bounded(amount * part / whole)
