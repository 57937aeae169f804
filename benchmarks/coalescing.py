"""A thousand who ask the same at once, of something nobody has asked before.

    .venv/bin/python benchmarks/coalescing.py [connections]

The gateway runs with tokens before a simulated exchange that takes 50 ms for each answer. All
connections are open before any of them asks. Printed are the calls the exchange saw, and the time
from the first question to the last answer beside that of one who asks alone, and that of as many
who ask for what is at hand: that much is the price of sending the answers. Times are the best of
some rounds, since whatever else runs on the machine only adds to them.
"""

import asyncio
import multiprocessing
import os
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
from typing import cast

import httpx
import uvicorn
import uvloop
from hot import (  # type: ignore[import-not-found]  # beside this file when it is run
    free_port,
    prepared,
    serve_and_tell,
)

from kalshi_gateway import embedded
from kalshi_gateway.db import Database

CONNECTIONS = 1_000
ROUNDS = 5
MARKETS = 200
LATENCY_SECONDS = 0.05


@dataclass(frozen=True)
class Serving:
    port: int
    pipe: Connection

    def calls(self) -> int:
        """What the exchange was asked since this was last called."""
        self.pipe.send(None)
        return int(self.pipe.recv())


def gateway(url: str, port: int, pipe: Connection) -> None:
    """A child process: the gateway before a slow exchange, its catalogue read."""
    from kalshi_gateway.app import create_app
    from kalshi_gateway.kalshi.client import http_client
    from kalshi_gateway.markets.sync import Sync
    from kalshi_gateway.metrics import Metrics
    from kalshi_gateway.protocol import CarefulProtocol
    from kalshi_gateway.settings import Settings
    from kalshi_gateway.simulator.app import create_app as create_exchange
    from kalshi_gateway.simulator.exchange import Exchange
    from kalshi_gateway.upstream import kalshi

    allow_many_connections()
    settings = Settings.model_construct(
        kalshi_base_url="http://127.0.0.1:1/trade-api/v2",
        gateway_jobs=False,
        gateway_requests_per_second=1_000_000,
    )
    exchange = Exchange.generated(MARKETS)
    exchange.limits.on = False
    transport = httpx.ASGITransport(create_exchange(exchange))

    def tell() -> None:
        pipe.recv()
        pipe.send(exchange.counters.total)
        exchange.counters.reset()

    async def run() -> None:
        hour = timedelta(hours=1)
        async with http_client(settings.kalshi_base_url, transport=transport) as http:
            line = kalshi(settings, http, Metrics())
            await Sync(url, line, changes_every=hour, prices_every=hour).once()
        exchange.faults.latency(LATENCY_SECONDS)
        asyncio.get_running_loop().add_reader(pipe.fileno(), tell)
        app = create_app(settings, database_url=url, exchange=transport)
        config = uvicorn.Config(
            app,
            port=port,
            loop="none",
            http=CarefulProtocol,
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            backlog=4_096,
        )
        await serve_and_tell(config, pipe)

    uvloop.run(run())


@contextmanager
def serving(url: str) -> Iterator[Serving]:
    ours, theirs = multiprocessing.Pipe()
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(
        target=gateway, args=(url, port, theirs), daemon=True
    )
    process.start()
    theirs.close()
    try:
        ours.recv()
        yield Serving(port, ours)
    finally:
        process.terminate()
        process.join()


class Asking(asyncio.Protocol):
    """One kept connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> asyncio.Future[float]:
        """When the answer is there."""
        self._received = b""
        self._answered: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answered

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode())
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        if len(body) == length:
            self._answered.set_result(time.perf_counter())


async def seconds(serving: Serving, path: str, secret: str, connections: int) -> float:
    """From the first question to the last answer."""
    head = f"Host: 127.0.0.1:{serving.port}\r\nAuthorization: Bearer {secret}\r\n\r\n"
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(Asking, "127.0.0.1", serving.port))[1]
        for _ in range(connections)
    ]
    # Once it has answered, the server has accepted it.
    greeting = f"GET /healthz HTTP/1.1\r\n{head}".encode()
    await asyncio.gather(*(connection.ask(greeting) for connection in made))
    question = f"GET {path} HTTP/1.1\r\n{head}".encode()
    began = time.perf_counter()
    ended = max(await asyncio.gather(*(connection.ask(question) for connection in made)))
    for connection in made:
        connection.transport.close()
    return ended - began


async def forget(url: str, tickers: list[str]) -> None:
    """Take these markets out of the catalogue; their events stay."""
    async with Database.opened(url) as database, database.driver() as conn:
        await conn.execute("DELETE FROM instruments WHERE ticker = ANY($1)", tickers)


def measure(url: str, connections: int) -> None:
    secret = asyncio.run(prepared(url))
    with serving(url) as gateway:
        shown = {"Authorization": f"Bearer {secret}"}
        base = f"http://127.0.0.1:{gateway.port}"
        page = httpx.get(f"{base}/kalshi/markets?limit=40", headers=shown, trust_env=False)
        tickers = [market["ticker"] for market in page.json()["markets"]]
        needed = tickers[: 4 * ROUNDS]
        asyncio.run(forget(url, needed[: 2 * ROUNDS]))
        cases = {"one market": ("", needed[: 2 * ROUNDS])}
        cases["its order book"] = ("/orderbook", needed[2 * ROUNDS :])
        print(f"{connections} at once, {os.cpu_count()} cores, the best of {ROUNDS} rounds")
        print(
            f"{'':<16} {'calls':>6} {'all, ms':>9} {'at hand, ms':>12} {'one, ms':>9} {'ratio':>6}"
        )
        for name, (more, markets) in cases.items():
            paths = [f"/kalshi/markets/{ticker}{more}" for ticker in markets]
            calls, one, many, again = [], [], [], []
            for alone, together in zip(paths[::2], paths[1::2], strict=True):
                one.append(uvloop.run(seconds(gateway, alone, secret, 1)))
                gateway.calls()
                many.append(uvloop.run(seconds(gateway, together, secret, connections)))
                calls.append(gateway.calls())
                known = f"{together}?max_age=60"
                again.append(uvloop.run(seconds(gateway, known, secret, connections)))
            print(
                f"{name:<16} {max(calls):>6} {1e3 * min(many):>9.1f} {1e3 * min(again):>12.1f}"
                f" {1e3 * min(one):>9.1f} {min(many) / min(one):>6.2f}"
            )


def allow_many_connections() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    connections = int(sys.argv[1]) if len(sys.argv) > 1 else CONNECTIONS
    allow_many_connections()
    with tempfile.TemporaryDirectory(prefix="kalshi-gateway-bench-") as folder:
        Path(folder).chmod(0o711)
        with embedded.acquire(Path(folder) / "postgres") as server:
            measure(server.url(), connections)


if __name__ == "__main__":
    main()
