"""The exchange's own API through the gateway, beside what it is to be compared with.

    .venv/bin/python benchmarks/doors.py [seconds per round]

A cached public read beside a bare ASGI application that returns the same bytes (as in `hot.py`);
and a private read that is passed through: signed with a virtual key, verified, signed anew with the
real key and asked of a simulated exchange, beside a program that signs and asks the same exchange
by plain httpx. Each target is asked for once, so that nothing kept or shared helps. Rounds take
turns. What counts is processor time per call, of the gateway's process or of the program's.
"""

import asyncio
import base64
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import httpx
import uvicorn
import uvloop
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.hot import (
    CONNECTIONS,
    Asking,
    Serving,
    bare,
    child,
    cpu_seconds,
    microseconds,
    serve_and_tell,
)

from kalshi_gateway import embedded, migrate
from kalshi_gateway.audit.entry import Author
from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.signing import ApiKey, Signer
from kalshi_gateway.keys import keeping
from kalshi_gateway.settings import Settings

ROUNDS = 5
MARKETS = 500
DOOR = "/trade-api/v2"
PUBLIC = f"{DOOR}/markets?limit=1"
PUBLIC_PAGE = f"{DOOR}/markets?limit=100"
PRIVATE = f"{DOOR}/portfolio/orders"


def simulated(key: Connection, port: int, ready: Connection) -> None:
    """A child process: the exchange, with a member who has some orders."""
    from kalshi_gateway.simulator.app import create_app
    from kalshi_gateway.simulator.budgets import Bucket, Tier
    from kalshi_gateway.simulator.exchange import Exchange

    made = Exchange.generated(MARKETS)
    made.limits.on = False
    plenty = Bucket(10**9, 10**9)
    made.limits.tiers["basic"] = Tier(plenty, plenty, plenty)
    joined = made.desk.join("bench", deposit_cents=1_000_000, kind="rsa")
    open_ones = [e for e in made.catalogue.markets.values() if e.filed == "open" and not e.combo]
    for entry in open_ones[:2]:
        made.desk.rest(joined.member, entry.ticker, "bid", "0.01", "1")
    key.send((joined.key_id, joined.private_pem))
    uvloop.run(serve_and_tell(quiet(create_app(made), port, "httptools"), ready))


def gateway(
    url: str, exchange_port: int, key: tuple[str, str], port: int, ready: Connection
) -> None:
    """A child process: the gateway before that exchange."""
    from kalshi_gateway.app import create_app
    from kalshi_gateway.kalshi import budget
    from kalshi_gateway.protocol import CarefulProtocol

    # The exchange has no limits here; the gateway is not to keep any before it has learnt that.
    for bucket in budget.BASIC:
        budget.BASIC[bucket] = (10**9, 10**9)
    settings = Settings.model_construct(
        kalshi_base_url=f"http://127.0.0.1:{exchange_port}{DOOR}",
        kalshi_api_key_id=key[0],
        kalshi_api_secret=SecretStr(key[1]),
        kalshi_user_id="bench",
        gateway_jobs=False,
        gateway_requests_per_second=1_000_000,
    )
    app = create_app(settings, database_url=url)
    uvloop.run(serve_and_tell(quiet(app, port, CarefulProtocol), ready))


def direct(exchange_port: int, key: tuple[str, str], orders: Connection) -> None:
    """A child process: signs and asks by plain httpx, for as long as it is told to."""

    async def ask(seconds: float, first: int) -> tuple[int, float]:
        url = f"http://127.0.0.1:{exchange_port}{DOOR}"
        signer = Signer(ApiKey.from_pem(*key), url)
        answered = 0
        async with httpx.AsyncClient(auth=signer, trust_env=False) as client:
            until = time.perf_counter() + seconds
            began = time.process_time()

            async def one(number: int) -> None:
                nonlocal answered
                while time.perf_counter() < until:
                    number += CONNECTIONS
                    target = f"http://127.0.0.1:{exchange_port}{PRIVATE}?min_ts={number}"
                    (await client.get(target)).raise_for_status()
                    answered += 1

            await asyncio.gather(*(one(first + n) for n in range(CONNECTIONS)))
            return answered, time.process_time() - began

    while True:
        orders.send(uvloop.run(ask(*orders.recv())))


def quiet(app: object, port: int, http: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        port=port,
        loop="none",
        http=http,  # type: ignore[arg-type]
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
    )


