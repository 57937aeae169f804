"""`audit verify`: whether the audit log is what was written."""

import sys
from dataclasses import asdict

from kalshi_gateway import migrate
from kalshi_gateway.audit import chain, repository
from kalshi_gateway.db import Database
from kalshi_gateway.errors import Unprocessable
from kalshi_gateway.units import to_json

from .database import database_url, found_settings


async def verify(noted: str | None, *, as_json: bool) -> bool:
    """Read the whole log; False if anything was done to it."""
    line = None if noted is None else _noted(noted)
    async with database_url(found_settings()) as url:
        await migrate.to_head(url)
        async with Database.opened(url) as database, database.connect() as conn:
            # One moment of the log: lines that are written meanwhile are not half seen.
            conn = await conn.execution_options(isolation_level="REPEATABLE READ")
            report = await chain.verified(repository.lines(conn), await repository.head(conn), line)
    if as_json:
        _write(to_json({**asdict(report), "hash": report.hash.hex()}).decode())
    else:
        for fault in report.faults:
            _write(f"line {fault.seq}: {fault.what}")
        what = "are as they were written" if not report.faults else "were read"
        _write(f"{report.lines} lines {what}; the last is {report.seq}:{report.hash.hex()}")
    return not report.faults


def _noted(text: str) -> tuple[int, bytes]:
    seq, _, digest = text.partition(":")
    try:
        return int(seq), bytes.fromhex(digest)
    except ValueError:
        pass
    raise Unprocessable("--noted is a line as this command ends with it: SEQ:HASH")


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
