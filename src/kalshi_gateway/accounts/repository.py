"""The `kalshi_account_cache` table: accounts as they are answered, and whose turn it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from kalshi_gateway.db import Driver


@dataclass(frozen=True, slots=True)
class Cached:
    """What is kept of one user's account."""

    user_id: str
    ledger_id: UUID | None
    #: The key whose account this is, by environment, id and fingerprint.
    signed_with: str | None
    body: str | None
    rows: str | None
    as_of: datetime | None
    complete: bool
    warnings: tuple[str, ...]
    epoch: int
    known_epoch: int
    changed_at: datetime | None
    refreshes: int
    ledger_version: int
    failures: int
    failure: str | None
    #: Its turn has come, and nobody refreshes it.
    is_due: bool
    #: Somebody refreshes it now, here or elsewhere.
    is_claimed: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """What a good refresh leaves."""

    body: str
    rows: str
    as_of: datetime
    complete: bool
    warnings: tuple[str, ...]
    known_epoch: int


@dataclass(frozen=True, slots=True)
class Ages:
    """How old the accounts of all who have a key are, and how late."""

    count: int
    failing: int
    #: Up to when the one read longest ago was current, but for those that fail.
    oldest_at: datetime | None
    #: Since when the one that has waited longest is due; None: nobody waits.
    due_since: datetime | None


_COLUMNS = (
    "a.user_id, a.ledger_id, a.signed_with, a.body, a.rows, a.as_of, a.complete, a.warnings,"
    " a.epoch, a.known_epoch, a.changed_at, a.refreshes, a.ledger_version, a.failures, a.failure,"
    " a.due_at <= now() AND coalesce(a.claimed_until < now(), true) AS is_due,"
    " coalesce(a.claimed_until >= now(), false) AS is_claimed"
)
#: How a key is named here; in Python it is `named`.
_KEY = "concat_ws(' ', c.environment, c.api_key_id, c.fingerprint)"

_FIND = f"""
    SELECT {_COLUMNS}, CASE WHEN c.user_id IS NOT NULL THEN {_KEY} END AS key
    FROM (VALUES (1)) AS one
    LEFT JOIN kalshi_account_cache a ON a.user_id = $1
    LEFT JOIN kalshi_user_credentials c ON c.user_id = $1
"""
_ADMIT = f"""
    INSERT INTO kalshi_account_cache AS a (user_id, due_at, due_with)
    SELECT c.user_id, now(), {_KEY}
    FROM kalshi_user_credentials c LEFT JOIN kalshi_account_cache known USING (user_id)
    WHERE c.environment = $1 AND known.due_with IS DISTINCT FROM {_KEY}
    ON CONFLICT (user_id) DO UPDATE
    SET due_at = least(a.due_at, now()), due_with = excluded.due_with, failures = 0
"""
_CLAIM_DUE = """
    UPDATE kalshi_account_cache AS a SET claim = $1, claimed_until = now() + $2
    WHERE a.user_id IN (
        SELECT due.user_id FROM kalshi_account_cache due
        WHERE due.due_at <= now() AND coalesce(due.claimed_until < now(), true)
        AND (due.user_id = $4 OR EXISTS (
            SELECT FROM kalshi_user_credentials c WHERE c.user_id = due.user_id
        ))
        ORDER BY due.due_at LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    RETURNING a.user_id
"""
_LEDGER_OF = """
    SELECT l.id FROM kalshi_ledgers l
    WHERE l.user_id = $1 AND l.member_id IS NOT DISTINCT FROM $2 AND (
        $2 IS NOT NULL
        OR NOT EXISTS (SELECT FROM kalshi_account_snapshots s WHERE s.ledger_id = l.id)
        AND NOT EXISTS (SELECT FROM kalshi_ledger_walks w WHERE w.ledger_id = l.id)
    )
    LIMIT 1
"""
_AGES = """
    SELECT count(*), count(*) FILTER (WHERE failures > 0) AS failing,
        min(as_of) FILTER (WHERE failures = 0) AS oldest_at,
        min(due_at) FILTER (
            WHERE due_at <= now() AND coalesce(claimed_until < now(), true)
        ) AS due_since
    FROM kalshi_account_cache a
    WHERE a.user_id = $1
        OR EXISTS (SELECT FROM kalshi_user_credentials c WHERE c.user_id = a.user_id)
"""
_CLAIM = f"""
    INSERT INTO kalshi_account_cache AS a (user_id, due_at, claim, claimed_until)
    VALUES ($1, now(), $2, now() + $3)
    ON CONFLICT (user_id) DO UPDATE
    SET claim = excluded.claim, claimed_until = excluded.claimed_until
    WHERE coalesce(a.claimed_until < now(), true) OR a.claim = excluded.claim
    RETURNING {_COLUMNS}
"""


