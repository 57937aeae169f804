"""A gateway at a steady load while what it stands on fails, at random but the same each time.

    .venv/bin/python benchmarks/soak.py [minutes] [--seed N]

The gateway is `serve` as anybody runs it, before a simulated exchange in a process of its own and
an embedded Postgres. Requests of all kinds go on at a steady pace. Meanwhile the exchange fails in
some way or is killed, or Postgres is killed, one after the other, with a pause between. Wrong are

- a status of 500, or any that says something else than that the exchange or the database is away,
  a 503 without `Retry-After`, no answer at all;
- `stale`: false on an answer older than its kind may be (twice or thrice the time after which it
  is read again); true on a younger one that does not say why in `warnings`; other than `X-Cache`;
- a gateway that ended, or that does not come to answer everything freshly in the end;
- memory that has grown by more than a quarter between the first quarter and the end;
- an answer that cannot be read; anybody who stops asking, or breaking things, before the end.

The exit code is 1 if anything was wrong. Linux only: what a process holds is read from `/proc`.
"""

import argparse
import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

PER_SECOND = 60
CLIENTS = 8
MARKETS = 2_000
CHANGES_SECONDS, PRICES_SECONDS = 5, 10
#: By kind of answer, as the gateway has it.
FRESH_FOR = {
    "list": 2 * PRICES_SECONDS,
    "series": 3 * CHANGES_SECONDS,
    "exchange": 10,
    "asked": 5,
}
#: A second is cut off the age, and one may pass while an answer is on its way.
SLACK_SECONDS = 2
#: How long all that was broken may take to work again.
RECOVERY_SECONDS = 90
MOST_GROWTH = 1.25

FAULTS: list[dict[str, Any]] = [
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 429},
    {"kind": "html"},
    {"kind": "truncate"},
    {"kind": "reset"},
    {"kind": "empty"},
    {"kind": "hang"},
    {"kind": "latency", "seconds": 1.0},
    {"kind": "status", "status": 503, "rate": 0.5},
    {"kind": "rows", "unknown": {"mood": "bullish"}, "missing": ["volume_fp"]},
]

#: Of what kind its freshness is, and what is asked.
QUESTIONS: list[tuple[str, str, dict[str, str]]] = [
    ("list", "/kalshi/markets?limit=100", {}),
    ("list", "/kalshi/markets?limit=20&sort=close_time", {}),
    ("list", "/kalshi/markets?q={word}&limit=20", {}),
    ("list", "/kalshi/search/suggestions?q={word}", {}),
    ("list", "/kalshi/categories", {}),
    ("list", "/kalshi/events?limit=20&markets=false", {}),
    ("series", "/kalshi/series?limit=50", {}),
    ("list", "/kalshi/markets/{ticker}", {}),
    ("list", "/kalshi/markets/{ticker}", {"If-None-Match": "*"}),
    ("list", "/kalshi/markets/{ticker}", {"Cache-Control": "only-if-cached"}),
    ("list", "/kalshi/events/{event}", {}),
    ("exchange", "/kalshi/exchange", {}),
    ("none", "/kalshi/status", {}),
    ("none", "/readyz", {}),
]

#: What costs a call each time. Without a key the exchange allows five a second in all, and clients
#: who wait go before the walks: asked often, they would leave nothing to renew the lists with.
DEAR: list[tuple[str, str, dict[str, str]]] = [
    ("asked", "/kalshi/markets/{ticker}/orderbook", {}),
    ("asked", "/kalshi/markets/{ticker}/trades?limit=20", {}),
    ("list", "/kalshi/markets/{ticker}", {"Cache-Control": "max-age=2"}),
    ("list", "/kalshi/markets/{ticker}", {"Cache-Control": "no-cache"}),
    ("list", "/kalshi/events/{event}?refresh=true", {}),
    ("none", "/kalshi/markets/KXNOBODY-KNOWS", {}),
]
DEAR_SHARE = 0.02

#: What may be said besides an answer: that nothing is there, or that somebody else is away.
PASSING = frozenset({404, 502, 503, 504})


@dataclass
class Record:
    """What was answered, and what of it was wrong."""

    statuses: Counter[int] = field(default_factory=Counter)
    stale: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())

    def note(self, kind: str, path: str, headers: dict[str, str], response: httpx.Response) -> None:
        status = response.status_code
        self.statuses[status] += 1
        if status not in PASSING | {200, 304}:
            self.wrong.append(f"{status} to {path}: {response.text[:200]}")
        if status == 503 and path != "/readyz" and "Retry-After" not in response.headers:
            self.wrong.append(f"503 without Retry-After to {path}")
        if status == 200 and kind in FRESH_FOR:
            try:
                self._check_age(kind, path, headers, response)
            except (ValueError, LookupError, TypeError) as error:
                self.wrong.append(f"no answer of ours to {path}: {error!r}")

    def _check_age(
        self, kind: str, path: str, headers: dict[str, str], response: httpx.Response
    ) -> None:
        meta = response.json()["meta"]
        age = meta["age_seconds"]
        self.stale += meta["stale"]
        old = age is None or age > FRESH_FOR[kind] + SLACK_SECONDS
        if old and not meta["stale"]:
            self.wrong.append(f"not stale at {age} s: {path} {headers}")
        fresh = age is not None and age < FRESH_FOR[kind] - SLACK_SECONDS
        # Young, it is stale only where something newer was wanted and could not be had.
        if fresh and meta["stale"] and not meta["warnings"]:
            self.wrong.append(f"stale at {age} s, and nothing says why: {path} {headers}")
        if (response.headers["X-Cache"] == "STALE") < (meta["stale"] and meta["source"] == "cache"):
            self.wrong.append(f"headers and meta differ: {path} {headers}")


