"""/api/v1/kalshi: what a dashboard of 2025 asks for, and what it was told it would get."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from msgspec import structs

from kalshi_gateway.app import create_app
from kalshi_gateway.doors import dashboard, reads
from kalshi_gateway.doors.reads import Reads
from kalshi_gateway.kalshi.errors import DeadlineExceeded
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.faults import Fault
from tests.simulator.members import a_market

from .people import People, Person

API = "/api/v1/kalshi"
EVENT = "KXHIGHTPHX-26FEB12"
MARKET = f"{EVENT}-T84"
SLASHES = pytest.mark.parametrize("slash", ["", "/"], ids=["plain", "slash"])


@pytest.fixture
async def ada(people: People) -> Person:
    """A user with 1234.56 dollars at the exchange."""
    return await people.admit("ada", cents=123_456)


@pytest.fixture
def asking(people: People, ada: Person) -> httpx.AsyncClient:
    """A client that shows ada's token."""
    people.client.headers.update(ada.token)
    return people.client


# --- the examples of its documentation


@SLASHES
async def test_balance(asking: httpx.AsyncClient, slash: str) -> None:
    """The balance is whole cents: 123456."""
    response = await asking.get(f"{API}/balance{slash}")

    assert response.status_code == 200
    assert response.json()["balance"] == 123_456


@SLASHES
async def test_positions(
    asking: httpx.AsyncClient, exchange: Exchange, ada: Person, slash: str
) -> None:
    """Positions lie in their event, whose exposure is whole cents: 800."""
    a_market(exchange, MARKET)
    exchange.desk.trade(ada.member, MARKET, "bid", "0.8000", "10.00")

    response = await asking.get(f"{API}/positions{slash}")

    [event] = response.json()["event_positions"]
    assert event["event_ticker"] == exchange.catalogue.markets[MARKET].event_ticker
    assert event["event_exposure"] == 800
    [position] = event["positions"]
    assert (position["ticker"], position["position"]) == (MARKET, 10)
    assert position["market_exposure"] == 800


@SLASHES
async def test_orders(
    asking: httpx.AsyncClient, exchange: Exchange, ada: Person, slash: str
) -> None:
    """Orders are filtered by status, of which `open` is one, limited, and have a cursor."""
    a_market(exchange, MARKET)
    for price in ("0.1000", "0.1100", "0.1200"):
        exchange.desk.rest(ada.member, MARKET, "bid", price, "5.00")
    exchange.desk.trade(ada.member, MARKET, "bid", "0.8000", "10.00")

    two = (await asking.get(f"{API}/orders{slash}?status=open&limit=2")).json()
    resting = (await asking.get(f"{API}/orders{slash}?status=resting")).json()
    every = (await asking.get(f"{API}/orders{slash}")).json()
    rest = (
        await asking.get(f"{API}/orders{slash}?status=open&limit=2&cursor={two['cursor']}")
    ).json()

    assert [order["status"] for order in two["orders"]] == ["resting"] * 2
    assert len(resting["orders"]) == 3
    assert {order["yes_price"] for order in resting["orders"]} == {10, 11, 12}
    assert {order["remaining_count"] for order in resting["orders"]} == {5}
    assert len(every["orders"]) == 4
    assert [len(rest["orders"]), rest["cursor"]] == [1, ""]


@SLASHES
async def test_events(asking: httpx.AsyncClient, exchange: Exchange, slash: str) -> None:
    """Events are those of a series, open, with their markets, unless it is said otherwise."""
    event = next(iter(exchange.catalogue.events.values()))
    series = event.series_ticker

    nested = (await asking.get(f"{API}/events{slash}?series_ticker={series}&limit=1")).json()
    bare = (
        await asking.get(f"{API}/events{slash}?series_ticker={series}&with_nested_markets=false")
    ).json()

    assert {found["series_ticker"] for found in bare["events"]} == {series}
    assert "cursor" in nested
    [first] = nested["events"]
    assert all(isinstance(market["yes_ask"], int) for market in first["markets"])
    assert not any(found.get("markets") for found in bare["events"])


