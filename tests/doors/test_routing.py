"""How a cancel is told where its order is, and nothing else of it is touched."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_gateway.doors import operations
from kalshi_gateway.doors.routing import Routing, Write, _says, _with, orders_in
from kalshi_gateway.kalshi.calls import Reply
from kalshi_gateway.kalshi.client import Kalshi
from kalshi_gateway.kalshi.errors import NotFound

ORDERS = b"/portfolio/events/orders"

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
spaces = st.text(" \t\r\n").map(str.encode)


def a_write(method: str, path: bytes, query: bytes = b"", body: bytes = b"") -> Write:
    operation = operations.find(method, path)
    assert operation is not None
    return Write(operation, path, query, (), body)


class Asked(Kalshi):
    """An exchange that knows one order."""

    def __init__(self) -> None:
        self.targets: list[str] = []

    async def verbatim(self, operation: Any, target: str, **_: Any) -> Reply:
        self.targets.append(target)
        if target != "/portfolio/orders/known":
            raise NotFound(404, "not_found")
        return Reply(b'{"order":{"ticker":"KX-1"}}', None)  # type: ignore[arg-type]


@given(st.dictionaries(st.text(), values), spaces, spaces)
def test_the_market_is_added_and_the_rest_stays(
    body: dict[str, Any], before: bytes, after: bytes
) -> None:
    """Whatever object it is, it says the market afterwards, and all that it said before."""
    written = before + msgspec.json.encode(body) + after

    routed = _with(written, "KX-1")

    assert msgspec.json.decode(routed) == {**body, "market_ticker": "KX-1"}
    assert routed.startswith(written.rstrip()[:-1])
    assert _says(routed)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{}", False),
        (b'{"market_ticker":null,"exchange_index":null}', False),
        (b'{"exchange_index":-1}', False),
        (b'{"exchange_index":0}', True),
        (b'{"market_ticker":""}', True),
        (b'{"market_ticker":"KX-1"}', True),
    ],
)
def test_what_says_where(body: bytes, says: bool) -> None:
    """A market or a shard does, whatever it is; to go by the ticker alone does not."""
    assert _says(body) is says


@pytest.mark.parametrize(
    ("query", "routed"),
    [
        (b"", b"market_ticker=KX-1"),
        (b"subaccount=%30&&x", b"subaccount=%30&&x&market_ticker=KX-1"),
        (b"exchange_index=-1", b"exchange_index=-1&market_ticker=KX-1"),
        (b"exchange_index=0", b"exchange_index=0"),
        (b"market_ticker=", b"market_ticker="),
        (b"market%5fticker=KX-2", b"market%5fticker=KX-2"),
    ],
)
async def test_queries(query: bytes, routed: bytes) -> None:
    """A cancel that says neither is given the market, behind what it says."""
    write = a_write("DELETE", ORDERS + b"/known", query)

    completed = await Routing().completed(Asked(), "ada", write)

    assert completed == write._replace(query=routed)


async def test_asked_for_once() -> None:
    """Where an order is, is asked for once, and of an order that is not found each time."""
    routing, exchange = Routing(), Asked()
    for order in (b"known", b"known", b"none", b"none"):
        await routing.completed(exchange, "ada", a_write("DELETE", ORDERS + b"/" + order))
    await routing.completed(exchange, "bob", a_write("DELETE", ORDERS + b"/known"))

    known, none = "/portfolio/orders/known", "/portfolio/orders/none"
    assert exchange.targets == [known, none, none, known]


@pytest.mark.parametrize(
    "order_id", ["x" * 70_000, ".", "..", "../balance", "a/b", "a?b", "a#b", "\u0000"]
)
async def test_what_is_no_order_is_not_asked_for(order_id: str) -> None:
    """An id in a body that could not be part of a path is not asked for, and goes as it came."""
    routing, exchange = Routing(), Asked()
    body = msgspec.json.encode({"orders": [{"order_id": order_id}, {"order_id": "known"}]})

    routed = await routing.completed(
        exchange, "ada", a_write("DELETE", ORDERS + b"/batched", body=body)
    )

    assert msgspec.json.decode(routed.body)["orders"] == [
        {"order_id": order_id},
        {"order_id": "known", "market_ticker": "KX-1"},
    ]
    assert exchange.targets == ["/portfolio/orders/known"]


async def test_large_batches_are_asked_for_to_their_end() -> None:
    """Each order of a batch is asked for that is not remembered, however many there are."""
    routing, exchange = Routing(), Asked()
    others = [{"order_id": f"other-{n}"} for n in range(120)]
    body = msgspec.json.encode({"orders": [*others, {"order_id": "known"}, {"order_id": "mine"}]})
    created = b'{"order_id":"mine"}'
    routing.learn("ada", a_write("POST", ORDERS, body=b'{"ticker":"KX-2"}'), created)

    routed = await routing.completed(
        exchange, "ada", a_write("DELETE", ORDERS + b"/batched", body=body)
    )

    assert msgspec.json.decode(routed.body)["orders"][120:] == [
        {"order_id": "known", "market_ticker": "KX-1"},
        {"order_id": "mine", "market_ticker": "KX-2"},
    ]
    assert len(exchange.targets) == 121


async def test_large_batches_wait_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time is over that a cancel may wait, the rest of a batch goes as it came."""
    routing, exchange = Routing(), Asked()
    monkeypatch.setattr("kalshi_gateway.doors.routing.PATIENCE", timedelta(0))
    body = b'{"orders":[{"order_id":"known"}]}'

    routed = await routing.completed(
        exchange, "ada", a_write("DELETE", ORDERS + b"/batched", body=body)
    )

    assert msgspec.json.decode(routed.body) == msgspec.json.decode(body)
    assert exchange.targets == []