class Process:
    """A child that is started, killed and started again."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self._arguments = arguments
        self._environment = {**os.environ, **environment}
        self._log = log
        self.starts = 0
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", *self._arguments],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        self.starts += 1

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def ended(self) -> int | None:
        return None if self._child is None else self._child.poll()

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(how)
            self._child.wait()


@dataclass(frozen=True)
class World:
    """Everything that runs."""

    exchange: Process
    gateway: Process
    exchange_url: str
    url: str
    data: Path

    def memory(self) -> tuple[float, int]:
        """Megabytes, and open files."""
        own = Path(f"/proc/{self.gateway.pid}")
        pages = int((own / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, len(list((own / "fd").iterdir()))

    def postmaster(self) -> int:
        """The first line of Postgres's own file."""
        (found,) = self.data.rglob("postmaster.pid")
        return int(found.read_text().split("\n", 1)[0])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[World]:
    """The exchange, the gateway with its Postgres, until the block ends."""
    exchange_port, port = free_port(), free_port()
    exchange_url = f"http://127.0.0.1:{exchange_port}"
    exchange = Process(
        [
            "kalshi_gateway.simulator",
            *("--port", str(exchange_port), "--markets", str(MARKETS), "--no-limits"),
        ],
        {},
        folder / "exchange.log",
    )
    gateway = Process(
        ["kalshi_gateway", "serve", "--port", str(port)],
        {
            "KALSHI_BASE_URL": f"{exchange_url}/trade-api/v2",
            "GATEWAY_AUTH": "off",
            "GATEWAY_DATA_DIR": str(folder / "data"),
            "GATEWAY_CATALOGUE_REFRESH_SECONDS": str(CHANGES_SECONDS),
            "GATEWAY_PRICE_REFRESH_SECONDS": str(PRICES_SECONDS),
        },
        folder / "gateway.log",
    )
    world = World(exchange, gateway, exchange_url, f"http://127.0.0.1:{port}", folder / "data")
    try:
        exchange.start()
        gateway.start()
        yield world
    finally:
        gateway.stop()
        exchange.stop()


