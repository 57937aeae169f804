"""The audit log: it only grows, and whatever else was done to it is found."""

import asyncio
import multiprocessing
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kalshi_gateway.audit import chain, repository
from kalshi_gateway.audit.chain import START, Fault, Report
from kalshi_gateway.audit.entry import Entry, Line
from kalshi_gateway.audit.repository import AuditLogBroken
from kalshi_gateway.db import Database, DatabaseUnavailable
from tests.audit.writers import ADA, process, write

FIVE = ("a", "b", "c", "d", "e")

#: What somebody with the database in hand can do, once the triggers are out of the way.
UNGUARDED = "SET LOCAL session_replication_role = replica"


async def report(database: Database, noted: tuple[int, bytes] | None = None) -> Report:
    async with database.connect() as conn:
        return await chain.verified(repository.lines(conn), await repository.head(conn), noted)


async def tamper(database: Database, *statements: str) -> None:
    async with database.begin() as conn:
        for statement in (UNGUARDED, *statements):
            await conn.execute(text(statement))


async def test_what_is_written(database: Database) -> None:
    """A line says who, what, when, by which request, and what came of it."""
    entry = Entry("token.revoke", ADA, "bob", "laptop", "refused", {"code": "unknown", "n": 1})

    async with database.begin() as conn:
        await repository.record(conn, entry)
    async with database.connect() as conn:
        [line] = [line async for line in repository.lines(conn)]

    assert (line.seq, line.previous, line.hash) == (1, START, line.expected_hash())
    assert (line.caller, line.request_id) == ("ada's laptop", "r-1")
    assert (line.action, line.user_id, line.target) == ("token.revoke", "bob", "laptop")
    assert (line.outcome, line.details) == ("refused", '{"code": "unknown", "n": 1}')


async def test_empty_log(database: Database) -> None:
    """A log in which nothing is written yet is in order."""
    assert await report(database) == Report(0, 0, START, ())


async def test_untouched_log(database: Database) -> None:
    """A log that nobody has touched is in order, also when it has grown since it was noted."""
    await write(database, *FIVE[:2])
    noted = await report(database)
    await write(database, *FIVE[2:])

    found = await report(database, (noted.seq, noted.hash))

    assert (found.lines, found.seq, found.faults) == (5, 5, ())


def test_every_word_counts(database_url: str) -> None:
    """No part of a line can be changed without its hash."""

    async def one() -> Line:
        async with Database.opened(database_url) as database:
            await write(database, "a")
            async with database.connect() as conn:
                [line] = [line async for line in repository.lines(conn)]
            return line

    line = asyncio.run(one())
    others: dict[str, Any] = {
        "seq": 2,
        "at": line.at.replace(year=2020),
        "token_id": "x",
        "previous": bytes([1]) * 32,
    }

    for name in line.__dataclass_fields__:
        if name != "hash":
            changed = replace(line, **{name: others.get(name, "other")})
            assert changed.expected_hash() != line.hash, name


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET caller = 'nobody'",
        "UPDATE audit_log SET caller = 'nobody' WHERE false",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "INSERT INTO audit_log SELECT * FROM audit_log "
        "ON CONFLICT (seq) DO UPDATE SET caller = 'nobody'",
        "DELETE FROM audit_head",
        "TRUNCATE audit_head",
        "UPDATE audit_head SET seq = 0",
        "UPDATE audit_head SET hash = ''",
        "INSERT INTO audit_head (one, seq, hash) VALUES (false, 9, '')",
    ],
)
async def test_only_grows(database: Database, statement: str) -> None:
    """The database refuses whatever is not a new line."""
    await write(database, "a")

    with pytest.raises(DBAPIError) as raised:
        async with database.begin() as conn:
            await conn.execute(text(statement))

    cause = raised.value.orig.__cause__  # type: ignore[union-attr]
    assert isinstance(cause, asyncpg.InsufficientPrivilegeError | asyncpg.CheckViolationError)
    assert (await report(database)).faults == ()


COLUMNS = (
    "at, action, outcome, caller, token_id, user_id, target, request_id, details, previous, hash"
)