class Signed(Asking):
    """Asks for another target each time, signed with a virtual key."""

    def __init__(self, key: ApiKey, numbers: Iterator[int], until: float) -> None:
        self.key = key
        self.numbers = numbers
        super().__init__(b"", until)

    @property
    def request(self) -> bytes:
        said = str(int(time.time() * 1000)).encode()
        signature = base64.b64encode(self.key.sign(said + b"GET" + PRIVATE.encode()))
        return (
            b"GET %b?min_ts=%d HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: identity\r\n"
            b"KALSHI-ACCESS-KEY: %b\r\nKALSHI-ACCESS-TIMESTAMP: %b\r\n"
            b"KALSHI-ACCESS-SIGNATURE: %b\r\n\r\n"
            % (
                PRIVATE.encode(),
                next(self.numbers),
                self.key.key_id.encode(),
                said,
                signature,
            )
        )

    @request.setter
    def request(self, _: bytes) -> None:
        """It is made anew each time."""


async def through(port: int, key: ApiKey, first: int, seconds: float) -> int:
    """How many answers came through the gateway."""
    numbers = iter(range(first, first + 10**9))
    until = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda: Signed(key, numbers, until), "127.0.0.1", port))[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(connection.closed for connection in made))
    return sum(connection.answered for connection in made)


async def prepared(url: str) -> ApiKey:
    await migrate.to_head(url)
    async with Database.opened(url) as database:
        made, pem = await keeping.create(database, "bench", ["read"], Author("bench"))
    return ApiKey.from_pem(str(made.id), pem)


def measure(url: str, seconds: float) -> None:
    virtual = asyncio.run(prepared(url))
    ours, theirs = multiprocessing.Pipe()
    with child(simulated, theirs) as exchange:
        real = ours.recv()
        orders, told = multiprocessing.Pipe()
        program = multiprocessing.get_context("spawn").Process(
            target=direct, args=(exchange.port, real, told), daemon=True
        )
        program.start()
        with child(gateway, url, exchange.port, real) as door:
            pass_through(door.pid, door.port, orders, virtual, seconds)
            program.terminate()
            cached(door, seconds)


def pass_through(pid: int, port: int, program: Connection, key: ApiKey, seconds: float) -> None:
    rounds = []
    first = int(time.time()) - 10**9
    for number in range(ROUNDS + 1):
        program.send((seconds, first))
        count, cpu = program.recv()
        before, began = cpu_seconds(pid), time.perf_counter()
        answered = uvloop.run(through(port, key, first + 10**8, seconds))
        took = time.perf_counter() - began
        first += 10**7
        if number:  # the first round warms up
            mine = 1e6 * (cpu_seconds(pid) - before) / answered
            rounds.append((1e6 * cpu / count, mine, count / seconds, answered / took))
    plain, mine, by_httpx, by_gateway = (median(side) for side in zip(*rounds, strict=True))
    ratio = median(left / right for left, right, _, _ in rounds)
    print(f"{'CPU us per call, median':<38} {'httpx':>8} {'gateway':>8} {'ratio':>7}")
    print(f"{'private read passed through':<38} {plain:>8.0f} {mine:>8.0f} {ratio:>7.2f}")
    print(f"{'  calls a second, on a shared machine':<38} {by_httpx:>8.0f} {by_gateway:>8.0f}")


def cached(door: Serving, seconds: float) -> None:
    base, plain = f"http://127.0.0.1:{door.port}", {"Accept-Encoding": "identity"}
    paths = {"/one": PUBLIC, "/page": PUBLIC_PAGE}
    bodies = {
        name: httpx.get(base + path, headers=plain, trust_env=False).content
        for name, path in paths.items()
    }
    with child(bare, bodies) as raw:
        print(f"{'CPU us per request, median':<38} {'bare':>8} {'gateway':>8} {'ratio':>7}")
        for name, path in paths.items():
            rounds = [
                (
                    microseconds(raw, name, {}, seconds),
                    microseconds(door, path, plain, seconds),
                )
                for _ in range(ROUNDS)
            ]
            theirs, mine = (median(side) for side in zip(*rounds, strict=True))
            ratio = median(left / right for left, right in rounds)
            label = f"cached public read, {len(bodies[name])} bytes"
            print(f"{label:<38} {theirs:>8.1f} {mine:>8.1f} {ratio:>7.2f}")


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    with tempfile.TemporaryDirectory(prefix="kalshi-gateway-bench-") as folder:
        Path(folder).chmod(0o711)
        with embedded.acquire(Path(folder) / "postgres") as server:
            measure(server.url(), seconds)


if __name__ == "__main__":
    main()
