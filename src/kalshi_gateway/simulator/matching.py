"""Orders that members write: taken against what rests and what is quoted, or put into the book."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from . import books, refusals
from .accounts import Member
from .entries import MarketEntry
from .ledger import BookSide, Side
from .prices import DOLLAR, GRIDS, hundredths, snap, ten_thousandths
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

    The crowd quotes the derived book again for every order: what one takes is there for the next.
    """

    def __init__(self, exchange: "Exchange") -> None:
        self.exchange = exchange

    def market(self, ticker: str) -> MarketEntry:
        """A market that takes orders now."""
        entry = self.exchange.catalogue.live(ticker)
        if entry is None:
            raise refusals.enveloped(404, "market_not_found")
        if entry.filed != "open":
            raise refusals.enveloped(400, "MARKET_INACTIVE")
        return entry

    def price(self, entry: MarketEntry, text: str) -> int:
        """A price on the market's grid."""
        label = entry.field("price_level_structure")
        whole, _, decimals = text.partition(".")
        if not (whole.isdigit() and (not decimals or decimals.isdigit()) and len(decimals) <= 4):
            raise refusals.enveloped(400, "invalid_price")
        price = ten_thousandths(text)
        if not 0 < price < DOLLAR or (label in GRIDS and snap(label, price) != price):
            raise refusals.enveloped(400, "invalid_price")
        return price

    def count(self, text: str) -> int:
        """A number of contracts, more than none."""
        whole, _, decimals = text.partition(".")
        if not (whole.isdigit() and (not decimals or decimals.isdigit()) and len(decimals) <= 2):
            raise refusals.enveloped(400, "invalid_order_size")
        count = hundredths(text)
        if not 0 < count <= 10**11:
            raise refusals.enveloped(400, "invalid_order_size")
        return count

    def available(self, member: Member, entry: MarketEntry, side: BookSide, price: int) -> int:
        """How much could be taken at once, of others."""
        levels = self._levels(entry, side, price, Counter())
        return sum(level.size for level in levels if level.member is not member)

    def place(self, member: Member, entry: MarketEntry, order: Order, *, rests: bool) -> Taken:
        """Take what can be taken; what is left rests, or is cancelled.

        An order that meets an own one ends there, or cancels it and goes on (docs, 2026-08).
        """
        fills: list[Fill] = []
        side: BookSide = "bid" if order.bid else "ask"
        ends_as: str | None = None
        of_crowd: Counter[int] = Counter()
        while order.remaining:
            level = next(self._levels(entry, side, order.price, of_crowd), None)
            if level is None:
                break
            if level.order is not None and level.member is member:
                if order.self_trade_prevention == "taker_at_cross":
                    ends_as = "SelfTradeCancel"
                    break
                self.exchange.ledger.cancel(member, level.order.order_id, "SelfTradeCancel")
                continue
            if not self._pays(level):
                continue
            fill = self._match(member, entry, order, level)
            if fill is None:
                ends_as = "MarginCancel"
                break
            fills.append(fill)
            if level.member is None:
                of_crowd[level.price] += fill.count
            order = member.orders.now[order.order_id]
        if order.remaining or not fills:
            order = self.exchange.ledger.rest(member, order)
        if order.remaining and (ends_as or not rests):
            order = self.exchange.ledger.cancel(member, order.order_id, ends_as)
        return Taken(order, fills)

    def afford(self, member: Member, order: Order) -> None:
        """Refuse an order that the money on its shard cannot pay."""
        paid = order.price if order.bid else DOLLAR - order.price
        holding = member.holdings.now.get((order.subaccount, order.ticker))
        count = order.remaining
        closing = 0 if holding is None else holding.closing(bid=order.bid, count=count)
        if member.held(order.subaccount, order.shard) + closing * DOLLAR - count * paid < 0:
            raise refusals.insufficient_balance()

    def _match(self, member: Member, entry: MarketEntry, order: Order, level: Level) -> Fill | None:
        """One fill; None if the member's money does not reach for it."""
        ledger = self.exchange.ledger
        before = ledger.collateral.get(entry.ticker, 0)
        taker = Side(member, order.bid, True, order.subaccount, order)
        maker = Side(ledger.crowd, not order.bid, False)
        if level.member is not None and level.order is not None:
            maker = Side(level.member, not order.bid, False, level.order.subaccount, level.order)
        count = min(order.remaining, level.size)
        try:
            fill, _ = ledger.match(entry, taker, maker, level.price, count)
        except refusals.Refused:
            return None
        self.exchange.desk.publish(entry, fill, before)
        return fill

    def _pays(self, level: Level) -> bool:
        """Whether whoever made this level has the money for it; the crowd always has."""
        if level.member is None or level.order is None:
            return True
        try:
            self.afford(level.member, level.order)
        except refusals.Refused:
            self.exchange.ledger.cancel(level.member, level.order.order_id, "MarginCancel")
            return False
        return True

    def _levels(
        self, entry: MarketEntry, side: BookSide, limit: int, of_crowd: Counter[int]
    ) -> Iterator[Level]:
        """What an order of this side and price may take, best first."""
        bids = side == "bid"
        resting = [
            Level(order.price, order.remaining, member, order)
            for member, order in self.exchange.ledger.resting(entry.ticker)
            if order.bid is not bids
        ]
        crowd = [
            level._replace(size=level.size - of_crowd[level.price])
            for level in self._crowd(entry, bids=bids)
        ]
        levels = [*resting, *crowd]
        within = [
            level
            for level in levels
            if level.size > 0 and (level.price <= limit if bids else level.price >= limit)
        ]
        # Sorting keeps the order in which they came: members by time, then the crowd.
        yield from sorted(within, key=lambda level: level.price if bids else -level.price)

    def _crowd(self, entry: MarketEntry, *, bids: bool) -> list[Level]:
        if entry.market is None:
            return []
        book = books.derived(entry, self.exchange.seed)["orderbook_fp"]
        if bids:
            return [
                Level(DOLLAR - ten_thousandths(price), hundredths(count))
                for price, count in book["no_dollars"]
            ]
        return [
            Level(ten_thousandths(price), hundredths(count)) for price, count in book["yes_dollars"]
        ]
