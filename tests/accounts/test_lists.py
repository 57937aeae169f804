"""GET …/positions, /fills, /orders, /settlements, /history and /pnl: what is recorded of a user."""

import csv
import io
from decimal import Decimal
from typing import Any

import httpx
import pytest

from kalshi_gateway import cursors
from kalshi_gateway.accounts import fetching
from kalshi_gateway.accounts.pages import Place
from kalshi_gateway.db import Database
from kalshi_gateway.simulator.exchange import Exchange
from tests.accounts.users import User, Users
from tests.simulator.members import a_market
from tests.simulator.moments import Moment

A, B, C = "KXCALM-26-A", "KXCALM-26-B", "KXOTHER-26-C"
LISTS = ("positions", "fills", "orders", "settlements", "history")


@pytest.fixture
async def ada(users: Users, moment: Moment) -> User:
    """Somebody who has bought in three markets, and was paid by one of them."""
    ada = await users.admit(dollars=1_000)
    for number, ticker in enumerate((A, B, C)):
        users.trade(ada, ticker, "bid", "0.4000", f"{number + 1}.50")
        moment.move(minutes=1)
        users.trade(ada, ticker, "ask", "0.5000", "1.00")
        moment.move(minutes=1)
    users.exchange.desk.settle(C, "yes")
    moment.move(minutes=1)
    return ada


async def problem(users: Users, path: str, **params: Any) -> tuple[int, str]:
    response = await users.client.get(path, params=params)
    return response.status_code, response.json()["code"]


@pytest.mark.parametrize("name", ["positions", "fills", "orders"])
async def test_walk(users: Users, ada: User, name: str) -> None:
    """Page by page every row is shown once, in the order of the whole list."""
    whole = (await users.get(ada, name))[name]

    walked, asked = [], {"limit": 1}
    while True:
        page = await users.get(ada, name, params=asked)
        walked += page[name]
        if page["next_cursor"] is None:
            break
        asked = {"limit": 1, "cursor": page["next_cursor"]}

    assert len(whole) == {"positions": 2, "fills": 6, "orders": 6}[name]
    assert walked == whole


@pytest.mark.parametrize("name", ["positions", "fills", "orders"])
async def test_cursor_is_bound(users: Users, ada: User, name: str) -> None:
    """To its filters, its list and its user; a cut one is none."""
    bob = await users.admit("bob")
    page = await users.get(ada, name, params={"limit": 1})
    cursor = page["next_cursor"]

    other_filter = await problem(users, f"{ada.path}/{name}", cursor=cursor, ticker=A)
    other_list = await problem(
        users, f"{ada.path}/{'fills' if name != 'fills' else 'orders'}", cursor=cursor
    )
    other_user = await problem(users, f"{bob.path}/{name}", cursor=cursor)
    cut = await problem(users, f"{ada.path}/{name}", cursor=cursor[:-3])

    assert other_filter == other_user == (422, "cursor_mismatch")
    assert other_list in {(422, "cursor_mismatch"), (422, "cursor_invalid")}
    assert cut == (422, "cursor_invalid")


@pytest.mark.parametrize(
    "place",
    [
        Place(0, ("x", 99_999_999_999, 0)),
        Place(0, ("x", 0, 40_000)),
        Place(0, ("x", 0)),
        Place(0, ("x", "0", "0")),
        Place(10**30, ("x", 0, 0)),
        Place(0, ("x\0", 0, 0)),
    ],
    ids=str,
)
async def test_forged_cursor(users: Users, ada: User, place: Place) -> None:
    """A cursor that names what no row can be named is refused like any other that is not ours."""
    forged = cursors.pack(place, ("fills", "ada", []))

    assert await problem(users, f"{ada.path}/fills", cursor=forged) == (422, "cursor_invalid")


async def test_filters(users: Users, ada: User) -> None:
    """Only what was asked for; nothing found is an empty list, a misspelt filter is refused."""
    fills = await users.get(ada, "fills", params={"ticker": A})
    first = fills["fills"][-1]
    by_order = await users.get(ada, "fills", params={"order_id": first["order_id"]})
    since = await users.get(ada, "fills", params={"start": fills["fills"][0]["created_time"]})
    event = await users.get(ada, "positions", params={"event": "KXCALM-26"})
    none = await users.get(ada, "orders", params={"status": "resting"})

    assert {f["ticker"] for f in fills["fills"]} == {A}
    assert [f["fill_id"] for f in by_order["fills"]] == [first["fill_id"]]
    assert len(since["fills"]) == 5
    assert [p["ticker"] for p in event["positions"]] == [A, B]
    assert (none["orders"], none["next_cursor"]) == ([], None)
    assert await problem(users, f"{ada.path}/fills", tikcer=A) == (422, "invalid_request")
    assert await problem(users, f"{ada.path}/fills", limit=1001) == (422, "invalid_request")


async def test_what_markets_are_called(users: Users, ada: User) -> None:
    """Markets that the catalogue did not know are asked for, and named in every list."""
    shown = {
        name: (await users.get(ada, name))[name]
        for name in ("positions", "fills", "orders", "settlements")
    }

    for rows in shown.values():
        assert rows
        for row in rows:
            assert row["event_ticker"] == row["ticker"].rpartition("-")[0]
            assert row["display_name"] != ""


