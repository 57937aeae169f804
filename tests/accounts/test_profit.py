"""What profit and loss takes for missing, and for unknown."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from kalshi_gateway.accounts import profit
from kalshi_gateway.accounts.records import Transfer
from kalshi_gateway.accounts.storing import Progress

READ = Progress(datetime(2026, 6, 1, tzinfo=UTC))
BEGUN = Progress(None, "cursor")
ALL_READ = {"fills": READ, "fills:archive": READ, "settlements:0": READ}


@pytest.mark.parametrize(
    ("progress", "is_whole"),
    [
        (ALL_READ, True),
        ({**ALL_READ, "settlements:3": READ, "orders": BEGUN}, True),
        ({**ALL_READ, "settlements:3": BEGUN}, False),
        ({**ALL_READ, "fills:archive": BEGUN}, False),
        ({"fills": READ, "fills:archive": READ, "settlements:3": READ}, True),
        ({"fills": READ, "fills:archive": READ}, False),
    ],
    ids=str,
)
def test_a_history_that_is_still_read(progress: dict[str, Progress], is_whole: bool) -> None:
    """Fills of both tiers and every subaccount's settlements have to be read to their end."""
    assert (profit._unread(progress) == []) is is_whole


def test_fees_of_payments() -> None:
    """What was done counts, and one fee that nobody tells makes their sum unknown."""
    paid = [a_payment("1", "0.50"), a_payment("0", "0.00"), a_payment("2", "9", status="failed")]

    assert profit._fees(paid, "deposit") == Decimal("-0.50")
    assert profit._fees([*paid, a_payment("3", None)], "deposit") is None
    assert profit._fees([*paid, a_payment("3", None)], "withdrawal") == 0


def a_payment(name: str, fee: str | None, *, status: str = "applied") -> Transfer:
    return Transfer(
        transfer_id=name,
        kind="deposit",
        status=status,
        method="ach",
        amount=Decimal(100),
        fee=None if fee is None else Decimal(fee),
        from_subaccount=None,
        to_subaccount=0,
        from_shard=None,
        to_shard=None,
        created_time=None,
        finalized_time=None,
    )
