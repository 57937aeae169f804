"""What an event's markets add up to, kept beside the event so that events can be sorted."""

from collections.abc import Iterable

from kalshi_gateway.db import Driver

EVENTS_AT_ONCE = 2_000

MOST = 2**63 - 1


def _sum(column: str) -> str:
    """As much as the column holds; null where nothing is known, which `least` would not be."""
    return f"CASE WHEN sum({column}) > {MOST} THEN {MOST} ELSE sum({column}) END::bigint"


# An event is open while any of its markets is, and settled only when all of them are. Each event by
# itself: of a table that is filling Postgres knows nothing, and would read all of it each time.
_RESTATE = f"""
    UPDATE events e SET
        status = m.status,
        volume_24h_centicontracts = m.volume_24h,
        open_interest_centicontracts = m.open_interest,
        close_time = m.close_time,
        created_time = m.created_time
    FROM unnest($1::text[]) AS changed (event_ticker) CROSS JOIN LATERAL (
        SELECT
            (array_agg(status ORDER BY array_position(
                '{{open,paused,unopened,closed,settled}}', status)))[1] AS status,
            {_sum("volume_24h_centicontracts")} AS volume_24h,
            {_sum("open_interest_centicontracts")} AS open_interest,
            max(close_time) AS close_time,
            min(created_time) AS created_time
        FROM instruments
        WHERE event_ticker = changed.event_ticker AND NOT is_combo
        HAVING count(*) > 0
    ) m
    WHERE e.event_ticker = changed.event_ticker
    AND (e.status, e.volume_24h_centicontracts, e.open_interest_centicontracts,
         e.close_time, e.created_time)
        IS DISTINCT FROM (m.status, m.volume_24h, m.open_interest, m.close_time, m.created_time)
"""


async def restate(conn: Driver, event_tickers: Iterable[str]) -> None:
    """Add up these events anew, in the transaction that changed their markets."""
    tickers = sorted(event_tickers)
    for start in range(0, len(tickers), EVENTS_AT_ONCE):
        await conn.execute(_RESTATE, tickers[start : start + EVENTS_AT_ONCE])
