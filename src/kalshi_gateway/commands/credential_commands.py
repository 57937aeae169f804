"""`credential set|show|list|check|delete|rotate`: users' own keys of the exchange."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kalshi_gateway import logs, migrate, upstream
from kalshi_gateway.credentials import repository
from kalshi_gateway.credentials.checks import Doctor, Level, Verdict
from kalshi_gateway.credentials.credential import Credentials, Kept, shown
from kalshi_gateway.credentials.keeping import Keeper
from kalshi_gateway.credentials.ring import ring_of
from kalshi_gateway.credentials.vault import Vault
from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.client import http_client
from kalshi_gateway.metrics import Metrics
from kalshi_gateway.units import to_json

from .author import author
from .database import database_url, found_settings

LONGEST_PEM = 64 * 1024


async def put(user_id: str, api_key_id: str, key_file: Path | None, *, as_json: bool) -> None:
    """Store a user's key, read from a file or from stdin."""
    private_key = await asyncio.to_thread(_private_key, key_file)
    async with _keeper() as keeper:
        _show(await keeper.put(user_id, api_key_id, private_key, author()), as_json=as_json)


async def show(user_id: str, *, as_json: bool) -> None:
    """What may be seen of a user's key."""
    async with _keeper() as keeper:
        _show(await keeper.vault.show(user_id), as_json=as_json)


async def show_all(*, as_json: bool) -> None:
    """Whose keys are stored, and under which master key."""
    async with _keeper() as keeper, keeper.vault.database.connect() as conn:
        found = await repository.page(conn)
    if as_json:
        rows = [_row(kept) for kept in found]
        _write(to_json({"credentials": rows}).decode())
        return
    table = Table("user", "key id", "kind", "environment", "stored", "checked", "", "sealed under")
    for kept in found:
        table.add_row(*_columns(kept))
    Console().print(table)


async def check(user_id: str, *, as_json: bool) -> bool:
    """Ask the exchange about a user's key; False if anything fails."""
    async with _keeper() as keeper:
        found = await keeper.check(user_id, author())
    _show(found, as_json=as_json)
    return found.verdict is not None and found.verdict.level is not Level.FAILURE


async def delete(user_id: str) -> None:
    """Forget a user's key."""
    async with _keeper() as keeper:
        await keeper.remove(user_id, author())


async def rotate(*, as_json: bool) -> bool:
    """Seal all keys anew under the newest master key; False if some do not open."""
    async with _keeper() as keeper:
        rotation = await keeper.rotate(author())
        path = keeper.vault.ring.path
    if as_json:
        _write(to_json(asdict(rotation)).decode())
    else:
        _write(f"{rotation.resealed} keys sealed under {rotation.master_key_id}")
        if path is not None:
            _write(f"Older master keys stay in {path} for backups that need them.")
    for user_id in () if as_json else rotation.unreadable:
        sys.stderr.write(f"kalshi-gateway: the key of {user_id} does not open; it is unchanged\n")
    return not rotation.unreadable


@asynccontextmanager
async def _keeper() -> AsyncIterator[Keeper]:
    found = found_settings()
    logs.configure(found.gateway_log_format, "warning")
    ring = ring_of(found)
    async with database_url(found) as url, http_client(found.kalshi_base_url) as http:
        await migrate.to_head(url)
        async with Database.opened(url) as database:
            kalshi = upstream.kalshi(found, http, Metrics())
            own = upstream.own_key(found)
            vault = Vault(database, ring, found.kalshi_base_url, clock=kalshi.clock, own=own)
            yield Keeper(vault, Doctor(http, kalshi))


def _private_key(key_file: Path | None) -> str:
    """As it is written there; what pasting has done to it is repaired later."""
    if key_file is not None:
        data = key_file.expanduser().read_bytes()[:LONGEST_PEM]
    else:
        if sys.stdin.isatty():
            sys.stderr.write("Paste the private key (PEM), then press Ctrl-D.\n")
        data = sys.stdin.buffer.read(LONGEST_PEM)
    return data.decode("utf-8", errors="replace")


def _show(found: Credentials, *, as_json: bool) -> None:
    if as_json:
        _write(found.model_dump_json())
        return
    console = Console()
    console.print(f"{found.user_id}: {found.kind} key {found.api_key_id} ({found.environment})")
    if found.verdict is not None:
        console.print(findings(found.verdict))


def findings(verdict: Verdict) -> Table:
    """A verdict as a table."""
    table = Table("", "what", "found", "what to do")
    for one in verdict.findings:
        table.add_row(MARKS[one.level], one.what, one.found, one.advice or "")
    return table


#: How a level looks in a table.
MARKS = {Level.OK: "ok", Level.WARNING: "!", Level.FAILURE: "!!"}


def _row(kept: Kept) -> dict[str, object]:
    return {**shown(kept).model_dump(mode="json"), "sealed_under": kept.sealed.master_key_id}


def _columns(kept: Kept) -> tuple[str, ...]:
    return (
        kept.user_id,
        kept.api_key_id,
        kept.kind,
        kept.environment,
        f"{kept.created_at:%Y-%m-%d %H:%M}",
        f"{kept.checked_at:%Y-%m-%d %H:%M}" if kept.checked_at else "",
        MARKS[kept.verdict.level] if kept.verdict else "",
        kept.sealed.master_key_id,
    )


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
