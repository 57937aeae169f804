"""Hot answers beside a bare ASGI application that returns the same bytes.

    .venv/bin/python benchmarks/hot.py [seconds per round]

Two servers of the same make (uvicorn, uvloop, httptools) run side by side: the gateway with tokens,
ETags, request ids and metrics on, and an application that knows nothing but the bytes. Each round
asks both in turn over 32 kept connections. What counts is the processor time of the server per
request, as the kernel accounts for it: it hardly moves while the machine's speed does.
"""

import asyncio
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import httpx
import uvicorn
import uvloop
from pydantic import SecretStr

from kalshi_gateway import embedded, migrate
from kalshi_gateway.commands.serving import spare_memory
from kalshi_gateway.db import Database
from kalshi_gateway.settings import Settings
from kalshi_gateway.tokens import repository as tokens

CONNECTIONS = 32
ROUNDS = 5
MARKETS = 2_000
USER, USER_PATH = "bench", "/kalshi/users/bench"
#: Markets in which the user holds something.
TRADED = 4
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Serving:
    pid: int
    port: int
    #: Of the user whose account is asked for.
    key: dict[str, str] | None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def gateway(url: str, port: int, ready: Connection) -> None:
    """A child process: the gateway before a simulated exchange, its catalogue read.

    Its one member has traded a little, and the key is told with the process's id.
    """
    from kalshi_gateway.app import create_app
    from kalshi_gateway.kalshi.client import http_client
    from kalshi_gateway.markets.sync import Sync
    from kalshi_gateway.metrics import Metrics
    from kalshi_gateway.protocol import CarefulProtocol
    from kalshi_gateway.simulator.app import create_app as create_exchange
    from kalshi_gateway.simulator.exchange import Exchange
    from kalshi_gateway.upstream import kalshi

    settings = Settings.model_construct(
        kalshi_base_url="http://127.0.0.1:1/trade-api/v2",
        gateway_jobs=False,
        gateway_requests_per_second=1_000_000,
        gateway_encryption_keys=SecretStr(f"bench:{b64encode(bytes(32)).decode()}"),
    )
    made = Exchange.generated(MARKETS)
    made.limits.on = False
    joined = made.desk.join(USER, deposit_cents=1_000_000)
    for entry in [one for one in made.catalogue.markets.values() if one.filed == "open"][:TRADED]:
        shard = entry.field("exchange_index") or 0
        if shard:
            made.ledger.bank.transfer(joined.member, 50_000_000, to_shard=shard)
        made.ledger.trade(joined.member, entry, "bid", 5_000, 1_000)
    key = {"api_key_id": joined.key_id, "private_key": joined.private_pem}
    transport = httpx.ASGITransport(create_exchange(made))

    async def run() -> None:
        hour = timedelta(hours=1)
        async with http_client(settings.kalshi_base_url, transport=transport) as http:
            line = kalshi(settings, http, Metrics())
            await Sync(url, line, changes_every=hour, prices_every=hour).once()
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
        )
        await serve_and_tell(config, ready, key)

    uvloop.run(run())


def bare(bodies: dict[str, bytes], port: int, ready: Connection) -> None:
    """A child process: the fastest application there can be, with bodies of the same sizes."""
    answers = {
        path: (
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"content-length", str(len(body)).encode()),
                ],
            },
            {"type": "http.response.body", "body": body},
        )
        for path, body in bodies.items()
    }

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        start, body = answers[scope["path"]]
        await send(start)
        await send(body)

    config = uvicorn.Config(
        app,
        port=port,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
    )
    uvloop.run(serve_and_tell(config, ready))


async def serve_and_tell(
    config: uvicorn.Config, ready: Connection, key: dict[str, str] | None = None
) -> None:
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event
        await asyncio.sleep(0.02)
    spare_memory()  # as `serve` does
    ready.send((os.getpid(), key))
    await serving


@contextmanager
def child(target: object, *arguments: object) -> Iterator[Serving]:
    ours, theirs = multiprocessing.Pipe()
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(
        target=target,  # type: ignore[arg-type]
        args=(*arguments, port, theirs),
        daemon=True,
    )
    process.start()
    theirs.close()
    try:
        pid, key = ours.recv()
        yield Serving(pid, port, key)
    finally:
        process.terminate()
        process.join()


