"""Many private reads of many users; none may hold what is another's.

    .venv/bin/python benchmarks/private_reads.py [reads [users]]

Two gateways on one database, each behind a server that also answers what lies ready before the
application is asked, before a simulated exchange. Between the reads accounts are refreshed,
keys revoked, replaced and deleted, tokens revoked, money comes in, and gateways are restarted. Ends
at the first answer with another user's name or money in it; prints what the answers were.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import httpx
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.accounts.private_reads import PrivateReads
from tests.credentials.builders import BASE_URL, OLD, setting

from kalshi_gateway import embedded, logs, migrate
from kalshi_gateway.app import create_app
from kalshi_gateway.db import Database
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator import app as simulator
from kalshi_gateway.simulator.exchange import Exchange

READS = 100_000
USERS = 200


async def run(url: str, folder: Path, reads: int, users: int) -> None:
    settings = Settings.model_construct(
        gateway_data_dir=folder,
        gateway_encryption_keys=SecretStr(setting(OLD)),
        kalshi_base_url=BASE_URL,
    )
    exchange = Exchange.generated(50)
    exchange.limits.on = False
    transport = httpx.ASGITransport(simulator.create_app(exchange))
    async with Database.opened(url) as database:
        readers = PrivateReads(
            database,
            exchange,
            lambda: create_app(settings, database_url=url, exchange=transport),
        )
        await readers.start()
        try:
            await readers.admit(users)
            began = time.perf_counter()
            await readers.read(reads, laps=max(4, reads // 2_000))
            took = time.perf_counter() - began
        finally:
            await readers.close()
    told = ", ".join(f"{count} {what}" for what, count in sorted(readers.answers.items()))
    print(f"{reads} reads of {users} users in {took:.0f} s, none of another's: {told}")


def main() -> None:
    reads = int(sys.argv[1]) if len(sys.argv) > 1 else READS
    users = int(sys.argv[2]) if len(sys.argv) > 2 else USERS
    logs.configure("console", "error")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        with embedded.acquire(folder) as server:
            url = server.url("postgres")
            asyncio.run(migrate.to_head(url))
            asyncio.run(run(url, folder, reads, users))


if __name__ == "__main__":
    main()
