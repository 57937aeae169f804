"""Keys that are locked to one subaccount, alone and beside a wider key of the same member."""

import httpx

from kalshi_gateway.simulator.exchange import Exchange
from tests.accounts.users import User, Users
from tests.simulator.moments import Moment

MARKET = "KXCALM-26-A"
OTHER = "KXCALM-26-B"


async def admit(users: Users) -> tuple[User, int]:
    """A member known by a key for everything, with money in a subaccount, too."""
    ada = await users.admit(dollars=100)
    bank = users.exchange.ledger.bank
    number = bank.open_subaccount(ada.member)
    bank.transfer(ada.member, 30_000_000, to_subaccount=number)
    return ada, number


def narrow(users: Users, user: User, subaccount: int) -> User:
    """The same user with another key, for one subaccount only."""
    key = users.exchange.keys.issue("ed25519", member=user.member, subaccount=subaccount)
    return User(user.user_id, user.member, *key)


def lock(users: Users, user: User, subaccount: int | None) -> None:
    """Let the user's very key be good for one subaccount only; None: for all."""
    key = users.exchange.keys.find(user.key_id)
    assert key is not None
    users.exchange.keys.register(
        key.key_id, key.public_key, member=user.member, subaccount=subaccount
    )


async def ledger_of(users: Users, user: User) -> object:
    """Which records the user's account is made of."""
    async with users.database.driver() as conn:
        return await conn.fetchval(
            "SELECT ledger_id FROM kalshi_account_cache WHERE user_id = $1", user.user_id
        )


async def refreshed(users: Users, user: User) -> httpx.Response:
    return await users.client.post(f"{user.path}/account/refresh")


async def test_first_order_of_a_narrow_key(users: Users, moment: Moment) -> None:
    """By its first order such a key turns out to be of a member known already; it goes on."""
    ada, number = await admit(users)
    users.trade(ada, MARKET, "bid", "0.4000", "10.00")
    moment.move(seconds=5)
    await users.get(ada)
    locked = narrow(users, ada, number)
    await users.hand_over(locked)
    before = await users.get(locked)
    users.trade(ada, MARKET, "bid", "0.4000", "2.00", subaccount=number)
    moment.move(seconds=5)

    for _ in range(2):
        response = await refreshed(users, locked)

        assert response.status_code == 200, response.text
        assert [p["contracts"] for p in response.json()["positions"]] == [2]
        moment.move(seconds=5)

    assert before["positions"] == []


async def test_each_key_has_its_own_records(users: Users, moment: Moment) -> None:
    """What a narrow key shows adds up by itself; the wide one has missed nothing meanwhile."""
    ada, number = await admit(users)
    users.trade(ada, MARKET, "bid", "0.4000", "10.00")
    users.trade(ada, OTHER, "bid", "0.4000", "3.00", subaccount=number)
    moment.move(minutes=1)
    await users.get(ada)

    await users.hand_over(narrow(users, ada, number))
    fills = await users.get(ada, "fills")
    pnl = await users.get(ada, "pnl")
    users.trade(ada, MARKET, "bid", "0.4000", "1.00")
    moment.move(hours=1)
    await refreshed(users, ada)
    await users.hand_over(ada)
    all_fills = await users.get(ada, "fills")

    assert [(f["ticker"], f["count"]) for f in fills["fills"]] == [(OTHER, 3)]
    assert pnl["complete"] is True
    assert pnl["reconciliation"]["positions"] == []
    assert sorted(f["count"] for f in all_fills["fills"]) == [1, 3, 10]


async def test_key_that_was_moved(users: Users, exchange: Exchange, moment: Moment) -> None:
    """An order that it may not ask for any more keeps nothing else from being read."""
    ada, number = await admit(users)
    users.trade(ada, MARKET, "bid", "0.4000", "10.00")
    exchange.desk.rest(ada.member, MARKET, "bid", "0.2000", "5.00")
    lock(users, ada, 0)
    moment.move(hours=1)
    await users.get(ada)
    lock(users, ada, number)
    moment.move(hours=1)

    response = await refreshed(users, ada)

    assert response.status_code == 200, response.text
    assert response.json()["balance"] == 30
    assert "orders of other subaccounts" in str(response.json()["meta"]["warnings"])


async def test_what_a_narrowed_key_shows(users: Users, moment: Moment) -> None:
    """A key that was narrowed where it is shows nothing of what a wider one has recorded."""
    ada, number = await admit(users)
    users.trade(ada, MARKET, "bid", "0.4000", "10.00")
    users.trade(ada, OTHER, "bid", "0.4000", "3.00", subaccount=number)
    moment.move(minutes=1)
    await users.get(ada)

    lock(users, ada, number)
    moment.move(minutes=1)
    await refreshed(users, ada)
    fills = await users.get(ada, "fills")
    pnl = await users.get(ada, "pnl")

    assert [(f["ticker"], f["count"]) for f in fills["fills"]] == [(OTHER, 3)]
    assert pnl["complete"] is True
    assert pnl["reconciliation"]["positions"] == []


async def test_key_that_is_wide_again(users: Users, moment: Moment) -> None:
    """Widened where it is, a key shows what was recorded before, and has missed nothing."""
    ada, number = await admit(users)
    users.trade(ada, MARKET, "bid", "0.4000", "10.00")
    users.trade(ada, OTHER, "bid", "0.4000", "3.00", subaccount=number)
    moment.move(minutes=1)
    await users.get(ada)
    lock(users, ada, number)
    users.trade(ada, MARKET, "bid", "0.4000", "1.00")
    moment.move(hours=2)
    await refreshed(users, ada)

    lock(users, ada, None)
    moment.move(hours=2)
    response = await refreshed(users, ada)
    fills = await users.get(ada, "fills")
    pnl = await users.get(ada, "pnl")

    assert response.json()["meta"]["warnings"] == []
    assert sorted(f["count"] for f in fills["fills"]) == [1, 3, 10]
    assert pnl["reconciliation"]["adds_up"] is True


async def test_shards_that_are_left_out_once(users: Users, moment: Moment) -> None:
    """A balance without its shards does not make a wide key a narrow one."""
    ada = await users.admit(dollars=100)
    await users.get(ada)
    before = await ledger_of(users, ada)
    fault = users.exchange.faults.rows(missing=("balance_breakdown",), path="/portfolio/balance")

    moment.move(minutes=1)
    await refreshed(users, ada)
    users.exchange.faults.remove(fault)
    moment.move(minutes=1)
    await refreshed(users, ada)

    assert fault.hits > 0
    assert await ledger_of(users, ada) == before


async def test_what_is_withheld_stays_said(users: Users, moment: Moment) -> None:
    """Also while there is no reason to ask for it again."""
    ada, number = await admit(users)
    await users.hand_over(narrow(users, ada, number))
    first = await users.get(ada)
    moment.move(seconds=5)

    again = (await refreshed(users, ada)).json()
    pnl = await users.get(ada, "pnl")

    assert again["meta"]["warnings"] == first["meta"]["warnings"] != []
    assert again["meta"]["complete"] is False
    assert pnl["reconciliation"]["adds_up"] is None
