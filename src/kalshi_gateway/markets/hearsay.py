"""What is looked up by name, in any process, told to the one that writes the catalogue."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kalshi_gateway.db import Driver

if TYPE_CHECKING:
    from .batch import Batch

CHANNEL = "kalshi_gateway_looked_up"

#: Postgres passes on at most 8000 bytes. No ticker is that long: nobody knows what was cut.
LONGEST = 1_000

#: Given the table that has changed, and the key of a row.
Hear = Callable[[str, str], None]


async def tell(conn: Driver, batch: "Batch") -> None:
    """Say which rows another than the writer has stored; heard when the transaction commits."""
    await conn.execute(
        "SELECT pg_notify($1, $2 || ' ' || left(key, $3)) FROM unnest($4::text[]) AS key",
        CHANNEL,
        batch.kind.table,
        LONGEST,
        batch.stored,
    )


async def listen(conn: Driver, hear: Hear) -> None:
    """Hear over this connection, from now on and between its transactions."""

    def heard(_: Any, __: int, ___: str, told: object) -> None:
        hear(*str(told).split(" ", 1))

    await conn.add_listener(CHANNEL, heard)
