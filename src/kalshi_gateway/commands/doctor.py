"""`doctor`: what works, what does not, and what to do about it."""

import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from kalshi_gateway import embedded, logs, migrate, settings, upstream
from kalshi_gateway.db import Database
from kalshi_gateway.errors import GatewayError
from kalshi_gateway.kalshi.client import Kalshi, http_client
from kalshi_gateway.kalshi.errors import KalshiError, KeyRejected
from kalshi_gateway.metrics import Metrics
from kalshi_gateway.settings import Settings, SettingsError
from kalshi_gateway.units import to_json

from .database import database_url

#: The exchange accepts about ten seconds; more than this is worth a look at the clock.
SKEW_SECONDS = 2.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str
    advice: str = ""


async def examine(*, as_json: bool) -> bool:
    """Look at everything; True if nothing is wrong."""
    logs.configure("console", "error")
    findings = [finding async for finding in _findings()]
    if as_json:
        sys.stdout.write(to_json({"findings": [asdict(f) for f in findings]}).decode() + "\n")
    else:
        table = Table("", "what", "found", "what to do")
        for finding in findings:
            table.add_row("ok" if finding.ok else "!!", finding.what, finding.found, finding.advice)
        Console().print(table)
    return all(finding.ok for finding in findings)


async def _findings() -> AsyncIterator[Finding]:
    try:
        found = settings.load()
    except SettingsError as error:
        for mistake in error.mistakes:
            yield Finding("settings", ok=False, found=mistake, advice="see .env.example")
        return
    yield Finding("settings", ok=True, found="understood")
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
            yield Finding("database", ok=True, found=f"PostgreSQL {version} ({kind})")
            current, newest = await migrate.revisions(url)
            yield Finding(
                "schema",
                ok=current == newest,
                found=f"at {current}, newest is {newest}",
                advice="" if current == newest else "run `kalshi-gateway migrate`",
            )
    except (GatewayError, embedded.EmbeddedUnavailable) as error:
        advice = "is the server up, and are name and password right?"
        yield Finding("database", ok=False, found=str(error), advice=advice)


async def _exchange(found: Settings) -> AsyncIterator[Finding]:
    try:
        signed = upstream.signer(found) is not None
    except SettingsError as error:
        advice = "download the key anew, or point KALSHI_API_SECRET_FILE to it"
        yield Finding("key", ok=False, found=error.mistakes[0], advice=advice)
        return
    async with http_client(found.kalshi_base_url) as http:
        kalshi = upstream.kalshi(found, http, Metrics())
        yield await _reached(kalshi)
        if kalshi.skew is not None:
            yield _clock(kalshi)
        if signed:
            yield await _key(kalshi)
        else:
            yield Finding(
                "key",
                ok=True,
                found="none: calls are unsigned, and share an undocumented limit",
                advice="set KALSHI_API_KEY_ID and KALSHI_API_SECRET_FILE",
            )


async def _reached(kalshi: Kalshi) -> Finding:
    try:
        status = (await kalshi.exchange_status()).value
    except KeyRejected:
        return Finding("exchange", ok=True, found=f"{kalshi.base_url}, and refuses our key")
    except KalshiError as error:
        advice = f"can this machine reach {kalshi.base_url}?"
        return Finding("exchange", ok=False, found=str(error), advice=advice)
    trading = "trading" if status.trading_active else "not trading"
    return Finding("exchange", ok=True, found=f"{kalshi.base_url}, {trading}")


def _clock(kalshi: Kalshi) -> Finding:
    skew = kalshi.skew
    seconds = 0.0 if skew is None else skew.total_seconds()
    fine = abs(seconds) <= SKEW_SECONDS
    return Finding(
        "clock",
        ok=fine,
        found=f"{seconds:+.1f} s from the exchange's",
        advice="" if fine else "let NTP set this machine's clock",
    )


async def _key(kalshi: Kalshi) -> Finding:
    try:
        limits = (await kalshi.account_limits()).value
    except KeyRejected as error:
        advice = "is it of the same environment (production or demo) as KALSHI_BASE_URL?"
        return Finding("key", ok=False, found=f"refused: {error}", advice=advice)
    except KalshiError as error:
        return Finding("key", ok=False, found=str(error), advice="try again")
    return Finding("key", ok=True, found=f"accepted, tier {limits.usage_tier}")
