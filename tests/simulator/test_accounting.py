"""The accounting is exact: no money is made or lost, and every row follows from the fills."""

import json
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_gateway.simulator import fees, refusals
from kalshi_gateway.simulator.accounts import Member
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.holdings import Holding
from kalshi_gateway.simulator.prices import DOLLAR, hundredths, millionths, ten_thousandths

from .members import a_market, a_member
from .moments import Moment

RECORDED = Path(__file__).parents[2].parent / "shared/kalshi/recordings"
MARKETS = ("KXFREE-26-A", "KXFREE-26-B", "KXPAID-26-A", "KXFAR-26-A")
CENT = 10_000
WHO = st.integers(0, 2)
SUBACCOUNT = st.sampled_from((0, 0, 0, 1))

trades = st.tuples(
    st.just("trade"),
    WHO,
    SUBACCOUNT,
    st.sampled_from(MARKETS),
    st.sampled_from(("bid", "ask")),
    st.integers(1, DOLLAR - 1),
    st.integers(1, 5_000) | st.integers(1, 50).map(lambda whole: whole * 100),
    st.sampled_from((None, 0, 1, 2)),
    st.booleans(),
)
others = st.one_of(
    st.tuples(st.just("deposit"), WHO, st.integers(1, 100_000)),
    st.tuples(st.just("withdraw"), WHO, st.integers(1, 100_000)),
    st.tuples(st.just("undo"), WHO, st.sampled_from(("applied", "returned", "failed"))),
    st.tuples(
        st.just("move"), WHO, SUBACCOUNT, SUBACCOUNT, st.integers(1, 9_999), st.sampled_from((0, 3))
    ),
    st.tuples(
        st.just("settle"),
        st.sampled_from(MARKETS),
        st.sampled_from(("yes", "no", "scalar")),
        st.integers(0, DOLLAR),
    ),
)
# Mostly trades, and enough of them for positions to be closed and turned.
lives = st.lists(st.one_of(trades, trades, trades, trades, others), min_size=12, max_size=40)


class World:
    """An exchange of three members, and what can happen on it."""

    def __init__(self) -> None:
        self.exchange = exchange = Exchange(now=Moment())
        for ticker in MARKETS:
            a_market(
                exchange,
                ticker,
                fee_multiplier=0 if "FREE" in ticker else 0.5,
                exchange_index=3 if "FAR" in ticker else 0,
            )
        exchange.catalogue.change_series("KXPAID", fee_type="quadratic_with_maker_fees")
        self.members = [a_member(exchange, 1_000).member for _ in range(3)]
        self.settled: set[str] = set()
        bank = exchange.ledger.bank
        for member in self.members:
            bank.transfer(member, 200_000_000, to_shard=3)
            bank.transfer(member, 200_000_000, to_subaccount=bank.open_subaccount(member))

    def happen(self, kind: str, *what: Any) -> None:
        """Let something happen, unless the exchange refuses it."""
        before = self.exchange.ledger.money()
        try:
            getattr(self, kind)(*what)
        except refusals.Refused:
            assert self.exchange.ledger.money() == before

    def trade(
        self,
        who: int,
        subaccount: int,
        ticker: str,
        side: Any,
        price: int,
        count: int,
        against: int | None,
        taker: bool,
    ) -> None:
        if ticker in self.settled or against == who:
            return
        self.exchange.ledger.trade(
            self.members[who],
            self.exchange.catalogue.markets[ticker],
            side,
            price,
            count,
            against=None if against is None else self.members[against],
            taker=taker,
            subaccount=subaccount,
        )

    def deposit(self, who: int, cents: int) -> None:
        self.exchange.ledger.bank.deposit(self.members[who], cents)

    def withdraw(self, who: int, cents: int) -> None:
        self.exchange.ledger.bank.withdraw(self.members[who], cents)

    def undo(self, who: int, status: Any) -> None:
        member = self.members[who]
        self.exchange.ledger.bank.finish(member, list(member.payments)[-1], status)

    def move(self, who: int, source: int, target: int, cents: int, shard: int) -> None:
        self.exchange.ledger.bank.transfer(
            self.members[who],
            cents * CENT,
            from_subaccount=source,
            to_subaccount=target,
            to_shard=shard,
        )

    def settle(self, ticker: str, result: str, value: int) -> None:
        if ticker not in self.settled:
            self.settled.add(ticker)
            text = f"{value // DOLLAR}.{value % DOLLAR:04d}" if result == "scalar" else None
            self.exchange.desk.settle(ticker, result, text)


