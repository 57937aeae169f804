"""Who owns what: orders, trades and settlements, in which no money is ever made or lost."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from . import fees, refusals
from .accounts import Member, Members
from .bank import Bank, Ids, known
from .catalogue import Catalogue
from .clock import Clock
from .entries import MarketEntry
from .holdings import Holding
from .prices import DOLLAR, ten_thousandths
from .rows import Fill, Order, Settlement

BookSide = Literal["bid", "ask"]


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a trade; who has credit needs no order."""

    member: Member
    bid: bool
    taker: bool
    subaccount: int = 0
    order: Order | None = None


class Planned(NamedTuple):
    """What a trade will make of one side, before anything is written."""

    side: Side
    closing: int
    cash: int
    holding: Holding
    fee: int
    order: Order | None


class Money(NamedTuple):
    """Where all money is, in millionths; the first three add up to the last."""

    members: int
    collateral: int
    fees: int
    deposited: int


class Ledger:
    """The exchange's books."""

    def __init__(self, catalogue: Catalogue, members: Members, clock: Clock, seed: int) -> None:
        self.catalogue = catalogue
        self.members = members
        self.clock = clock
        self.bank = Bank(clock, seed)
        # The rest of the world, against whom members trade when no other member is named.
        self.crowd = Member("crowd", credit=True)
        self.fees = 0
        self.collateral: dict[str, int] = {}
        # Told of each order that was matched, and of how much of it.
        self.followers: list[Callable[[Member, Order, int, int], None]] = []
        self._ids = Ids(f"{seed} ledger")
        self._holders: dict[str, dict[tuple[str, int], Member]] = {}
        self._resting: dict[str, dict[str, Member]] = {}
        # When, whose and which; an order that was amended stands here more than once.
        self._expiring: list[tuple[int, str, str]] = []

    def money(self) -> Money:
        """All of it; nothing is ever made or lost."""
        members = sum(member.total for member in self.members) + self.crowd.total
        locked = sum(self.collateral.values())
        return Money(members, locked, self.fees, self.bank.deposited)

    # Orders

    def order(
        self,
        member: Member,
        entry: MarketEntry,
        side: BookSide,
        price: int,
        count: int,
        *,
        subaccount: int = 0,
        client_order_id: str | None = None,
        expires_us: int | None = None,
        self_trade_prevention: str = "taker_at_cross",
        order_group_id: str | None = None,
        cancel_on_pause: bool = False,
        at_us: int | None = None,
    ) -> Order:
        """An order not yet in anyone's books; what it would cost is not set aside."""
        _positive(count)
        known(member, subaccount)
        now = self._now(at_us)
        return Order(
            order_id=self._ids(),
            user_id=member.user_id,
            client_order_id=client_order_id or self._ids(),
            ticker=entry.ticker,
            event_ticker=entry.event_ticker,
            shard=shard_of(entry),
            subaccount=subaccount,
            bid=side == "bid",
            price=price,
            initial=count,
            remaining=count,
            created_us=now,
            updated_us=now,
            expires_us=expires_us,
            self_trade_prevention=self_trade_prevention,
            order_group_id=order_group_id,
            cancel_on_pause=cancel_on_pause,
        )

    def rest(self, member: Member, order: Order) -> Order:
        """Put an order into the book."""
        self._keep(member, order)
        return order

    def change(self, member: Member, order: Order, *, keeps_its_place: bool) -> None:
        """Put a changed order in the place of what it was, or behind all others of its price."""
        if not keeps_its_place:
            self._resting.get(order.ticker, {}).pop(order.order_id, None)
        self._keep(member, order)

    def cancel(
        self,
        member: Member,
        order_id: str,
        reason: str | None = None,
        at_us: int | None = None,
    ) -> Order:
        """Take what is left of an order from the book."""
        order = member.orders.now.get(order_id)
        if order is None or order.status != "resting":
            raise refusals.not_found()
        order = order.canceled(reason, self._now(at_us))
        self._keep(member, order)
        return order

    def resting(self, ticker: str) -> list[tuple[Member, Order]]:
        """The members' orders in a market's book."""
        resting = self._resting.get(ticker, {})
        return [(member, member.orders.now[order_id]) for order_id, member in resting.items()]

    def _keep(self, member: Member, order: Order) -> None:
        before = member.orders.now.get(order.order_id)
        if before is None:
            member.placed.add(order.place())
        if order.expires_us is not None and (not before or before.expires_us != order.expires_us):
            heapq.heappush(self._expiring, (order.expires_us, member.user_id, order.order_id))
        member.client_order_ids.add(order.client_order_id)
        member.orders.set(order.order_id, order, order.updated_us)
        if order.status == "resting":
            self._resting.setdefault(order.ticker, {})[order.order_id] = member
        else:
            self._resting.get(order.ticker, {}).pop(order.order_id, None)

    # Trades

    def trade(
        self,
        member: Member,
        entry: MarketEntry,
        side: BookSide,
        price: int,
        count: int,
        *,
        against: Member | None = None,
        taker: bool = True,
        subaccount: int = 0,
        limit: int | None = None,
        initial: int | None = None,
        client_order_id: str | None = None,
        trade_id: str | None = None,
        at_us: int | None = None,
    ) -> Fill:
        """A member trades at YES's price, with another member or with the crowd.

        Both get an order for it. The member's may have asked for more, by `limit` and `initial`:
        what it did not get is canceled if it took, and rests if it made.
        """
        bid, now = side == "bid", self._now(at_us)
        size, worst = initial or count, price if limit is None else limit
        own = self.order(
            member,
            entry,
            side,
            worst,
            size,
            subaccount=subaccount,
            client_order_id=client_order_id,
            at_us=now,
        )
        other = against or self.crowd
        theirs = None
        if not other.credit:
            theirs = self.order(other, entry, "ask" if bid else "bid", price, count, at_us=now)
        fill, _ = self.match(
            entry,
            Side(member, bid, taker, subaccount, own),
            Side(other, not bid, not taker, 0, theirs),
            price,
            count,
            trade_id=trade_id,
            at_us=now,
        )
        if taker and count < size:
            self.cancel(member, own.order_id, at_us=now)
        return fill

    def match(
        self,
        entry: MarketEntry,
        one: Side,
        other: Side,
        price: int,
        count: int,
        *,
        trade_id: str | None = None,
        at_us: int | None = None,
    ) -> tuple[Fill, Fill]:
        """Execute two sides against each other, or refuse and leave everything as it was."""
        if one.member is other.member:
            raise ValueError("nobody trades with himself")
        _positive(count)
        now, trade_id = self._now(at_us), trade_id or self._ids()
        planned = [self._plan(side, entry, price, count, now) for side in (one, other)]
        closing = sum(plan.closing for plan in planned)
        locked = self.collateral.get(entry.ticker, 0)
        self.collateral[entry.ticker] = locked + (count - closing) * DOLLAR
        first, second = (self._book(p, entry, price, count, trade_id, now) for p in planned)
        for plan in planned:
            if plan.order is not None:
                for follow in self.followers:
                    follow(plan.side.member, plan.order, count, now)
        return first, second

    def affords(
        self,
        member: Member,
        entry: MarketEntry,
        order: Order,
        price: int,
        count: int,
        *,
        taker: bool = True,
    ) -> bool:
        """Whether a member has the money for a trade of an order of his."""
        holding = self._holding(member, order.subaccount, entry)
        change = holding.change(bid=order.bid, price=price, count=count)
        model = fees.terms_of(self.catalogue, entry).fee(price, count, taker=taker)
        fee, _ = fees.rounded(change, model, order.saved, member.precision)
        return _pays(member, member.held(order.subaccount, holding.shard), change, fee)

    def _holding(self, member: Member, subaccount: int, entry: MarketEntry) -> Holding:
        """What a member has in a market, if only nothing yet."""
        return member.holdings.now.get((subaccount, entry.ticker)) or Holding(
            ticker=entry.ticker, event_ticker=entry.event_ticker, shard=shard_of(entry)
        )

    def _plan(self, side: Side, entry: MarketEntry, price: int, count: int, now: int) -> Planned:
        member, holding = side.member, self._holding(side.member, side.subaccount, entry)
        closing = holding.closing(bid=side.bid, count=count)
        change = holding.change(bid=side.bid, price=price, count=count)
        fee, order = 0, side.order
        if order is not None:
            if order.status != "resting" or count > order.remaining:
                raise ValueError(f"order {order.order_id} is not for {count} hundredths")
            terms = fees.terms_of(self.catalogue, entry)
            model = terms.fee(price, count, taker=side.taker)
            fee, saved = fees.rounded(change, model, order.saved, member.precision)
            order = order.after(count, price, fee, saved, now, taker=side.taker)
        cash = member.held(side.subaccount, holding.shard)
        if not _pays(member, cash, change, fee):
            raise refusals.insufficient_balance()
        after = holding.after(bid=side.bid, price=price, count=count, fee=fee, at_us=now)
        return Planned(side, closing, cash + change - fee, after, fee, order)

    def _book(
        self, plan: Planned, entry: MarketEntry, price: int, count: int, trade_id: str, now: int
    ) -> Fill:
        side, member, holding = plan.side, plan.side.member, plan.holding
        member.cash.set((side.subaccount, holding.shard), plan.cash, now)
        member.recorded.clear()
        member.holdings.set((side.subaccount, entry.ticker), holding, now)
        holders = self._holders.setdefault(entry.ticker, {})
        holders[member.user_id, side.subaccount] = member
        self.fees += plan.fee
        fill = Fill(
            fill_id=trade_id,
            order_id="" if plan.order is None else plan.order.order_id,
            ticker=entry.ticker,
            shard=holding.shard,
            subaccount=side.subaccount,
            bid=side.bid,
            price=price,
            count=count,
            fee=plan.fee,
            taker=side.taker,
            at_us=now,
        )
        if plan.order is not None:
            self._keep(member, plan.order)
            member.fills.add(fill)
        return fill

    # What becomes of a market

    def follow(self, entry: MarketEntry) -> None:
        """Do what a market's new status demands."""
        status = entry.field("status")
        if status == "finalized":
            self.settle(entry)
        elif status == "active":
            # Whatever rested through a pause is taken down when it ends (docs, 2026-06).
            self._clear_book(entry.ticker, "HaltCancel")
        elif status != "inactive":
            self._clear_book(entry.ticker, "CloseCancel")

    def settle(self, entry: MarketEntry, at_us: int | None = None) -> None:
        """Pay everyone who ever traded in a market; who holds nothing has a row all the same."""
        now, result = self._now(at_us), str(entry.field("result"))
        self._clear_book(entry.ticker, "CloseCancel", now)
        for (_, subaccount), member in self._holders.pop(entry.ticker, {}).items():
            value = ten_thousandths(entry.field("settlement_value_dollars"))
            self._pay_out(member, subaccount, entry, result, value, now)
        if self.collateral.pop(entry.ticker, 0):
            raise ArithmeticError(f"collateral is left over in {entry.ticker}")

    def _pay_out(
        self, member: Member, subaccount: int, entry: MarketEntry, result: str, value: int, now: int
    ) -> None:
        key = (subaccount, entry.ticker)
        holding = member.holdings.now[key]
        paid = holding.worth(value)
        # What is less than a member's smallest step shows as a fee.
        dust = 0 if member.credit else paid % member.precision
        self.bank.give(member, (subaccount, holding.shard), paid - dust, now)
        self.fees += dust
        self.collateral[entry.ticker] -= paid
        after = holding.settled(value, dust, now)
        member.holdings.set(key, after, now)
        if not member.credit:
            member.settlements.add(
                Settlement(
                    holding=after,
                    subaccount=subaccount,
                    result=result,
                    value=value,
                    paid=paid,
                    at_us=now,
                )
            )

    def _clear_book(self, ticker: str, reason: str, at_us: int | None = None) -> None:
        for member, order in self.resting(ticker):
            self.cancel(member, order.order_id, reason, at_us)

    def pause(self, shard: int) -> None:
        """Take down what is not to rest through a pause."""
        for member, order in self._all_resting():
            if order.cancel_on_pause and order.shard == shard:
                self.cancel(member, order.order_id, "HaltCancel")

    def expire(self) -> None:
        """Take down what has expired."""
        now = self.clock.micros()
        while self._expiring and self._expiring[0][0] <= now:
            expires_us, user_id, order_id = heapq.heappop(self._expiring)
            member = self.members.find(user_id)
            order = None if member is None else member.orders.now[order_id]
            if member and order and (order.status, order.expires_us) == ("resting", expires_us):
                self.cancel(member, order_id, "ExpiryCancel", now)

    def _all_resting(self) -> list[tuple[Member, Order]]:
        return [pair for ticker in self._resting for pair in self.resting(ticker)]

    def _now(self, at_us: int | None) -> int:
        return self.clock.micros() if at_us is None else at_us


def shard_of(entry: MarketEntry) -> int:
    """The shard a market lives on; recordings made before there were shards know of one."""
    return entry.field("exchange_index") or 0


def _pays(member: Member, cash: int, change: int, fee: int) -> bool:
    """Whether a trade leaves a member without debts, or brings him more than it takes."""
    return cash + change >= fee or change >= fee or member.credit


def _positive(amount: int) -> None:
    if amount <= 0:
        raise refusals.invalid("must be more than nothing")
