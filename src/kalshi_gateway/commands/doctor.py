"""`doctor`: what works, what does not, and what to do about it."""

import sys
from collections.abc import AsyncIterator

from rich.console import Console
from rich.table import Table

from kalshi_gateway import embedded, logs, migrate, upstream
from kalshi_gateway.credentials import repository
from kalshi_gateway.credentials.checks import Doctor, Finding, Level, clock, examine, unasked
from kalshi_gateway.credentials.credential import Kept
from kalshi_gateway.credentials.ring import KeyRing, ring_of
from kalshi_gateway.credentials.vault import Vault
from kalshi_gateway.db import Database
from kalshi_gateway.errors import GatewayError
from kalshi_gateway.kalshi.client import Kalshi, http_client
from kalshi_gateway.kalshi.errors import KalshiError, KeyRejected
from kalshi_gateway.metrics import Metrics
from kalshi_gateway.settings import Settings, SettingsError
from kalshi_gateway.units import to_json

from .credential_commands import MARKS
from .database import database_url, found_settings


async def look(*, as_json: bool) -> bool:
    """Look at everything; True if nothing fails."""
    logs.configure("console", "error")
    findings = [finding async for finding in _findings()]
    fails = [finding for finding in findings if finding.level is Level.FAILURE]
    if as_json:
        rows = [{**f.model_dump(mode="json"), "ok": f not in fails} for f in findings]
        sys.stdout.write(to_json({"findings": rows}).decode() + "\n")
    else:
        table = Table("", "what", "found", "what to do")
        for finding in findings:
            table.add_row(MARKS[finding.level], finding.what, finding.found, finding.advice or "")
        Console().print(table)
    return not fails


def _fine(what: str, found: str, advice: str | None = None) -> Finding:
    return Finding(what=what, level=Level.OK, found=found, advice=advice)


def _fails(what: str, found: str, advice: str) -> Finding:
    return Finding(what=what, level=Level.FAILURE, found=found, advice=advice)


async def _findings() -> AsyncIterator[Finding]:
    try:
        found = found_settings()
    except SettingsError as error:
        for mistake in error.mistakes:
            yield _fails("settings", mistake, "see .env.example")
        return
    yield _fine("settings", "understood")
    async for finding in _database(found):
        yield finding
    async for finding in _exchange(found):
        yield finding


async def _database(found: Settings) -> AsyncIterator[Finding]:
    kind = "DATABASE_URL" if found.database_url is not None else "embedded"
    try:
        async with database_url(found) as url:
            async with Database.opened(url) as database, database.driver() as conn:
                version = await conn.fetchval("SHOW server_version")
            yield _fine("database", f"PostgreSQL {version} ({kind})")
            current, newest = await migrate.revisions(url)
            yield _schema(current, newest)
            if current == newest:
                async for finding in _stored_keys(found, url):
                    yield finding
    except (GatewayError, embedded.EmbeddedUnavailable) as error:
        advice = "is the server up, and are name and password right?"
        yield _fails("database", str(error), advice)


def _schema(current: str | None, newest: str | None) -> Finding:
    """How far the schema is; whatever starts here brings an older one to its newest form."""
    if current is None:
        return _fine("schema", "none yet: the next command makes it")
    found = f"at {current}, newest is {newest}"
    if current == newest:
        return _fine("schema", found)
    if current in migrate.known():
        advice = "`serve` brings it up when it starts; or run `kalshi-gateway migrate`"
        return Finding(what="schema", level=Level.WARNING, found=found, advice=advice)
    return _fails("schema", found, "a newer gateway made it; start that one")


async def _exchange(found: Settings) -> AsyncIterator[Finding]:
    try:
        signer = upstream.signer(found)
    except SettingsError as error:
        advice = "download the key anew, or point KALSHI_API_SECRET_FILE to it"
        yield _fails("key", error.mistakes[0], advice)
        return
    async with http_client(found.kalshi_base_url) as http:
        kalshi = upstream.kalshi(found, http, Metrics())
        yield await _reached(kalshi)
        for finding in clock(kalshi.skew):
            yield finding
        if signer is None:
            none = "none: calls are unsigned, and share an undocumented limit"
            yield _fine("key", none, "set KALSHI_API_KEY_ID and KALSHI_API_SECRET_FILE")
            return
        for finding in (await examine(kalshi, signer.key)).verdict.findings:
            if finding.what != "clock":  # said above, also where there is no key
                yield finding.model_copy(update={"what": f"key: {finding.what}"})


async def _reached(kalshi: Kalshi) -> Finding:
    try:
        status = (await kalshi.exchange_status()).value
    except KeyRejected:
        return _fine("exchange", f"{kalshi.base_url}, and refuses our key")
    except KalshiError as error:
        return _fails("exchange", str(error), f"can this machine reach {kalshi.base_url}?")
    trading = "trading" if status.trading_active else "not trading"
    return _fine("exchange", f"{kalshi.base_url}, {trading}")


async def _stored_keys(found: Settings, url: str) -> AsyncIterator[Finding]:
    """Whether there is what opens users' keys, and what the exchange says of each."""
    try:
        ring = ring_of(found)
    except GatewayError as error:
        yield _fails("master keys", str(error), "see GATEWAY_ENCRYPTION_KEYS")
        return
    async with Database.opened(url) as database, http_client(found.kalshi_base_url) as http:
        async with database.connect() as conn:
            stored = await repository.page(conn)
        yield _master_keys(ring, stored)
        kalshi = upstream.kalshi(found, http, Metrics())
        vault = Vault(database, ring, found.kalshi_base_url, clock=kalshi.clock)
        for kept in stored:
            yield await _stored_key(vault, Doctor(http, kalshi), kept)


def _master_keys(ring: KeyRing, stored: list[Kept]) -> Finding:
    missing = {kept.sealed.master_key_id for kept in stored} - set(ring.ids)
    where = str(ring.path) if ring.path is not None else "GATEWAY_ENCRYPTION_KEYS"
    if missing:
        names = ", ".join(sorted(missing))
        return _fails("master keys", f"stored keys need {names}", f"put it back into {where}")
    if not ring.ids:
        return _fine("master keys", "none yet: one is made for the first key that is stored")
    older = sum(kept.sealed.master_key_id != ring.newest for kept in stored)
    if older:
        found = f"{older} keys are sealed under an older one than {ring.newest}"
        advice = "run `kalshi-gateway credential rotate`"
        return Finding(what="master keys", level=Level.WARNING, found=found, advice=advice)
    return _fine("master keys", f"{len(ring.ids)} in {where}, {len(stored)} keys under the newest")


async def _stored_key(vault: Vault, doctor: Doctor, kept: Kept) -> Finding:
    """One line for one user; `credential check` says more."""
    what = f"key of {kept.user_id}"
    try:
        signer = vault.signer(vault.unseal(kept))
        verdict = (await doctor.examine(signer)).verdict
    except GatewayError as error:
        return _fails(what, error.detail, "store the key anew, or see the master keys")
    except KalshiError as error:
        return unasked(error).model_copy(update={"what": what})
    worst = next(f for f in verdict.findings if f.level is verdict.level)
    found = f"{worst.what}: {worst.found}" if verdict.level is not Level.OK else "accepted"
    return Finding(what=what, level=verdict.level, found=found, advice=worst.advice)