async def test_settlement(users: Users, ada: User) -> None:
    """What a market brought in all its life, not twice."""
    (row,) = (await users.get(ada, "settlements"))["settlements"]

    truth = users.truth(ada)
    held = next(p for p in truth["positions"] if p["ticker"] == C)
    assert (row["ticker"], row["result"], row["settlement_value"]) == (C, "yes", 1)
    assert (row["side"], row["contracts"], row["revenue"]) == (
        "yes",
        Decimal("2.5"),
        Decimal("2.5"),
    )
    assert row["realized_gross"] == Decimal(held["realized_pnl_dollars"])
    assert row["fees_paid"] == Decimal(held["fees_paid_dollars"])


async def test_scalar_settlement(users: Users, ada: User, exchange: Exchange) -> None:
    """A value finer than a cent is taken from the market, not from the settlement."""
    exchange.desk.settle(B, "scalar", "0.3333")
    users.exchange.clock.source.move(minutes=1)  # type: ignore[attr-defined]

    rows = (await users.get(ada, "settlements", params={"ticker": B}))["settlements"]
    pnl = await users.get(ada, "pnl")

    truth = users.truth(ada)
    assert [row["settlement_value"] for row in rows] == [Decimal("0.3333")]
    assert pnl["reconciliation"]["cash"]["difference"] == 0
    gross = Decimal(truth["realized_pnl_dollars"])
    assert abs(pnl["totals"]["realized_gross"] - gross) <= Decimal("0.000003")


async def test_history(users: Users, ada: User, database: Database, moment: Moment) -> None:
    """Noted when it changed; of each hour the last, where that is asked for."""
    await users.get(ada)
    for _ in range(3):
        users.exchange.ledger.bank.deposit(ada.member, 100)
        moment.move(minutes=40)
        await users.client.post(f"{ada.path}/account/refresh")
        async with database.driver() as conn:
            await conn.execute(
                "UPDATE kalshi_account_snapshots SET at = at - interval '40 minutes'"
            )

    every = (await users.get(ada, "history"))["history"]
    hours = (await users.get(ada, "history", params={"every": "hour", "limit": 2}))["history"]

    balances = [row["balance"] for row in every]
    assert len(every) == 4
    assert [b - balances[-1] for b in balances] == [3, 2, 1, 0]
    assert all(row["equity"] == row["balance"] + row["portfolio_value"] for row in every)
    assert [row for row in every if row in hours] == hours
    assert len({row["at"][:13] for row in hours}) == len(hours) == 2


async def test_history_thins_out(
    users: Users, ada: User, database: Database, moment: Moment
) -> None:
    """After a month the last of each hour is left, so that it does not grow without end."""
    await users.get(ada)
    async with database.driver() as conn:
        await conn.execute(
            "INSERT INTO kalshi_account_snapshots"
            " SELECT s.ledger_id, date_trunc('hour', s.at, 'UTC') - days - minutes, number"
            " FROM kalshi_account_snapshots s,"
            " (VALUES (interval '29 days', 0), ('31 days', 10)) AS d (days, of),"
            " LATERAL (VALUES (interval '1 min', of + 1), ('20 min', of + 2), ('59 min', of + 3),"
            " ('61 min', of + 4), ('90 min', of + 5)) AS m (minutes, number)"
        )
    users.exchange.ledger.bank.deposit(ada.member, 100)
    moment.move(minutes=5)

    await users.client.post(f"{ada.path}/account/refresh")
    history = (await users.get(ada, "history"))["history"]

    assert [row["balance"] for row in history[2:]] == [1, 2, 3, 4, 5, 11, 14]


@pytest.mark.parametrize("by", ["market", "event", "category", "day"])
async def test_pnl_adds_up(users: Users, ada: User, by: str) -> None:
    """However it is cut, its lines make the same sum, and the cash is accounted for."""
    pnl = await users.get(ada, "pnl", params={"by": by})

    truth = users.truth(ada)
    assert pnl["complete"] is True
    assert sum(line["realized_gross"] for line in pnl["pnl"]) == pnl["totals"]["realized_gross"]
    assert pnl["totals"]["realized_gross"] == Decimal(truth["realized_pnl_dollars"])
    assert pnl["totals"]["fees_paid"] == Decimal(truth["fees_paid_dollars"])
    assert pnl["reconciliation"]["adds_up"] is True


async def test_pnl_as_csv(users: Users, ada: User) -> None:
    """By parameter or by Accept; the closings have a row for all that was closed."""
    pnl = await users.get(ada, "pnl")

    by_parameter = await users.client.get(f"{ada.path}/pnl?format=csv")
    by_accept = await users.client.get(f"{ada.path}/pnl", headers={"Accept": "text/csv"})
    closings = await users.client.get(f"{ada.path}/pnl?format=closings")

    rows = list(csv.DictReader(io.StringIO(by_parameter.text)))
    assert by_parameter.text == by_accept.text
    assert by_parameter.headers["content-type"] == "text/csv; charset=utf-8"
    assert {"age", "etag", "x-cache"} <= set(by_parameter.headers)
    assert [row["market"] for row in rows] == [line["group"] for line in pnl["pnl"]]
    assert [Decimal(row["realized_gross"]) for row in rows] == [
        line["realized_gross"] for line in pnl["pnl"]
    ]
    gains = [Decimal(row["proceeds"]) - Decimal(row["cost"]) for row in _rows(closings)]
    assert sum(gains) == pnl["totals"]["realized_gross"]


