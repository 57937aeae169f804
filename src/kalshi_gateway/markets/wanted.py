"""Names to ask the exchange about, each soon; those it does not know, seldom."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

#: What the exchange does not show now may be shown later, though hardly soon.
ASK_AGAIN_AFTER = timedelta(hours=1)
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Wanted:
    """A bag of tickers, each with the last time it was asked for in vain."""

    def __init__(self) -> None:
        self._asked_at: dict[str, datetime] = {}

    def __len__(self) -> int:
        return len(self._asked_at)

    def __contains__(self, ticker: object) -> bool:
        return ticker in self._asked_at

    def add(self, tickers: Iterable[str]) -> None:
        """Want these, too; one that was asked for in vain has to wait all the same."""
        for ticker in tickers:
            self._asked_at.setdefault(ticker, LONG_AGO)

    def renew(self, tickers: Iterable[str]) -> None:
        """Want these soon, since something has happened to them."""
        self._asked_at.update(dict.fromkeys(tickers, LONG_AGO))

    def drop(self, tickers: Iterable[str]) -> None:
        """These are known now."""
        for ticker in tickers:
            self._asked_at.pop(ticker, None)

    def due(self, now: datetime) -> list[str]:
        """Those to ask for now."""
        return sorted(t for t, at in self._asked_at.items() if now - at > ASK_AGAIN_AFTER)

    def asked(self, tickers: Iterable[str], found: Iterable[str], now: datetime) -> list[str]:
        """The exchange was asked for these and has shown some; those that it does not know."""
        self.drop(found)
        unknown = [ticker for ticker in tickers if ticker in self._asked_at]
        self._asked_at.update(dict.fromkeys(unknown, now))
        return unknown
