"""Markets that open or close by the clock: the exchange announces neither."""

from dataclasses import replace
from datetime import datetime

import msgspec

from kalshi_gateway.db import Driver
from kalshi_gateway.units import to_json

from .market import Market

MOST_AT_ONCE = 1_000

# What the exchange said after the hour has come is believed, even if it says otherwise.
_DUE = """
    SELECT ticker, body, 'open' AS status FROM instruments
    WHERE status = 'unopened' AND open_time <= $1 AND as_of < open_time
    UNION ALL
    SELECT ticker, body, 'closed' AS status FROM instruments
    WHERE status IN ('open', 'paused') AND close_time <= $1 AND as_of < close_time
    LIMIT $2
"""


async def turn(conn: Driver, now: datetime) -> list[str]:
    """Open and close what is due; the tickers, so that the exchange can be asked about them."""
    due = await conn.fetch(_DUE, now, MOST_AT_ONCE)
    turned = [
        (row["ticker"], row["status"], _with_status(row["body"], row["status"])) for row in due
    ]
    await conn.executemany(
        "UPDATE instruments SET status = $2, body = $3, digest = NULL WHERE ticker = $1", turned
    )
    return [ticker for ticker, _, _ in turned]


def _with_status(body: str, status: str) -> str:
    market = msgspec.json.decode(body, type=Market)
    return to_json(replace(market, status=status)).decode()
