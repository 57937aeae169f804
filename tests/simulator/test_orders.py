"""What members write: orders, and what becomes of them."""

from typing import Any

import httpx
import pytest

from kalshi_gateway.simulator import refusals
from kalshi_gateway.simulator.desk import Joined
from kalshi_gateway.simulator.entries import MarketEntry
from kalshi_gateway.simulator.exchange import Exchange

from .members import a_market, a_member, held, signed
from .moments import Moment

ORDERS = "/portfolio/events/orders"
QUOTED: dict[str, Any] = {
    "yes_bid_dollars": "0.4000",
    "yes_bid_size_fp": "10.00",
    "yes_ask_dollars": "0.4500",
    "no_bid_dollars": "0.5500",
    "yes_ask_size_fp": "10.00",
}


def an_order(ticker: str, side: str = "bid", price: str = "0.30", **given: Any) -> dict[str, Any]:
    """A request for three contracts that rests, unless said otherwise."""
    asked = {
        "ticker": ticker,
        "side": side,
        "price": price,
        "count": "3",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
    }
    return {**asked, **given}


class Trader:
    """A member who writes."""

    def __init__(self, client: httpx.AsyncClient, joined: Joined, moment: Moment) -> None:
        self.client, self.joined, self.auth = client, joined, signed(joined, moment)
        self.member = joined.member

    async def ask(
        self, method: str, path: str, body: Any = None, **params: Any
    ) -> tuple[int, dict[str, Any]]:
        response = await self.client.request(method, path, json=body, params=params, auth=self.auth)
        return response.status_code, response.json() if response.content else {}

    async def place(self, **given: Any) -> dict[str, Any]:
        status, told = await self.ask("POST", ORDERS, an_order(**given))
        assert status == 201, told
        return told

    async def refused(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        status, told = await self.ask(method, path, body, **params)
        error = told.get("error", told)
        return status, error.get("code"), error.get("details")

    async def order(self, order_id: str) -> dict[str, Any]:
        _, told = await self.ask("GET", f"/portfolio/orders/{order_id}")
        row: dict[str, Any] = told["order"]
        return row


@pytest.fixture
def market(exchange: Exchange) -> MarketEntry:
    return a_market(exchange, **QUOTED)


@pytest.fixture
def ada(exchange: Exchange, client: httpx.AsyncClient, moment: Moment) -> Trader:
    return Trader(client, a_member(exchange), moment)


@pytest.fixture
def bob(exchange: Exchange, client: httpx.AsyncClient, moment: Moment) -> Trader:
    return Trader(client, a_member(exchange), moment)


async def test_rests(ada: Trader, market: MarketEntry) -> None:
    """What meets nobody rests, is listed, and its answer has no averages."""
    told = await ada.place(ticker=market.ticker, client_order_id="mine")

    row = await ada.order(told["order_id"])
    assert told.keys() == {
        "client_order_id",
        "fill_count",
        "order_id",
        "remaining_count",
        "ts_ms",
    }
    assert (told["fill_count"], told["remaining_count"]) == ("0.00", "3.00")
    assert (row["status"], row["client_order_id"], row["book_side"]) == ("resting", "mine", "bid")


async def test_takes_what_is_quoted(ada: Trader, exchange: Exchange, market: MarketEntry) -> None:
    """What crosses takes at the quoted price, pays for it, and holds it."""
    told = await ada.place(ticker=market.ticker, price="0.50", time_in_force="fill_or_kill")

    assert (told["fill_count"], told["remaining_count"]) == ("3.00", "0.00")
    assert told["average_fill_price"] == "0.4500"
    assert float(told["average_fee_paid"]) > 0
    assert held(ada.member, market.ticker).position == 300
    money = exchange.ledger.money()
    assert money.members + money.collateral + money.fees == money.deposited


async def test_members_meet(ada: Trader, bob: Trader, market: MarketEntry) -> None:
    """A member's better offer is taken before the crowd's, and both sides show the fill."""
    made = await ada.place(ticker=market.ticker, side="ask", price="0.42", count="2")

    told = await bob.place(
        ticker=market.ticker, price="0.42", count="5", time_in_force="immediate_or_cancel"
    )

    assert (told["fill_count"], told["average_fill_price"]) == ("2.00", "0.4200")
    assert told["remaining_count"] == "0.00"
    assert (await ada.order(made["order_id"]))["status"] == "executed"
    assert held(ada.member, market.ticker).position == -200
    assert held(bob.member, market.ticker).position == 200


@pytest.mark.parametrize("prevention", ["taker_at_cross", "maker"])
async def test_nobody_trades_with_himself(
    ada: Trader, market: MarketEntry, prevention: str
) -> None:
    """An order that meets an own one ends there, or cancels that one and goes on."""
    own = await ada.place(ticker=market.ticker, price="0.44")

    told = await ada.place(
        ticker=market.ticker, side="ask", price="0.43", self_trade_prevention_type=prevention
    )

    maker = await ada.order(own["order_id"])
    ended = (told["fill_count"], told["remaining_count"], maker["status"])
    if prevention == "taker_at_cross":
        assert ended == ("0.00", "0.00", "resting")
    else:
        assert ended == ("0.00", "3.00", "canceled")


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "unknown market": ({"ticker": "KXNO-1"}, 404, "market_not_found"),
    "wrong shard": ({"exchange_index": 2}, 404, "market_not_found"),
    "off the grid": ({"price": "0.305"}, 400, "invalid_price"),
    "no price": ({"price": "1.00"}, 400, "invalid_price"),
    "number for text": ({"count": 3}, 400, "bad_request"),
    "nothing": ({"count": "0"}, 400, "invalid_order_size"),
    "word": ({"side": "yes"}, 400, "invalid_parameters"),
    "missing": ({"price": None}, 400, "bad_request"),
    "too dear": ({"count": "1000"}, 400, "insufficient_balance"),
    "crossing": ({"post_only": True, "price": "0.45"}, 400, "invalid_order"),
    "reducing": ({"reduce_only": True}, 400, "invalid_order"),
    "nothing to reduce": (
        {"reduce_only": True, "time_in_force": "immediate_or_cancel"},
        400,
        "invalid_order",
    ),
    "not filled": (
        {"time_in_force": "fill_or_kill"},
        400,
        "fill_or_kill_insufficient_resting_volume",
    ),
    "expired": ({"expiration_time": 1}, 400, "invalid_parameters"),
    "used id": ({"client_order_id": "used"}, 409, "order_already_exists"),
}


