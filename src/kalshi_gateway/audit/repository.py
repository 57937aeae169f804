"""The `audit_log` table, which only grows."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from datetime import UTC, datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from kalshi_gateway.errors import GatewayError
from kalshi_gateway.tables import audit_head, audit_log

from .entry import Entry, Line


class AuditLogBroken(GatewayError):
    """The audit log has lost its end, so nothing can be written down, and nothing is done."""

    status = 503
    code = "audit_log_broken"
    title = "Audit log broken"


async def record(conn: AsyncConnection, entry: Entry) -> Line:
    """Add a line, as the last thing of the transaction whose write it tells of.

    Line and write are committed together or not at all. Writers take turns at the head from here
    to their commit, so nothing slow may follow.
    """
    rows = await conn.execute(select(audit_head.c.seq, audit_head.c.hash).with_for_update())
    end = rows.one_or_none()
    if end is None:
        raise AuditLogBroken("The audit log cannot be continued; the operator has to look at it.")
    last, previous = end
    line = Line(
        seq=last + 1,
        at=datetime.now(UTC),
        action=entry.action,
        outcome=entry.outcome,
        caller=entry.author.caller,
        token_id=entry.author.token_id,
        user_id=entry.user_id,
        target=entry.target,
        request_id=entry.author.request_id,
        details=json.dumps(dict(entry.details), sort_keys=True),
        previous=bytes(previous),
    )
    line = replace(line, hash=line.expected_hash())
    await conn.execute(insert(audit_log).values(asdict(line)))
    await conn.execute(update(audit_head).values(seq=line.seq, hash=line.hash))
    return line


async def lines(conn: AsyncConnection) -> AsyncIterator[Line]:
    """All lines in order, a few at a time."""
    rows = await conn.stream(select(audit_log).order_by(audit_log.c.seq))
    async for row in rows:
        yield Line(**row._mapping)


async def head(conn: AsyncConnection) -> tuple[int, bytes] | None:
    """Number and hash of the line that was written last; None if that was removed."""
    rows = await conn.execute(select(audit_head.c.seq, audit_head.c.hash))
    end = rows.one_or_none()
    return None if end is None else (end.seq, bytes(end.hash))
