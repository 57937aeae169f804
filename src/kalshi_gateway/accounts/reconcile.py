"""Whether cash and positions add up, or by how much they do not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from typing import Annotated

from pydantic import Field

from kalshi_gateway.kalshi import portfolio_wire as wire
from kalshi_gateway.units import Contracts, Dollars

from .account import total
from .book import ZERO, Book, added, dollars, known
from .ledger import Ledger
from .records import Transfer
from .settling import Gap

#: The exchange's words for money that has arrived or left.
DONE = frozenset({"applied", "complete"})
#: Costs are told to the microdollar, so an average of theirs may differ by a little.
SAME_COST = Fraction(1, 10_000)


@dataclass(frozen=True, slots=True)
class Cash:
    """The balance there should be by all we know, beside the balance there is."""

    deposits: Dollars | None
    withdrawals: Dollars | None
    fills: Annotated[Dollars, Field(description="What trading brought less what it cost.")]
    settlements: Dollars
    fees: Dollars | None
    expected: Dollars | None
    balance: Dollars
    difference: Annotated[Dollars | None, Field(description="The balance less what is expected.")]
    explained_by: Annotated[
        tuple[str, ...], Field(description="Sums known to stand between the two, if they do.")
    ]
    adds_up: Annotated[bool | None, Field(description="Null while a part of it is not known.")]


@dataclass(frozen=True, slots=True)
class PositionDifference:
    """A market in which the fills we know do not lead to what the exchange says is held."""

    ticker: str
    subaccount: int
    contracts: Annotated[Contracts, Field(description="By our fills; NO is below zero.")]
    exchange_contracts: Contracts
    cost: Dollars
    exchange_cost: Dollars | None


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The line that says whether all adds up."""

    adds_up: bool | None
    cash: Cash | None
    positions: tuple[PositionDifference, ...]


def reconcile(cash: Cash | None, positions: Iterable[PositionDifference]) -> Reconciliation:
    """Both together; without a balance to compare with, nobody knows."""
    differing = tuple(positions)
    sums = None if cash is None else cash.adds_up
    return Reconciliation(False if differing else sums, cash, differing)


def compare_cash(
    ledger: Ledger,
    transfers: Iterable[Transfer],
    balance: Decimal,
    *,
    between: Mapping[str, Decimal | None] | None = None,
) -> Cash:
    """The money of all subaccounts, followed from the first deposit; between them it stays in sum.

    `between` has sums that may stand between what is expected and the balance, signed as they
    would move it (what resting orders hold back, below zero): the exchange does not say which do.
    """
    moved = [t for t in transfers if t.status in DONE]
    books = ledger.books.values()
    paid_out = sum((e.proceeds for e in ledger.entries if e.kind == "settlement"), ZERO)
    deposits = total(t.amount for t in moved if t.kind == "deposit")
    withdrawals = total(t.amount for t in moved if t.kind == "withdrawal")
    fills = dollars(sum((book.balance for book in books), ZERO) - paid_out)
    settlements = dollars(paid_out)
    fees = known(added(book.fees for book in books))
    expected = _expected(deposits, withdrawals, fills + settlements, fees)
    difference = None if expected is None else balance - expected
    explained_by = None if difference is None else _explained(difference, between or {})
    return Cash(
        deposits=deposits,
        withdrawals=withdrawals,
        fills=fills,
        settlements=settlements,
        fees=fees,
        expected=expected,
        balance=balance,
        difference=difference,
        explained_by=explained_by or (),
        adds_up=None if difference is None else explained_by is not None,
    )


def compare_positions(
    ledger: Ledger, rows: Iterable[wire.MarketPosition], subaccount: int = 0
) -> list[PositionDifference]:
    """Where our fills and the exchange's positions of one subaccount differ; settled ones aside."""
    theirs = {row.ticker: row for row in rows}
    ours = {
        ticker: book
        for (ticker, number), book in ledger.books.items()
        if number == subaccount and not book.settled
    }
    found = []
    for ticker in sorted(theirs.keys() | ours.keys()):
        book = ours.get(ticker) or Book(ticker, subaccount)
        row = theirs.get(ticker)
        if not _agree(book, row, settled=_is_settled(ledger, ticker, subaccount)):
            found.append(
                PositionDifference(
                    ticker=ticker,
                    subaccount=subaccount,
                    contracts=dollars(book.contracts),
                    exchange_contracts=Decimal(0) if row is None else row.position_fp,
                    cost=dollars(book.cost),
                    exchange_cost=None if row is None else row.market_exposure_dollars,
                )
            )
    return found


def gaps(
    differences: Iterable[PositionDifference],
    ledger: Ledger,
    rows: Iterable[wire.MarketPosition] = (),
) -> list[Gap]:
    """What is missing from the ledger where it differs from the exchange.

    Since the first fill we know of that market; if there is none, since the position moved last.
    """
    moved = {row.ticker: row.last_updated_ts for row in rows}
    found = []
    for difference in differences:
        book = ledger.book(difference.ticker, difference.subaccount)
        since = moved.get(difference.ticker) if book is None else book.first_at
        found.append(Gap(since, "fills do not add up to the position", difference.ticker))
    return found


def _agree(book: Book, row: wire.MarketPosition | None, *, settled: bool) -> bool:
    if row is None:
        return not book.contracts
    if settled:
        # Until its list is renewed, the exchange shows what was held; the money has come.
        return True
    cost = row.market_exposure_dollars
    return book.contracts == Fraction(row.position_fp) and (
        cost is None or abs(book.cost - Fraction(cost)) < SAME_COST
    )


def _is_settled(ledger: Ledger, ticker: str, subaccount: int) -> bool:
    book = ledger.book(ticker, subaccount)
    return book is not None and book.settled


def _expected(
    deposits: Decimal | None,
    withdrawals: Decimal | None,
    traded: Decimal,
    fees: Decimal | None,
) -> Decimal | None:
    if deposits is None or withdrawals is None or fees is None:
        return None
    return deposits - withdrawals + traded - fees


def _explained(
    difference: Decimal, between: Mapping[str, Decimal | None]
) -> tuple[str, ...] | None:
    """The fewest of the named sums that make up the difference; None if none do."""
    told = {name: amount for name, amount in between.items() if amount}
    for count in range(len(told) + 1):
        for names in combinations(told, count):
            if sum((told[name] for name in names), Decimal(0)) == difference:
                return names
    return None
