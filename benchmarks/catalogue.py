"""The catalogue's way in: first sync, unchanged re-sync and increments, beside a bare COPY.

    .venv/bin/python benchmarks/catalogue.py [markets]

The exchange is simulated in a process of its own, the database is a Postgres of our own with its
ordinary settings. Two numbers matter: what the Basic tier's budget makes of it, and how fast the
gateway is when the budget does not hold it back, as a share of COPY of the very same rows into an
empty table in the same run.
"""

import asyncio
import io
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import httpx
import uvloop
from pydantic import SecretStr

from kalshi_gateway import embedded, migrate, upstream
from kalshi_gateway.commands.serving import spare_memory
from kalshi_gateway.db import leadership
from kalshi_gateway.kalshi.client import Kalshi, http_client
from kalshi_gateway.kalshi.wire import AccountLimits, BucketLimit
from kalshi_gateway.markets.catalogue import Catalogue
from kalshi_gateway.markets.sync import JOB, WRITER_SETTINGS, Writer
from kalshi_gateway.metrics import Metrics
from kalshi_gateway.settings import Settings

PORT = 18_941
BASE_URL = f"http://127.0.0.1:{PORT}/trade-api/v2"
ROUNDS = 3
UNLIMITED = AccountLimits(
    usage_tier="unlimited",
    read=BucketLimit(refill_rate=1_000_000, bucket_capacity=1_000_000),
    write=BucketLimit(refill_rate=1_000_000, bucket_capacity=1_000_000),
)


@dataclass
class Run:
    rows: int
    pages: int
    changed: int
    seconds: float
    cpu_seconds: float

    def line(self, what: str) -> str:
        per_second = self.rows / self.seconds
        return (
            f"{what:<34} {self.rows:>8} rows {self.pages:>5} pages {self.seconds:>7.1f} s"
            f" {per_second:>9.0f} rows/s  {1e6 * self.cpu_seconds / self.rows:>6.1f} us CPU/row"
            f"  {self.changed} changed"
        )


def exchange(markets: int, limited: bool, pipe: Connection) -> None:
    """A child process: the simulated exchange, still until it is told to move."""
    from kalshi_gateway.simulator.exchange import Exchange
    from kalshi_gateway.simulator.serve import server

    made = Exchange.generated(markets, seed=1)
    made.limits.on = limited
    pipe.send(made.keys.issue(kind="ed25519", tier="basic"))
    uvloop.run(server(made, "127.0.0.1", PORT).serve())


@contextmanager
def simulated(markets: int, *, limited: bool) -> Iterator[tuple[str, str]]:
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(
        target=exchange, args=(markets, limited, theirs), daemon=True
    )
    child.start()
    try:
        key = ours.recv()
        wait_for_exchange()
        yield key
    finally:
        child.terminate()
        child.join()


def wait_for_exchange() -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{BASE_URL}/exchange/status", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the simulated exchange did not come up")


@asynccontextmanager
async def writing(url: str, kalshi: Kalshi) -> AsyncIterator[Writer]:
    """The writer of a running gateway: it leads, and has learnt what the database holds."""
    async with leadership(url, JOB, WRITER_SETTINGS) as conn:
        if conn is None:
            raise SystemExit("somebody else writes this catalogue")
        catalogue = Catalogue(kalshi.drift)
        await catalogue.load(conn)
        minute = timedelta(minutes=1)
        yield Writer(
            conn, kalshi, catalogue, changes_every=minute, prices_every=minute, progress=None
        )


async def synced(writer: Writer) -> Run:
    """Everything walked once, as `serve` and `sync` do."""
    spare_memory()
    started, cpu = time.perf_counter(), time.process_time()
    walked = await writer.everything()
    markets = [walk for walk in walked if walk.scope.startswith("markets:")]
    incomplete = [walk.scope for walk in walked if not walk.complete]
    if incomplete:
        raise SystemExit(f"walks stopped: {incomplete}")
    return Run(
        rows=sum(walk.rows for walk in markets),
        pages=sum(walk.pages for walk in walked),
        changed=sum(walk.changed for walk in markets),
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu,
    )


