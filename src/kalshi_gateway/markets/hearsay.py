"""What is looked up by name, in any process, told to the one that writes the catalogue.

It hears it while it lives; for whoever begins after that there is a mark on the row.
"""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from kalshi_gateway.db import Driver

if TYPE_CHECKING:
    from .batch import Batch

CHANNEL = "kalshi_gateway_looked_up"

#: Postgres passes on at most 8000 bytes. No ticker is that long: nobody knows what was cut.
LONGEST = 1_000

#: Given the table that has changed, and the key of a row.
Hear = Callable[[str, str], None]


class Before(NamedTuple):
    """A row as it was."""

    body: str
    digest: int


async def tell(conn: Driver, batch: "Batch") -> None:
    """Say which rows another than the writer has stored; heard when the transaction commits."""
    await conn.execute(
        "SELECT pg_notify($1, $2 || ' ' || left(key, $3)) FROM unnest($4::text[]) AS key",
        CHANNEL,
        batch.kind.table,
        LONGEST,
        batch.stored,
    )


async def before(conn: Driver, batch: "Batch", key: str) -> Before | None:
    """What is known before a row of the batch is stored, and stays so until it is."""
    kind = batch.kind
    row = await conn.fetchrow(
        f"SELECT body, digest FROM {kind.table} WHERE {kind.key} = $1 FOR UPDATE", key
    )
    return None if row is None else Before(*row)


async def leave_word(conn: Driver, batch: "Batch") -> None:
    """Mark what it has stored: what bears its names has older ones, and is to be read again."""
    kind = batch.kind
    await conn.execute(
        f"UPDATE {kind.table} SET digest = 0 WHERE {kind.key} = ANY($1)", batch.stored
    )


async def read_again(conn: Driver, tickers: Collection[str]) -> None:
    """Mark markets that bear the old name of their event."""
    await conn.execute("UPDATE instruments SET digest = NULL WHERE ticker = ANY($1)", tickers)


async def has_others(conn: Driver, event_ticker: str, tickers: Collection[str]) -> bool:
    """Whether an event has markets besides these."""
    others: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM instruments WHERE event_ticker = $1 AND ticker <> ALL($2))",
        event_ticker,
        tickers,
    )
    return others


async def listen(conn: Driver, hear: Hear) -> None:
    """Hear over this connection, from now on and between its transactions."""

    def heard(_: Any, __: int, ___: str, told: object) -> None:
        hear(*str(told).split(" ", 1))

    await conn.add_listener(CHANNEL, heard)