class NotOurs(Exception):
    """What was refreshed is no longer ours to write: it took too long, or the key is gone."""


def named(environment: str, key_id: str, fingerprint: str) -> str:
    """A key as it is named in `signed_with`."""
    return f"{environment} {key_id} {fingerprint}"


async def find(conn: Driver, user_id: str) -> tuple[Cached | None, str | None]:
    """What is kept of a user's account, and the key stored for that user now."""
    row = await conn.fetchrow(_FIND, user_id)
    if row is None:
        return None, None
    return (None if row["user_id"] is None else _cached(row)), row["key"]


async def admit(conn: Driver, environment: str) -> None:
    """Make due at once whoever has a key that nobody has signed with yet."""
    await conn.execute(_ADMIT, environment)


async def admit_one(conn: Driver, user_id: str, key: str) -> None:
    """The same for a user whose key is not stored here."""
    await conn.execute(
        "INSERT INTO kalshi_account_cache AS a (user_id, due_at, due_with)"
        " VALUES ($1, now(), $2) ON CONFLICT (user_id) DO UPDATE"
        " SET due_at = least(a.due_at, now()), due_with = excluded.due_with, failures = 0"
        " WHERE a.due_with IS DISTINCT FROM excluded.due_with",
        user_id,
        key,
    )


async def claim_due(
    conn: Driver, claim: UUID, lease: timedelta, most: int, own_user: str | None
) -> list[str]:
    """Take the accounts that have waited longest; no two processes get the same."""
    rows = await conn.fetch(_CLAIM_DUE, claim, lease, most, own_user)
    return [row["user_id"] for row in rows]


async def claim(conn: Driver, user_id: str, claim: UUID, lease: timedelta) -> Cached | None:
    """Take one account, due or not; None while somebody else has it."""
    row = await conn.fetchrow(_CLAIM, user_id, claim, lease)
    return None if row is None else _cached(row)


async def hold(conn: Driver, user_id: str, claim: UUID, key: str, *, stored: bool) -> None:
    """Keep the account and its key as they are until the transaction ends.

    Raises `NotOurs` when the claim is another's by now, or the key was changed or deleted.
    """
    held = await conn.fetchval(
        "SELECT true FROM kalshi_account_cache WHERE user_id = $1 AND claim = $2 FOR UPDATE",
        user_id,
        claim,
    )
    if not held:
        raise NotOurs("somebody else refreshes this account by now")
    if stored and not await conn.fetchval(
        f"SELECT true FROM kalshi_user_credentials c WHERE user_id = $1 AND {_KEY} = $2 FOR SHARE",
        user_id,
        key,
    ):
        raise NotOurs("the key was changed or deleted meanwhile")


async def ledger_of(conn: Driver, user_id: str, member_id: str | None) -> UUID:
    """The ledger of a member of the exchange, a new one if he was never met.

    Who is not known by any name may be anybody: of him an empty one alone will do.
    """
    found: UUID | None = await conn.fetchval(_LEDGER_OF, user_id, member_id)
    if found is None:
        found = await conn.fetchval(
            "INSERT INTO kalshi_ledgers (user_id, member_id) VALUES ($1, $2) RETURNING id",
            user_id,
            member_id,
        )
    assert found is not None  # noqa: S101 - RETURNING returns
    return found


async def member_of(conn: Driver, ledger_id: UUID) -> str | None:
    """Whose ledger it is at the exchange, as far as is known."""
    member: str | None = await conn.fetchval(
        "SELECT member_id FROM kalshi_ledgers WHERE id = $1", ledger_id
    )
    return member


async def name_member(conn: Driver, ledger_id: UUID, member_id: str) -> None:
    """Write down whose ledger it is; said once, it stays, and a member has one for each user."""
    await conn.execute(
        "UPDATE kalshi_ledgers l SET member_id = $2 WHERE id = $1 AND member_id IS NULL"
        " AND NOT EXISTS (SELECT FROM kalshi_ledgers other"
        " WHERE other.user_id = l.user_id AND other.member_id = $2)",
        ledger_id,
        member_id,
    )


async def use(conn: Driver, user_id: str, ledger_id: UUID) -> None:
    """Let a user's account be that of this ledger; what was known of another is forgotten."""
    await conn.execute(
        "UPDATE kalshi_account_cache SET ledger_id = $2, body = NULL, rows = NULL, as_of = NULL,"
        " signed_with = NULL WHERE user_id = $1 AND ledger_id IS DISTINCT FROM $2",
        user_id,
        ledger_id,
    )


