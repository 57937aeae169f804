"""`demo` and `simulator`: the exchange that is simulated, alone or with everything before it."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from pydantic import SecretStr

from kalshi_gateway import logs, migrate
from kalshi_gateway.app import create_app
from kalshi_gateway.embedded import make_data_dir
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.serve import serve as serve_exchange

from .database import database_url
from .serving import server

LOOPBACK = "127.0.0.1"


async def demo(
    port: int, exchange_port: int, data_dir: Path | None, recordings: Path | None, markets: int
) -> None:
    """Simulated exchange, database and gateway in one process, on loopback, without tokens."""
    logs.configure("console", "warning")
    exchange = await asyncio.to_thread(_exchange, recordings, markets, 1)
    key_id, pem = exchange.keys.issue()
    with _folder(data_dir) as folder:
        settings = Settings.model_construct(
            kalshi_base_url=f"http://{LOOPBACK}:{exchange_port}/trade-api/v2",
            kalshi_api_key_id=key_id,
            kalshi_api_secret=SecretStr(pem),
            gateway_data_dir=folder,
            gateway_auth="off",
            gateway_catalogue_refresh_seconds=5,
            gateway_price_refresh_seconds=10,
        )
        async with _running(exchange, exchange_port), database_url(settings) as url:
            await migrate.to_head(url)
            app = create_app(settings, database_url=url, bind_host=LOOPBACK)
            _announce(port, exchange_port, exchange)
            await server(app, LOOPBACK, port).serve()


async def simulator(port: int, recordings: Path | None, markets: int, seed: int) -> None:
    """Only the exchange."""
    exchange = await asyncio.to_thread(_exchange, recordings, markets, seed)
    sys.stdout.write(f"Simulated exchange: http://{LOOPBACK}:{port}/trade-api/v2\n")
    sys.stdout.flush()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(exchange.live())
        await serve_exchange(exchange, LOOPBACK, port)


def _exchange(recordings: Path | None, markets: int, seed: int) -> Exchange:
    if recordings is not None:
        return Exchange.recorded(recordings)
    return Exchange.generated(markets, seed=seed)


@contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    """Where the demo's database lives: a folder that is kept, or one that goes with the demo."""
    if data_dir is not None:
        yield make_data_dir(data_dir.expanduser().resolve())
        return
    with tempfile.TemporaryDirectory(prefix="kalshi-gateway-demo-") as folder:
        # As root the database runs as another user, who must pass through.
        Path(folder).chmod(0o711)
        yield make_data_dir(Path(folder) / "data")


@asynccontextmanager
async def _running(exchange: Exchange, port: int) -> AsyncIterator[None]:
    """The exchange over HTTP, living, until the block ends."""
    serving = asyncio.create_task(serve_exchange(exchange, LOOPBACK, port), name="exchange")
    living = asyncio.create_task(exchange.live(), name="exchange lives")
    try:
        yield
    finally:
        living.cancel()
        serving.cancel()
        await asyncio.wait([serving, living])


def _announce(port: int, exchange_port: int, exchange: Exchange) -> None:
    base = f"http://{LOOPBACK}:{port}"
    lines = [
        "",
        f"Kalshi Gateway      {base}/docs",
        f"Simulated exchange  http://{LOOPBACK}:{exchange_port}/trade-api/v2",
        "",
        "Try:",
        f"  curl '{base}/kalshi/markets?limit=3'",
        f"  curl '{base}/kalshi/markets?q=bitcoin&sort=volume_24h&limit=3'",
        f"  curl '{base}/kalshi/status'",
        "",
        "Ctrl-C ends it all.",
        "",
    ]
    if exchange.set_aside:
        lines.insert(3, f"Recordings set aside: {len(exchange.set_aside)}")
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()
