"""An exchange that stands still, a gateway in front of it, and a member who has done everything."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kalshi_gateway.simulator.accounts import Member
from kalshi_gateway.simulator.entries import MarketEntry
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.ledger import shard_of
from kalshi_gateway.simulator.serve import server

STANDS_STILL_FOR = timedelta(seconds=9)
#: What the member has on another shard, in millionths of a dollar.
MOVED = 100_000_000


class HandSet:
    """A clock that stands still for a while when it is set, so that two who ask are told the same.

    Not for longer: the exchange takes no signature that is ten seconds off.
    """

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def set(self) -> None:
        """Stop it at the machine's time."""
        self.at = datetime.now(UTC)

    def __call__(self) -> datetime:
        now = datetime.now(UTC)
        return self.at if now - self.at < STANDS_STILL_FOR else now


@dataclass
class Ground:
    """What can be asked about."""

    exchange: Exchange
    member: Member
    open: MarketEntry
    far: MarketEntry  # on another shard
    settled: MarketEntry
    archived: MarketEntry
    order_id: str  # of an order that rests

    @property
    def series(self) -> str:
        return self.exchange.catalogue.events[self.open.event_ticker].series_ticker


def an_exchange(clock: HandSet) -> Exchange:
    """Three hundred markets in which nothing happens by itself; always the same ones."""
    exchange = Exchange.generated(300, seed=3, now=clock)
    exchange.limits.on = False
    return exchange


def trodden(exchange: Exchange, member: Member) -> Ground:
    """The ground, after a member has traded, rested an order, been paid and moved money."""
    desk, catalogue = exchange.desk, exchange.catalogue
    near, far = (
        [e for e in quoted(exchange) if bool(shard_of(e)) is away] for away in (False, True)
    )
    first, second = near[0], near[1]
    desk.trade(member, first.ticker, "bid", "0.50", "3")
    desk.trade(member, first.ticker, "ask", "0.60", "1")
    desk.trade(member, second.ticker, "ask", "0.40", "2.50")
    desk.settle(second.ticker, "no")
    resting = desk.rest(member, first.ticker, "bid", "0.01", "2")
    exchange.ledger.bank.transfer(member, MOVED, to_shard=shard_of(far[0]))
    archived = catalogue.created["archived", 0].things[0]
    return Ground(exchange, member, first, far[0], second, archived, resting.order_id)


def quoted(exchange: Exchange) -> list[MarketEntry]:
    """Open markets in whole cents with a bid and an ask."""
    return [
        entry
        for entry in exchange.catalogue.created["open", 0].things
        if entry.field("price_level_structure") == "linear_cent"
        and "0.00" not in (entry.field("yes_bid_size_fp"), entry.field("yes_ask_size_fp"))
    ]


@asynccontextmanager
async def listening(exchange: Exchange) -> AsyncIterator[str]:
    """Where an exchange listens that does not live."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        running = server(exchange)
        serving = asyncio.create_task(running.serve([door]))
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}/trade-api/v2"
        finally:
            running.should_exit = True
            await serving