async def test_pnl_refuses_nonsense(users: Users, ada: User) -> None:
    """Days in the wrong order, and zones that do not exist."""
    path = f"{ada.path}/pnl"

    assert await problem(users, path, start="2026-02-02", end="2026-02-01") == (
        422,
        "invalid_request",
    )
    assert await problem(users, path, timezone="Mars/Olympus") == (422, "invalid_request")
    assert await problem(users, path, timezone="../../etc/passwd") == (422, "invalid_request")


async def test_subaccounts(users: Users, exchange: Exchange, moment: Moment) -> None:
    """All of a member's subaccounts make one account; opposite positions are not netted."""
    ada = await users.admit(dollars=100)
    bank = exchange.ledger.bank
    number = bank.open_subaccount(ada.member)
    bank.transfer(ada.member, 30_000_000, to_subaccount=number)
    a_market(exchange, A)
    users.trade(ada, A, "bid", "0.4000", "10.00")
    users.trade(ada, A, "ask", "0.4000", "5.00", subaccount=number)
    moment.move(minutes=1)

    account = await users.get(ada)
    pnl = await users.get(ada, "pnl")
    exchange.desk.settle(A, "yes")
    moment.move(minutes=1)
    settlements = await users.get(ada, "settlements", headers={"Cache-Control": "no-cache"})
    after = await users.get(ada, "pnl")

    assert account["balance"] < 100
    assert [(p["side"], p["contracts"], p["subaccount"]) for p in account["positions"]] == [
        ("yes", 10, 0),
        ("no", 5, number),
    ]
    assert pnl["reconciliation"]["adds_up"] is True
    assert {(s["subaccount"], s["revenue"]) for s in settlements["settlements"]} == {
        (0, 10),
        (number, 0),
    }
    truth = users.truth(ada)
    assert after["totals"]["realized_gross"] == Decimal(truth["realized_pnl_dollars"])
    assert after["reconciliation"]["adds_up"] is True


@pytest.mark.parametrize("holding", [2, 3])
async def test_many_subaccounts(
    users: Users,
    exchange: Exchange,
    moment: Moment,
    holding: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is held is asked about where something is, or nowhere if there is no time for all."""
    monkeypatch.setattr(fetching, "MOST_VALUED", 2)
    ada = await users.admit(dollars=1_000)
    bank = exchange.ledger.bank
    a_market(exchange, A)
    for number in [bank.open_subaccount(ada.member) for _ in range(12)][:holding]:
        bank.transfer(ada.member, 10_000_000, to_subaccount=number)
        users.trade(ada, A, "bid", "0.4000", "10.00", subaccount=number)
    moment.move(minutes=1)

    account = await users.get(ada)

    truth = users.truth(ada)
    asked = exchange.counters.requests["GET /portfolio/balance"]
    assert account["balance"] == Decimal(truth["balance_dollars"])
    assert len(account["positions"]) == holding
    if holding > 2:
        assert (account["portfolio_value"], account["equity"], asked) == (None, None, 0)
    else:
        assert account["portfolio_value"] == holding * 10 * Decimal("0.4")
        assert account["equity"] == account["balance"] + account["portfolio_value"]
        assert asked == holding


async def test_key_of_one_subaccount(users: Users, exchange: Exchange, moment: Moment) -> None:
    """What such a key may not ask for is unknown, and said so; the rest is answered."""
    ada = await users.admit(dollars=100)
    number = exchange.ledger.bank.open_subaccount(ada.member)
    exchange.ledger.bank.transfer(ada.member, 30_000_000, to_subaccount=number)
    key = exchange.keys.issue("ed25519", member=ada.member, subaccount=number)
    await users.hand_over(User("ada", ada.member, *key))
    moment.move(minutes=1)

    account = await users.get(ada)
    pnl = await users.get(ada, "pnl")

    assert account["balance"] == 30
    assert account["meta"]["complete"] is False
    assert "may not ask for" in str(account["meta"]["warnings"])
    assert pnl["reconciliation"]["cash"] is None
    assert pnl["reconciliation"]["adds_up"] is None


@pytest.mark.parametrize("what", ["account", *LISTS, "pnl"])
async def test_never_kept_for_others(users: Users, ada: User, what: str) -> None:
    """Asked twice it is made twice: nothing of a user is in the memory that all share."""
    path = f"{ada.path}/{what}"
    await users.client.get(path)

    first = await users.client.get(path)
    await users.client.delete(f"{ada.path}/credentials")
    second = await users.client.get(path)

    assert first.status_code == 200
    assert (second.status_code, second.json()["code"]) == (404, "no_credentials")


def _rows(response: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(response.text)))
