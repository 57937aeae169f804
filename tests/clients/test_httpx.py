"""A client of one's own: httpx, and a signature as the exchange's documentation describes it."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Generator
from urllib.parse import urlencode

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from kalshi_gateway.simulator.desk import KeyKind

from .client import Side
from .ground import Ground, HandSet

SALTED = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)


class Signed(httpx.Auth):
    """Signs each request (docs.kalshi.com/getting_started/api_keys)."""

    def __init__(self, side: Side, at_ms: int | None = None) -> None:
        self.key_id, self.at_ms = side.key_id, at_ms
        key = serialization.load_pem_private_key(side.private_key.encode(), password=None)
        assert isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey)
        self.key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        timestamp = str(self.at_ms or int(time.time() * 1000))
        path = request.url.raw_path.partition(b"?")[0]
        text = timestamp.encode() + request.method.encode() + path
        request.headers["KALSHI-ACCESS-KEY"] = self.key_id
        request.headers["KALSHI-ACCESS-TIMESTAMP"] = timestamp
        request.headers["KALSHI-ACCESS-SIGNATURE"] = base64.b64encode(self.sign(text)).decode()
        yield request

    def sign(self, text: bytes) -> bytes:
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(text, SALTED, hashes.SHA256())
        return self.key.sign(text)


@pytest.fixture(params=["rsa", "ed25519"])
def kind(request: pytest.FixtureRequest) -> KeyKind:
    told: KeyKind = request.param
    return told


@pytest.fixture
async def theirs(at_exchange: Side) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=at_exchange.host, auth=Signed(at_exchange)) as client:
        yield client


@pytest.fixture
async def ours(at_gateway: Side) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=at_gateway.host, auth=Signed(at_gateway)) as client:
        yield client


def reads(asked: Ground) -> list[str]:
    """Something of everything that is read."""
    ticker, event, series = asked.open.ticker, asked.open.event_ticker, asked.series
    now = int(time.time())
    day = urlencode({"start_ts": now - 86_400, "end_ts": now, "period_interval": 60})
    return [
        "/markets?limit=20&status=open",
        f"/markets/{ticker}",
        f"/events/{event}?with_nested_markets=true",
        f"/series/{series}",
        f"/markets/{ticker}/orderbook?depth=5",
        f"/markets/orderbooks?tickers={ticker}&tickers={asked.settled.ticker}",
        f"/markets/trades?ticker={ticker}",
        f"/series/{series}/markets/{ticker}/candlesticks?{day}",
        f"/historical/markets/{asked.archived.ticker}",
        "/exchange/status",
        "/portfolio/balance",
        "/portfolio/positions?settlement_status=all",
        f"/portfolio/orders?status=resting&ticker={ticker}",
        f"/portfolio/orders/{asked.order_id}",
        "/portfolio/fills?limit=1",
        "/portfolio/settlements",
        "/portfolio/deposits",
        "/account/limits",
        "/markets/KXNOTHING-1",
        "/portfolio/orders/nothing",
        "/portfolio/fills?limit=100000",
    ]


async def test_the_same_bytes(
    theirs: httpx.AsyncClient, ours: httpx.AsyncClient, asked: Ground, clock: HandSet
) -> None:
    """Each answer is the exchange's: its status, its type, and its body, byte for byte."""
    for path in reads(asked):
        clock.set()
        direct, through = await theirs.get(path), await ours.get(path)

        assert told(through) == told(direct), path


def told(response: httpx.Response) -> tuple[int, str, bytes]:
    return response.status_code, response.headers["content-type"], response.content


async def test_many_at_once(
    theirs: httpx.AsyncClient, ours: httpx.AsyncClient, asked: Ground, clock: HandSet
) -> None:
    """Whoever asks for much at the same time is given each thing as if it were the only one."""
    paths = reads(asked)
    clock.set()
    direct = {path: told(await theirs.get(path)) for path in paths}

    answers = await asyncio.gather(*(ours.get(path) for path in paths * 4))

    assert [told(answer) for answer in answers] == [direct[path] for path in paths * 4]


async def test_two_orders_in_one_millisecond(
    at_gateway: Side, asked: Ground, kind: KeyKind
) -> None:
    """RSA signs each anew, so both are placed; Ed25519 signs both alike, and one is refused."""
    one_moment = Signed(at_gateway, int(time.time() * 1000))
    before = len(asked.member.orders.now)

    async with httpx.AsyncClient(base_url=at_gateway.host, auth=one_moment) as client:
        placed = [
            await client.post("/portfolio/events/orders", json=an_order(asked, price))
            for price in ("0.0100", "0.0200")
        ]

    statuses = {"rsa": [201, 201], "ed25519": [201, 401]}[kind]
    assert [response.status_code for response in placed] == statuses
    assert len(asked.member.orders.now) == before + statuses.count(201)


def an_order(asked: Ground, price: str) -> dict[str, str]:
    return {
        "ticker": asked.open.ticker,
        "side": "bid",
        "count": "1.00",
        "price": price,
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
    }