@given(happenings=lives)
def test_no_money_is_made_or_lost(happenings: list[tuple[Any, ...]]) -> None:
    """What members have, what collateral holds and what fees took is what was deposited."""
    world = World()
    for happening in happenings:
        world.happen(*happening)

        money = world.exchange.ledger.money()
        assert money.members + money.collateral + money.fees == money.deposited
        for member in world.members:
            assert all(amount >= 0 for amount in member.cash.now.values())
            assert all(amount % member.precision == 0 for amount in member.cash.now.values())
        for ticker, locked in world.exchange.ledger.collateral.items():
            positions = [holding.position for holding in everyones(world, ticker)]
            assert sum(positions) == 0
            assert locked == sum(p for p in positions if p > 0) * DOLLAR


@given(happenings=lives)
def test_positions_are_what_their_fills_make_them(happenings: list[tuple[Any, ...]]) -> None:
    """Replayed with fractions, from the rows a member reads; averages to the nearest millionth."""
    world = World()
    for happening in happenings:
        world.happen(*happening)

    for member in world.members:
        replayed = replay(member)
        assert replayed.keys() == member.holdings.now.keys()
        for key, holding in member.holdings.now.items():
            again, ticker = replayed[key], key[1]
            closings = len(member.fills.things)
            assert holding.traded == again.spent
            if ticker not in world.settled:
                assert holding.position == again.position
                assert holding.fees == again.fees
                assert abs(holding.exposure - again.exposure) <= closings
                assert abs(holding.realized - again.realized) <= closings


@given(happenings=lives)
def test_a_settlement_row_gives_what_a_market_brought(happenings: list[tuple[Any, ...]]) -> None:
    """Revenue and pairs, less costs and fees, is what the balance has moved by: to the cent."""
    world = World()
    for happening in happenings:
        world.happen(*happening)
    for ticker in MARKETS:
        world.happen("settle", ticker, "yes", 0)

    assert world.exchange.ledger.collateral == {}
    for member in world.members:
        total = sum(
            amount * (1 if payment.deposit else -1)
            for payment in member.payments.values()
            if payment.status == "applied"
            for amount in [payment.amount_cents * CENT]
        )
        for settlement in member.settlements.things:
            row = settlement.row()
            yes, no = hundredths(row["yes_count_fp"]), hundredths(row["no_count_fp"])
            net = (
                settlement.paid
                + min(yes, no) * DOLLAR
                - millionths(row["yes_total_cost_dollars"])
                - millionths(row["no_total_cost_dollars"])
                - millionths(row["fee_cost"])
            )
            assert 0 <= settlement.paid - row["revenue"] * CENT < CENT
            holding = settlement.holding
            assert net == holding.realized - holding.fees
            total += net
        assert total == member.total


@given(
    price=st.integers(1, DOLLAR - 1),
    count=st.integers(1, 100_000),
    taker=st.booleans(),
    change=st.integers(-(10**9), 10**9),
    saved=st.integers(0, 99),
)
def test_a_fee_is_never_less_than_nothing(
    price: int, count: int, taker: bool, change: int, saved: int
) -> None:
    """What rounding takes too much is saved up and given back in whole steps."""
    terms = fees.terms("quadratic_with_maker_fees", "1")
    model = terms.fee(price, count, taker=taker)

    charged, left = fees.rounded(change, model, saved, 100)

    exact = (terms.taker if taker else terms.maker) * count * price * (DOLLAR - price) / DOLLAR
    assert model - 1 < exact <= model
    assert charged >= 0
    assert (change - charged) % 100 == 0
    assert charged - model == left - saved


@pytest.mark.parametrize(
    ("fee_type", "multiplier", "taker", "maker"),
    [
        ("quadratic", "1", 17_472, 0),
        ("quadratic_with_maker_fees", "0.5", 8_736, 2_184),
        ("quadratic_with_combo_maker_fees", "1", 17_472, 8_736),
        ("flat", "1", 8_736, 0),
        ("quadratic", "0", 0, 0),
        ("something_new", "1", 17_472, 4_368),
    ],
)
def test_fees_follow_their_type(fee_type: str, multiplier: str, taker: int, maker: int) -> None:
    """One contract at 0.52, in millionths of a dollar."""
    terms = fees.terms(fee_type, multiplier)

    assert terms.fee(5_200, 100, taker=True) == taker
    assert terms.fee(5_200, 100, taker=False) == maker