class Asking(asyncio.Protocol):
    """One kept connection that asks the same again as soon as it is answered."""

    def __init__(self, request: bytes, until: float) -> None:
        self.request = request
        self.until = until
        self.answered = 0
        self.closed = asyncio.get_running_loop().create_future()
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if self._missing == 0:
            head, _, rest = data.partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            if not lines[0].startswith((b"HTTP/1.1 200", b"HTTP/1.1 304")):
                raise SystemExit(lines[0].decode())
            length = next(
                (int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0
            )
            self._missing = length - len(rest)
        else:
            self._missing -= len(data)
        if self._missing == 0:
            self.answered += 1
            if time.perf_counter() < self.until:
                self.transport.write(self.request)  # type: ignore[attr-defined]
            else:
                self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed.set_result(None)


async def asked(serving: Serving, path: str, headers: dict[str, str], seconds: float) -> int:
    """How many answers came."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{serving.port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    until = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda: Asking(request, until), "127.0.0.1", serving.port))[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(connection.closed for connection in made))
    return sum(connection.answered for connection in made)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def microseconds(serving: Serving, path: str, headers: dict[str, str], seconds: float) -> float:
    """Processor time of the server per request."""
    before = cpu_seconds(serving.pid)
    answered = uvloop.run(asked(serving, path, headers, seconds))
    return 1e6 * (cpu_seconds(serving.pid) - before) / answered


async def prepared(url: str) -> str:
    await migrate.to_head(url)
    async with Database.opened(url) as database, database.begin() as conn:
        _, secret = await tokens.create(conn, "bench", ["read"], USER, None)
    return secret


def measure(url: str, seconds: float) -> None:
    shown = {"Authorization": f"Bearer {asyncio.run(prepared(url))}"}
    with child(gateway, url) as ours:
        base = f"http://127.0.0.1:{ours.port}"
        put = httpx.put(
            f"{base}{USER_PATH}/credentials", json=ours.key, headers=shown, trust_env=False
        )
        put.raise_for_status()
        account = httpx.get(f"{base}{USER_PATH}/account", headers=shown, trust_env=False)
        page = httpx.get(f"{base}/kalshi/markets?limit=100", headers=shown, trust_env=False)
        ticker = page.json()["markets"][0]["ticker"]
        market = httpx.get(f"{base}/kalshi/markets/{ticker}", headers=shown, trust_env=False)
        bodies = {
            "/market": market.content,
            "/page": page.content,
            "/account": account.content,
        }
        plain = {**shown, "Accept-Encoding": "identity"}
        cases = {
            f"one market, {len(market.content)} bytes": (
                f"/kalshi/markets/{ticker}",
                plain,
                "/market",
            ),
            "the same, 304": (
                f"/kalshi/markets/{ticker}",
                {**plain, "If-None-Match": market.headers["etag"]},
                "/market",
            ),
            f"page of 100, {len(page.content)} bytes": (
                "/kalshi/markets?limit=100",
                plain,
                "/page",
            ),
            f"one account, {len(account.content)} bytes": (
                f"{USER_PATH}/account",
                plain,
                "/account",
            ),
            "the same account, 304": (
                f"{USER_PATH}/account",
                {**plain, "If-None-Match": account.headers["etag"]},
                "/account",
            ),
        }
        with child(bare, bodies) as raw:
            print(f"{'CPU us per request, median':<38} {'bare':>8} {'gateway':>8} {'ratio':>7}")
            for name, (path, headers, bare_path) in cases.items():
                rounds = [
                    (
                        microseconds(raw, bare_path, {}, seconds),
                        microseconds(ours, path, headers, seconds),
                    )
                    for _ in range(ROUNDS)
                ]
                theirs, mine = (median(side) for side in zip(*rounds, strict=True))
                ratio = median(left / right for left, right in rounds)
                print(f"{name:<38} {theirs:>8.1f} {mine:>8.1f} {ratio:>7.2f}")


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    with tempfile.TemporaryDirectory(prefix="kalshi-gateway-bench-") as folder:
        Path(folder).chmod(0o711)
        with embedded.acquire(Path(folder) / "postgres") as server:
            measure(server.url(), seconds)


if __name__ == "__main__":
    main()