async def test_batches_are_learnt() -> None:
    """Orders of a batch are known by what the client called them."""
    routing, exchange = Routing(), Asked()
    body = b'{"orders":[{"ticker":"KX-1","client_order_id":"a"},{"ticker":"KX-2"}]}'
    answer = b'{"orders":[{"order_id":"1","client_order_id":"a"},{"order_id":"2"},{"error":{}}]}'
    routing.learn("ada", a_write("POST", ORDERS + b"/batched", body=body), answer)

    completed = await routing.completed(exchange, "ada", a_write("DELETE", ORDERS + b"/1"))

    assert completed.query == b"market_ticker=KX-1"
    assert exchange.targets == []


@pytest.mark.parametrize("name", ["", ',"client_order_id":""', ',"client_order_id":"a"'])
async def test_batches_teach_nothing_doubtful(name: str) -> None:
    """Orders of a batch that have no name, or the same, are not taken for one another."""
    routing, exchange = Routing(), Asked()
    body = f'{{"orders":[{{"ticker":"KX-1"{name}}},{{"ticker":"KX-2"{name}}}]}}'
    answer = f'{{"orders":[{{"order_id":"1"{name}}},{{"order_id":"2"{name}}}]}}'
    create = a_write("POST", ORDERS + b"/batched", body=body.encode())
    routing.learn("ada", create, answer.encode())

    for order in (b"1", b"2"):
        completed = await routing.completed(
            exchange, "ada", a_write("DELETE", ORDERS + b"/" + order)
        )
        assert completed.query == b""

    assert exchange.targets == ["/portfolio/orders/1", "/portfolio/orders/2"]


@pytest.mark.parametrize(
    ("body", "count"),
    [(b"", 1), (b"{}", 1), (b'{"orders":[]}', 1), (b'{"orders":[{},{},7]}', 3), (b"[", 1)],
)
def test_what_a_batch_costs(body: bytes, count: int) -> None:
    """As many orders as it has; what cannot be read costs as one."""
    assert orders_in(a_write("DELETE", ORDERS + b"/batched", body=body)) == count
    assert orders_in(a_write("DELETE", ORDERS, body=body)) == 1