@SLASHES
async def test_market(asking: httpx.AsyncClient, slash: str) -> None:
    """A market has whole cents, `yes_ask` 2 and `yes_bid` 1, beside its exact prices."""
    ticker = MARKET

    async def told(request: httpx.Request) -> httpx.Response:
        quotes = {"yes_ask_dollars": "0.0200", "yes_bid_dollars": "0.0100"}
        return httpx.Response(200, json={"market": {"ticker": ticker, **quotes}})

    app: FastAPI = asking._transport.app  # type: ignore[attr-defined]
    app.state.resources.kalshi._http = httpx.AsyncClient(transport=httpx.MockTransport(told))

    response = await asking.get(f"{API}/markets/{ticker}{slash}")

    assert response.json() == {
        "market": {
            "ticker": "KXHIGHTPHX-26FEB12-T84",
            "yes_ask_dollars": "0.0200",
            "yes_bid_dollars": "0.0100",
            "yes_ask": 2,
            "yes_bid": 1,
        }
    }


async def test_real_market(asking: httpx.AsyncClient, exchange: Exchange) -> None:
    """Every market of the exchange is answered with all that it says, and twins."""
    ticker = next(iter(exchange.catalogue.markets))

    answer = (await asking.get(f"{API}/markets/{ticker}/")).json()["market"]

    assert answer["ticker"] == ticker
    for name in ("yes_bid", "yes_ask", "no_bid", "no_ask", "last_price", "volume"):
        assert type(answer[name]) is int


# --- errors, in its words


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("orders/?limit=many", "limit must be an integer"),
        ("orders/?limit=0", "limit must be at least 1"),
        ("orders/?limit=1001", "limit must be at most 1000"),
        ("orders/?status=lost", "status must be 'open', 'resting', 'canceled' or 'executed'"),
        ("events/?limit=1.5", "limit must be an integer"),
        ("events/?with_nested_markets=perhaps", "with_nested_markets must be true or false"),
    ],
)
async def test_bad_parameters(asking: httpx.AsyncClient, path: str, text: str) -> None:
    """A parameter that cannot be used is 400, and says which and why."""
    response = await asking.get(f"{API}/{path}")

    assert response.status_code == 400
    assert response.json() == {"error": f"Invalid query parameter: {text}"}


async def test_further_parameters(asking: httpx.AsyncClient) -> None:
    """What a client adds to get around caches does no harm."""
    assert (await asking.get(f"{API}/balance/?_=1764000000")).status_code == 200


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault(kind="status", status=503), "connection failed"),
        (Fault(kind="reset"), "connection failed"),
        (Fault(kind="status", status=429), "too many requests"),
        (Fault(kind="status", status=401), "authentication failed"),
        (Fault(kind="html", status=200), "connection failed"),
    ],
    ids=["503", "reset", "429", "401", "page"],
)
async def test_exchange_fails(
    asking: httpx.AsyncClient, exchange: Exchange, fault: Fault, text: str
) -> None:
    """What the exchange does to us is 503, in words."""
    exchange.faults.add(structs.replace(fault, operation="GET /portfolio/positions"))

    response = await asking.get(f"{API}/positions/")

    assert response.status_code == 503
    assert response.json() == {"error": f"Kalshi API error: {text}"}


