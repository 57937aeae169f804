"""What members read about themselves: balances, positions, fills, orders, settlements."""

from typing import Any

import httpx
import pytest

from kalshi_gateway.simulator.exchange import Exchange

from .asking import Signed, walk
from .members import a_market, a_member, asked, signed
from .moments import Moment

A = "KXCALM-26-A"


async def test_a_bought_position_shows_as_on_the_exchange(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """The numbers of 2026-06 on demo: two at 0.99 and one at 0.52, each with its fee rounded up."""
    a_market(exchange)
    ada = a_member(exchange)
    auth = signed(ada, moment)
    for price in ("0.9900", "0.9900", "0.5200"):
        exchange.desk.trade(ada.member, A, "bid", price, "1")

    balance = await asked(client, "/portfolio/balance", auth)
    positions = await asked(client, "/portfolio/positions", auth)
    fills = await asked(client, "/portfolio/fills", auth, order_id="")

    assert (balance["balance"], balance["balance_dollars"]) == (9748, "97.4811")
    assert positions["market_positions"] == [
        {
            "exchange_index": 0,
            "fees_paid_dollars": "0.018900",
            "last_updated_ts": "2026-11-20T15:30:00Z",
            "market_exposure_dollars": "2.500000",
            "position_fp": "3.00",
            "realized_pnl_dollars": "0.000000",
            "ticker": A,
            "total_traded_dollars": "2.500000",
        }
    ]
    assert positions["event_positions"] == [
        {
            "event_exposure_dollars": "2.500000",
            "event_ticker": "KXCALM-26",
            "fees_paid_dollars": "0.018900",
            "realized_pnl_dollars": "0.000000",
            "total_cost_dollars": "2.500000",
            "total_cost_shares_fp": "3.00",
        }
    ]
    costs = [(fill["yes_price_dollars"], fill["fee_cost"]) for fill in fills["fills"]]
    assert sorted(costs) == [("0.5200", "0.017500"), ("0.9900", "0.000700"), ("0.9900", "0.000700")]


async def test_a_fill_is_the_members_half_of_a_public_trade(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """They share an id; the old words of an ask contradict each other as they do in production."""
    a_market(exchange)
    ada = a_member(exchange)
    order = exchange.desk.trade(ada.member, A, "ask", "0.3500", "2.50").order_id

    fill = (await asked(client, "/portfolio/fills", signed(ada, moment)))["fills"][0]
    trade = (await walk(client, "/markets/trades", "trades", ticker=A))[0]
    market = (await client.get(f"/markets/{A}")).json()["market"]

    assert fill == {
        "action": "sell",
        "book_side": "ask",
        "count_fp": "2.50",
        "created_time": "2026-11-20T15:30:00Z",
        "exchange_index": 0,
        "fee_cost": fill["fee_cost"],
        "fill_id": trade["trade_id"],
        "is_taker": True,
        "market_ticker": A,
        "no_price_dollars": "0.6500",
        "order_id": order,
        "outcome_side": "no",
        "side": "no",
        "subaccount_number": 0,
        "ticker": A,
        "trade_id": trade["trade_id"],
        "ts": 1795188600,
        "yes_price_dollars": "0.3500",
    }
    assert (trade["taker_book_side"], trade["count_fp"]) == ("ask", "2.50")
    assert (market["last_price_dollars"], market["volume_fp"]) == ("0.3500", "2.50")
    assert market["open_interest_fp"] == "2.50"


async def test_selling_closes_at_the_average_and_then_opens_the_other_side(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """Three at 0.50 on average, five sold at 0.60: three won 0.30, two NO cost 0.40 each."""
    a_market(exchange, fee_multiplier=0)
    ada = a_member(exchange)
    for price, count in (("0.4000", "1"), ("0.5500", "2")):
        exchange.desk.trade(ada.member, A, "bid", price, count)

    exchange.desk.trade(ada.member, A, "ask", "0.6000", "5")

    row = (await asked(client, "/portfolio/positions", signed(ada, moment)))["market_positions"][0]
    assert row["position_fp"] == "-2.00"
    assert row["market_exposure_dollars"] == "0.800000"
    assert row["realized_pnl_dollars"] == "0.300000"
    assert row["total_traded_dollars"] == "3.500000"
    assert ada.member.total == 100_000_000 - 1_500_000 + 3_000_000 - 2_000_000


async def test_a_settlement_row_tells_a_whole_life(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """28 bought at 0.94 and sold again at 0.9029: nothing held, nothing paid, and still a row."""
    a_market(exchange, price_level_structure="center_centi_edge_centi_cent")
    ada = a_member(exchange)
    exchange.desk.trade(ada.member, A, "bid", "0.9400", "28")
    exchange.desk.trade(ada.member, A, "ask", "0.9029", "28")
    before = ada.member.total

    exchange.desk.settle(A, "no")

    row = (await asked(client, "/portfolio/settlements", signed(ada, moment)))["settlements"][0]
    assert (row["yes_count_fp"], row["yes_total_cost_dollars"]) == ("28.00", "26.320000")
    assert (row["no_count_fp"], row["no_total_cost_dollars"]) == ("28.00", "2.718800")
    assert (row["market_result"], row["revenue"], row["value"]) == ("no", 0, 0)
    assert ada.member.total == before


@pytest.mark.parametrize(
    ("result", "value", "revenue", "fee", "balance"),
    [
        ("yes", None, 1050, "0.000000", "104.8300"),
        ("no", None, 0, "0.000000", "94.3300"),
        # 10.50 at 0.3333 are 3.49965, and the balance moves in steps of 0.0001.
        ("scalar", "0.3333", 349, "0.000050", "97.8296"),
        ("void", None, 567, "0.000000", "100.0000"),
    ],
)
async def test_a_market_pays_what_it_was_worth(
    client: httpx.AsyncClient,
    exchange: Exchange,
    moment: Moment,
    result: str,
    value: str | None,
    revenue: int,
    fee: str,
    balance: str,
) -> None:
    """Cents are cut off the revenue; what a balance cannot hold shows as a fee."""
    a_market(exchange, fee_multiplier=0)
    ada = a_member(exchange)
    exchange.desk.trade(ada.member, A, "bid", "0.5400", "10.50")

    exchange.desk.settle(A, result, value)

    auth = signed(ada, moment)
    row = (await asked(client, "/portfolio/settlements", auth))["settlements"][0]
    assert (row["revenue"], row["fee_cost"]) == (revenue, fee)
    assert row["market_result"] == ("scalar" if result == "void" else result)
    assert (await asked(client, "/portfolio/balance", auth))["balance_dollars"] == balance


async def test_positions_are_unsettled_settled_or_all(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """A flat market stays listed until it settles, and its profit with it."""
    for ticker in ("KXCALM-26-A", "KXCALM-26-B", "KXCALM-27-A"):
        a_market(exchange, ticker, fee_multiplier=0)
    ada = a_member(exchange)
    auth = signed(ada, moment)
    exchange.desk.trade(ada.member, "KXCALM-26-A", "bid", "0.5000", "2")
    exchange.desk.trade(ada.member, "KXCALM-26-B", "bid", "0.5000", "2")
    exchange.desk.trade(ada.member, "KXCALM-26-B", "ask", "0.5500", "2")
    exchange.desk.trade(ada.member, "KXCALM-27-A", "ask", "0.5000", "2")
    exchange.desk.settle("KXCALM-27-A", "no")

    async def rows(**params: Any) -> dict[str, tuple[str, str]]:
        listed = await walk(
            Authorized(client, auth), "/portfolio/positions", "market_positions", limit=1, **params
        )
        return {row["ticker"]: (row["position_fp"], row["realized_pnl_dollars"]) for row in listed}

    assert await rows() == {
        "KXCALM-26-A": ("2.00", "0.000000"),
        "KXCALM-26-B": ("0.00", "0.100000"),
    }
    assert await rows(count_filter="position") == {"KXCALM-26-A": ("2.00", "0.000000")}
    assert (await rows(count_filter="total_traded")).keys() == {"KXCALM-26-A", "KXCALM-26-B"}
    assert await rows(settlement_status="settled") == {"KXCALM-27-A": ("0.00", "1.000000")}
    assert len(await rows(settlement_status="all")) == 3
    assert await rows(event_ticker="KXCALM-27") == {}


class Authorized(httpx.AsyncClient):
    """A client that signs all it asks."""

    def __init__(self, client: httpx.AsyncClient, auth: Signed) -> None:
        super().__init__(transport=client._transport, base_url=client.base_url, auth=auth)


async def test_an_event_on_two_pages_is_told_whole_on_both(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """Its row adds up all its markets, not those of the page."""
    ada = a_member(exchange)
    for ticker in ("KXCALM-26-A", "KXCALM-26-B"):
        a_market(exchange, ticker, fee_multiplier=0)
        exchange.desk.trade(ada.member, ticker, "bid", "0.2500", "4")

    first = await asked(client, "/portfolio/positions", signed(ada, moment), limit=1)
    second = await asked(
        client, "/portfolio/positions", signed(ada, moment), limit=1, cursor=first["cursor"]
    )

    assert first["event_positions"] == second["event_positions"]
    assert first["event_positions"][0]["total_cost_dollars"] == "2.000000"
    assert first["market_positions"] != second["market_positions"]
    assert second["cursor"] == ""


async def test_cursors_that_mean_nothing_begin_anew(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """Garbage, and a cursor of another settlement status."""
    a_market(exchange)
    ada = a_member(exchange)
    auth = signed(ada, moment)
    for _ in range(3):
        exchange.desk.trade(ada.member, A, "bid", "0.5000", "1")

    whole = await asked(client, "/portfolio/fills", auth)
    paged = await walk(Authorized(client, auth), "/portfolio/fills", "fills", limit=2)

    assert paged == whole["fills"]
    assert len({fill["fill_id"] for fill in paged}) == 3
    assert await asked(client, "/portfolio/fills", auth, cursor="!!nonsense") == whole
    assert whole["cursor"] == ""
    for ticker in ("KXCALM-26-B", "KXCALM-27-A"):
        a_market(exchange, ticker)
        exchange.desk.trade(ada.member, ticker, "bid", "0.5000", "1")
    first = await asked(client, "/portfolio/positions", auth, limit=1)
    every = await asked(client, "/portfolio/positions", auth, settlement_status="all")
    other = {"settlement_status": "all", "cursor": first["cursor"]}
    assert first["cursor"]
    assert await asked(client, "/portfolio/positions", auth, **other) == every
    refused = await client.get("/portfolio/fills?limit=1001", auth=auth)
    assert (refused.status_code, list(refused.json())) == (400, ["msg"])


async def test_orders_end_executed_canceled_or_rest(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """A canceled one has nothing remaining, whatever it had filled."""
    a_market(exchange)
    desk, ada = exchange.desk, a_member(exchange)
    auth = signed(ada, moment)
    resting = desk.rest(ada.member, A, "bid", "0.3000", "10", client_order_id="mine")
    moment.move(seconds=1)
    desk.hit(ada.member, resting.order_id, "4")
    moment.move(seconds=1)
    desk.trade(ada.member, A, "bid", "0.5000", "1", asked="3")
    moment.move(seconds=1)
    desk.trade(ada.member, A, "bid", "0.5000", "2", limit="0.9900")

    rows = (await asked(client, "/portfolio/orders", auth))["orders"]

    shapes = [
        (row["status"], row["initial_count_fp"], row["fill_count_fp"], row["remaining_count_fp"])
        for row in rows
    ]
    assert shapes == [
        ("executed", "2.00", "2.00", "0.00"),
        ("canceled", "3.00", "1.00", "0.00"),
        ("resting", "10.00", "4.00", "6.00"),
    ]
    # What an order would have paid is not what it paid.
    assert (rows[0]["yes_price_dollars"], rows[0]["taker_fill_cost_dollars"]) == (
        "0.9900",
        "1.000000",
    )
    assert rows[2]["maker_fill_cost_dollars"] == "1.200000"
    assert rows[2]["client_order_id"] == "mine"
    assert "expiration_time" not in rows[2]
    one = await asked(client, f"/portfolio/orders/{resting.order_id}", auth)
    assert one == {"order": rows[2]}
    only = await asked(
        client, "/portfolio/orders", auth, status="resting", event_ticker="KXCALM-26"
    )
    assert only["orders"] == [rows[2]]
    assert (await client.get("/portfolio/orders/unknown", auth=auth)).status_code == 404


async def test_members_see_nothing_of_each_other(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """Not even when they trade with each other."""
    a_market(exchange)
    ada, bob = a_member(exchange), a_member(exchange)
    exchange.desk.trade(ada.member, A, "bid", "0.4000", "3", against=bob.member)

    mine, his = signed(ada, moment), signed(bob, moment)
    bought = (await asked(client, "/portfolio/fills", mine))["fills"]
    sold = (await asked(client, "/portfolio/fills", his))["fills"]

    assert [(fill["book_side"], fill["is_taker"]) for fill in bought] == [("bid", True)]
    assert [(fill["book_side"], fill["is_taker"]) for fill in sold] == [("ask", False)]
    assert bought[0]["trade_id"] == sold[0]["trade_id"]
    path = f"/portfolio/orders/{bought[0]['order_id']}"
    assert (await client.get(path, auth=mine)).status_code == 200
    assert (await client.get(path, auth=his)).status_code == 404
