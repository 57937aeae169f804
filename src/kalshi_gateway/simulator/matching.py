"""Orders that members write: taken against what rests and what is quoted, or put into the book."""

from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from . import books, refusals
from .accounts import Member
from .entries import MarketEntry
from .ledger import BookSide, Side
from .prices import DOLLAR, contracts, dollars, hundredths, is_number, snap, ten_thousandths
from .rows import Fill, Order

if TYPE_CHECKING:
    from .exchange import Exchange


class Level(NamedTuple):
    """What may be taken: at a price, so much, of a member's order or of the crowd's."""

    price: int
    size: int
    member: Member | None = None
    order: Order | None = None


class Taken(NamedTuple):
    """What has become of an order that was written, and its fills."""

    order: Order
    fills: list[Fill]


class Matching:
    """The exchange's engine: best price first, then members before the crowd, then time.

    What is taken of the crowd's best level is gone, and the quote with it; what rests of members'
    orders is not in the public book.
    """

    def __init__(self, exchange: "Exchange") -> None:
        self.exchange = exchange
        # Cancelling all may reach orders of the next minute (docs, 2026-08); here it does when a
        # test says how far.
        self.sweeps_for_us = 0
        # What may only rest and would trade is taken and cancelled, says the documentation
        # (2026-06); on demo it was refused (2026-06), and is here unless this is set.
        self.post_only_cancels = False
        self._swept_until: dict[tuple[str, int], int] = {}

    def market(self, ticker: str) -> MarketEntry:
        """A market that takes orders now."""
        entry = self.exchange.catalogue.live(ticker)
        if entry is None:
            raise refusals.enveloped(404, "market_not_found")
        if entry.filed != "open" or self.is_over(entry):
            raise refusals.enveloped(400, "MARKET_INACTIVE")
        return entry

    def is_over(self, entry: MarketEntry) -> bool:
        """Whether a market takes no orders any more, by the clock where its row does not say so.

        What was recorded does not move: it is open as long as its row is.
        """
        late = entry.closes_us <= self.exchange.clock.micros()
        return entry.filed in ("closed", "settled") or (late and entry.market is not None)

    def price(self, entry: MarketEntry, text: str) -> int:
        """A price on the market's grid."""
        if not is_number(text, 4):
            raise refusals.enveloped(400, "invalid_price")
        price = ten_thousandths(text)
        if not 0 < price < DOLLAR or snap(entry.grid, price) != price:
            raise refusals.enveloped(400, "invalid_price")
        return price

    def count(self, text: str) -> int:
        """A number of contracts, more than none."""
        if not is_number(text, 2):
            raise refusals.enveloped(400, "invalid_order_size")
        count = hundredths(text)
        if not 0 < count <= 10**11:
            raise refusals.enveloped(400, "invalid_order_size")
        return count

    def available(self, member: Member, entry: MarketEntry, side: BookSide, price: int) -> int:
        """How much could be taken at once, of others."""
        levels = self._levels(entry, side, price)
        return sum(level.size for level in levels if level.member is not member)

    def crosses(self, entry: MarketEntry, side: BookSide, price: int) -> bool:
        """Whether an order would meet anything at all."""
        return bool(self._levels(entry, side, price))

    def ahead(self, order: Order) -> int:
        """How many contracts of members rest before an order, at its price."""
        before = takewhile(
            lambda other: other.order_id != order.order_id,
            (other for _, other in self.exchange.ledger.resting(order.ticker)),
        )
        place = (order.bid, order.price)
        return sum(other.remaining for other in before if (other.bid, other.price) == place)

    def place(self, member: Member, entry: MarketEntry, order: Order, *, rests: bool) -> Taken:
        """Take what can be taken; what is left rests, or is cancelled.

        An order that meets an own one ends there, or cancels it and goes on (docs, 2026-08).
        """
        fills: list[Fill] = []
        side: BookSide = "bid" if order.bid else "ask"
        ends_as: str | None = None
        while order.remaining and ends_as is None:
            level = next(iter(self._levels(entry, side, order.price)), None)
            if level is None:
                break
            if level.member is member and order.self_trade_prevention == "taker_at_cross":
                ends_as = "SelfTradeCancel"
            elif level.member is member and level.order is not None:
                self.exchange.ledger.cancel(member, level.order.order_id, "SelfTradeCancel")
            elif not self._pays(member, entry, order, level):
                ends_as = "MarginCancel"
            elif self._is_paid(entry, order, level):
                fills.append(self._match(member, entry, order, level))
                order = member.orders.now[order.order_id]
        if order.remaining or not fills:
            order = self.exchange.ledger.rest(member, order)
        swept_until = self._swept_until.get((member.user_id, order.subaccount), 0)
        if order.remaining and (ends_as or not rests or order.created_us < swept_until):
            order = self.exchange.ledger.cancel(member, order.order_id, ends_as)
        return Taken(order, fills)

    def meet(self, entry: MarketEntry) -> None:
        """Let the crowd, whose quotes have moved, take what members offer for no worse."""
        ledger = self.exchange.ledger
        for member, rested in ledger.resting(entry.ticker):
            order = member.orders.now[rested.order_id]
            if order.status != "resting":
                continue  # one before it has taken it down
            best = next(iter(self._crowd(entry, bids=not order.bid)), None)
            if member.orders.now[order.order_id] is not order:
                continue  # gone with its group, of which another was met
            if best is None or (best[0] > order.price if order.bid else best[0] < order.price):
                continue
            level = Level(order.price, order.remaining, member, order)
            if self._is_paid(entry, order, level):
                before = ledger.collateral.get(entry.ticker, 0)
                maker = Side(member, order.bid, False, order.subaccount, order)
                taker = Side(ledger.crowd, not order.bid, True)
                fill, _ = ledger.match(entry, maker, taker, order.price, order.remaining)
                self.exchange.desk.publish(entry, fill, before)

    def cancel_all(self, member: Member, subaccount: int | None, now_us: int) -> None:
        """Take down what rests, of one subaccount or of all."""
        numbers = range(member.subaccounts) if subaccount is None else (subaccount,)
        for order in list(member.orders.now.values()):
            if order.status == "resting" and order.subaccount in numbers:
                self.exchange.ledger.cancel(member, order.order_id)
        until = dict.fromkeys(((member.user_id, n) for n in numbers), now_us + self.sweeps_for_us)
        self._swept_until.update(until)

    def afford(self, member: Member, order: Order) -> None:
        """Refuse an order that the money on its shard cannot pay, its fee included."""
        entry = self.exchange.catalogue.markets[order.ticker]
        if not self.exchange.ledger.affords(member, entry, order, order.price, order.remaining):
            raise refusals.insufficient_balance()

    def _match(self, member: Member, entry: MarketEntry, order: Order, level: Level) -> Fill:
        """One fill, shown to everyone."""
        ledger, count = self.exchange.ledger, min(order.remaining, level.size)
        before = ledger.collateral.get(entry.ticker, 0)
        taker = Side(member, order.bid, True, order.subaccount, order)
        maker = Side(ledger.crowd, not order.bid, False)
        if level.member is not None and level.order is not None:
            maker = Side(level.member, not order.bid, False, level.order.subaccount, level.order)
        fill, _ = ledger.match(entry, taker, maker, level.price, count)
        self.exchange.desk.publish(entry, fill, before)
        if level.order is None:
            self._thin_out(entry, count, bids=not order.bid)
        return fill

    def _pays(self, member: Member, entry: MarketEntry, order: Order, level: Level) -> bool:
        """Whether the taker's money reaches for what a level has."""
        count = min(order.remaining, level.size)
        return self.exchange.ledger.affords(member, entry, order, level.price, count)

    def _is_paid(self, entry: MarketEntry, order: Order, level: Level) -> bool:
        """Whether who made the level has the money for it; else it is taken down."""
        if level.member is None or level.order is None:
            return True
        ledger, count = self.exchange.ledger, min(order.remaining, level.size)
        if ledger.affords(level.member, entry, level.order, level.price, count, taker=False):
            return True
        ledger.cancel(level.member, level.order.order_id, "MarginCancel")
        return False

    def _levels(self, entry: MarketEntry, side: BookSide, limit: int) -> list[Level]:
        """What an order of this side and price may take, best first."""
        bids = side == "bid"
        resting = [
            Level(order.price, order.remaining, member, order)
            for member, order in self.exchange.ledger.resting(entry.ticker)
            if order.bid is not bids
        ]
        levels = [*resting, *(Level(*level) for level in self._crowd(entry, bids=not bids))]
        within = [
            level for level in levels if (level.price <= limit if bids else level.price >= limit)
        ]
        # Sorting keeps the order in which they came: members by time, then the crowd.
        return sorted(within, key=lambda level: level.price if bids else -level.price)

    def _crowd(self, entry: MarketEntry, *, bids: bool) -> list[books.Level]:
        """What the crowd offers; what was recorded has no crowd, and does not move."""
        return [] if entry.market is None else books.crowd(entry, self.exchange.seed, bids=bids)

    def _thin_out(self, entry: MarketEntry, count: int, *, bids: bool) -> None:
        """Take contracts from the crowd's best level; the next one is the quote once it is gone."""
        (price, size), *behind = self._crowd(entry, bids=bids)
        nothing = (0 if bids else DOLLAR, 0)
        left = (price, size - count) if size > count else next(iter(behind), nothing)
        quote = "yes_bid" if bids else "yes_ask"
        fields = {f"{quote}_dollars": dollars(left[0]), f"{quote}_size_fp": contracts(left[1])}
        self.exchange.catalogue.change(entry.ticker, **fields)
