"""GET …/account: what a user has, as the exchange tells it."""

from decimal import Decimal

from tests.accounts.users import Users


async def test_first_answer(users: Users) -> None:
    """An account never seen is read from the exchange, to the last digit."""
    ada = await users.admit(dollars=100)
    users.trade(ada, "KXCALM-26-A", "bid", "0.4200", "12.50")

    answer = await users.get(ada)

    truth = users.truth(ada)
    assert answer["user_id"] == "ada"
    assert answer["balance"] == Decimal(truth["balance_dollars"])
    assert [p["ticker"] for p in answer["positions"]] == ["KXCALM-26-A"]
    position, row = answer["positions"][0], truth["positions"][0]
    assert position["side"] == "yes"
    assert position["contracts"] == Decimal(row["position_fp"])
    assert position["cost"] == Decimal(row["market_exposure_dollars"])
    assert position["fees_paid"] == Decimal(row["fees_paid_dollars"])
    assert position["realized_pnl"] == Decimal(row["realized_pnl_dollars"])
    assert answer["meta"]["complete"] is True
    assert answer["meta"]["source"] == "kalshi"
