"""A clock for tests: it stands still until it is moved."""

from datetime import UTC, datetime, timedelta


class Moment:
    """Now, as a test wants it."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        """Let time pass."""
        self.at += timedelta(**by)