async def note_rows(conn: Driver, user_id: str) -> None:
    """Rows have come into the ledger, and the refresh goes on: what was counted of it is old."""
    await conn.execute(
        "UPDATE kalshi_account_cache SET ledger_version = ledger_version + 1 WHERE user_id = $1",
        user_id,
    )


async def finish(
    conn: Driver, user_id: str, key: str, finished: Finished, *, due_in: timedelta, changed: bool
) -> None:
    """Keep a good refresh, and let go of the claim; changed meanwhile, it is due again at once."""
    await conn.execute(
        "UPDATE kalshi_account_cache SET signed_with = $2, due_with = $2, body = $3, rows = $4,"
        " as_of = $5, complete = $6, warnings = $7, known_epoch = $8,"
        " due_at = CASE WHEN epoch > $8 THEN now() ELSE now() + $9 END,"
        " claim = NULL, claimed_until = NULL, refreshes = refreshes + 1,"
        " ledger_version = ledger_version + $10, failures = 0, failure = NULL"
        " WHERE user_id = $1",
        user_id,
        key,
        finished.body,
        finished.rows,
        finished.as_of,
        finished.complete,
        list(finished.warnings),
        finished.known_epoch,
        due_in,
        int(changed),
    )


async def confirm(conn: Driver, user_id: str, claim: UUID, *, due_in: timedelta) -> None:
    """Let go of an account of which the exchange has nothing newer to say."""
    await conn.execute(
        "UPDATE kalshi_account_cache SET due_at = now() + $3, claim = NULL, claimed_until = NULL,"
        " refreshes = refreshes + 1, failures = 0, failure = NULL"
        " WHERE user_id = $1 AND claim = $2",
        user_id,
        claim,
        due_in,
    )


async def fail(conn: Driver, user_id: str, claim: UUID, failure: str, *, due_in: timedelta) -> None:
    """Let go of an account that could not be refreshed; what is known of it stays."""
    await conn.execute(
        "UPDATE kalshi_account_cache SET failures = failures + 1, failure = $3,"
        " due_at = now() + $4, claim = NULL, claimed_until = NULL"
        " WHERE user_id = $1 AND claim = $2",
        user_id,
        claim,
        failure,
        due_in,
    )


async def let_go(conn: Driver, user_id: str, claim: UUID) -> None:
    """Give a claim back as if it had never been; the account is due as it was."""
    await conn.execute(
        "UPDATE kalshi_account_cache SET claim = NULL, claimed_until = NULL"
        " WHERE user_id = $1 AND claim = $2",
        user_id,
        claim,
    )


async def invalidate(conn: Driver, user_id: str) -> None:
    """Something has changed at the exchange: whatever was asked for before now is old."""
    await conn.execute(
        "UPDATE kalshi_account_cache SET epoch = epoch + 1, changed_at = now(), due_at = now()"
        " WHERE user_id = $1",
        user_id,
    )


async def note_watched(conn: Driver, watched: Mapping[str, datetime]) -> None:
    """Write down who was asked for when; how soon that makes them due the next refresh says."""
    await conn.execute(
        "UPDATE kalshi_account_cache a SET watched_at = w.at"
        " FROM unnest($1::text[], $2::timestamptz[]) AS w (user_id, at)"
        ' WHERE a.user_id = w.user_id COLLATE "C" AND coalesce(a.watched_at < w.at, true)',
        list(watched),
        list(watched.values()),
    )


async def state_of(conn: Driver, user_id: str) -> tuple[int, timedelta | None]:
    """How often in a row it failed, and how long nobody has asked for it; None: never."""
    row = await conn.fetchrow(
        "SELECT failures, now() - watched_at AS unwatched FROM kalshi_account_cache"
        " WHERE user_id = $1",
        user_id,
    )
    return (0, None) if row is None else (row["failures"], row["unwatched"])


async def ages(conn: Driver, own_user: str | None) -> Ages:
    """How old accounts are, all together; `own_user` has a key that is not stored here."""
    row = await conn.fetchrow(_AGES, own_user)
    assert row is not None  # noqa: S101 - aggregates have a row
    return Ages(**row)


def _cached(row: asyncpg.Record) -> Cached:
    warnings: Sequence[str] = row["warnings"]
    names = [name for name in Cached.__slots__ if name != "warnings"]
    return Cached(**{name: row[name] for name in names}, warnings=tuple(warnings))