@pytest.mark.parametrize("why", REFUSED)
async def test_refused(ada: Trader, exchange: Exchange, market: MarketEntry, why: str) -> None:
    """Orders that cannot be are refused by the exchange's codes, and leave nothing behind."""
    given, status, code = REFUSED[why]
    used = await ada.place(ticker=market.ticker, client_order_id="used")
    await ada.ask("DELETE", f"{ORDERS}/{used['order_id']}")
    before = exchange.desk.truth(ada.member)

    refused = await ada.refused("POST", ORDERS, {**an_order(market.ticker), **given})

    assert refused[:2] == (status, code)
    assert exchange.desk.truth(ada.member) == before


async def test_number_for_text_in_words(ada: Trader, market: MarketEntry) -> None:
    """A number where a text belongs is refused in the words of the exchange's decoder."""
    refused = await ada.refused("POST", ORDERS, an_order(market.ticker, count=3))

    words = (
        "json: cannot unmarshal number into Go struct field CreateOrderV2Request.count "
        "of type string"
    )
    assert refused == (400, "bad_request", words)


async def test_cancel_is_looked_for_on_one_shard(ada: Trader, exchange: Exchange) -> None:
    """On another shard than the first an order is found by its market, or its shard, only."""
    market = a_market(exchange, "KXFAR-26-A", exchange_index=2)
    exchange.ledger.bank.transfer(ada.member, 10_000_000, to_shard=2)
    first = await ada.place(ticker=market.ticker)
    second = await ada.place(ticker=market.ticker, exchange_index=2)

    lost = await ada.refused("DELETE", f"{ORDERS}/{first['order_id']}")
    elsewhere = await ada.refused("DELETE", f"{ORDERS}/{first['order_id']}", exchange_index=1)
    found = await ada.ask("DELETE", f"{ORDERS}/{first['order_id']}", market_ticker=market.ticker)
    pinned = await ada.ask("DELETE", f"{ORDERS}/{second['order_id']}", exchange_index=2)
    again = await ada.refused("DELETE", f"{ORDERS}/{second['order_id']}", exchange_index=2)

    assert lost == elsewhere == again == (404, "not_found", None)
    assert [(s, told["reduced_by"]) for s, told in (found, pinned)] == [(200, "3.00")] * 2


