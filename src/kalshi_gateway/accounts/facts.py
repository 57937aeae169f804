"""What the catalogue knows of the markets that somebody has traded in."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from kalshi_gateway.db import Driver
from kalshi_gateway.markets.market import Status

from .marks import MarketFacts

#: States in which a market's prices move.
PRICED: Sequence[Status] = ("open", "paused")


class _Body(msgspec.Struct):
    """The members of a market's finished JSON that are needed here."""

    event_ticker: str | None = None
    category: str | None = None
    display_name: str | None = None
    close_time: datetime | None = None
    exchange_index: int | None = None
    yes_bid: Decimal | None = None
    yes_ask: Decimal | None = None
    last_price: Decimal | None = None
    status: str | None = None
    settlement_value: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """Markets by ticker, and what the settled ones among them paid."""

    markets: dict[str, MarketFacts] = field(default_factory=dict)
    settled: dict[str, Decimal] = field(default_factory=dict)
    #: When the prices of those that trade were read: by themselves, or by walks at the latest.
    read_at: dict[str, datetime] = field(default_factory=dict)

    def oldest_price(self, tickers: Iterable[str]) -> datetime | None:
        """Since when the prices of these markets may be others, as far as they still move."""
        return min((self.read_at[t] for t in tickers if t in self.read_at), default=None)


_decoder = msgspec.json.Decoder(_Body)


async def of(conn: Driver, tickers: Collection[str], *, walked_at: datetime | None = None) -> Known:
    """What is known of these markets; of those the catalogue does not have, nothing.

    `walked_at` is when all that trade were last seen, whose rows change only if they do; combos
    are in no walk.
    """
    if not tickers:
        return Known()
    rows = await conn.fetch(
        "SELECT ticker, body, status, is_combo, as_of FROM instruments WHERE ticker = ANY($1)",
        list(tickers),
    )
    known = Known()
    for ticker, text, status, is_combo, as_of in rows:
        body = _decoder.decode(text)
        known.markets[ticker] = MarketFacts(
            event_ticker=body.event_ticker,
            category=body.category,
            display_name=body.display_name,
            close_time=body.close_time,
            exchange_index=body.exchange_index,
            yes_bid=body.yes_bid,
            yes_ask=body.yes_ask,
            last_price=body.last_price,
        )
        if status in PRICED:
            known.read_at[ticker] = as_of if is_combo else max(as_of, walked_at or as_of)
        if body.status == "settled" and body.settlement_value is not None:
            known.settled[ticker] = body.settlement_value
    return known


async def unknown(conn: Driver, ledger_id: UUID, first: Iterable[str]) -> list[str]:
    """Markets that the catalogue does not have: of these first, then of the whole ledger."""
    rows = await conn.fetch(_UNKNOWN, ledger_id, list(first))
    return [row["ticker"] for row in rows]


_UNKNOWN = """
    SELECT t.ticker FROM (
        SELECT unnest($2::text[]) COLLATE "C" AS ticker, true AS first
        UNION SELECT ticker, false FROM kalshi_fills WHERE ledger_id = $1
        UNION SELECT ticker, false FROM kalshi_orders WHERE ledger_id = $1
        UNION SELECT ticker, false FROM kalshi_settlements WHERE ledger_id = $1
    ) AS t
    WHERE NOT EXISTS (SELECT FROM instruments i WHERE i.ticker = t.ticker)
    GROUP BY t.ticker ORDER BY bool_or(t.first) DESC, t.ticker
"""
