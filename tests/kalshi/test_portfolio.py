"""What a member asks about himself: what is sent, what it is paid from, what comes back."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
import respx

from kalshi_gateway.kalshi import portfolio_wire
from kalshi_gateway.kalshi.budget import Bucket
from kalshi_gateway.kalshi.client import Kalshi, http_client
from kalshi_gateway.kalshi.errors import KeyRejected, Nonsense, NotFound
from kalshi_gateway.kalshi.retries import Retries

BASE = "https://exchange.test/trade-api/v2"
NOTHING: dict[str, Any] = {"market_positions": [], "event_positions": []}

Ask = Callable[[Kalshi], Awaitable[Any]]


@pytest.fixture
async def kalshi() -> AsyncIterator[Kalshi]:
    async with http_client(BASE, transport=httpx.AsyncHTTPTransport()) as http:
        yield Kalshi(BASE, http, retries=Retries(first=timedelta()))


def left(kalshi: Kalshi, bucket: Bucket) -> float:
    return next(level.left for level in kalshi.budget.snapshot() if level.bucket is bucket)


OPERATIONS: dict[str, tuple[Ask, str, dict[str, Any]]] = {
    "balance": (lambda k: k.balance(), "/portfolio/balance", {"balance_dollars": "1.5"}),
    "balance of a shard of a subaccount": (
        lambda k: k.balance(subaccount=2, exchange_index=0),
        "/portfolio/balance?subaccount=2&exchange_index=0",
        {"balance_dollars": "1.5"},
    ),
    "positions": (lambda k: k.positions_page(), "/portfolio/positions?limit=1000", NOTHING),
    "positions of every kind": (
        lambda k: k.positions_page(
            cursor="a=", settlement_status="all", count_filter=["position", "total_traded"]
        ),
        "/portfolio/positions?cursor=a%3D&settlement_status=all"
        "&count_filter=position%2Ctotal_traded&limit=1000",
        NOTHING,
    ),
    "fills": (
        lambda k: k.fills_page(ticker="T", min_ts=datetime(2026, 10, 1, tzinfo=UTC)),
        "/portfolio/fills?ticker=T&min_ts=1790812800&limit=1000",
        {"fills": []},
    ),
    "archived fills": (
        lambda k: k.historical_fills_page(max_ts=5, limit=10),
        "/historical/fills?max_ts=5&limit=10",
        {"fills": []},
    ),
    "orders": (
        lambda k: k.orders_page(status="resting", event_tickers=["A", "B"]),
        "/portfolio/orders?status=resting&event_ticker=A%2CB&limit=1000",
        {"orders": []},
    ),
    "archived orders": (
        lambda k: k.historical_orders_page(ticker="T"),
        "/historical/orders?ticker=T&limit=1000",
        {"orders": []},
    ),
    "settlements": (
        lambda k: k.settlements_page(event_ticker="E", subaccount=1),
        "/portfolio/settlements?event_ticker=E&subaccount=1&limit=1000",
        {"settlements": []},
    ),
    "order": (
        lambda k: k.order("5b1c-9d"),
        "/portfolio/orders/5b1c-9d",
        {"order": {"order_id": "5b1c-9d", "ticker": "T"}},
    ),
    "deposits": (
        lambda k: k.deposits_page(cursor="c"),
        "/portfolio/deposits?cursor=c&limit=500",
        {"deposits": []},
    ),
    "withdrawals": (
        lambda k: k.withdrawals_page(),
        "/portfolio/withdrawals?limit=500",
        {"withdrawals": []},
    ),
    "transfers between subaccounts": (
        lambda k: k.subaccount_transfers_page(),
        "/portfolio/subaccounts/transfers?limit=1000",
        {"transfers": []},
    ),
    "transfers between shards": (
        lambda k: k.shard_transfers_page(),
        "/portfolio/intra_exchange_instance_transfers?limit=500",
        {"transfers": []},
    ),
    "balances of subaccounts": (
        lambda k: k.subaccount_balances(),
        "/portfolio/subaccounts/balances",
        {"subaccount_balances": []},
    ),
    "user data timestamp": (
        lambda k: k.user_data_timestamp(),
        "/exchange/user_data_timestamp",
        {"as_of_time": "2026-01-15T14:02:18.848643Z"},
    ),
    "keys": (lambda k: k.api_keys(), "/api_keys", {"api_keys": []}),
}


@pytest.mark.parametrize("name", OPERATIONS)
@respx.mock
async def test_each_operation_asks_what_it_says(kalshi: Kalshi, name: str) -> None:
    """Each method calls its operation once, and names only what it was told to."""
    ask, target, body = OPERATIONS[name]
    route = respx.get(url__startswith=BASE).respond(json=body)

    await ask(kalshi)

    assert [str(call.request.url) for call in route.calls] == [BASE + target]


@respx.mock
async def test_the_balance_has_a_bucket_of_its_own(kalshi: Kalshi) -> None:
    """A balance costs no read, and a read no balance."""
    respx.get(BASE + "/portfolio/balance").respond(json={"balance_dollars": "98.0186"})
    respx.get(url__startswith=BASE + "/portfolio/fills").respond(json={"fills": []})

    answer = await kalshi.balance()
    reads, balances = left(kalshi, Bucket.READ), left(kalshi, Bucket.BALANCE)
    await kalshi.fills_page()

    assert answer.value.balance_dollars == Decimal("98.0186")
    assert reads == 200
    assert balances < 1
    assert left(kalshi, Bucket.READ) < 200


@respx.mock
async def test_positions_come_by_market_and_by_event(kalshi: Kalshi) -> None:
    """Both lists are handed on verbatim, with the cursor of their page."""
    content = (
        b'{"cursor":"next","market_positions":[{"ticker" : "A"}],'
        b'"event_positions":[{"event_ticker":"E","x":1.10},7]}'
    )
    respx.get(url__startswith=BASE).respond(content=content)

    page = await kalshi.positions_page()

    assert [bytes(row) for row in page.markets] == [b'{"ticker" : "A"}']
    assert [bytes(row) for row in page.events] == [b'{"event_ticker":"E","x":1.10}', b"7"]
    assert page.cursor == "next"


@pytest.mark.parametrize("said", [b'""', b"null", None])
@respx.mock
async def test_the_last_page_has_no_cursor(kalshi: Kalshi, said: bytes | None) -> None:
    """The exchange says in three ways that there are no more positions."""
    cursor = b"" if said is None else b',"cursor":' + said
    respx.get(url__startswith=BASE).respond(
        content=b'{"market_positions":[],"event_positions":[]' + cursor + b"}"
    )

    page = await kalshi.positions_page()

    assert page.cursor is None


@pytest.mark.parametrize("body", [b"[]", b'{"market_positions":[]}', b'{"market_positions":1}'])
@respx.mock
async def test_half_an_answer_is_nonsense(kalshi: Kalshi, body: bytes) -> None:
    """Positions without one of their lists are not taken for an empty portfolio."""
    respx.get(url__startswith=BASE).respond(content=body)

    with pytest.raises(Nonsense):
        await kalshi.positions_page()


@respx.mock
async def test_a_balance_without_a_figure_is_nonsense(kalshi: Kalshi) -> None:
    """An unknown balance is not a balance of zero."""
    respx.get(BASE + "/portfolio/balance").respond(json={"portfolio_value": 5})

    with pytest.raises(Nonsense):
        await kalshi.balance()


@respx.mock
async def test_no_order_leads_elsewhere(kalshi: Kalshi) -> None:
    """An id that is none is not asked for."""
    route = respx.get(url__startswith=BASE).respond(json={})

    with pytest.raises(NotFound):
        await kalshi.order("../balance")

    assert not route.called


@respx.mock
async def test_a_key_that_may_not_see_this_is_told_so(kalshi: Kalshi) -> None:
    """A refusal of the key is not an empty list."""
    respx.get(url__startswith=BASE).respond(403, json={"error": {"code": "permission_denied"}})

    with pytest.raises(KeyRejected):
        await kalshi.api_keys()


def test_seconds_no_calendar_holds_are_no_moment() -> None:
    """An absurd time is unknown, not an error."""
    assert portfolio_wire.moment_of(10**18) is None
    assert portfolio_wire.moment_of(None) is None
    assert portfolio_wire.moment_of(0) == datetime(1970, 1, 1, tzinfo=UTC)
