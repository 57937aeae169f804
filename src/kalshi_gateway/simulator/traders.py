"""The generated members' part in the exchange's life: they trade, rest orders, pay in and out."""

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from . import fees
from .accounts import Member
from .entries import MarketEntry
from .ledger import BookSide, shard_of
from .prices import DOLLAR, MICRO, snap, ten_thousandths
from .tape import Trade

if TYPE_CHECKING:
    from .exchange import Exchange

MEMBERS_SHARE = 0.3  # of the sides of all trades
WITHDRAWAL_EVERY = 40
TOP_UP_CENTS = 5_000


class Traders:
    """Members who act by themselves; those admitted at the desk do not."""

    def __init__(self, exchange: "Exchange", members: Sequence[Member]) -> None:
        self.exchange = exchange
        self.ledger = exchange.ledger
        self.members = members
        self.rng = Random(f"{exchange.seed} traders")

    def share(self, entry: MarketEntry, trade: Trade) -> None:
        """Decide whose a public trade was; mostly nobody's we know."""
        taker, maker = (self._someone() for _ in range(2))
        if taker is maker:
            maker = None
        one = taker or maker
        if one is None:
            return
        takes = one is taker
        bids = trade.taker_bids is takes
        self._afford(one, entry, trade.price, trade.count, bids=bids)
        other = maker if takes else None
        if other is not None:
            self._afford(other, entry, trade.price, trade.count, bids=not bids)
        side: BookSide = "bid" if bids else "ask"
        self.ledger.trade(
            one,
            entry,
            side,
            trade.price,
            trade.count,
            against=other,
            taker=takes,
            trade_id=trade.trade_id,
            at_us=trade.at_us,
        )

    def step(self, steps: int, markets: Sequence[MarketEntry]) -> None:
        """Someone rests an order, someone takes one back, now and then someone is paid out."""
        if not self.members or not markets:
            return
        self._rest(self.rng.choice(self.members), self.rng.choice(markets))
        self._take_back(self.rng.choice(self.members))
        if steps % WITHDRAWAL_EVERY == 0:
            rich = self.rng.choice(self.members)
            cents = rich.held(0, 0) // 10_000 // 3
            if cents:
                self.ledger.bank.withdraw(rich, cents)

    def _someone(self) -> Member | None:
        if not self.members or self.rng.random() > MEMBERS_SHARE:
            return None
        return self.rng.choice(self.members)

    def _afford(
        self, member: Member, entry: MarketEntry, price: int, count: int, *, bids: bool
    ) -> None:
        """Pay in and move over what is missing for a trade."""
        cost = count * ((price if bids else DOLLAR - price) + fees.AT_MOST) + member.precision
        shard = shard_of(entry)
        missing = -(-max(cost - member.held(0, shard), 0) // MICRO) * MICRO
        if not missing:
            return
        at_home = 0 if shard == 0 else member.held(0, 0)
        if at_home < missing:
            self.ledger.bank.deposit(member, missing // 10_000 + TOP_UP_CENTS)
        if shard:
            self.ledger.bank.transfer(member, missing, to_shard=shard)

    def _rest(self, member: Member, entry: MarketEntry) -> None:
        last = ten_thousandths(entry.field("last_price_dollars"))
        price = snap(entry.grid, last * self.rng.randrange(50, 96) // 100)
        if price:
            count = self.rng.randrange(1, 5_000)
            order = self.ledger.order(member, entry, "bid", price, count)
            self.ledger.rest(member, order)

    def _take_back(self, member: Member) -> None:
        resting = [o for o in member.orders.now.values() if o.status == "resting"]
        if resting:
            self.ledger.cancel(member, resting[0].order_id)
