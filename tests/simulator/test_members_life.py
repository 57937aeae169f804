"""Generated members have a past, and act by themselves, the same way each time."""

from collections import Counter
from typing import Any

import httpx
import pytest

from kalshi_gateway.simulator import times
from kalshi_gateway.simulator.__main__ import describe
from kalshi_gateway.simulator.app import create_app
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.prices import DOLLAR
from kalshi_gateway.simulator.times import SECOND

from .asking import Signed
from .members import a_member, asked
from .moments import Moment


def peopled(now: Moment, members: int = 60) -> Exchange:
    exchange = Exchange.generated(400, seed=5, now=now, members=members)
    exchange.limits.on = False
    return exchange


def truths(exchange: Exchange) -> list[dict[str, Any]]:
    return [exchange.desk.truth(member) for member in exchange.members]


def conserved(exchange: Exchange) -> bool:
    money = exchange.ledger.money()
    return money.members + money.collateral + money.fees == money.deposited


def test_two_lives_of_one_seed_are_the_same() -> None:
    """Members, their ids, their past and what they do next."""

    def lived() -> list[dict[str, Any]]:
        now = Moment()
        exchange = peopled(now)
        for _ in range(4):
            exchange.step(10)
            now.move(hours=5)
        return truths(exchange)

    assert lived() == lived()


def test_members_have_done_everything_a_member_does(moment: Moment) -> None:
    """Among them; and nobody has spent what he never had."""
    exchange = peopled(moment)

    every = truths(exchange)

    assert len(every) == 60
    assert len({truth["user_id"] for truth in every}) == 60
    for kind in ("fills", "orders", "settlements", "deposits", "withdrawals", "transfers"):
        assert any(truth[kind] for truth in every), kind
    statuses = Counter(order["status"] for truth in every for order in truth["orders"])
    assert statuses.keys() == {"executed", "canceled", "resting"}
    assert {truth["tier"] for truth in every} >= {"basic", "advanced"}
    assert any(fill["is_taker"] is False for truth in every for fill in truth["fills"])
    assert conserved(exchange)
    for member in exchange.members:
        assert all(amount >= 0 for amount in member.cash.now.values())


def test_a_members_past_is_on_the_public_tape(moment: Moment) -> None:
    """Every fill is a half of a trade that everyone can read, and no half is two members'."""
    exchange = peopled(moment)

    halves: Counter[tuple[str, bool]] = Counter()
    for member in exchange.members:
        for fill in member.fills.things:
            trade = next(t for t in exchange.tape.of(fill.ticker) if t.trade_id == fill.fill_id)
            assert (trade.price, trade.count, trade.at_us) == (fill.price, fill.count, fill.at_us)
            assert trade.taker_bids is (fill.bid is fill.taker)
            halves[fill.fill_id, fill.taker] += 1

    assert set(halves.values()) == {1}


def test_settled_pasts_are_paid_as_the_market_says(moment: Moment) -> None:
    """Nobody holds anything in a market that has been paid out."""
    exchange = peopled(moment)
    catalogue = exchange.catalogue

    rows = [row for member in exchange.members for row in member.settlements.things]
    held = [(h, m) for m in exchange.members for h in m.holdings.now.values() if h.position]

    assert rows
    for row in rows:
        entry = catalogue.markets[row.holding.ticker]
        assert (row.at_us, row.result) == (entry.settled_us, entry.field("result"))
    assert held
    assert all(catalogue.markets[h.ticker].filed != "settled" for h, _ in held)


async def test_members_read_their_past_with_a_key_of_theirs(moment: Moment) -> None:
    """Live and historical together are all there is."""
    exchange = peopled(moment)
    member = max(exchange.members, key=lambda member: len(member.fills))
    auth = Signed(*exchange.keys.issue("ed25519", member=member), moment)
    transport = httpx.ASGITransport(app=create_app(exchange))
    base = "http://exchange/trade-api/v2"

    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        live = await asked(client, "/portfolio/fills", auth, limit=1000)
        old = await asked(client, "/historical/fills", auth, limit=1000)
        truth = exchange.desk.truth(member)

    assert [*live["fills"], *old["fills"]] == truth["fills"]


def test_members_trade_in_the_living_exchange(moment: Moment) -> None:
    """With the public, with each other, at the prices on the tape; money stays what it is."""
    exchange = peopled(moment)
    before = {member.user_id: len(member.fills) for member in exchange.members}
    moment.move(seconds=1)

    exchange.step(60)

    fresh = [
        fill
        for member in exchange.members
        for fill in member.fills.things[: len(member.fills) - before[member.user_id]]
    ]
    assert {fill.taker for fill in fresh} == {True, False}
    assert all(fill.at_us == exchange.clock.micros() for fill in fresh)
    for fill in fresh[:20]:
        assert fill.fill_id in {trade.trade_id for trade in exchange.tape.of(fill.ticker)}
    assert conserved(exchange)