def test_what_was_rounded_up_is_given_back_within_an_order(exchange: Exchange) -> None:
    """Ten fills of one order at 0.52 cost what one fill of ten does, but for a part of a step."""
    a_market(exchange, "KXCALM-26-A")
    ada, bob = a_member(exchange).member, a_member(exchange).member
    order = exchange.desk.rest(ada, "KXCALM-26-A", "bid", "0.5200", "10")
    exchange.catalogue.change_series("KXCALM", fee_type="quadratic_with_maker_fees")

    for _ in range(10):
        exchange.desk.hit(ada, order.order_id, "1")
    exchange.desk.trade(bob, "KXCALM-26-A", "bid", "0.5200", "10", taker=False)

    fills = [fill.fee for fill in ada.fills.things]
    assert set(fills) == {4_300, 4_400}
    assert sum(fills) == 43_700 == bob.fills.things[0].fee


def test_recorded_fills_make_the_recorded_position() -> None:
    """What a demo account bought in 2026-06 costs and stands here as it did there."""
    rest = RECORDED / "rest"
    if not rest.is_dir():
        pytest.skip(f"no recordings beside the checkout: {RECORDED}")
    fills = json.loads((rest / "portfolio_fills/demo-2026-06-11.json").read_text())["fills"]
    page = json.loads((rest / "portfolio_positions/demo-2026-06-11.json").read_text())
    balance = json.loads((rest / "portfolio_balance/demo-2026-06-11.json").read_text())
    exchange = Exchange(now=Moment())
    ticker = fills[0]["ticker"]
    entry = a_market(exchange, ticker)
    ada = a_member(exchange).member
    balances = []

    for fill in reversed(fills):
        booked = exchange.ledger.trade(
            ada,
            entry,
            fill["book_side"],
            ten_thousandths(fill["yes_price_dollars"]),
            hundredths(fill["count_fp"]),
            taker=fill["is_taker"],
        )
        balances.append(ada.total)
        row = booked.row()
        same = row.keys() & fill.keys() - {"created_time", "fill_id", "trade_id", "order_id", "ts"}
        assert {name: row[name] for name in same} == {name: fill[name] for name in same}

    # The balance was read before the last of the fills.
    assert balances[-2] == millionths(balance["balance_dollars"])
    recorded = page["market_positions"][0]
    row = ada.holdings.now[0, ticker].row()
    same = row.keys() & recorded.keys() - {"last_updated_ts"}
    assert len(same) == 6
    assert {name: row[name] for name in same} == {name: recorded[name] for name in same}


class Replayed:
    """A position made of fills, in fractions."""

    def __init__(self) -> None:
        self.position = self.fees = self.spent = 0
        self.exposure = self.realized = Fraction(0)

    def add(self, row: dict[str, Any]) -> None:
        """One more fill, as a member reads it."""
        count, bid = hundredths(row["count_fp"]), row["book_side"] == "bid"
        paid = ten_thousandths(row["yes_price_dollars" if bid else "no_price_dollars"])
        self.fees += millionths(row["fee_cost"])
        self.spent += count * paid
        against = self.position < 0 if bid else self.position > 0
        closing = min(count, abs(self.position)) if against else 0
        if closing:
            cost = self.exposure * closing / abs(self.position)
            self.realized += closing * (DOLLAR - paid) - cost
            self.exposure -= cost
        self.exposure += (count - closing) * paid
        self.position += count if bid else -count


def replay(member: Member) -> dict[tuple[int, str], Replayed]:
    """A member's positions, by subaccount and market, from his fills alone."""
    made: dict[tuple[int, str], Replayed] = defaultdict(Replayed)
    rows = {fill.fill_id: fill.row() for fill in member.fills.things}
    # In the order they happened, which time alone does not tell where it stands still.
    for order in member.orders.now.values():
        for row in rows.values():
            if row["order_id"] == order.order_id:
                made[row["subaccount_number"], row["ticker"]].add(row)
    return made


def everyones(world: World, ticker: str) -> list[Holding]:
    """All holdings in a market, the crowd's too."""
    return [
        holding
        for member in (*world.members, world.exchange.ledger.crowd)
        for (_, of), holding in member.holdings.now.items()
        if of == ticker
    ]
