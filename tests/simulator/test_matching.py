"""Which offers an order meets, what is left of them, and who waits before whom."""

from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_gateway.simulator import refusals
from kalshi_gateway.simulator.accounts import Member
from kalshi_gateway.simulator.entries import MarketEntry
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.ledger import BookSide
from kalshi_gateway.simulator.matching import Taken
from kalshi_gateway.simulator.prices import DOLLAR
from kalshi_gateway.simulator.rows import Order

from .members import a_market, a_member, held, signed
from .moments import Moment

TICKER = "KXCALM-26-A"
QUOTED: dict[str, Any] = {
    "yes_bid_dollars": "0.4000",
    "yes_bid_size_fp": "5.00",
    "yes_ask_dollars": "0.4200",
    "yes_ask_size_fp": "10.00",
}


@pytest.fixture
def market(exchange: Exchange) -> MarketEntry:
    return a_market(exchange, TICKER, **QUOTED)


@pytest.fixture
def ada(exchange: Exchange) -> Member:
    return a_member(exchange).member


@pytest.fixture
def bob(exchange: Exchange) -> Member:
    return a_member(exchange).member


def place(
    exchange: Exchange,
    member: Member,
    side: BookSide,
    price: int,
    count: int,
    *,
    rests: bool = True,
    **given: Any,
) -> Taken:
    """Lets a member write an order; price in ten-thousandths, count in hundredths."""
    entry = exchange.catalogue.markets[TICKER]
    order = exchange.ledger.order(member, entry, side, price, count, **given)
    exchange.matching.afford(member, order)
    return exchange.matching.place(member, entry, order, rests=rests)


def quote(market: MarketEntry) -> tuple[str, str]:
    return market.field("yes_ask_dollars"), market.field("yes_ask_size_fp")


def status(member: Member, order: Order) -> tuple[str, int]:
    now = member.orders.now[order.order_id]
    return now.status, now.remaining


def test_what_is_taken_is_gone(exchange: Exchange, ada: Member, market: MarketEntry) -> None:
    """A part of the best level leaves less of it."""
    place(exchange, ada, "bid", 4_200, 300)

    assert quote(market) == ("0.4200", "7.00")
    assert market.field("last_price_dollars") == "0.4200"


def test_a_level_that_is_gone_leaves_the_next(
    exchange: Exchange, ada: Member, market: MarketEntry
) -> None:
    """The rest of an order waits at its limit, below what is quoted then."""
    taken = place(exchange, ada, "bid", 4_200, 1_200)

    assert [(fill.price, fill.count) for fill in taken.fills] == [(4_200, 1_000)]
    assert status(ada, taken.order) == ("resting", 200)
    assert quote(market)[0] > "0.4200"


def test_the_last_level_leaves_nothing(
    exchange: Exchange, ada: Member, market: MarketEntry
) -> None:
    """Where everything has been taken nobody quotes."""
    exchange.ledger.bank.deposit(ada, 100_000_000)

    taken = place(exchange, ada, "bid", 9_900, 5_000_000, rests=False)

    assert sum(fill.count for fill in taken.fills) > 1_000
    assert quote(market) == ("1.0000", "0.00")
    assert taken.order.status == "canceled"


def test_first_come_first_served(
    exchange: Exchange, ada: Member, bob: Member, market: MarketEntry
) -> None:
    """At one price the older order trades first, and pays no more than a maker does."""
    first = place(exchange, ada, "bid", 4_100, 200).order
    second = place(exchange, ada, "bid", 4_100, 100).order

    taken = place(exchange, bob, "ask", 4_100, 250)

    assert [fill.count for fill in taken.fills] == [200, 50]
    assert status(ada, first) == ("executed", 0)
    assert status(ada, second) == ("resting", 50)
    assert held(ada, TICKER).fees < held(bob, TICKER).fees


def test_an_order_that_cannot_be_paid_is_taken_down(
    exchange: Exchange, ada: Member, bob: Member, market: MarketEntry
) -> None:
    """Resting sets no money aside; who is met without it is passed over for the next."""
    poor = place(exchange, bob, "bid", 4_100, 20_000).order
    exchange.ledger.bank.withdraw(bob, 9_950)

    taken = place(exchange, ada, "ask", 4_000, 500)

    assert status(bob, poor) == ("canceled", 0)
    assert [fill.price for fill in taken.fills] == [4_000]


