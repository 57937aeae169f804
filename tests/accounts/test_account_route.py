"""GET …/account: what a user has, as the exchange tells it."""

from decimal import Decimal

import pytest

from kalshi_gateway.db import Database
from kalshi_gateway.markets import standing
from tests.accounts.users import Users
from tests.simulator.moments import Moment

#: The last whole walk over all markets that have prices began so long ago.
WALKED = """
    INSERT INTO catalogue_walks (scope, began_at, complete_as_of)
    SELECT unnest(array['markets:open', 'markets:paused']), now(), now() - $1::text::interval
"""


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


@pytest.mark.parametrize(
    ("row", "walk", "is_old"),
    [
        ("1 second", None, False),
        ("9 hours", None, True),
        ("9 hours", "8 hours", True),
        ("9 hours", "1 second", False),
    ],
)
async def test_old_prices(
    users: Users,
    database: Database,
    moment: Moment,
    monkeypatch: pytest.MonkeyPatch,
    row: str,
    walk: str | None,
    is_old: bool,
) -> None:
    """Marks from prices older than they should be are said to be; nothing is missing for that."""
    monkeypatch.setattr(standing, "REREAD_SECONDS", 0)
    ada = await users.admit(dollars=100)
    users.trade(ada, "KXCALM-26-A", "bid", "0.4200", "12.50")
    moment.move(seconds=5)
    await users.get(ada)
    async with database.driver() as conn:
        await conn.execute("UPDATE instruments SET as_of = now() - $1::text::interval", row)
        if walk is not None:
            await conn.execute(WALKED, walk)

    answer = await users.get(ada, headers={"Cache-Control": "no-cache"})

    warnings = [text for text in answer["meta"]["warnings"] if "prices" in text]
    assert bool(warnings) is is_old
    assert (answer["meta"]["complete"], answer["meta"]["stale"]) == (True, False)