async def copy_rates(url: str) -> tuple[float, float]:
    """Rows per second of bare COPY: into a table with a primary key only, and into one like ours.

    The rows are read back and written in Postgres's own binary form, so that nothing but COPY is
    at work: no reading, no encoding.
    """
    conn = await asyncpg.connect(url)
    rows = io.BytesIO()
    await conn.copy_from_table("instruments", output=rows, format="binary")
    count = await conn.fetchval("SELECT count(*) FROM instruments")
    # LIKE takes everything along but the table's own options.
    options = await conn.fetchval(
        "SELECT array_to_string(reloptions, ',') FROM pg_class WHERE oid = 'instruments'::regclass"
    )
    rates = []
    for like in ("", " INCLUDING ALL"):
        await conn.execute(f"CREATE TABLE bare (LIKE instruments{like}) WITH ({options})")
        if not like:
            await conn.execute("ALTER TABLE bare ADD PRIMARY KEY (ticker)")
        rows.seek(0)
        started = time.perf_counter()
        await conn.copy_to_table("bare", source=rows, format="binary")
        rates.append(count / (time.perf_counter() - started))
        await conn.execute("DROP TABLE bare")
    await conn.close()
    return rates[0], rates[1]


async def measure(markets: int, folder: Path) -> None:
    server = await asyncio.to_thread(embedded.acquire, folder)
    try:
        url = server.url()
        await migrate.to_head(url)
        with simulated(markets, limited=True) as key:
            await in_budget(url, key)
        with simulated(markets, limited=False) as key:
            await at_full_speed(url, key)
    finally:
        await asyncio.to_thread(server.release)


async def in_budget(url: str, key: tuple[str, str]) -> None:
    print("\nWithin the Basic tier's budget: 200 tokens a second, half of it for background work")
    async with http_client(BASE_URL) as http:
        kalshi = line(http, key)
        await upstream.Learning(kalshi, signed=True).learn()
        async with writing(url, kalshi) as writer:
            print((await synced(writer)).line("first sync"))
            print((await synced(writer)).line("again, unchanged"))
            before = await counted(http)
            started = time.perf_counter()
            await writer.changes()
            seconds = time.perf_counter() - started
            after = await counted(http)
    print(f"one round of changes: {after['total'] - before['total']} requests, {seconds:.1f} s")
    print(f"the exchange counted: {after['requests']}, refused {after['refused']}")
    # Before the rows themselves are read back for COPY.
    print(f"largest resident size: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


async def counted(http: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await http.get(f"http://127.0.0.1:{PORT}/_simulator/counters")).json()
    return found


async def at_full_speed(url: str, key: tuple[str, str]) -> None:
    print("\nWithout limits, beside COPY of the same rows in the same round")
    firsts, agains = [], []
    bares, indexeds = [], []
    for _ in range(ROUNDS):
        await emptied(url)
        async with http_client(BASE_URL) as http:
            kalshi = line(http, key)
            kalshi.budget.learn(UNLIMITED, None)
            async with writing(url, kalshi) as writer:
                first, again = await synced(writer), await synced(writer)
        bare, indexed = await copy_rates(url)
        bares.append(bare)
        indexeds.append(indexed)
        firsts.append(first.rows / first.seconds)
        agains.append(again.rows / again.seconds)
        print(first.line("first sync"))
        print(again.line("again, unchanged"))
        print(f"{'COPY, primary key only':<34} {'':>37} {bare:>9.0f} rows/s")
        print(f"{'COPY, and all indexes':<34} {'':>37} {indexed:>9.0f} rows/s")
    first_rate, again_rate = median(firsts), median(agains)
    print(f"first sync / COPY, primary key only  {first_rate / median(bares):.2f}")
    print(f"first sync / COPY, and all indexes   {first_rate / median(indexeds):.2f}")
    print(f"unchanged  / COPY, primary key only  {again_rate / median(bares):.2f}")
    print(f"unchanged  / first sync              {again_rate / first_rate:.1f}")


def line(http: httpx.AsyncClient, key: tuple[str, str]) -> Kalshi:
    settings = Settings.model_construct(
        kalshi_base_url=BASE_URL, kalshi_api_key_id=key[0], kalshi_api_secret=SecretStr(key[1])
    )
    return upstream.kalshi(settings, http, Metrics())


async def emptied(url: str) -> None:
    conn = await asyncpg.connect(url)
    await conn.execute("TRUNCATE instruments, events, series, catalogue_walks")
    await conn.close()


def main() -> None:
    markets = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory(prefix="kalshi-gateway-bench-") as folder:
        Path(folder).chmod(0o711)
        uvloop.run(measure(markets, Path(folder) / "postgres"))


if __name__ == "__main__":
    main()
