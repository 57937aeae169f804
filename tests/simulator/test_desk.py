"""The desk over HTTP: what a test in another process may do for members."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from kalshi_gateway.simulator import desk_routes
from kalshi_gateway.simulator.desk_routes import desk_actions
from kalshi_gateway.simulator.exchange import Exchange

from .asking import Signed
from .members import a_market, asked
from .moments import Moment

A = "KXCALM-26-A"
DESK = "http://exchange/_simulator"
DESCRIPTION = Path(__file__).parents[2] / "docs/simulator.md"


@pytest.fixture(autouse=True)
def market(exchange: Exchange) -> None:
    """A market to trade in."""
    a_market(exchange)


async def told(client: httpx.AsyncClient, method: str, path: str, **body: Any) -> dict[str, Any]:
    """What the desk answers when it does as it is told."""
    response = await client.request(method, DESK + path, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_a_member_joins_trades_and_is_paid(
    client: httpx.AsyncClient, moment: Moment, kind: str
) -> None:
    """Everything by HTTP; what his key reads is the truth the desk tells."""
    ada = await told(client, "POST", "/members", name="Ada", deposit_cents=10_000, kind=kind)
    own = f"/members/{ada['user_id']}"
    auth = Signed(ada["api_key_id"], ada["private_key"], moment)

    trade = {"ticker": A, "side": "bid", "price": "0.5200", "count": "3.00"}
    fill = await told(client, "POST", f"{own}/trades", **trade)
    await told(client, "POST", f"/markets/{A}/settle", result="yes")

    truth = await told(client, "GET", own)
    assert truth["balance_dollars"] == "101.3875"
    assert truth["fees_paid_dollars"] == "0.052500"
    assert truth["realized_pnl_dollars"] == "1.440000"
    assert truth["fills"] == [fill] == (await asked(client, "/portfolio/fills", auth))["fills"]
    assert (await asked(client, "/portfolio/balance", auth))["balance_dollars"] == "101.3875"
    assert truth["settlements"][0]["paid_dollars"] == "3.000000"
    assert "PRIVATE KEY" not in str(truth)


async def test_orders_rest_are_hit_and_canceled(client: httpx.AsyncClient) -> None:
    """As long as there is something left of them."""
    ada = await told(client, "POST", "/members", deposit_cents=10_000)
    orders = f"/members/{ada['user_id']}/orders"
    body = {"ticker": A, "side": "ask", "price": "0.7000", "count": "5"}

    resting = await told(client, "POST", orders, **body)
    await told(client, "POST", f"{orders}/{resting['order_id']}/fills", count="2")
    canceled = await told(client, "DELETE", f"{orders}/{resting['order_id']}")

    assert resting["status"] == "resting"
    assert (canceled["status"], canceled["fill_count_fp"]) == ("canceled", "2.00")
    assert canceled["remaining_count_fp"] == "0.00"
    again = await client.delete(f"{DESK}{orders}/{resting['order_id']}")
    assert again.status_code == 404


async def test_money_comes_goes_and_is_moved(client: httpx.AsyncClient, moment: Moment) -> None:
    """A pending deposit is listed and not yet there; one that is returned is there no more."""
    ada = await told(client, "POST", "/members", tier="advanced", deposit_cents=10_000)
    own = f"/members/{ada['user_id']}"
    auth = Signed(ada["api_key_id"], ada["private_key"], moment)

    pending = await told(client, "POST", f"{own}/deposits", amount_cents=700, status="pending")
    await told(client, "POST", f"{own}/withdrawals", amount_cents=2_000, type="wire", fee_cents=25)
    other = await told(client, "POST", f"{own}/subaccounts")
    await told(client, "POST", f"{own}/transfers", amount_dollars="30", to_subaccount=1)
    moved = await told(client, "POST", f"{own}/transfers", amount_dollars="12.3456", to_shard=2)

    assert other == {"subaccount_number": 1}
    assert (await told(client, "GET", own))["balance_dollars"] == "80.0000"
    balances = await asked(client, "/portfolio/subaccounts/balances", auth)
    assert {
        (row["subaccount_number"], row["exchange_index"]): row["balance"]
        for row in balances["subaccount_balances"]
        if row["balance"] != "0.0000"
    } == {(0, 0): "37.6544", (0, 2): "12.3456", (1, 0): "30.0000"}
    deposits = (await asked(client, "/portfolio/deposits", auth))["deposits"]
    assert sorted(row["status"] for row in deposits) == ["applied", "pending"]
    withdrawals = (await asked(client, "/portfolio/withdrawals", auth))["withdrawals"]
    assert [(row["type"], row["fee_cents"]) for row in withdrawals] == [("wire", 25)]
    shards = await asked(client, "/portfolio/intra_exchange_instance_transfers", auth)
    assert shards["transfers"] == [moved]
    path = f"/portfolio/intra_exchange_instance_transfers/{moved['transfer_id']}"
    assert await asked(client, path, auth) == {"transfer": moved}
    between = (await asked(client, "/portfolio/subaccounts/transfers", auth))["transfers"]
    assert [(row["amount_cents"], row["to_subaccount"]) for row in between] == [(3_000, 1)]

    for status, balance in (("applied", "87.0000"), ("returned", "80.0000")):
        await told(client, "POST", f"{own}/payments/{pending['id']}", status=status)
        assert (await told(client, "GET", own))["balance_dollars"] == balance


async def test_a_revoked_key_is_unknown(client: httpx.AsyncClient, moment: Moment) -> None:
    """The member's other key is as good as before."""
    ada = await told(client, "POST", "/members")
    keys = f"/members/{ada['user_id']}/keys"
    second = await told(client, "POST", keys, name="second", scopes=["read"])
    first = Signed(ada["api_key_id"], ada["private_key"], moment)

    await told(client, "DELETE", f"{keys}/{ada['api_key_id']}")

    refused = await client.get("/portfolio/balance", auth=first)
    assert (refused.status_code, refused.json()["error"]["details"]) == (401, "NOT_FOUND")
    auth = Signed(second["api_key_id"], second["private_key"], moment)
    assert await asked(client, "/api_keys", auth) == {
        "api_keys": [{"api_key_id": second["api_key_id"], "name": "second", "scopes": ["read"]}]
    }


