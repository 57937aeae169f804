"""Members with a past: what they have traded before the exchange began, and how it ended."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from . import fees, times
from .accounts import Member
from .entries import MarketEntry
from .ledger import shard_of
from .prices import DOLLAR, MICRO, snap, ten_thousandths
from .tape import Trade

if TYPE_CHECKING:
    from .exchange import Exchange

# From which markets members have traded in, and how many of each are enough for all of them.
SHARES = {"open": 0.5, "closed": 0.1, "settled": 0.25, "archived": 0.15}
FEWEST_MARKETS = 40
MOST_MARKETS = 400
LARGEST = 20_000  # hundredths of a contract in one trade of theirs
TIERS = ("basic", "advanced", "expert", "premier")


@dataclass(eq=False, slots=True)
class Deal:
    """A public trade and whose it was, as far as it was a member's."""

    entry: MarketEntry
    trade: Trade
    taker: Member | None = None
    maker: Member | None = None

    def give(self, member: Member) -> bool:
        """Let a member have been one side of it."""
        if self.taker is None:
            self.taker = member
            return True
        if self.maker is None and self.taker is not member:
            self.maker = member
            return True
        return False

    def cost(self, member: Member) -> int:
        """What it can have cost a member at most."""
        bids = self.trade.taker_bids is (member is self.taker)
        paid = self.trade.price if bids else DOLLAR - self.trade.price
        return self.trade.count * (paid + fees.AT_MOST) + member.precision


