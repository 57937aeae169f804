"""The table of the exchange's operations."""

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from kalshi_gateway.doors import operations
from kalshi_gateway.doors.operations import OPERATIONS, Access

SPECIFICATION = Path(__file__).parents[2].parent / "shared/kalshi/openapi.yaml"
VERBS = {"get", "post", "put", "patch", "delete"}


def test_every_operation_is_here() -> None:
    """The table has each operation of the exchange's specification once, and no other."""
    listed = [(operation.method, operation.path) for operation in OPERATIONS]

    assert sorted(listed) == sorted((method, path) for method, path, _ in specified())
    assert len(listed) == 128


def test_keys_are_asked_for_where_the_exchange_asks() -> None:
    """Public is what the specification lets everybody call, and nothing that writes."""
    public = {
        (operation.method, operation.path)
        for operation in OPERATIONS
        if operation.access is Access.PUBLIC
    }

    assert public == {(m, p) for m, p, described in specified() if not described.get("security")}
    assert {method for method, _ in public} == {"GET"}


def test_reads_are_gets() -> None:
    """Whatever is no GET is a write, whatever pays for it, or is withheld."""
    wrong = [
        o
        for o in OPERATIONS
        if (o.method == "GET") is (o.access is Access.WRITE) and o.access is not Access.WITHHELD
    ]

    assert wrong == []


def test_what_is_withheld() -> None:
    """Nobody here makes or sees a key of the account, moves its money, or manages its members."""
    withheld = {(o.method, o.path) for o in OPERATIONS if o.access is Access.WITHHELD}

    assert withheld == {
        ("GET", "/api_keys"),
        ("POST", "/api_keys"),
        ("POST", "/api_keys/generate"),
        ("DELETE", "/api_keys/{api_key}"),
        ("POST", "/account/api_usage_level/upgrade"),
        ("POST", "/fcm/subtraders"),
        ("PUT", "/fcm/subtraders/event_contract_daily_cap"),
        ("DELETE", "/fcm/subtraders/event_contract_daily_cap"),
        ("PUT", "/fcm/subtraders/blocked_categories"),
        ("POST", "/fcm/positions/transfers"),
        ("POST", "/portfolio/intra_exchange_instance_transfer"),
        ("POST", "/portfolio/subaccounts"),
        ("POST", "/portfolio/subaccounts/transfer"),
        ("PUT", "/portfolio/subaccounts/netting"),
        ("POST", "/portfolio/target_balance_allocation"),
    }


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.method} {o.path}")
def test_each_is_found(operation: operations.Operation) -> None:
    """A path of each form leads to its own operation."""
    path = "/".join("KX-1.5:a" if part[:1] == "{" else part for part in operation.path.split("/"))

    assert operations.find(operation.method, path.encode()) is operation


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/",
        b"/markets/",
        b"/nothing",
        b"/markets/../portfolio/balance",
        b"/markets/..",
        b"/markets/%2e%2e",
        b"/markets/.%2E/orderbook",
        b"/markets/a%2Fb",
        b"/markets/a%5cb",
        b"/markets/a%20b",
        b"/markets/a%252Fb",
        b"/markets/a%3Fb",
        b"/markets/a%23b",
        b"/markets/a%0db",
        b"/markets/a%7fb",
        b"/markets/a%ffb",
        b"/markets/a%2",
        b"/markets/a%zz",
        b"/markets/a%00",
        b"/markets/a b",
        b"/markets//orderbook",
        b"/markets/" + b"A" * 201,
        b"//markets",
        b"markets",
    ],
)
def test_nothing_else_is_found(path: bytes) -> None:
    """What is no operation, or would become another one on its way, leads nowhere."""
    assert operations.find("GET", path) is None


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", b"/markets/a%3Ab", "/markets/{ticker}"),
        ("GET", b"/m%61rkets", "/markets"),
        ("GET", b"/markets/%74rades", "/markets/trades"),
        ("GET", b"/markets/%C3%A9", "/markets/{ticker}"),
        ("GET", b"/%61pi_keys", "/api_keys"),
        ("DELETE", b"/portfolio/events/orders/%62atched", "/portfolio/events/orders/batched"),
        ("POST", b"/portfolio/subaccounts/tr%61nsfer", "/portfolio/subaccounts/transfer"),
    ],
)
def test_escapes_hide_nothing(method: str, path: bytes, found: str) -> None:
    """A path is what it means: an escape makes no other operation of it."""
    operation = operations.find(method, path)

    assert operation is not None
    assert operation.path == found


def test_methods_matter() -> None:
    """An operation is a path and a method."""
    assert operations.find("POST", b"/markets") is None
    assert operations.find("DELETE", b"/portfolio/events/orders") is not None


def specified() -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each operation of the specification."""
    if not SPECIFICATION.exists():
        pytest.skip(f"no specification beside the checkout: {SPECIFICATION}")
    paths = yaml.safe_load(SPECIFICATION.read_text())["paths"]
    return [
        (method.upper(), path, described)
        for path, methods in paths.items()
        for method, described in methods.items()
        if method in VERBS
    ]