async def test_exchange_takes_too_long(
    asking: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exchange that does not answer in time is 503: connection timeout."""
    app: FastAPI = asking._transport.app  # type: ignore[attr-defined]

    async def slow(*_: object, **__: object) -> None:
        raise DeadlineExceeded("no answer in time")

    monkeypatch.setattr(app.state.resources.kalshi, "verbatim", slow)

    response = await asking.get(f"{API}/events/")

    assert response.status_code == 503
    assert response.json() == {"error": "Kalshi API error: connection timeout"}


async def test_our_own_fault(asking: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is 500, and says nothing."""

    def broken(body: bytes) -> bytes:
        raise ZeroDivisionError("a detail")

    monkeypatch.setattr(dashboard, "positions_by_event", broken)

    response = await asking.get(f"{API}/positions/")

    assert response.status_code == 500
    assert response.json() == {"error": "Internal server error"}


@pytest.mark.parametrize(
    "ticker", ["KXNOTHING-1", "a b", "%2e%2e", "..%2Fportfolio", "x" * 300, "trades"]
)
async def test_unknown_market(asking: httpx.AsyncClient, ticker: str) -> None:
    """A market that does not exist is 404, in the same shape."""
    response = await asking.get(f"{API}/markets/{ticker}/")

    assert response.status_code == 404
    assert response.json().keys() == {"error"}


# --- how old, and for whom


@pytest.mark.parametrize(
    ("path", "operation", "seconds"),
    [
        ("balance", "GET /portfolio/balance", 60),
        ("positions", "GET /portfolio/positions", 30),
        ("orders", "GET /portfolio/orders", 30),
        ("events", "GET /events", 60),
        ("markets/{ticker}", "GET /markets/{ticker}", 60),
    ],
)
async def test_how_long_it_is_kept(
    asking: httpx.AsyncClient,
    exchange: Exchange,
    path: str,
    operation: str,
    seconds: int,
) -> None:
    """An answer is given again within its time, and asked for anew after it."""
    await listening(asking)
    path = f"{API}/{path.format(ticker=next(iter(exchange.catalogue.markets)))}/"
    before = exchange.counters.requests[operation]

    first = await asking.get(path)
    grow_older(asking, seconds - 20)
    again = await asking.get(path)
    grow_older(asking, 20)
    anew = await asking.get(path)

    came = [response.headers["X-Cache"] for response in (first, again, anew)]
    assert came == ["MISS", "HIT", "REVALIDATED"]
    assert exchange.counters.requests[operation] == before + 2


@pytest.mark.parametrize("path", ["balance", "positions", "orders"])
async def test_who_hears_nothing_keeps_little(asking: httpx.AsyncClient, path: str) -> None:
    """While changes are not heard of, what a user has is given again for a moment only."""
    await listening(asking)
    await asking.get(f"{API}/{path}/")
    app_of(asking).state.resources.reads.hears = False
    grow_older(asking, 2)

    later = await asking.get(f"{API}/{path}/")

    assert later.headers["X-Cache"] == "REVALIDATED"


async def test_stale_fallback(asking: httpx.AsyncClient, exchange: Exchange) -> None:
    """While the exchange is down the last answer is given, however old, and says so."""
    known = await asking.get(f"{API}/positions/")
    exchange.faults.add(Fault(kind="status", status=503))
    grow_older(asking, 86_400)

    response = await asking.get(f"{API}/positions/")

    assert (response.status_code, response.content) == (200, known.content)
    assert response.headers["X-Cache"] == "STALE"
    assert int(response.headers["Age"]) >= 86_400


@pytest.mark.parametrize("path", ["balance", "positions", "orders"])
async def test_stale_after_a_change(
    asking: httpx.AsyncClient, exchange: Exchange, path: str
) -> None:
    """A refresh that fails, and everything else that may have changed, leaves the last answer."""
    await listening(asking)
    reads: Reads = app_of(asking).state.resources.reads
    known = await asking.get(f"{API}/{path}/")
    exchange.faults.add(Fault(kind="status", status=503))

    refresh = await asking.post("/kalshi/users/ada/account/refresh")
    while reads._changes["ada"] == 0:  # noqa: ASYNC110 - nobody tells when that was heard
        await asyncio.sleep(0.01)
    after_refresh = await asking.get(f"{API}/{path}/")
    reads.forget(None)
    after_silence = await asking.get(f"{API}/{path}/")

    assert refresh.status_code == 503
    for response in (after_refresh, after_silence):
        assert (response.status_code, response.content) == (200, known.content)
        assert response.headers["X-Cache"] == "STALE"


async def test_users_are_never_mixed(people: People, exchange: Exchange) -> None:
    """Who asks at the same time is answered for their own user."""
    everybody = [await people.admit(f"user{n}", cents=1_000 + n) for n in range(5)]

    async def ask(person: Person) -> int:
        answer = await people.client.get(f"{API}/balance/", headers=person.token)
        return int(answer.json()["balance"])

    balances = await asyncio.gather(*(ask(person) for person in everybody * 4))

    assert balances == [1_000 + n for n in range(5)] * 4


async def test_who_may_ask(people: People) -> None:
    """Without a token it is 401; a token of no user, or of one without a key, is told so."""
    nobody = await people.client.get(f"{API}/balance/")
    boss = await people.token(None, "admin")
    keyless = await people.token("bob", "read")

    unbound = await people.client.get(f"{API}/balance/", headers=boss)
    unknown = await people.client.get(f"{API}/balance/", headers=keyless)
    public = await people.client.get(f"{API}/events/?limit=1", headers=boss)

    assert [r.status_code for r in (nobody, unbound, unknown, public)] == [401, 403, 404, 200]
    assert all(r.json().keys() == {"error"} for r in (nobody, unbound, unknown))


@pytest.fixture
async def at_home(
    settings: Settings, database_url: str, transport: httpx.ASGITransport
) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway without tokens, for whoever sits at the machine."""
    off = settings.model_copy(update={"gateway_auth": "off"})
    app = create_app(off, database_url=database_url, exchange=transport)
    asking = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
    async with app.router.lifespan_context(app), asking as client:
        yield client


async def test_without_tokens(at_home: httpx.AsyncClient, exchange: Exchange) -> None:
    """With GATEWAY_AUTH=off it is the default user who asks, at both doors."""
    joined = exchange.desk.join("me", deposit_cents=123_456)
    body = {"api_key_id": joined.key_id, "private_key": joined.private_pem}
    user_id = Settings.model_construct().kalshi_user_id
    await at_home.put(f"/kalshi/users/{user_id}/credentials", json=body)

    older = await at_home.get(f"{API}/balance/")
    own = await at_home.get("/trade-api/v2/portfolio/balance")

    assert older.json()["balance"] == own.json()["balance"] == 123_456


def app_of(asking: httpx.AsyncClient) -> FastAPI:
    app: FastAPI = asking._transport.app  # type: ignore[attr-defined]
    return app


async def listening(asking: httpx.AsyncClient) -> None:
    """Wait until the gateway hears what changes."""
    while not app_of(asking).state.resources.reads.hears:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


def grow_older(asking: httpx.AsyncClient, seconds: float) -> None:
    """Let time pass for all that is kept."""
    for kept in app_of(asking).state.resources.reads._kept.values():
        kept.asked_at -= seconds
        kept.as_of -= timedelta(seconds=seconds)


# --- large answers


async def test_compressed(asking: httpx.AsyncClient) -> None:
    """Who takes gzip is given it, as everywhere else; the content is the same."""
    plain = await asking.get(f"{API}/events", headers={"Accept-Encoding": "identity"})
    zipped = [await asking.get(f"{API}/events") for _ in range(2)]

    assert "content-encoding" not in plain.headers
    assert [answer.headers["content-encoding"] for answer in zipped] == ["gzip", "gzip"]
    assert {answer.content for answer in zipped} == {plain.content}
    assert int(zipped[0].headers["content-length"]) < len(plain.content) / 2


async def test_large_answers_hold_nobody_up(
    asking: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large answer gets its whole numbers beside the loop, a small one at once."""
    threads: list[threading.Thread] = []
    decode = dashboard._read

    def noted(body: bytes) -> dict[str, Any]:
        threads.append(threading.current_thread())
        return decode(body)

    monkeypatch.setattr(dashboard, "_read", noted)
    monkeypatch.setattr(reads, "LARGE", 2_000)

    small = await asking.get(f"{API}/balance")
    large = await asking.get(f"{API}/events")

    assert len(small.content) < 2_000 < len(large.content)
    here = threading.current_thread()
    assert [thread is here for thread in threads] == [True, False]
