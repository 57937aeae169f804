"""The catalogue's way in: first sync, unchanged re-sync and increments, beside a bare COPY.

    .venv/bin/python benchmarks/catalogue.py [markets]

The exchange is simulated in a process of its own, the database is a Postgres of our own with its
ordinary settings. Two numbers matter: what the Basic tier's budget makes of it, and how fast the
gateway is when the budget does not hold it back, as a share of COPY of the very same rows into an
empty table in the same run.
"""

import asyncio
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import asyncpg
import httpx
from pydantic import SecretStr

from kalshi_gateway import embedded, migrate, upstream
from kalshi_gateway.kalshi.client import Kalshi, http_client
from kalshi_gateway.kalshi.wire import AccountLimits, BucketLimit
from kalshi_gateway.markets.storing import MARKETS
from kalshi_gateway.markets.sync import Sync
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
    from kalshi_gateway.simulator.serve import serve

    made = Exchange.generated(markets, seed=1)
    made.limits.on = limited
    pipe.send(made.keys.issue(kind="ed25519", tier="basic"))
    asyncio.run(serve(made, "127.0.0.1", PORT))


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


async def synced(url: str, kalshi: Kalshi) -> Run:
    started, cpu = time.perf_counter(), time.process_time()
    walked = await Sync(
        url, kalshi, changes_every=timedelta(minutes=1), prices_every=timedelta(minutes=5)
    ).once()
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


async def copied(url: str, schema: str) -> list[float]:
    """Rows per second of COPY of the stored rows into an empty table, a few times."""
    conn = await asyncpg.connect(url)
    columns = [
        c if c != "search" else "tsvector_to_array(search) AS search" for c in MARKETS.columns
    ]
    rows = [tuple(row) for row in await conn.fetch(f"SELECT {', '.join(columns)} FROM instruments")]
    rates = []
    for _ in range(ROUNDS):
        await conn.execute(schema)
        started = time.perf_counter()
        await conn.copy_records_to_table("bare", records=rows, columns=MARKETS.columns)
        rates.append(len(rows) / (time.perf_counter() - started))
        await conn.execute("DROP TABLE bare")
    await conn.close()
    return rates


PRIMARY_KEY_ONLY = f"""
    CREATE TABLE bare AS SELECT
    {", ".join(c if c != "search" else "NULL::text[] AS search" for c in MARKETS.columns)}
    FROM instruments WITH NO DATA;
    ALTER TABLE bare ADD PRIMARY KEY (ticker)
"""


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
    print("\nWithin the Basic tier's budget (200 tokens a second, half of it for this)")
    async with http_client(BASE_URL) as http:
        kalshi = line(http, key)
        await upstream.learn(kalshi, signed=True)
        print((await synced(url, kalshi)).line("first sync"))
        print((await synced(url, kalshi)).line("again, unchanged"))
        spent = await http.get(f"http://127.0.0.1:{PORT}/_simulator/counters")
        print(f"  the exchange counted: {spent.text[:400]}")


async def at_full_speed(url: str, key: tuple[str, str]) -> None:
    print("\nWithout limits, each beside COPY in the same round")
    firsts, agains = [], []
    async with http_client(BASE_URL) as http:
        for _ in range(ROUNDS):
            await emptied(url)
            kalshi = line(http, key)
            kalshi.budget.learn(UNLIMITED, None)
            first = await synced(url, kalshi)
            again = await synced(url, kalshi)
            print(first.line("first sync"))
            print(again.line("again, unchanged"))
            firsts.append(first.rows / first.seconds)
            agains.append(again.rows / again.seconds)
    bare = await copied(url, PRIMARY_KEY_ONLY)
    print(f"COPY, primary key only: {', '.join(f'{rate:.0f}' for rate in bare)} rows/s")
    print(f"first sync / COPY      {median(firsts) / median(bare):.2f}")
    print(f"unchanged / first sync {median(agains) / median(firsts):.1f}")
    print(f"unchanged / COPY       {median(agains) / median(bare):.1f}")
    print(f"largest resident size  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


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
        asyncio.run(measure(markets, Path(folder) / "postgres"))


if __name__ == "__main__":
    main()