def test_closing_takes_orders_down_and_settling_pays(moment: Moment) -> None:
    """Through the exchange's own clock, without anyone's doing."""
    exchange = peopled(moment)
    held = [
        (member, holding)
        for member in exchange.members
        for holding in member.holdings.now.values()
        if holding.position and exchange.catalogue.markets[holding.ticker].filed == "open"
    ]
    member, holding = min(held, key=lambda h: exchange.catalogue.markets[h[1].ticker].closes_us)
    entry = exchange.catalogue.markets[holding.ticker]
    order = exchange.desk.rest(member, entry.ticker, "bid", "0.0100", "1")
    money = member.total

    moment.at = max(moment.at, times.moment(entry.closes_us + SECOND))
    exchange.catch_up()
    closed = member.orders.now[order.order_id]
    while entry.field("status") != "finalized":
        moment.move(hours=1)
        exchange.catch_up()

    assert (closed.status, closed.reason) == ("canceled", "CloseCancel")
    settled = member.holdings.now[0, entry.ticker]
    assert (settled.position, settled.settled_us) == (0, entry.settled_us)
    assert entry.ticker not in exchange.ledger.collateral
    assert member.total >= money
    assert conserved(exchange)


def test_a_pause_that_ends_takes_orders_down(moment: Moment) -> None:
    """They have rested through the pause."""
    exchange = peopled(moment)
    ada = a_member(exchange).member
    ticker = exchange.catalogue.created["open", 0].things[0].ticker
    order = exchange.desk.rest(ada, ticker, "bid", "0.0100", "1")

    exchange.catalogue.pause(ticker)
    paused = ada.orders.now[order.order_id].status
    exchange.catalogue.open(ticker)

    assert paused == "resting"
    assert ada.orders.now[order.order_id].reason == "HaltCancel"


def test_orders_expire(moment: Moment) -> None:
    """At the next moment of the exchange's life."""
    exchange = peopled(moment)
    ada = a_member(exchange).member
    entry = exchange.catalogue.created["open", 0].things[0]
    expires = exchange.clock.micros() + SECOND
    order = exchange.desk.rest(ada, entry.ticker, "bid", "0.0100", "1", expires_us=expires)
    row = order.row()

    moment.move(seconds=2)
    exchange.step()

    assert row["expiration_time"] == "2026-11-20T15:30:01Z"
    assert ada.orders.now[order.order_id].reason == "ExpiryCancel"


def test_what_has_expired_is_met_by_nobody(moment: Moment) -> None:
    """Also where quotes move past it in the very moment in which it goes."""
    exchange = peopled(moment)
    ada = a_member(exchange, 10_000).member
    expires = exchange.clock.micros() + SECOND
    for entry in exchange.catalogue.created["open", 0].things:
        if not entry.field("exchange_index"):
            exchange.desk.rest(ada, entry.ticker, "bid", "0.9900", "1", expires_us=expires)

    moment.move(seconds=2)
    exchange.step()

    assert {order.reason for order in ada.orders.now.values()} == {"ExpiryCancel"}


def test_who_is_admitted_at_the_desk_acts_only_when_told(moment: Moment) -> None:
    """A test's member stays as the test made him."""
    exchange = peopled(moment)
    ada = a_member(exchange).member
    before = exchange.desk.truth(ada)

    exchange.step(60)

    assert exchange.desk.truth(ada) == before


@pytest.mark.parametrize("members", [0, 3])
def test_the_command_says_how_many_members_there_are(moment: Moment, members: int) -> None:
    """When there are any."""
    exchange = Exchange.generated(60, now=moment, members=members)

    assert (", 3 members" in describe(exchange)) is bool(members)


def test_many_members_together_hold_what_the_collateral_is(moment: Moment) -> None:
    """The books balance market by market."""
    exchange = peopled(moment, members=300)

    longs: Counter[str] = Counter()
    for member in (*exchange.members, exchange.ledger.crowd):
        for (_, ticker), holding in member.holdings.now.items():
            longs[ticker] += max(holding.position, 0)

    locked = {ticker: amount for ticker, amount in exchange.ledger.collateral.items() if amount}
    assert locked == {ticker: count * DOLLAR for ticker, count in longs.items() if count}
