"""Members with money, their signed clients, and quiet markets to trade in."""

from typing import Any

import httpx

from kalshi_gateway.simulator.accounts import Member
from kalshi_gateway.simulator.desk import Joined
from kalshi_gateway.simulator.entries import MarketEntry
from kalshi_gateway.simulator.exchange import Exchange

from .asking import Signed
from .moments import Moment


def a_market(
    exchange: Exchange, ticker: str = "KXCALM-26-A", *, fee_multiplier: float = 1, **fields: Any
) -> MarketEntry:
    """An open market nobody else trades in, on shard 0; its event is its ticker without the end."""
    catalogue = exchange.catalogue
    event = ticker.rpartition("-")[0]
    if event not in catalogue.events:
        series = event.partition("-")[0]
        catalogue.add_series(series, fee_multiplier=fee_multiplier)
        catalogue.add_event(event, series)
    return catalogue.add_market(ticker, event, **fields)


def a_member(exchange: Exchange, dollars: int = 100, **given: Any) -> Joined:
    """A member with that much on shard 0."""
    return exchange.desk.join(deposit_cents=dollars * 100, **given)


def signed(joined: Joined, moment: Moment) -> Signed:
    """How a member signs."""
    return Signed(joined.key_id, joined.private_pem, moment)


async def asked(
    client: httpx.AsyncClient, path: str, auth: httpx.Auth, **params: Any
) -> dict[str, Any]:
    """The body of a good answer."""
    response = await client.get(path, params=params, auth=auth)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def held(member: Member, ticker: str) -> Any:
    """What a member's primary account holds in a market."""
    return member.holdings.now[0, ticker]
