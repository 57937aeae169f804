"""The exchange and Postgres stop and start in every order, while clients go on asking."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import httpx
import pytest

from kalshi_gateway import hot, readiness
from kalshi_gateway.exchange import exchange as exchanges
from kalshi_gateway.markets import sync
from kalshi_gateway.simulator.exchange import Exchange
from tests import postgres

from .world import ExchangeOnPort, Postgres, World, world

EXCHANGE, DATABASE = "exchange", "database"
Order = tuple[tuple[str, str], ...]

#: Every order in which both stop and start again, each after it has stopped.
ORDERS: list[Order] = [
    order
    for order in permutations(
        [(what, how) for what in (EXCHANGE, DATABASE) for how in ("stops", "starts")]
    )
    if all(
        order.index((what, "stops")) < order.index((what, "starts"))
        for what in (EXCHANGE, DATABASE)
    )
]

NOBODY_KNOWS = "/kalshi/markets/KXNOBODY-KNOWS"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds are tenths here, or hundredths."""
    for name in ("TAKEOVER", "CLOCK", "AFTER_FAILURE"):
        monkeypatch.setattr(sync, name, timedelta(seconds=0.1))
    monkeypatch.setattr(exchanges, "STATUS_FRESH_FOR", timedelta(seconds=0.5))
    monkeypatch.setattr(hot, "FRESH_SECONDS", 0.05)
    monkeypatch.setattr(hot, "RENEWED_SECONDS", 0.1)
    monkeypatch.setattr(readiness, "ASKED_EVERY", timedelta(seconds=0.05))


@pytest.fixture
def home() -> Iterator[Path]:
    with postgres.temporary_folder() as folder:
        yield folder / "home"


def is_stale_for_a_reason(response: httpx.Response) -> bool:
    if response.status_code != 200:
        return False
    meta = response.json()["meta"]
    return bool(meta["stale"] and meta["warnings"]) and response.headers["X-Cache"] == "STALE"


def is_fresh(response: httpx.Response) -> bool:
    return response.status_code == 200 and not response.json()["meta"]["stale"]


async def all_marked(world: World, away: set[str]) -> None:
    """What is known goes on being answered, and comes to say that it is old, and why."""
    for path in world.known:
        # The state of the exchange is nothing that the database has to do with.
        if EXCHANGE in away or path != "/kalshi/exchange":
            await world.until(path, is_stale_for_a_reason)


async def unknown_is_refused(world: World) -> None:
    """What nobody knows is refused for now, with the time to come again."""
    refused = await world.until(NOBODY_KNOWS, lambda response: response.status_code == 503)
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.json()["retryable"] is True


@pytest.mark.parametrize(
    "order", ORDERS, ids=lambda order: " ".join(f"{what}-{how}" for what, how in order)
)
async def test_every_order(order: Order, exchange: Exchange, home: Path) -> None:
    """What is known is answered throughout, marked; nothing is our fault; all of it recovers."""
    async with world(exchange, home) as running:
        parts: dict[str, ExchangeOnPort | Postgres] = {
            EXCHANGE: running.exchange,
            DATABASE: running.database,
        }
        away: set[str] = set()
        settling = next(iter(exchange.catalogue.created["open", 0].things)).ticker

        for what, how in order:
            if how == "stops":
                away.add(what)
                await parts[what].stop()
            else:
                away.remove(what)
                await parts[what].start()
            if away:
                await all_marked(running, away)
                await unknown_is_refused(running)
                assert (await running.get("/readyz")).status_code == 200
        exchange.catalogue.settle(settling, "yes")

        for path in running.known:
            await running.until(path, is_fresh)
        await running.until(NOBODY_KNOWS, lambda response: response.status_code == 404)
        await running.until(
            f"/kalshi/markets/{settling}", lambda said: said.json()["status"] == "settled"
        )

    assert set(running.statuses) <= {200, 404, 503}