async def test_amend(ada: Trader, bob: Trader, market: MarketEntry) -> None:
    """A new price goes behind, a smaller size keeps its place, and a crossing one trades."""
    first = await ada.place(ticker=market.ticker, side="ask", price="0.43")
    await bob.place(ticker=market.ticker, side="ask", price="0.43")
    path = f"{ORDERS}/{first['order_id']}/amend"
    small = {"ticker": market.ticker, "side": "ask", "price": "0.43", "count": "2"}

    wrong = [
        (await ada.refused("POST", path, {**small, **other}))[:2]
        for other in ({"side": "bid"}, {"ticker": "KXNO-1"}, {"client_order_id": "x"})
    ]
    smaller = await ada.ask("POST", path, small)
    crossing = await ada.ask("POST", path, {**small, "price": "0.40"})
    gone = await ada.refused("POST", path, small)

    assert (smaller[0], smaller[1]["remaining_count"]) == (200, "2.00")
    assert (crossing[1]["fill_count"], crossing[1]["average_fill_price"]) == ("2.00", "0.4000")
    assert wrong == [
        (400, "order_side_mismatch"),
        (404, "market_not_found"),
        (400, "order_id_and_client_order_id_mismatch"),
    ]
    assert gone == (404, "not_found", None)


async def test_amended_to_the_same(ada: Trader, market: MarketEntry) -> None:
    """Counts are told only where an amendment has changed one."""
    order = await ada.place(ticker=market.ticker)
    path = f"{ORDERS}/{order['order_id']}/amend"

    _, same = await ada.ask("POST", path, an_order(market.ticker))
    _, moved = await ada.ask("POST", path, an_order(market.ticker, price="0.31"))
    _, more = await ada.ask("POST", path, an_order(market.ticker, count="4"))

    assert same.keys() == moved.keys() == {"client_order_id", "order_id", "ts_ms"}
    assert (more["fill_count"], more["remaining_count"]) == ("0.00", "4.00")


@pytest.mark.parametrize("body", ["[]", '"x"', "7", "", "{", "\x00"])
async def test_no_order_at_all(ada: Trader, client: httpx.AsyncClient, body: str) -> None:
    """A body that is no object is a bad request, in the flat form."""
    response = await client.post(ORDERS, content=body, auth=ada.auth)

    assert (response.status_code, response.json()["code"]) == (400, "bad_request")


async def test_post_only_meets_nobody(ada: Trader, market: MarketEntry) -> None:
    """Not the crowd, and not an order of one's own."""
    await ada.place(ticker=market.ticker, side="ask", price="0.43")
    only = an_order(market.ticker, price="0.43", post_only=True)

    crossing = await ada.refused("POST", ORDERS, only)

    assert crossing == (400, "invalid_order", "post only cross")


async def test_post_only_as_documented(
    ada: Trader, exchange: Exchange, market: MarketEntry
) -> None:
    """Where it is switched so, a crossing order is taken and cancelled at once: 201."""
    exchange.matching.post_only_cancels = True

    crossing = await ada.place(ticker=market.ticker, price="0.45", post_only=True)
    resting = await ada.place(ticker=market.ticker, price="0.44", post_only=True)

    order = ada.member.orders.now[crossing["order_id"]]
    assert (crossing["fill_count"], crossing["remaining_count"]) == ("0.00", "0.00")
    assert (order.status, order.reason) == ("canceled", "PostOnlyCrossCancel")
    assert resting["remaining_count"] == "3.00"
    assert market.field("yes_ask_size_fp") == "10.00"


