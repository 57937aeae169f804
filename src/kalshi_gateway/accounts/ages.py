"""How old accounts are, for the metrics: looked up now and then, and told as of the moment."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kalshi_gateway.db import Database

from . import repository

LOOK_EVERY = timedelta(seconds=15)


class AccountAges(Collector):
    """Of all accounts, whichever process reads them."""

    def __init__(self, own_user: str | None = None) -> None:
        """`own_user` has a key that is not stored here."""
        self._own_user = own_user
        self._seen: repository.Ages | None = None

    async def look(self, database: Database) -> None:
        """Ask the database; what it said last grows older while it cannot be asked."""
        async with database.driver() as conn:
            self._seen = await repository.ages(conn, self._own_user)

    def collect(self) -> Iterator[Metric]:
        """What is known; of what is not, no figure."""
        seen = self._seen
        yield GaugeMetricFamily(
            "gateway_accounts", "Users with a key.", None if seen is None else seen.count
        )
        yield GaugeMetricFamily(
            "gateway_accounts_failing",
            "Accounts that could not be read last time.",
            None if seen is None else seen.failing,
        )
        yield GaugeMetricFamily(
            "gateway_account_age_seconds",
            "Of the account that was read longest ago, but for those that fail.",
            None if seen is None else _seconds_since(seen.oldest_at),
        )
        yield GaugeMetricFamily(
            "gateway_account_overdue_seconds",
            "For how long the account that waits longest has been due; 0: none waits.",
            None if seen is None else _seconds_since(seen.due_since) or 0.0,
        )


def _seconds_since(moment: datetime | None) -> float | None:
    return None if moment is None else max(0.0, (datetime.now(UTC) - moment).total_seconds())
