"""What members read has the shape the exchange's specification gives it."""

from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]

from kalshi_gateway.simulator.app import PRIVATE
from kalshi_gateway.simulator.exchange import Exchange

from .members import a_market, a_member, asked, signed
from .moments import Moment

SPECIFICATION = Path(__file__).parents[2].parent / "shared/kalshi/openapi.yaml"
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


@cache
def specification() -> dict[str, Any]:
    """The specification, read once."""
    if not SPECIFICATION.exists():
        pytest.skip(f"no specification beside the checkout: {SPECIFICATION}")
    loaded: dict[str, Any] = yaml.load(
        SPECIFICATION.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    return loaded


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without references."""
    while "$ref" in schema or "allOf" in schema:
        if "allOf" in schema:
            schema = schema["allOf"][0]
        else:
            schema = specification()["components"]["schemas"][schema["$ref"].split("/")[-1]]
    return schema


def wrong(found: Any, schema: dict[str, Any], where: str) -> list[str]:
    """Everything about a value that is not as its schema says."""
    schema = resolved(schema)
    if found is None and schema.get("nullable"):
        return []
    kinds = TYPES[schema["type"]]
    if not isinstance(found, kinds) or (isinstance(found, bool) and bool not in kinds):
        return [f"{where} is {found!r}"]
    if "enum" in schema and found not in schema["enum"]:
        return [f"{where} is {found!r}, none of {schema['enum']}"]
    if isinstance(found, list):
        return [
            fault
            for at, item in enumerate(found)
            for fault in wrong(item, schema["items"], f"{where}[{at}]")
        ]
    if not isinstance(found, dict):
        return []
    properties = schema.get("properties", {})
    missing = [f"{where} has no {name}" for name in schema.get("required", []) if name not in found]
    unknown = [f"{where} has {name}" for name in found if name not in properties]
    inside = [
        fault
        for name in found
        if name in properties
        for fault in wrong(found[name], properties[name], f"{where}.{name}")
    ]
    return [*missing, *unknown, *inside]


def reads() -> list[str]:
    """Private reads that answer a direct member."""
    refused = ("target_balance_allocation", "total_resting_order_value")
    return [
        operation.path
        for operation in PRIVATE
        if operation.method == "GET" and not operation.path.endswith(refused)
    ]


def a_busy_member(exchange: Exchange) -> tuple[Any, dict[str, str]]:
    """A member with a row of every kind, and what stands in paths."""
    for ticker in ("KXCALM-26-A", "KXCALM-27-A"):
        a_market(exchange, ticker)
    ada = a_member(exchange)
    desk, bank = exchange.desk, exchange.ledger.bank
    desk.trade(ada.member, "KXCALM-26-A", "bid", "0.5000", "2")
    desk.trade(ada.member, "KXCALM-27-A", "ask", "0.5000", "2.50")
    desk.settle("KXCALM-27-A", "no")
    expires = exchange.clock.micros() + 10**9
    order = desk.rest(ada.member, "KXCALM-26-A", "bid", "0.1000", "1", expires_us=expires)
    group = exchange.groups.create(ada.member, 0, 0, limit=100).group_id
    grouped = exchange.ledger.order(
        ada.member,
        exchange.catalogue.markets["KXCALM-26-A"],
        "bid",
        1_000,
        100,
        order_group_id=group,
        cancel_on_pause=True,
    )
    exchange.ledger.rest(ada.member, grouped)
    bank.withdraw(ada.member, 100)
    bank.transfer(ada.member, 1_000_000, to_subaccount=bank.open_subaccount(ada.member))
    transfer = bank.transfer(ada.member, 1_000_000, to_shard=1)
    ada.member.attested_us = expires
    return ada, {
        "order_group_id": group,
        "order_id": order.order_id,
        "transfer_id": transfer.transfer_id,
    }


@pytest.mark.parametrize("path", reads())
async def test_every_read_is_as_specified(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment, path: str
) -> None:
    """Nothing is missing, nothing is unknown, every value is of its type."""
    operation = specification()["paths"][path]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    ada, names = a_busy_member(exchange)
    if path.startswith("/historical"):
        exchange.desk.settle("KXCALM-26-A", "yes")
        moment.move(hours=1)
        exchange.archive(exchange.clock.micros())

    body = await asked(client, path.format(**names), signed(ada, moment))

    assert wrong(body, schema, "answer") == []
    rows = [value for value in body.values() if isinstance(value, list)]
    assert all(rows) or path == "/account/limits"


def test_what_is_wrong_is_seen() -> None:
    """The check itself tells a good row from a bad one."""
    schema = specification()["components"]["schemas"]["Deposit"]
    good = {
        "id": "1",
        "status": "applied",
        "type": "ach",
        "amount_cents": 1,
        "fee_cents": 0,
        "created_ts": 1,
    }

    assert wrong(good, schema, "row") == []
    assert wrong({**good, "amount_cents": "1"}, schema, "row") == ["row.amount_cents is '1'"]
    assert wrong({**good, "colour": "red"}, schema, "row") == ["row has colour"]
    assert wrong({**good, "status": "gone"}, schema, "row")
    assert wrong({k: v for k, v in good.items() if k != "id"}, schema, "row") == ["row has no id"]
