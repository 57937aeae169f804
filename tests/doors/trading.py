"""A gateway that passes on writes, and the way to the exchange with somebody watching it."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec

from kalshi_gateway.simulator.accounts import Member
from kalshi_gateway.simulator.exchange import Exchange

PREFIX = "/trade-api/v2"
ORDERS = f"{PREFIX}/portfolio/events/orders"

Look = Callable[[httpx.Request], Awaitable[None]]


class Watched(httpx.AsyncBaseTransport):
    """Shows each request to somebody before it goes on."""

    def __init__(self, way: httpx.AsyncBaseTransport) -> None:
        self.way = way
        self.seen: list[httpx.Request] = []
        self.look: Look | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if self.look is not None:
            await self.look(request)
        return await self.way.handle_async_request(request)

    @property
    def writes(self) -> list[httpx.Request]:
        return [request for request in self.seen if request.method != "GET"]


def a_market(exchange: Exchange, ticker: str = "KXCALM-26-A", shard: int = 0) -> str:
    """An open market that nobody else trades in."""
    catalogue, event = exchange.catalogue, ticker.rpartition("-")[0]
    if event not in catalogue.events:
        catalogue.add_series(event.partition("-")[0])
        catalogue.add_event(event, event.partition("-")[0])
    catalogue.add_market(ticker, event, exchange_index=shard)
    return ticker


def fund(exchange: Exchange, member: Member, shard: int) -> None:
    """Ten dollars for another shard."""
    exchange.ledger.bank.transfer(member, 10_000_000, to_shard=shard)


def an_order(ticker: str, **given: Any) -> dict[str, Any]:
    """What a client sends for an order that rests."""
    asked = {
        "ticker": ticker,
        "side": "bid",
        "price": "0.30",
        "count": "3",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
    }
    return {**asked, **given}


def told(answer: httpx.Response) -> tuple[int, str | None, str | None]:
    """Status, code and details of a refusal, whichever of its shapes it has."""
    said = answer.json()
    error = said.get("error", said)
    return answer.status_code, error.get("code"), error.get("details")


def read(body: bytes) -> Any:
    return msgspec.json.decode(body)