@pytest.mark.parametrize(
    ("body", "left", "status"),
    [
        ({"reduce_by": "1"}, "2.00", "resting"),
        ({"reduce_to": "0.50"}, "0.50", "resting"),
        ({"reduce_by": "9"}, "0.00", "canceled"),
        ({"reduce_to": "0"}, "0.00", "canceled"),
    ],
)
async def test_decrease(
    ada: Trader, market: MarketEntry, body: dict[str, Any], left: str, status: str
) -> None:
    """Less of it rests; where nothing is left it is cancelled."""
    placed = await ada.place(ticker=market.ticker)
    path = f"{ORDERS}/{placed['order_id']}/decrease"

    code, told = await ada.ask("POST", path, {**body, "market_ticker": market.ticker})

    assert (code, told["remaining_count"]) == (200, left)
    assert (await ada.order(placed["order_id"]))["status"] == status


async def test_batches(ada: Trader, exchange: Exchange, market: MarketEntry) -> None:
    """Each order of a batch stands or falls by itself; each is paid for."""
    orders = [an_order(market.ticker), an_order("KXNO-1", client_order_id="no")]

    status, created = await ada.ask("POST", f"{ORDERS}/batched", {"orders": orders})
    good, bad = created["orders"]
    cancels = [{"order_id": good["order_id"]}, {"order_id": "none"}]
    _, cancelled = await ada.ask("DELETE", f"{ORDERS}/batched", {"orders": cancels})

    assert (status, good["remaining_count"]) == (201, "3.00")
    assert (bad["client_order_id"], bad["error"]["code"]) == ("no", "market_not_found")
    assert [row["reduced_by"] for row in cancelled["orders"]] == ["3.00", "0.00"]
    assert cancelled["orders"][1]["error"]["code"] == "not_found"
    assert exchange.counters.tokens["write"] == 2 * 10 + 2 * 2


async def test_cancel_all(ada: Trader, bob: Trader, market: MarketEntry) -> None:
    """All of a member's resting orders go, and nobody else's."""
    own = [await ada.place(ticker=market.ticker) for _ in range(3)]
    other = await bob.place(ticker=market.ticker)

    ended = await ada.ask("DELETE", ORDERS)

    assert ended == (204, {})
    assert {(await ada.order(o["order_id"]))["status"] for o in own} == {"canceled"}
    assert (await bob.order(other["order_id"]))["status"] == "resting"


async def test_pauses(ada: Trader, exchange: Exchange, market: MarketEntry) -> None:
    """While trading is paused cancels pass and nothing else; while the exchange is, nothing."""
    first, second = [await ada.place(ticker=market.ticker) for _ in range(2)]
    exchange.reference.pause_trading()

    create = await ada.refused("POST", ORDERS, an_order(market.ticker))
    cancel = await ada.ask("DELETE", f"{ORDERS}/{first['order_id']}")
    exchange.reference.pause_exchange()
    nothing = await ada.refused("DELETE", f"{ORDERS}/{second['order_id']}")

    assert create[:2] == (409, "trading_is_paused")
    assert cancel[0] == 200
    assert nothing[:2] == (409, "exchange_is_paused")


async def test_no_write_passes_a_paused_exchange(
    ada: Trader, exchange: Exchange, market: MarketEntry
) -> None:
    """Orders and groups, one and all: everything is refused, and nothing has changed after it."""
    placed = await ada.place(ticker=market.ticker)
    _, group = await ada.ask("POST", "/portfolio/order_groups/create", {"contracts_limit": 5})
    one, own = (
        f"{ORDERS}/{placed['order_id']}",
        f"/portfolio/order_groups/{group['order_group_id']}",
    )
    body, before = an_order(market.ticker), exchange.desk.truth(ada.member)
    exchange.reference.pause_exchange()

    refused = [
        await ada.refused("POST", ORDERS, body),
        await ada.refused("POST", f"{one}/amend", body),
        await ada.refused("POST", f"{one}/decrease", {"reduce_by": "1"}),
        await ada.refused("DELETE", one),
        await ada.refused("DELETE", ORDERS),
        await ada.refused("POST", "/portfolio/order_groups/create", {"contracts_limit": 5}),
        await ada.refused("PUT", f"{own}/trigger", {}),
        await ada.refused("PUT", f"{own}/reset", {}),
        await ada.refused("PUT", f"{own}/limit", {"contracts_limit": 1}),
        await ada.refused("DELETE", own),
    ]
    _, batch = await ada.ask("DELETE", f"{ORDERS}/batched", {"orders": [placed]})

    assert {answer[:2] for answer in refused} == {(409, "exchange_is_paused")}
    assert batch["orders"][0]["error"]["code"] == "exchange_is_paused"
    assert exchange.desk.truth(ada.member) == before
    _, groups = await ada.ask("GET", "/portfolio/order_groups")
    assert [row["contracts_limit_fp"] for row in groups["order_groups"]] == ["5.00"]


