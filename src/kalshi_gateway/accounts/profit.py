"""Profit and loss of one user: the whole ledger replayed, and held against the exchange's word."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

import msgspec

from kalshi_gateway.db import Database, Driver
from kalshi_gateway.errors import Unavailable
from kalshi_gateway.kalshi import portfolio_wire as wire

from . import facts, reconcile, storing, valuing
from .account import total
from .ledger import Ledger
from .marks import MarketFacts
from .reconcile import Reconciliation
from .records import Order, Transfer
from .repository import Cached
from .settling import Gap, Payout
from .stand import Stand
from .storing import LONG_AGO

#: Replayed ledgers kept for the next question, the most recently asked for.
MOST_KEPT = 32
#: Fills of a ledger that is kept at most: larger ones are replayed each time.
MOST_FILLS_KEPT = 20_000

_transfer = msgspec.json.Decoder(Transfer)
_order = msgspec.json.Decoder(Order)


@dataclass(frozen=True, slots=True)
class Profit:
    """What P&L is made of."""

    ledger: Ledger
    facts: Mapping[str, MarketFacts]
    #: The exchange's realized P&L of the markets it still lists.
    exchange: Mapping[str, Decimal | None]
    reconciliation: Reconciliation


class Profits:
    """Replays ledgers, each once for as long as nothing is added to it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[tuple[UUID, int], Ledger] = OrderedDict()

    async def find(self, cached: Cached) -> Profit:
        """The P&L of an account as it was last read."""
        if cached.ledger_id is None or cached.rows is None:
            raise Unavailable("The account has not been read yet.", retry_after_seconds=1)
        stand = Stand.from_text(cached.rows)
        async with self._database.driver() as conn, conn.transaction(readonly=True):
            ledger = await self._replayed(conn, cached.ledger_id, cached.ledger_version)
            traded = {ticker for ticker, _ in ledger.books}
            known = await facts.of(conn, traded | {p.row.ticker for p in stand.positions})
            ledger = await _with_lost(conn, cached.ledger_id, ledger, stand, known)
            transfers = await _transfers(conn, cached.ledger_id)
            resting = await _resting(conn, cached.ledger_id)
            progress = await storing.progress_of(conn, cached.ledger_id)
        return await asyncio.to_thread(
            _held_against, ledger, stand, known, transfers, resting, _unread(progress)
        )

    async def _replayed(self, conn: Driver, ledger_id: UUID, version: int) -> Ledger:
        kept = self._kept.get((ledger_id, version))
        if kept is not None:
            self._kept.move_to_end((ledger_id, version))
            return kept
        ledger = await (await valuing.recorded(conn, ledger_id)).replayed()
        if len(ledger.entries) <= MOST_FILLS_KEPT:
            self._kept[ledger_id, version] = ledger
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return ledger


async def _with_lost(
    conn: Driver, ledger_id: UUID, ledger: Ledger, stand: Stand, known: facts.Known
) -> Ledger:
    """The same, where markets whose settlement the exchange does not show pay what they say."""
    lost = _lost_payouts(ledger, stand, known)
    if not lost:
        return ledger
    tickers = {paid.ticker for paid in lost}
    found = await valuing.recorded(conn, ledger_id, tickers)
    anew = await replace(found, payouts=[*found.payouts, *lost]).replayed()
    entries = [entry for entry in ledger.entries if entry.ticker not in tickers] + [*anew.entries]
    entries.sort(key=lambda entry: entry.at or LONG_AGO)
    gaps = [gap for gap in ledger.gaps if gap.ticker not in tickers]
    return Ledger({**ledger.books, **anew.books}, tuple(entries), (*gaps, *anew.gaps))


def _lost_payouts(ledger: Ledger, stand: Stand, known: facts.Known) -> list[Payout]:
    held = {(placed.row.ticker, placed.subaccount) for placed in stand.positions}
    return [
        Payout(ticker, None, known.settled[ticker], subaccount=subaccount)
        for (ticker, subaccount), book in ledger.books.items()
        if book.contracts and ticker in known.settled and (ticker, subaccount) not in held
    ]


def _held_against(
    ledger: Ledger,
    stand: Stand,
    known: facts.Known,
    transfers: Sequence[Transfer],
    resting: Decimal | None,
    unread: Sequence[Gap],
) -> Profit:
    """What our records come to beside what the exchange says is there."""
    rows: dict[int, list[wire.MarketPosition]] = {number: [] for _, number in ledger.books}
    for placed in stand.positions:
        rows.setdefault(placed.subaccount, []).append(placed.row)
    differences, gaps = [], list(unread)
    for number, held in sorted(rows.items()):
        found = reconcile.compare_positions(ledger, held, number)
        differences += found
        gaps += reconcile.gaps(found, ledger, held)
    whole = ledger.lacking(gaps)
    between = {
        "resting orders": None if resting is None else -resting,
        "fees of deposits": _fees(transfers, "deposit"),
        "fees of withdrawals": _fees(transfers, "withdrawal"),
    }
    cash = None
    if not stand.withheld:
        cash = reconcile.compare_cash(
            whole, transfers, stand.balance.balance_dollars, between=between
        )
    return Profit(whole, known.markets, _exchange(stand), reconcile.reconcile(cash, differences))


def _exchange(stand: Stand) -> dict[str, Decimal | None]:
    """The exchange's own figures by market, all subaccounts together."""
    parts: dict[str, list[Decimal | None]] = {}
    for placed in stand.positions:
        parts.setdefault(placed.row.ticker, []).append(placed.row.realized_pnl_dollars)
    return {ticker: total(figures) for ticker, figures in parts.items()}


def _fees(transfers: Iterable[Transfer], kind: str) -> Decimal | None:
    fees = total(t.fee for t in transfers if t.kind == kind and t.status in reconcile.DONE)
    return None if fees is None else -fees


def _unread(progress: Mapping[str, storing.Progress]) -> list[Gap]:
    """What is missing as long as a list has not been read to its end."""
    subaccounts = {scope for scope in progress if scope.startswith("settlements:")}
    # A key that is locked to one subaccount shows no other's, not even the primary one's.
    needed = {"fills", "fills:archive"} | (subaccounts or {"settlements:0"})
    steps = [progress.get(scope, storing.NOT_BEGUN) for scope in needed]
    if all(step.since is not None for step in steps):
        return []
    return [Gap(None, "the history is still being read")]


async def _transfers(conn: Driver, ledger_id: UUID) -> list[Transfer]:
    rows = await conn.fetch("SELECT body FROM kalshi_transfers WHERE ledger_id = $1", ledger_id)
    return [_transfer.decode(row["body"]) for row in rows]


async def _resting(conn: Driver, ledger_id: UUID) -> Decimal | None:
    """What all resting orders would cost; None where one of them does not say."""
    rows = await conn.fetch(
        "SELECT body FROM kalshi_orders WHERE ledger_id = $1 AND status = 'resting'", ledger_id
    )
    return total(_cost(_order.decode(row["body"])) for row in rows)


def _cost(order: Order) -> Decimal | None:
    buys_yes = order.outcome_side == "yes" or order.book_side == "bid"
    price = order.yes_price if buys_yes else order.no_price
    if price is None or order.remaining_count is None:
        return None
    return price * order.remaining_count
