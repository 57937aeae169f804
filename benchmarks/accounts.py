"""Many users' accounts, all due at once, read by several gateway processes that share the work.

    .venv/bin/python benchmarks/accounts.py [users [processes]]

A simulated exchange in a process of its own holds each member to the Basic tier. The gateways find
keys that nobody has signed with yet, and read all accounts. Printed are the seconds until the last
was read, how often each was, what the exchange was asked and refused, and the memory of each
gateway before and after.
"""

import asyncio
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import uvloop

from kalshi_gateway import embedded, logs, migrate
from kalshi_gateway.credentials import repository as credentials
from kalshi_gateway.credentials.credential import Kept, bound_to, environment_of
from kalshi_gateway.credentials.ring import KeyRing, ring_of
from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.signing import ApiKey
from kalshi_gateway.settings import Settings

USERS = 2_000
PROCESSES = 2
MARKETS = 200
TRADES = 3
PATIENCE_SECONDS = 1_800


@dataclass(frozen=True)
class Key:
    user_id: str
    key_id: str
    pem: str


def exchange(port: int, users: int, pipe: Any) -> None:
    """A child process: members on the Basic tier who have traded a little, and limits."""
    from kalshi_gateway.simulator.exchange import Exchange
    from kalshi_gateway.simulator.serve import serve

    made = Exchange.generated(MARKETS)
    quiet = [entry.ticker for entry in made.catalogue.markets.values() if entry.filed == "open"]
    keys = []
    for number in range(users):
        joined = made.desk.join(f"member {number}", deposit_cents=100_000)
        for trade in range(TRADES):
            ticker = quiet[(number + trade) % len(quiet)]
            entry = made.catalogue.markets[ticker]
            made.ledger.bank.deposit(joined.member, 5_000)
            shard = entry.field("exchange_index") or 0
            if shard:
                made.ledger.bank.transfer(joined.member, 50_000_000, to_shard=shard)
            made.ledger.trade(joined.member, entry, "bid", 5_000, 1_000)
        keys.append(Key(f"user-{number:05}", joined.key_id, joined.private_pem))
    pipe.send(keys)
    uvloop.run(serve(made, "127.0.0.1", port))


def gateway(url: str, settings: Settings, pipe: Any) -> None:
    """A child process: a gateway that serves nobody, and refreshes what is due."""
    from kalshi_gateway.app import create_app

    logs.configure("json", "error")

    async def run() -> None:
        app = create_app(settings, database_url=url)
        pipe.send(memory_mb())
        async with app.router.lifespan_context(app):
            await asyncio.to_thread(pipe.recv)
            pipe.send(memory_mb())

    uvloop.run(run())


async def keep(url: str, ring: KeyRing, base_url: str, keys: list[Key]) -> None:
    """Store all keys as users would, but without asking the exchange about each."""
    environment = environment_of(base_url)
    async with Database.opened(url) as database, database.begin() as conn:
        for key in keys:
            row_id = uuid4()
            parsed = ApiKey.from_checked_pem(key.key_id, key.pem)
            bound = bound_to(key.user_id, row_id, key.key_id, environment)
            await credentials.save(
                conn,
                Kept(
                    user_id=key.user_id,
                    id=row_id,
                    api_key_id=key.key_id,
                    kind=parsed.kind,
                    fingerprint=parsed.fingerprint,
                    environment=environment,
                    sealed=ring.seal(key.pem.encode(), bound),
                    created_at=_now(),
                ),
            )


async def read_all(url: str, users: int) -> tuple[float, Counter[int], int]:
    """Seconds until every account has been read, how often each was, and how many failed."""
    began = time.perf_counter()
    async with Database.opened(url) as database:
        while True:
            async with database.driver() as conn:
                rows = await conn.fetch("SELECT refreshes, failures FROM kalshi_account_cache")
            done = sum(row["refreshes"] > 0 for row in rows)
            took = time.perf_counter() - began
            if done == users or took > PATIENCE_SECONDS:
                return (
                    took,
                    Counter(row["refreshes"] for row in rows),
                    sum(row["failures"] > 0 for row in rows),
                )
            await asyncio.sleep(0.25)


def memory_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port: int = door.getsockname()[1]
        return port


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def main() -> None:
    users = int(sys.argv[1]) if len(sys.argv) > 1 else USERS
    processes = int(sys.argv[2]) if len(sys.argv) > 2 else PROCESSES
    logs.configure("console", "error")
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        port = free_port()
        base_url = f"http://127.0.0.1:{port}/trade-api/v2"
        settings = Settings.model_construct(
            kalshi_base_url=base_url,
            gateway_data_dir=folder,
            gateway_account_refresh_seconds=86_400,
            gateway_catalogue_refresh_seconds=3_600,
            gateway_price_refresh_seconds=86_400,
        )
        ours, theirs = spawn.Pipe()
        running = [spawn.Process(target=exchange, args=(port, users, theirs))]
        running[0].start()
        keys: list[Key] = ours.recv()
        with embedded.acquire(folder) as server:
            url = server.url("postgres")
            asyncio.run(migrate.to_head(url))
            ring = ring_of(settings)
            ring.begin()
            asyncio.run(keep(url, ring, base_url, keys))
            pipes = [spawn.Pipe() for _ in range(processes)]
            running += [
                spawn.Process(target=gateway, args=(url, settings, there)) for _, there in pipes
            ]
            for process in running[1:]:
                process.start()
            before = [here.recv() for here, _ in pipes]
            took, often, failed = asyncio.run(read_all(url, users))
            counters = httpx.get(f"http://127.0.0.1:{port}/_simulator/counters").json()
            for here, _ in pipes:
                here.send(None)
            after = [here.recv() for here, _ in pipes]
            for process in running[1:]:
                process.join(10)
        running[0].terminate()
        running[0].join(10)
    say = sys.stdout.write
    say(f"{users} accounts by {processes} processes in {took:.1f} s; {failed} failed\n")
    say(f"refreshes per account: {dict(sorted(often.items()))}\n")
    say(f"exchange: {counters['total']} calls, {counters['refused']} refused for want of tokens\n")
    for old, new in zip(before, after, strict=True):
        say(f"memory: {old:.0f} MB, then {new:.0f} MB\n")


if __name__ == "__main__":
    main()
