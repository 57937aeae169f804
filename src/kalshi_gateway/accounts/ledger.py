"""All fills and settlements of one user, replayed: what they come to, and what is missing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from kalshi_gateway.kalshi import portfolio_wire as wire

from . import settling
from .book import Book, Entry, Execution
from .settling import Gap, Key, Payout

_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
#: Both words for the direction, or the one that is told; words at odds with each other are none.
_SIGNS = {
    ("yes", "bid"): 1,
    ("yes", None): 1,
    (None, "bid"): 1,
    ("no", "ask"): -1,
    ("no", None): -1,
    (None, "ask"): -1,
}
_VALUES = {"yes": Decimal(1), "no": Decimal(0)}


@dataclass(frozen=True, slots=True)
class Ledger:
    """All books, what changed them in order of time, and what is known to be missing."""

    books: Mapping[Key, Book]
    entries: tuple[Entry, ...]
    gaps: tuple[Gap, ...]

    def book(self, ticker: str, subaccount: int = 0) -> Book | None:
        return self.books.get((ticker, subaccount))

    def lacking(self, gaps: Iterable[Gap]) -> "Ledger":
        """The same, with more known to be missing."""
        return replace(self, gaps=(*self.gaps, *gaps))


def replay(
    executions: Iterable[Execution], payouts: Iterable[Payout] = (), gaps: Iterable[Gap] = ()
) -> Ledger:
    """The books after all fills and settlements, in whatever order and however often given."""
    books: dict[Key, Book] = {}
    entries: list[Entry] = []
    for one in _once(executions):
        key = (one.ticker, one.subaccount)
        book = books.get(key) or books.setdefault(key, Book(*key))
        entries.append(book.fill(one))
    # Fills end before a market is settled, whatever the clocks say.
    settled, missing = settling.settle(books, payouts)
    entries += settled
    entries.sort(key=lambda entry: entry.at or _LONG_AGO)
    return Ledger(books, tuple(entries), (*_mended(gaps, missing), *missing))


def execution(row: wire.Fill) -> Execution | None:
    """The fill as it counts; None when it lacks its direction, count, price or time.

    The price is in YES terms whichever side was bought
    (docs.kalshi.com/getting_started/order_direction).
    """
    sign = _SIGNS.get((row.outcome_side or None, row.book_side or None))
    price = row.yes_price_dollars
    if price is None and row.no_price_dollars is not None:
        price = 1 - row.no_price_dollars
    if sign is None or row.count_fp is None or price is None or row.filled_at is None:
        return None
    return Execution(
        fill_id=row.fill_id,
        ticker=row.ticker,
        at=row.filled_at,
        contracts=sign * row.count_fp,
        yes_price=price,
        fee=row.fee_cost,
        subaccount=row.subaccount_number or 0,
    )


def unreadable(row: wire.Fill) -> Gap:
    """What is missing when a fill is no execution."""
    return Gap(row.filled_at, f"fill {row.fill_id} cannot be read", row.ticker)


def payout(
    row: wire.Settlement, yes_value: Decimal | None = None, subaccount: int | None = None
) -> Payout:
    """The settlement as it counts; `yes_value` is the market's `settlement_value_dollars`.

    The row's own `value` is in whole cents, which a scalar result need not be.
    """
    return Payout(
        ticker=row.ticker,
        at=row.settled_time,
        yes_value=settlement_value(row.market_result, yes_value),
        revenue=None if row.revenue is None else Decimal(row.revenue).scaleb(-2),
        yes_count=row.yes_count_fp,
        no_count=row.no_count_fp,
        yes_cost=row.yes_total_cost_dollars,
        no_cost=row.no_total_cost_dollars,
        fees=row.fee_cost,
        subaccount=subaccount,
    )


def settlement_value(result: str | None, told: Decimal | None) -> Decimal | None:
    """What one YES contract got: all, nothing, or what its market says."""
    return _VALUES.get(result or "", told)


def _mended(gaps: Iterable[Gap], missing: Iterable[Gap]) -> list[Gap]:
    """The gaps as they are after a settlement has told the sums of its market."""
    summed = {gap.ticker for gap in missing if gap.only_when}
    summed -= {gap.ticker for gap in missing if not gap.only_when}
    return [replace(gap, only_when=True) if gap.ticker in summed else gap for gap in gaps]


def _once(executions: Iterable[Execution]) -> list[Execution]:
    """Each fill once, in order of time; the live tier and the archive may both have it."""
    seen: dict[tuple[str, int, bool], Execution] = {}
    for one in executions:
        # Two subaccounts that trade with each other are two sides of one trade, with one id.
        key = (one.fill_id, one.subaccount, one.contracts > 0)
        if one.contracts and (key not in seen or seen[key].fee is None):
            seen[key] = one
    return sorted(seen.values(), key=lambda one: (one.at, one.fill_id))