@pytest.mark.parametrize(
    ("statements", "places"),
    [
        (["UPDATE audit_log SET target = 'x' WHERE seq = 3"], {3: "changed"}),
        (["UPDATE audit_log SET at = at - interval '1 us' WHERE seq = 1"], {1: "changed"}),
        (["UPDATE audit_log SET hash = previous WHERE seq = 5"], {5: "changed"}),
        (["DELETE FROM audit_log WHERE seq = 1"], {1: "removed"}),
        (["DELETE FROM audit_log WHERE seq = 3"], {3: "removed"}),
        (["DELETE FROM audit_log WHERE seq > 3"], {4: "removed"}),
        (["DELETE FROM audit_log"], {1: "removed"}),
        (["TRUNCATE audit_log", "DELETE FROM audit_head"], {0: "removed"}),
        (
            [
                "DELETE FROM audit_log WHERE seq = 2",
                "UPDATE audit_log SET seq = seq - 1 WHERE seq > 2",
            ],
            {2: "changed or moved", 3: "changed or moved", 4: "changed or moved", 5: "removed"},
        ),
        (
            [
                "UPDATE audit_log SET seq = 9 WHERE seq = 2",
                "UPDATE audit_log SET seq = 2 WHERE seq = 4",
                "UPDATE audit_log SET seq = 4 WHERE seq = 9",
            ],
            {2: "changed or moved", 4: "changed or moved"},
        ),
        (
            [
                "UPDATE audit_log SET seq = seq + 10 WHERE seq > 2",
                f"INSERT INTO audit_log SELECT 3, {COLUMNS} FROM audit_log WHERE seq = 2",
                "UPDATE audit_log SET seq = seq - 9 WHERE seq > 10",
            ],
            {3: "changed or moved", 4: "changed or moved", 5: "changed or moved", 6: "inserted"},
        ),
        (
            [f"INSERT INTO audit_log SELECT 6, {COLUMNS} FROM audit_log WHERE seq = 5"],
            {6: "inserted"},
        ),
    ],
    ids=[
        "changed",
        "first changed",
        "last changed",
        "first removed",
        "removed",
        "end removed",
        "all removed",
        "all removed, and the end with it",
        "removed and renumbered",
        "reordered",
        "inserted",
        "inserted at the end",
    ],
)
async def test_tampering(database: Database, statements: list[str], places: dict[int, str]) -> None:
    """A line that was changed, removed, moved or inserted is found, and where."""
    await write(database, *FIVE)

    await tamper(database, *statements)

    faults = (await report(database)).faults
    assert [fault.seq for fault in faults] == list(places)
    assert [fault for fault in faults if not fault.what.startswith(places[fault.seq])] == []


async def test_changed_with_its_hash(database: Database) -> None:
    """Who changes a line and makes its hash anew breaks the bond of the next one."""
    await write(database, *FIVE)
    async with database.connect() as conn:
        third = [line async for line in repository.lines(conn)][2]
    forged = replace(third, target="x")

    await tamper(
        database,
        f"UPDATE audit_log SET target = 'x', hash = '\\x{forged.expected_hash().hex()}' "
        "WHERE seq = 3",
    )

    [fault] = (await report(database)).faults
    assert fault == Fault(4, "changed or inserted: it does not follow the line before it")


async def test_rewritten(database: Database) -> None:
    """A log that was written anew from its start is found by what somebody noted of the old one."""
    await write(database, *FIVE)
    noted = await report(database)

    await tamper(
        database,
        "TRUNCATE audit_log",
        f"UPDATE audit_head SET seq = 0, hash = '\\x{START.hex()}'",
    )
    await write(database, *reversed(FIVE))

    assert (await report(database)).faults == ()
    [fault] = (await report(database, (noted.seq, noted.hash))).faults
    assert (fault.seq, fault.what[:9]) == (5, "rewritten")


async def test_no_line_no_write(database: Database) -> None:
    """What cannot be written down is not done."""
    await tamper(database, "DELETE FROM audit_head")

    async def add() -> None:
        async with database.begin() as conn:
            await conn.execute(text("INSERT INTO search_synonyms VALUES ('a', 'b')"))
            await repository.record(conn, Entry("synonym.add", ADA))

    with pytest.raises(AuditLogBroken):
        await add()

    async with database.connect() as conn:
        assert not await conn.scalar(
            text("SELECT count(*) FROM search_synonyms WHERE typed = 'a' AND means = 'b'")
        )


async def test_no_write_no_line(database: Database) -> None:
    """What was not done after all leaves no line, and no hole."""

    async def place() -> None:
        async with database.begin() as conn:
            await repository.record(conn, Entry("order.place", ADA))
            raise ConnectionResetError

    with pytest.raises(DatabaseUnavailable):
        await place()
    await write(database, "a")

    found = await report(database)
    assert (found.lines, found.seq, found.faults) == (1, 1, ())


async def test_many_processes(database: Database, database_url: str) -> None:
    """Processes that write at the same time make one chain, with every line of each in it."""
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=process, args=(database_url, f"writer {n}", 40)) for n in range(3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        await asyncio.to_thread(writer.join)

    found = await report(database)

    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert (found.lines, found.seq, found.faults) == (120, 120, ())
    async with database.connect() as conn:
        lines = [line async for line in repository.lines(conn)]
    assert len({line.target for line in lines}) == 120
    assert [line.at for line in lines] == sorted(line.at for line in lines)
