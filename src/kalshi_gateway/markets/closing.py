"""Markets that open or close by the clock: the exchange announces neither."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from kalshi_gateway.db import Driver

MOST_AT_ONCE = 1_000

# What the exchange said after the hour has come is believed, even if it says otherwise; $2 is how
# far its clock, by which the hour comes, is ahead of ours, by which we note what it said. That a
# market is a combo or none is said for the index, which has it before the time.
_DUE = """
    SELECT ticker, event_ticker, body, as_of, 'open' AS status FROM instruments
    WHERE status = 'unopened' AND open_time <= $1 AND as_of + $2 < open_time
    UNION ALL
    SELECT ticker, event_ticker, body, as_of, 'closed' AS status FROM instruments
    WHERE status IN ('open', 'paused') AND is_combo IN (false, true)
    AND close_time <= $1 AND as_of + $2 < close_time
    LIMIT $3
"""
# Somebody who looked a market up may have heard of it just now.
_TURN = """
    UPDATE instruments SET status = $3, body = $4, digest = NULL WHERE ticker = $1 AND as_of = $2
"""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


async def turn(conn: Driver, now: datetime, skew: timedelta = timedelta()) -> Mapping[str, str]:
    """Open and close what is due by the exchange's clock; each market turned, and its event."""
    due = await conn.fetch(_DUE, now + skew, skew, MOST_AT_ONCE)
    await conn.executemany(
        _TURN,
        [
            (row["ticker"], row["as_of"], row["status"], _with_status(row["body"], row["status"]))
            for row in due
        ],
    )
    return {row["ticker"]: row["event_ticker"] for row in due}


def _with_status(body: str, status: str) -> str:
    """The same object with another status; all else stays as it is written."""
    members = _members.decode(body)
    members["status"] = msgspec.Raw(msgspec.json.encode(status))
    return msgspec.json.encode(members).decode()