async def test_what_is_not_to_rest_through_a_pause(
    ada: Trader, exchange: Exchange, market: MarketEntry
) -> None:
    """Goes when trading on its shard stops; all else stays."""
    plain = await ada.place(ticker=market.ticker)
    careful = await ada.place(ticker=market.ticker, cancel_order_on_pause=True)

    exchange.reference.pause_trading(1)
    elsewhere = await ada.order(careful["order_id"])
    exchange.reference.pause_trading(0)

    assert (elsewhere["status"], elsewhere["cancel_order_on_pause"]) == ("resting", True)
    assert (await ada.order(careful["order_id"]))["status"] == "canceled"
    assert (await ada.order(plain["order_id"]))["status"] == "resting"


async def test_expired_between_two_moments(
    ada: Trader, bob: Trader, market: MarketEntry, moment: Moment
) -> None:
    """What has expired is filled by nobody, though the exchange has not lived on since."""
    soon = int(moment.at.timestamp()) + 5
    best = {"ticker": market.ticker, "price": "0.43"}
    expired = await ada.place(**best, expiration_time=soon)
    amended = await ada.place(**best, expiration_time=soon)
    path = f"{ORDERS}/{amended['order_id']}/amend"
    await ada.ask("POST", path, an_order(**best, expiration_time=soon + 60))

    moment.move(seconds=5)
    seen = (await ada.order(expired["order_id"]))["status"]
    asking = {**best, "side": "ask", "price": "0.40", "count": "4"}
    taken = await bob.place(**asking, time_in_force="immediate_or_cancel")

    gone = await ada.refused("DELETE", f"{ORDERS}/{expired['order_id']}")
    assert seen == "canceled"
    assert (taken["fill_count"], taken["average_fill_price"]) == ("4.00", "0.4225")
    assert (await ada.order(expired["order_id"]))["fill_count_fp"] == "0.00"
    assert (await ada.order(amended["order_id"]))["fill_count_fp"] == "3.00"
    assert gone[:2] == (404, "not_found")


@pytest.mark.parametrize("told", [False, True])
async def test_after_the_close(
    ada: Trader, exchange: Exchange, market: MarketEntry, moment: Moment, told: bool
) -> None:
    """No operation on an order goes, cancels included, whether or not the row says so yet."""
    order = await ada.place(ticker=market.ticker)
    one = f"{ORDERS}/{order['order_id']}"
    body = an_order(market.ticker)

    if told:
        exchange.catalogue.close(market.ticker)
    else:
        moment.move(days=7)

    refused = [
        await ada.refused("POST", ORDERS, body),
        await ada.refused("POST", f"{one}/amend", body),
        await ada.refused("POST", f"{one}/decrease", {"reduce_by": "1"}),
        await ada.refused("DELETE", one),
        await ada.refused("DELETE", one, market_ticker=market.ticker),
    ]
    _, batch = await ada.ask(
        "DELETE", f"{ORDERS}/batched", {"orders": [{"order_id": order["order_id"]}]}
    )
    unknown = await ada.refused("DELETE", f"{ORDERS}/none")
    assert {answer[:2] for answer in refused} == {(400, "MARKET_INACTIVE")}
    assert batch["orders"][0]["error"]["code"] == "MARKET_INACTIVE"
    assert unknown[:2] == (404, "not_found")
    with pytest.raises(refusals.Refused, match="MARKET_INACTIVE"):
        exchange.desk.trade(ada.member, market.ticker, "bid", "0.30", "1")


async def test_scope(exchange: Exchange, client: httpx.AsyncClient, moment: Moment) -> None:
    """A key that may only read writes nothing."""
    reader = Trader(client, a_member(exchange, scopes=("read",)), moment)
    market = a_market(exchange)

    refused = await reader.refused("POST", ORDERS, an_order(market.ticker))

    assert refused[:2] == (403, "permission_denied")
