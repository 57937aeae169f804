"""The ledger against money counted by hand: each contract bought, each pair paid a dollar."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_gateway.accounts.book import Execution, dollars
from kalshi_gateway.accounts.ledger import Ledger, replay
from kalshi_gateway.accounts.marks import MarketFacts
from kalshi_gateway.accounts.pnl import pnl
from kalshi_gateway.accounts.reconcile import compare_cash
from kalshi_gateway.accounts.records import Transfer
from kalshi_gateway.accounts.settling import Payout

START = datetime(2026, 7, 20, tzinfo=UTC)
END = START + timedelta(days=30)
TICKERS = ("A", "B")
SUBACCOUNTS = (0, 1)


@dataclass
class Hands:
    """One market of one subaccount: YES and NO apart, as they are bought and paired."""

    yes: Fraction = Fraction(0)
    no: Fraction = Fraction(0)
    yes_cost: Fraction = Fraction(0)
    no_cost: Fraction = Fraction(0)
    yes_bought: Fraction = Fraction(0)
    no_bought: Fraction = Fraction(0)
    yes_paid: Fraction = Fraction(0)
    no_paid: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    money: Fraction = Fraction(0)
    won: Fraction = Fraction(0)

    def buy(self, one: Execution) -> None:
        """Buy what is bought at its own price; then let pairs be paid."""
        count, price = abs(Fraction(one.contracts)), Fraction(one.yes_price)
        if one.contracts > 0:
            self.yes += count
            self.yes_bought += count
            self.yes_cost += count * price
            self.yes_paid += count * price
            self.money -= count * price
        else:
            self.no += count
            self.no_bought += count
            self.no_cost += count * (1 - price)
            self.no_paid += count * (1 - price)
            self.money -= count * (1 - price)
        self.fees += Fraction(one.fee or 0)
        self.pair()

    def pair(self) -> None:
        pairs = min(self.yes, self.no)
        if not pairs:
            return
        cost = self.yes_cost * pairs / self.yes + self.no_cost * pairs / self.no
        self.yes_cost -= self.yes_cost * pairs / self.yes
        self.no_cost -= self.no_cost * pairs / self.no
        self.yes -= pairs
        self.no -= pairs
        self.money += pairs
        self.won += pairs - cost

    def paid(self, value: Fraction) -> Fraction:
        """What a settlement at this value of YES brings."""
        return self.yes * value + self.no * (1 - value)

    def settle(self, value: Fraction) -> None:
        brought = self.paid(value)
        self.money += brought
        self.won += brought - self.yes_cost - self.no_cost
        self.yes = self.no = self.yes_cost = self.no_cost = Fraction(0)


@dataclass
class World:
    """What happened to one user."""

    fills: list[Execution]
    moves: list[Transfer]
    values: dict[str, Decimal]
    hands: dict[tuple[str, int], Hands] = field(default_factory=dict)
    rows: list[Payout] = field(default_factory=list)

    def __post_init__(self) -> None:
        for one in self.fills:
            self.hands.setdefault((one.ticker, one.subaccount), Hands()).buy(one)
        for key in self.hands:
            if key[0] in self.values:
                self.rows.append(self.row(*key))
        for (ticker, _), hands in self.hands.items():
            if ticker in self.values:
                hands.settle(Fraction(self.values[ticker]))

    def row(self, ticker: str, subaccount: int) -> Payout:
        """The settlement as the exchange would tell it; its revenue is cut off at cents."""
        hands, value = self.hands[ticker, subaccount], self.values[ticker]
        cents = hands.paid(Fraction(value)) * 100
        return Payout(
            ticker=ticker,
            # Two rows of one market that are the same to the microsecond would be taken for one.
            at=END + timedelta(microseconds=subaccount),
            yes_value=value,
            revenue=Decimal(int(cents)) / 100,
            yes_count=exact(hands.yes_bought),
            no_count=exact(hands.no_bought),
            yes_cost=exact(hands.yes_paid),
            no_cost=exact(hands.no_paid),
            fees=exact(hands.fees),
            subaccount=subaccount,
        )

    def ledger(self, seed: int, without: Iterable[str] = ()) -> Ledger:
        """Replayed from what was told in some order, some of it twice."""
        known = [one for one in self.fills if one.ticker not in without]
        told = known + known[::2]
        random.Random(seed).shuffle(told)
        return replay(told, self.rows[::-1] + self.rows)


def exact(amount: Fraction) -> Decimal:
    return Decimal(amount.numerator) / Decimal(amount.denominator)


cents = st.integers(1, 9_999_999).map(lambda n: Decimal(n) / 100)


@st.composite
def executions(draw: st.DrawFn) -> list[Execution]:
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(TICKERS),
                st.sampled_from(SUBACCOUNTS),
                st.integers(-3_000, 3_000).filter(bool),
                st.integers(1, 9_999),
                st.integers(-50, 20_000),
            ),
            max_size=25,
        )
    )
    return [
        Execution(
            fill_id=f"f{number:03}",
            ticker=ticker,
            at=START + timedelta(hours=5 * number),
            contracts=Decimal(count) / 100,
            yes_price=Decimal(price) / 10_000,
            fee=Decimal(fee) / 1_000_000,
            subaccount=subaccount,
        )
        for number, (ticker, subaccount, count, price, fee) in enumerate(drawn)
    ]


@st.composite
def transfers(draw: st.DrawFn) -> list[Transfer]:
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(("deposit", "withdrawal", "subaccount", "shard")),
                st.sampled_from(("applied", "complete", "pending", "failed", "returned")),
                st.sampled_from(SUBACCOUNTS),
                cents,
            ),
            max_size=8,
        )
    )
    return [
        Transfer(
            transfer_id=str(number),
            kind=kind,  # type: ignore[arg-type]
            status=status,
            method=None,
            amount=amount,
            fee=None,
            from_subaccount=sender,
            to_subaccount=1 - sender,
            from_shard=0,
            to_shard=2,
            created_time=START,
            finalized_time=None,
        )
        for number, (kind, status, sender, amount) in enumerate(drawn)
    ]


values = st.one_of(
    st.sampled_from((Decimal(0), Decimal(1))),
    st.integers(0, 10_000).map(lambda n: Decimal(n) / 10_000),
)
worlds = st.builds(
    World,
    fills=executions(),
    moves=transfers(),
    values=st.dictionaries(st.sampled_from(TICKERS), values),
)
seeds = st.integers(0, 1_000)


@settings(max_examples=150, deadline=None)
@given(world=worlds, seed=seeds)
def test_every_book_is_what_hands_count(world: World, seed: int) -> None:
    """Contracts, cost, realized P&L, fees and money are exact, in whatever order it is told."""
    ledger = world.ledger(seed)

    assert ledger.gaps == ()
    assert set(ledger.books) == set(world.hands)
    for key, book in ledger.books.items():
        hands = world.hands[key]
        assert book.contracts == hands.yes - hands.no
        assert book.cost == hands.yes_cost + hands.no_cost
        assert book.realized == hands.won
        assert book.fees == hands.fees
        assert book.balance == hands.money


@settings(max_examples=75, deadline=None)
@given(world=worlds, seed=seeds)
def test_entries_come_to_what_books_say(world: World, seed: int) -> None:
    """What single fills and settlements changed adds up; fees of closings miss only open ones."""
    ledger = world.ledger(seed)

    for (ticker, subaccount), book in ledger.books.items():
        entries = [e for e in ledger.entries if (e.ticker, e.subaccount) == (ticker, subaccount)]
        fees = sum((Fraction(e.fee or 0) for e in entries), Fraction(0))
        closing = sum((Fraction(e.closing_fee or 0) for e in entries), Fraction(0))
        opening = sum((Fraction(e.opening_fees or 0) for e in entries), Fraction(0))
        assert sum((e.realized for e in entries), Fraction(0)) == book.realized
        assert fees == book.fees
        assert closing + opening + Fraction(book.opening_fees or 0) == fees


@settings(max_examples=75, deadline=None)
@given(world=worlds, seed=seeds)
def test_settlements_without_subaccounts_count_once(world: World, seed: int) -> None:
    """Where rows do not say whose they are, all subaccounts together come out the same."""
    unnamed = [replace(row, subaccount=None) for row in world.rows]

    random.Random(seed).shuffle(unnamed)
    ledger = replay(world.fills, unnamed)

    for ticker in TICKERS:
        ours = [book for (name, _), book in ledger.books.items() if name == ticker]
        hands = [one for (name, _), one in world.hands.items() if name == ticker]
        assert sum(b.realized for b in ours) == sum(h.won for h in hands)
        assert sum(b.fees or 0 for b in ours) == sum(h.fees for h in hands)


@settings(max_examples=75, deadline=None)
@given(world=worlds, seed=seeds)
def test_a_settlement_knows_what_lost_fills_came_to(world: World, seed: int) -> None:
    """Without any fill of a market its settlement still says what it brought, and we say so."""
    ledger = world.ledger(seed, without=world.values)

    for (ticker, subaccount), hands in world.hands.items():
        if ticker in world.values:
            book = ledger.book(ticker, subaccount)
            assert book is not None
            assert book.realized == hands.won
            assert book.fees == hands.fees
            assert not book.contracts
    lost = {ticker for ticker, _ in world.hands if ticker in world.values}
    assert {gap.ticker for gap in ledger.gaps} == lost
    assert all(gap.only_when for gap in ledger.gaps)


@settings(max_examples=75, deadline=None)
@given(world=worlds, seed=seeds)
def test_the_balance_adds_up(world: World, seed: int) -> None:
    """Money counted by hand is the expected balance, however it moved between subaccounts."""
    ledger = world.ledger(seed)
    done = [move for move in world.moves if move.status in ("applied", "complete")]
    money = {number: Fraction(0) for number in SUBACCOUNTS}
    for (_, subaccount), hands in world.hands.items():
        money[subaccount] += hands.money - hands.fees
    for move in done:
        amount = Fraction(move.amount or 0)
        if move.kind in ("deposit", "withdrawal"):
            money[0] += amount if move.kind == "deposit" else -amount
        elif move.kind == "subaccount":
            money[move.from_subaccount or 0] -= amount
            money[move.to_subaccount or 0] += amount

    all_of_it = compare_cash(ledger, world.moves, dollars(sum(money.values(), Fraction(0))))
    too_much = compare_cash(ledger, world.moves, dollars(sum(money.values(), Fraction(7))))

    assert (all_of_it.difference, all_of_it.adds_up) == (Decimal(0), True)
    assert (too_much.difference, too_much.adds_up) == (Decimal(7), False)


@settings(max_examples=75, deadline=None)
@given(world=worlds, seed=seeds)
def test_every_grouping_comes_to_the_same(world: World, seed: int) -> None:
    """By market, event, category or day: the lines add up to what hands count."""
    facts = {"A": MarketFacts(event_ticker="E", category="Sports"), "B": MarketFacts()}
    won = sum((hands.won for hands in world.hands.values()), Fraction(0))
    fees = sum((hands.fees for hands in world.hands.values()), Fraction(0))
    ledger = world.ledger(seed)

    for by in ("market", "event", "category", "day"):
        answer = pnl(ledger, by, facts)

        rounding = Decimal("0.000001") * (len(answer.pnl) + 1)
        assert answer.complete
        assert answer.totals.realized_gross == dollars(won)
        assert answer.totals.realized_net == dollars(won) - dollars(fees)
        assert abs(sum(line.realized_gross for line in answer.pnl) - dollars(won)) <= rounding
        assert sum(line.fills for line in answer.pnl) == len(world.fills)


@settings(max_examples=20, deadline=None)
@given(
    trades=st.lists(
        st.tuples(st.integers(1, 99_999), st.integers(1, 9_999)), min_size=60, max_size=90
    )
)
def test_a_position_never_closed_stays_cheap_and_exact(trades: list[tuple[int, int]]) -> None:
    """However long its digits would grow, an average is right to far more than anyone sees."""
    fills = []
    for number, (count, price) in enumerate(trades):
        for step, contracts in enumerate((count + 1, -count)):
            fills.append(
                Execution(
                    fill_id=f"{number:03}/{step}",
                    ticker="A",
                    at=START + timedelta(minutes=2 * number + step),
                    contracts=Decimal(contracts) / 100,
                    yes_price=Decimal(price) / 10_000,
                    fee=Decimal("0.013"),
                )
            )
    hands = Hands()
    for one in fills:
        hands.buy(one)

    ledger = replay(fills)

    book = ledger.book("A")
    assert book is not None
    assert abs(book.realized - hands.won) < Fraction(1, 10**50)
    assert abs(book.cost - hands.yes_cost) < Fraction(1, 10**50)
    assert book.realized - book.cost == hands.won - hands.yes_cost
    assert book.average.denominator <= 10**60
    paid = [part for e in ledger.entries for part in (e.opening_fees, e.closing_fee) if part]
    assert sum(paid, book.opening_fees or Fraction(0)) == hands.fees
    assert all(part.denominator <= 10**60 for part in paid)