async def test_how_post_only_ends_can_be_switched(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Refused, or taken and cancelled; both were seen."""
    before = exchange.matching.post_only_cancels

    told_of = await told(client, "POST", "/post_only", cancels=True)

    assert before is False
    assert told_of == {"cancels": True}
    assert exchange.matching.post_only_cancels is True


async def test_where_a_member_is_expires(client: httpx.AsyncClient, moment: Moment) -> None:
    """Unknown until he has said so once."""
    ada = await told(client, "POST", "/members")
    auth = Signed(ada["api_key_id"], ada["private_key"], moment)
    before = await asked(client, "/api_keys", auth)

    own = f"/members/{ada['user_id']}"
    await told(client, "PATCH", own, tier="expert", attested_until="2026-12-01T00:00:00Z")

    assert "api_key_region_expiration_ts" not in before
    assert (await asked(client, "/api_keys", auth))["api_key_region_expiration_ts"] == 1796083200
    assert (await asked(client, "/account/limits", auth))["usage_tier"] == "expert"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/members/nobody/trades", {}, 404),
        ("/members", {"tier": "platinum"}, 400),
        ("/members", {"unheard_of": 1}, 400),
        ("/markets/KXNONE/settle", {"result": "yes"}, 404),
        (f"/markets/{A}/settle", {"result": "scalar"}, 400),
        ("/lag", {"milliseconds": 1, "of": ["weather"]}, 400),
        ("/lag", {"milliseconds": 60_001}, 400),
        ("/archive", {"before": "yesterday"}, 400),
    ],
)
async def test_what_makes_no_sense_is_refused(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], status: int
) -> None:
    """And changes nothing."""
    assert (await client.post(DESK + path, json=body)).status_code == status


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"price": "0.5250"}, "invalid_price"),
        ({"price": "1.0000"}, "invalid_price"),
        ({"price": "0.123456"}, "invalid_parameters"),
        ({"count": "0.00"}, "invalid_parameters"),
        ({"count": "1e3"}, "invalid_parameters"),
        ({"count": "500"}, "insufficient_balance"),
        ({"ticker": "KXNONE"}, "market_not_found"),
        ({"subaccount": 1}, "invalid_parameters"),
    ],
)
async def test_an_impossible_trade_leaves_no_trace(
    client: httpx.AsyncClient, exchange: Exchange, change: dict[str, Any], code: str
) -> None:
    """Neither with the member nor on the tape."""
    ada = await told(client, "POST", "/members", deposit_cents=10_000)
    own = f"/members/{ada['user_id']}"
    before = await told(client, "GET", own)
    body = {"ticker": A, "side": "bid", "price": "0.5200", "count": "3.00", **change}

    refused = await client.post(f"{DESK}{own}/trades", json=body)

    assert refused.json()["error"]["code"] == code
    assert await told(client, "GET", own) == before
    assert exchange.tape.of(A) == []


async def test_a_page_in_a_browser_cannot_use_the_desk(client: httpx.AsyncClient) -> None:
    """It names its origin, and is refused."""
    response = await client.post(f"{DESK}/members", json={}, headers={"Origin": "http://evil"})

    assert response.status_code == 403


def test_the_desk_is_described(exchange: Exchange) -> None:
    """Every action by method and path, and no other; every field of every body."""
    page = DESCRIPTION.read_text(encoding="utf-8")

    described = re.findall(
        r"`(GET|POST|PATCH|DELETE) (/(?:members|markets|lag|archive|post_only)\S*)`", page
    )

    assert set(described) == set(desk_actions(exchange))
    shapes = [shape for shape in vars(desk_routes).values() if is_body(shape)]
    assert desk_routes.Joining in shapes
    fields = {name for shape in shapes for name in shape.__struct_fields__}
    assert {name for name in fields if f"`{name}`" not in page} == set()


def is_body(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, desk_routes.Asked)