async def until(holds: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Whether it came to hold within this time."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                with suppress(httpx.HTTPError):
                    if await holds():
                        return True
                await asyncio.sleep(0.2)
    except TimeoutError:
        return False


async def asking(
    client: httpx.AsyncClient, names: dict[str, list[str]], seed: int, record: Record
) -> None:
    """One client: a request, a pause, another request."""
    chance = random.Random(seed)
    pause = CLIENTS / PER_SECOND
    while True:
        dear = chance.random() < DEAR_SHARE
        kind, template, headers = chance.choice(DEAR if dear else QUESTIONS)
        path = template.format(**{name: chance.choice(found) for name, found in names.items()})
        try:
            record.note(kind, path, headers, await client.get(path, headers=headers))
        except httpx.HTTPError as error:
            record.refused += 1
            record.wrong.append(f"no answer to {path}: {error!r}")
        await asyncio.sleep(pause * chance.uniform(0.5, 1.5))


async def outages(world: World, seed: int, said: Counter[str]) -> None:
    """One thing fails, comes back, and after a while the next one fails."""
    chance = random.Random(seed)
    async with httpx.AsyncClient(trust_env=False) as control:
        while True:
            await asyncio.sleep(chance.uniform(3, 8))
            what = chance.choice(["fault", "fault", "fault", "exchange", "postgres"])
            for_seconds = chance.uniform(2, 30)
            if what == "fault":
                fault = chance.choice(FAULTS)
                said[f"fault {fault['kind']} {fault.get('status', '')}".strip()] += 1
                await control.post(f"{world.exchange_url}/_simulator/faults", json=fault)
                await asyncio.sleep(for_seconds)
                await control.delete(f"{world.exchange_url}/_simulator/faults")
            elif what == "exchange":
                said["exchange killed"] += 1
                world.exchange.kill()
                await asyncio.sleep(for_seconds)
                world.exchange.start()
                await until(lambda: _answers(control, world.exchange_url), 30)
            else:
                said["Postgres killed"] += 1
                os.kill(world.postmaster(), signal.SIGQUIT)  # its supervisor starts it again


async def stopped(tasks: Sequence[asyncio.Task[None]]) -> list[str]:
    """Stop them all; names whoever had ended before, since all of them go on for ever."""
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    return [
        f"{task.get_name()} ended: {end!r}"
        for task, end in zip(tasks, ends, strict=True)
        if not isinstance(end, asyncio.CancelledError)
    ]


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    return (await client.get(f"{url}/_simulator/faults")).status_code == 200


async def learnt_names(client: httpx.AsyncClient) -> dict[str, list[str]]:
    page = (await client.get("/kalshi/markets?limit=200")).json()["markets"]
    return {
        "ticker": [market["ticker"] for market in page],
        "event": sorted({market["event_ticker"] for market in page}),
        "word": sorted({quote(w) for market in page[:40] for w in market["title"].split()[:3]}),
    }


async def soak(world: World, minutes: float, seed: int) -> int:
    async with httpx.AsyncClient(base_url=world.url, trust_env=False, timeout=60) as client:

        async def all_read() -> bool:
            if world.gateway.ended() is not None:
                raise SystemExit("the gateway did not start")
            status = (await client.get("/kalshi/status")).json()
            return bool(status["catalogue"]["complete"])

        async def all_fresh() -> bool:
            paths = ["/kalshi/markets?limit=5", "/kalshi/events?limit=5", "/kalshi/exchange"]
            answers = [await client.get(path) for path in paths]
            return all(said.status_code == 200 for said in answers) and not any(
                said.json()["meta"]["stale"] for said in answers
            )

        if not await until(all_read, 120):
            print("the catalogue was not read within two minutes")
            return 1
        names = await learnt_names(client)
        record, said = Record(), Counter[str]()
        rng = [seed * 1_000 + number for number in range(CLIENTS + 1)]
        tasks = [
            asyncio.create_task(asking(client, names, s, record), name=f"client {s}")
            for s in rng[:-1]
        ]
        breaking = asyncio.create_task(outages(world, rng[-1], said), name="outages")
        sizes = [("start", *world.memory())]
        for name in ("quarter", "half", "three quarters", "end"):
            await asyncio.sleep(minutes * 60 / 4)
            if world.gateway.ended() is not None:
                record.wrong.append(f"the gateway ended with {world.gateway.ended()}")
                break
            sizes.append((name, *world.memory()))
        breaking.cancel()
        if world.exchange.ended() is not None:
            world.exchange.start()
        async with httpx.AsyncClient(trust_env=False) as control:
            await until(lambda: _answers(control, world.exchange_url), 30)
            await control.delete(f"{world.exchange_url}/_simulator/faults")
        began = time.monotonic()
        if not await until(all_fresh, RECOVERY_SECONDS):
            record.wrong.append(f"not everything was fresh again after {RECOVERY_SECONDS} s")
        recovered = time.monotonic() - began
        record.wrong += await stopped([*tasks, breaking])
    return report(record, said, sizes, recovered, world)


def report(
    record: Record,
    said: Counter[str],
    sizes: list[tuple[str, float, int]],
    recovered: float,
    world: World,
) -> int:
    if not record.requests:
        record.wrong.append("nobody was asked anything")
    by_name = {name: megabytes for name, megabytes, _ in sizes}
    if "end" in by_name and by_name["end"] > MOST_GROWTH * by_name["quarter"]:
        record.wrong.append(f"memory grew from {by_name['quarter']:.0f} to {by_name['end']:.0f} MB")
    print(f"requests        {record.requests}, of them stale {record.stale}")
    print(f"statuses        {dict(sorted(record.statuses.items()))}")
    print(f"500s            {record.statuses[500]}")
    print(f"outages         {dict(said)}; exchange started {world.exchange.starts} times")
    print(f"gateway         started {world.gateway.starts} time, all fresh after {recovered:.1f} s")
    for name, megabytes, files in sizes:
        print(f"{name:<15} {megabytes:7.1f} MB {files:5} open files")
    wrong_stale = [text for text in record.wrong if "stale" in text]
    print(f"wrong `stale`   {len(wrong_stale)}")
    print(f"wrong in all    {len(record.wrong)}")
    for text, times in Counter(record.wrong).most_common(20):
        print(f"  {times} x {text}")
    return 1 if record.wrong else 0


async def soaked(folder: Path, minutes: float, seed: int) -> int:
    async with running(folder) as world:
        return await soak(world, minutes, seed)


def main(minutes: float, seed: int) -> int:
    with tempfile.TemporaryDirectory(prefix="kalshi-gateway-soak-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        found = asyncio.run(soaked(folder, minutes, seed))
        if found:
            tail = (folder / "gateway.log").read_text().splitlines()[-20:]
            print("the gateway's last words:", *tail, sep="\n  ")
        return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("minutes", type=float, nargs="?", default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(main(options.minutes, options.seed))
