"""An account put together: what the exchange says of it, our fills, and the catalogue's prices."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from kalshi_gateway.db import Driver

from . import account, ledger
from .account import Account
from .book import Execution
from .ledger import Ledger
from .marks import NO_FACTS, MarketFacts
from .settling import Gap, Payout
from .stand import Stand
from .storing import ALL_SUBACCOUNTS, settlement_row

#: More fills than these are replayed beside the event loop, at some 50 µs each.
WORTH_A_THREAD = 500


@dataclass(frozen=True, slots=True)
class Recorded:
    """Fills and settlements as they count, and what is known to be missing among them."""

    executions: Sequence[Execution]
    payouts: Sequence[Payout] = ()
    gaps: Sequence[Gap] = ()

    async def replayed(self) -> Ledger:
        """The books they lead to."""
        if len(self.executions) < WORTH_A_THREAD:
            return self._replay()
        return await asyncio.to_thread(self._replay)

    def _replay(self) -> Ledger:
        return ledger.replay(self.executions, self.payouts, self.gaps)


async def recorded(
    conn: Driver, ledger_id: UUID, tickers: Collection[str] | None = None
) -> Recorded:
    """What a ledger has of some markets, or of all."""
    among = "" if tickers is None else " AND ticker = ANY($2)"
    values = [] if tickers is None else [list(tickers)]
    fills = await conn.fetch(
        "SELECT fill_id, ticker, at, contracts, yes_price, fee, subaccount FROM kalshi_fills"
        f" WHERE ledger_id = $1{among}",
        ledger_id,
        *values,
    )
    settlements = await conn.fetch(
        f"SELECT row, yes_value, subaccount FROM kalshi_settlements WHERE ledger_id = $1{among}",
        ledger_id,
        *values,
    )
    return Recorded(
        [Execution(*row) for row in fills if row["contracts"] is not None],
        [payout(row["row"], row["yes_value"], row["subaccount"]) for row in settlements],
        [
            Gap(row["at"], f"fill {row['fill_id']} cannot be read", row["ticker"])
            for row in fills
            if row["contracts"] is None
        ],
    )


def payout(row: str, yes_value: Decimal | None, subaccount: int) -> Payout:
    """A stored settlement as it counts."""
    of = None if subaccount == ALL_SUBACCOUNTS else subaccount
    return ledger.payout(settlement_row(row), yes_value, of)


def account_of(
    user_id: str, stand: Stand, books: Ledger, facts: Mapping[str, MarketFacts]
) -> Account:
    """The account as it is answered, positions by ticker."""
    made = (
        account.position(
            placed.row,
            books.book(placed.row.ticker, placed.subaccount),
            facts.get(placed.row.ticker, NO_FACTS),
            placed.subaccount,
        )
        for placed in stand.positions
    )
    held = sorted((p for p in made if p is not None), key=lambda p: (p.ticker, p.subaccount))
    return account.account(user_id, stand.balance, held)