def test_the_crowd_comes_to_what_rests(
    exchange: Exchange, ada: Member, bob: Member, market: MarketEntry
) -> None:
    """Once the crowd asks for less than a member bids, it gets what he bids."""
    met = place(exchange, ada, "bid", 4_100, 200).order
    poor = place(exchange, bob, "bid", 4_100, 20_000).order
    missed = place(exchange, ada, "bid", 3_000, 200).order
    exchange.ledger.bank.withdraw(bob, 9_950)

    exchange.catalogue.change(TICKER, yes_bid_dollars="0.3500", yes_ask_dollars="0.3700")
    exchange.matching.meet(market)

    assert status(ada, met) == ("executed", 0)
    assert status(bob, poor) == ("canceled", 0)
    assert status(ada, missed) == ("resting", 200)
    assert [(fill.price, fill.taker) for fill in ada.fills.things] == [(4_100, False)]
    assert market.field("last_price_dollars") == "0.4100"


def test_who_went_with_his_group_is_not_met(
    exchange: Exchange, ada: Member, market: MarketEntry
) -> None:
    """What is met first may take the rest of its group down."""
    group = exchange.groups.create(ada, 0, 0, limit=100).group_id
    met = place(exchange, ada, "bid", 4_100, 200, order_group_id=group).order
    gone = place(exchange, ada, "bid", 4_100, 200, order_group_id=group).order

    exchange.catalogue.change(TICKER, yes_bid_dollars="0.3500", yes_ask_dollars="0.3700")
    exchange.matching.meet(market)

    assert status(ada, met) == ("executed", 0)
    assert status(ada, gone) == ("canceled", 0)
    assert held(ada, TICKER).position == 200


async def test_the_queue(
    exchange: Exchange, client: httpx.AsyncClient, moment: Moment, market: MarketEntry
) -> None:
    """Who came later waits for who came before, at the same price on the same side."""
    first, second = (a_member(exchange) for _ in range(2))
    place(exchange, first.member, "bid", 3_000, 300)
    place(exchange, first.member, "bid", 2_900, 700)
    waiting = place(exchange, second.member, "bid", 3_000, 100).order
    auth = signed(second, moment)

    one = await client.get(f"/portfolio/orders/{waiting.order_id}/queue_position", auth=auth)
    every = await client.get("/portfolio/orders/queue_positions", auth=auth)
    unknown = await client.get("/portfolio/orders/nothing/queue_position", auth=auth)

    assert one.json() == {"queue_position_fp": "3.00"}
    assert every.json()["queue_positions"] == [
        {"market_ticker": TICKER, "order_id": waiting.order_id, "queue_position_fp": "3.00"}
    ]
    assert unknown.status_code == 404


def test_cancelling_all_may_reach_what_comes_after(
    exchange: Exchange, ada: Member, moment: Moment, market: MarketEntry
) -> None:
    """Orders of the next minute go as well, later ones do not."""
    exchange.matching.sweeps_for_us = 60_000_000
    exchange.matching.cancel_all(ada, None, exchange.clock.micros())

    caught = place(exchange, ada, "bid", 3_000, 100).order
    moment.move(seconds=61)
    free = place(exchange, ada, "bid", 3_000, 100).order

    assert (caught.status, free.status) == ("canceled", "resting")


WRITTEN = st.tuples(
    st.integers(0, 1),
    st.sampled_from(("bid", "ask")),
    st.integers(1, 99).map(lambda cents: cents * 100),
    st.integers(1, 2_000),
    st.booleans(),
    st.sampled_from(("taker_at_cross", "maker")),
)


@given(st.lists(WRITTEN, min_size=5, max_size=30))
def test_no_money_is_made_or_lost(written: list[tuple[Any, ...]]) -> None:
    """Whatever is asked for, all money is somewhere, nobody owes any, and no two orders cross."""
    exchange = Exchange(now=Moment())
    a_market(exchange, TICKER, **QUOTED)
    members = [a_member(exchange, 50).member for _ in range(2)]

    for who, side, price, count, rests, prevention in written:
        with suppress(refusals.Refused):
            place(
                exchange,
                members[who],
                side,
                price,
                count,
                rests=rests,
                self_trade_prevention=prevention,
            )

    money = exchange.ledger.money()
    assert money.members + money.collateral + money.fees == money.deposited
    assert all(member.total >= 0 for member in members)
    resting = [order for _, order in exchange.ledger.resting(TICKER)]
    bids = [order.price for order in resting if order.bid]
    asks = [order.price for order in resting if not order.bid]
    assert max(bids, default=0) < min(asks, default=DOLLAR)
