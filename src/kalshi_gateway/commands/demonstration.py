"""`demo`: the simulated exchange, with everything before it."""

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI
from pydantic import SecretStr

from kalshi_gateway import logs, migrate
from kalshi_gateway.app import create_app
from kalshi_gateway.background import beside
from kalshi_gateway.dependencies import Resources
from kalshi_gateway.embedded import make_data_dir
from kalshi_gateway.markets.lookup import Lookup
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.accounts import SHARDS, Member
from kalshi_gateway.simulator.entries import MarketEntry
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.prices import dollars, snap, ten_thousandths
from kalshi_gateway.simulator.serve import serve as serve_exchange

from .database import database_url
from .serving import Server, check_port, server

LOOPBACK = "127.0.0.1"

#: What the demo's own user begins with: money on each shard, and contracts in some markets.
DEPOSIT_CENTS = 500_000
SHARE_MILLIONTHS = 500_000_000
POSITIONS = 12


async def demo(
    port: int, exchange_port: int, data_dir: Path | None, recordings: Path | None, markets: int
) -> None:
    """Simulated exchange, database and gateway in one process, on loopback, without tokens."""
    logs.configure("console", "error")
    check_port(LOOPBACK, port)
    check_port(LOOPBACK, exchange_port)
    exchange = await asyncio.to_thread(_exchange, recordings, markets)
    key_id, pem = exchange.keys.issue(member=default_member(exchange))
    with _folder(data_dir) as folder:
        settings = Settings.model_construct(
            kalshi_base_url=f"http://{LOOPBACK}:{exchange_port}/trade-api/v2",
            kalshi_api_key_id=key_id,
            kalshi_api_secret=SecretStr(pem),
            gateway_data_dir=folder,
            kalshi_trading_enabled=True,
            gateway_auth="off",
            gateway_catalogue_refresh_seconds=5,
            gateway_price_refresh_seconds=10,
        )
        serving = serve_exchange(exchange, LOOPBACK, exchange_port)
        async with beside(serving, "exchange"), database_url(settings) as url:
            await migrate.to_head(url)
            app = create_app(settings, database_url=url, bind_host=LOOPBACK)
            gateway = server(app, LOOPBACK, port)
            async with beside(_welcome(gateway, app, exchange, recordings is not None), "welcome"):
                await gateway.serve_until_told()


def _exchange(recordings: Path | None, markets: int) -> Exchange:
    if recordings is not None:
        return Exchange.recorded(recordings)
    return Exchange.generated(markets)


def default_member(exchange: Exchange) -> Member:
    """Whom the demo's own user is at the exchange: who was recorded, or somebody with a little."""
    if len(exchange.members):
        return exchange.members[0]
    member = exchange.desk.admit("default", deposit_cents=DEPOSIT_CENTS)
    bank = exchange.ledger.bank
    for shard in SHARDS:
        if shard:
            bank.transfer(member, SHARE_MILLIONTHS, to_shard=shard)
    for entry in _quoted(exchange):
        last = ten_thousandths(entry.field("last_price_dollars"))
        price = dollars(snap(entry.grid, last))
        exchange.desk.trade(member, entry.ticker, "bid", price, "25.00")
        if entry.ticker[-1] in "13579":
            exchange.desk.trade(member, entry.ticker, "ask", price, "40.00")
    return member


def _quoted(exchange: Exchange) -> list[MarketEntry]:
    """A few open markets of different events whose outcome is not all but certain."""
    found: dict[str, MarketEntry] = {}
    for entry in exchange.catalogue.markets.values():
        if entry.filed != "open" or entry.combo:
            continue
        if "0.1000" <= (entry.field("last_price_dollars") or "") <= "0.9000":
            found.setdefault(entry.event_ticker, entry)
    return list(found.values())[:POSITIONS]


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


async def _welcome(gateway: Server, app: FastAPI, exchange: Exchange, recorded: bool) -> None:
    """Say where everything is, once it is there."""
    await gateway.listens.wait()
    resources: Resources = app.state.resources
    base = f"http://{LOOPBACK}:{gateway.config.port}"
    lines = [
        "",
        f"Kalshi Gateway      {base}/docs",
        f"Simulated exchange  {resources.settings.kalshi_base_url}",
        "",
        "Try:",
        f"  curl '{base}/kalshi/markets?limit=3'",
        f"  curl '{base}/kalshi/markets?q=bitcoin&sort=volume_24h&limit=3'",
        f"  curl '{base}/kalshi/users/{resources.settings.kalshi_user_id}/account'",
        "",
        "Ctrl-C ends it all.",
        "",
    ]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()
    if recorded:
        await _look_at_all(resources.lookup, exchange)
        _tell_what_was_recorded(exchange)


async def _look_at_all(lookup: Lookup, exchange: Exchange) -> None:
    """Settled markets, combos and old events are never walked: ask for each by its name."""
    for ticker in list(exchange.catalogue.series):
        await lookup.series(ticker)
    for ticker in list(exchange.catalogue.events):
        await lookup.event(ticker)
    for ticker in list(exchange.catalogue.markets):
        await lookup.market(ticker)


def _tell_what_was_recorded(exchange: Exchange) -> None:
    served = ", ".join(f"{count} {kind}" for kind, count in sorted(exchange.counts.items()))
    reasons = Counter(reason.partition(" in ")[0] for _, _, reason in exchange.set_aside)
    sys.stdout.write(f"\nRecorded and served: {served}\nSet aside:\n")
    for reason, count in reasons.most_common():
        sys.stdout.write(f"  {count:>4} {reason}\n")
    sys.stdout.flush()