@dataclass(eq=False, slots=True)
class Story:
    """What a member has done before now."""

    member: Member
    deals: list[Deal] = field(default_factory=list)

    def needs(self) -> dict[int, int]:
        """The money his deals may have taken, by shard."""
        needs: dict[int, int] = {}
        for deal in self.deals:
            shard = shard_of(deal.entry)
            needs[shard] = needs.get(shard, 0) + deal.cost(self.member)
        return {shard: -(-need // MICRO) * MICRO for shard, need in needs.items()}


Happening = tuple[int, int, Callable[[], object]]


class Past:
    """Invents members and their past, the same ones for the same seed and time."""

    def __init__(self, exchange: "Exchange") -> None:
        self.exchange = exchange
        self.ledger = exchange.ledger
        self.rng = Random(f"{exchange.seed} members")
        self.now_us = exchange.clock.micros()

    def fill(self, number: int) -> list[Member]:
        """So many members who have traded, deposited and been paid."""
        if number == 0:
            return []
        markets = self._markets(number)
        deals = {entry.ticker: self._deals(entry) for entry in markets}
        stories = [self._story(at, [d for d in deals.values() if d]) for at in range(number)]
        happenings = [
            *(happening for story in stories for happening in self._banking(story)),
            *self._trading([deal for left in deals.values() for deal in left]),
            *self._settling(markets),
        ]
        for _, _, happen in sorted(happenings, key=lambda happening: happening[:2]):
            happen()
        open_markets = [entry for entry in markets if entry.filed == "open"]
        for story in stories:
            self._resting(story.member, open_markets)
        return [story.member for story in stories]

    def _markets(self, number: int) -> list[MarketEntry]:
        """Some of the markets that have been traded in, combos too."""
        most = min(max(number // 4, FEWEST_MARKETS), MOST_MARKETS)
        created, chosen = self.exchange.catalogue.created, []
        for file, share in SHARES.items():
            standing = [*created[file, 0].things, *created[file, 1].things]
            traded = [e for e in standing if ten_thousandths(e.field("last_price_dollars"))]
            chosen += self.rng.sample(traded, min(int(most * share) + 1, len(traded)))
        return chosen

    def _deals(self, entry: MarketEntry) -> list[Deal]:
        """A market's public trades of a size for members, in no order."""
        past = [trade for trade in self.exchange.tape.of(entry.ticker) if trade.count <= LARGEST]
        until = self.now_us if entry.settled_us is None else entry.settled_us
        deals = [Deal(entry, trade) for trade in past if trade.at_us < until]
        self.rng.shuffle(deals)
        return deals

    def _story(self, at: int, markets: list[list[Deal]]) -> Story:
        rng = self.rng
        user_id = uuid.UUID(int=Random(f"{self.exchange.seed} member {at}").getrandbits(128))
        tier = rng.choices(TIERS, weights=(80, 14, 4, 2))[0]
        story = Story(self.exchange.desk.admit(f"member {at + 1}", user_id=str(user_id), tier=tier))
        for deals in rng.sample(markets, min(rng.randint(2, 5), len(markets))):
            # The first trades are taken on one side, the next on the other.
            for deal in rng.sample(deals, min(rng.randint(1, 4), len(deals))):
                if deal.give(story.member):
                    story.deals.append(deal)
        return story

    def _banking(self, story: Story) -> Iterator[Happening]:
        """He pays in what his deals need and more, and moves it where they need it."""
        rng, member, bank = self.rng, story.member, self.ledger.bank
        needs = story.needs()
        first = min((deal.trade.at_us for deal in story.deals), default=self.now_us)
        joined = first - rng.randrange(times.HOUR, 10 * times.DAY)
        spare = rng.randrange(100, 50_000, 50)
        cents = sum(needs.values()) // 10_000 + spare
        yield joined, 0, lambda: bank.deposit(member, cents, at_us=joined)
        for shard, need in needs.items():
            if shard:
                yield joined + times.MINUTE, 1, self._moving(member, need, shard, joined)
        if rng.random() < 0.2:
            later = rng.randrange(joined, self.now_us) + 1
            yield later, 4, lambda: bank.withdraw(member, spare // 2, at_us=later)

    def _moving(self, member: Member, need: int, shard: int, joined: int) -> Callable[[], object]:
        bank, at_us = self.ledger.bank, joined + times.MINUTE
        return lambda: bank.transfer(member, need, to_shard=shard, at_us=at_us)

    def _trading(self, deals: list[Deal]) -> Iterator[Happening]:
        for deal in deals:
            if deal.taker is not None:
                yield deal.trade.at_us, 2, self._dealing(deal, deal.taker)

    def _dealing(self, deal: Deal, taker: Member) -> Callable[[], object]:
        trade = deal.trade
        # Some wanted more than they got.
        more = self.rng.choice((0, 0, 0, 0, 0, 0, 0, 100, 1_000))
        return lambda: self.ledger.trade(
            taker,
            deal.entry,
            "bid" if trade.taker_bids else "ask",
            trade.price,
            trade.count,
            against=deal.maker,
            initial=trade.count + more,
            trade_id=trade.trade_id,
            at_us=trade.at_us,
        )

    def _settling(self, markets: list[MarketEntry]) -> Iterator[Happening]:
        for entry in markets:
            if entry.settled_us is not None:
                yield entry.settled_us, 3, self._paying(entry, entry.settled_us)

    def _paying(self, entry: MarketEntry, at_us: int) -> Callable[[], object]:
        return lambda: self.ledger.settle(entry, at_us)

    def _resting(self, member: Member, markets: list[MarketEntry]) -> None:
        """Half of them have bids below the market; a third of these were taken back."""
        if self.rng.random() < 0.5 or not markets:
            return
        entry = self.rng.choice(markets)
        last = ten_thousandths(entry.field("last_price_dollars"))
        price = snap(entry.grid, last * self.rng.randrange(50, 96) // 100)
        if price == 0:
            return
        at_us = self.now_us - self.rng.randrange(times.MINUTE, 2 * times.DAY)
        count = self.rng.randrange(100, 5_000)
        order = self.ledger.order(member, entry, "bid", price, count, at_us=at_us)
        self.ledger.rest(member, order)
        if self.rng.random() < 0.33:
            self.ledger.cancel(member, order.order_id, at_us=at_us + times.SECOND)
