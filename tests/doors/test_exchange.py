"""/trade-api/v2: a client made for the exchange changes its host, and nothing else."""

import asyncio
import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from kalshi_gateway.app import create_app
from kalshi_gateway.doors import exchange as door
from kalshi_gateway.doors import refusals
from kalshi_gateway.doors.operations import OPERATIONS, Access, Operation
from kalshi_gateway.doors.reads import ANY_AGE
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.faults import Fault
from kalshi_gateway.tokens.token import PREFIX as TOKEN_PREFIX

from .people import People, Person

PREFIX = "/trade-api/v2"
NEW = {"Cache-Control": "no-cache"}

PUBLIC = [o for o in OPERATIONS if o.access is Access.PUBLIC]
CLOSED = [o for o in OPERATIONS if o.access is not Access.PUBLIC]
FORBIDDEN = [o for o in OPERATIONS if o.access in (Access.WRITE, Access.WITHHELD)]


def a_path(operation: Operation) -> str:
    return PREFIX + re.sub(r"\{[a-z_]+\}", "X", operation.path)


def refused(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


# --- what everybody may read


async def test_public_reads_are_the_exchanges_own(
    client: httpx.AsyncClient, direct: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Every public read is byte for byte what the exchange answers, without any token."""
    ticker, market = next(iter(exchange.catalogue.markets.items()))
    event = market.event_ticker
    tickers = [*exchange.catalogue.markets][:2]
    asked = [
        "/markets?limit=3&status=open",
        "/markets?limit=3&mve_filter=exclude&unknown=%C3%A9+1&unknown=2",
        f"/markets/{ticker}",
        f"/markets/{ticker}/orderbook?depth=2",
        f"/markets/orderbooks?tickers={tickers[0]}&tickers={tickers[1]}",
        f"/markets/trades?ticker={ticker}&limit=5",
        f"/events/{event}?with_nested_markets=true",
        "/events?limit=2",
        "/exchange/status",
        "/exchange/schedule",
        "/series",
        "/historical/cutoff",
        "/account/endpoint_costs",
        "/search/tags_by_categories",
    ]

    for path in asked:
        ours, theirs = await client.get(PREFIX + path), await direct.get(PREFIX + path)

        assert (ours.status_code, ours.content) == (200, theirs.content), path
        assert ours.headers["content-type"] == theirs.headers["content-type"]


@pytest.mark.parametrize(
    "path",
    [
        "/markets/KXNOTHING-1",
        "/markets?limit=100000",
        "/markets?min_close_ts=1&status=open",
        "/nothing",
    ],
)
async def test_refusals_are_the_exchanges_own(
    client: httpx.AsyncClient, direct: httpx.AsyncClient, path: str
) -> None:
    """What the exchange refuses is refused with its own status and its own body."""
    ours, theirs = await client.get(PREFIX + path), await direct.get(PREFIX + path)

    assert theirs.status_code >= 400
    assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)


@pytest.mark.parametrize("path", ["/markets/%2e%2e/portfolio/balance", "/markets/a%2Fb", "/x/y/z"])
async def test_unknown_paths(client: httpx.AsyncClient, exchange: Exchange, path: str) -> None:
    """A path that is no operation is the exchange's own 404, and does not get there."""
    response = await client.get(PREFIX + path)

    assert refused(response) == (404, "not_found")
    assert exchange.counters.requests.total() == 0


async def test_age_from_the_beginning(settings: Settings, database_url: str) -> None:
    """The time that an answer has lain at the exchange is part of its age."""

    def kept(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"markets": [], "cursor": ""}, headers={"Age": "12"})

    app = create_app(settings, database_url=database_url, exchange=httpx.MockTransport(kept))
    asking = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://g.example")
    async with app.router.lifespan_context(app), asking as client:
        answers = [await client.get(f"{PREFIX}/markets") for _ in range(2)]

    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "HIT"]
    assert all(int(answer.headers["Age"]) >= 12 for answer in answers)


async def test_when_to_ask_again(settings: Settings, database_url: str) -> None:
    """When the front of the exchange says how long to wait, so do we."""

    def busy(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503, json={"error": {"code": "x"}}, headers={"Retry-After": "30"})

    app = create_app(settings, database_url=database_url, exchange=httpx.MockTransport(busy))
    asking = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://g.example")
    async with app.router.lifespan_context(app), asking as client:
        response = await client.get(f"{PREFIX}/markets")

    assert (response.status_code, response.headers["Retry-After"]) == (503, "30")


async def test_many_who_ask_the_same(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """Five hundred who ask the same at the same time make one call."""
    path = f"{PREFIX}/markets?limit=10"

    answers = await asyncio.gather(*(client.get(path) for _ in range(500)))

    assert len({answer.content for answer in answers}) == 1
    assert {answer.status_code for answer in answers} == {200}
    assert exchange.counters.requests["GET /markets"] == 1


async def test_queries_are_told_apart(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """Another query is another question."""
    first, second = [await client.get(f"{PREFIX}/markets?limit={n}") for n in (1, 2)]

    assert [len(r.json()["markets"]) for r in (first, second)] == [1, 2]
    assert exchange.counters.requests["GET /markets"] == 2


async def test_how_old_it_may_be(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """An answer is given again while it is young, and made anew for who says no-cache."""
    path = f"{PREFIX}/exchange/schedule"

    first, again, anew = [await client.get(path, headers=headers) for headers in ({}, {}, NEW)]

    assert [r.headers["X-Cache"] for r in (first, again, anew)] == ["MISS", "HIT", "BYPASS"]
    assert exchange.counters.requests["GET /exchange/schedule"] == 2


@pytest.mark.parametrize(
    ("said", "allowed_s"),
    [
        (b"max-stale", ANY_AGE),
        (b"no-cache, Stale-If-Error", ANY_AGE),
        (b'max-stale=30, stale-if-error = "20"', 20),
        (b"max-stale, stale-if-error=99999999999", 2**31),
        (b"max-stale=0", 0),
        (b"", 0),
        (b"max-stale=junk", 0),
        (b"max-stale=-1", 0),
        (b"max-stale=1e9", 0),
        (b"max-stale=", 0),
        (b"max-stale-x=1", 0),
        (b"x-max-stale", 0),
        (b'x="max-stale"', 0),
        (b"max-stale=junk, stale-if-error=5", 5),
    ],
)
def test_how_stale_it_may_be(said: bytes, allowed_s: float) -> None:
    """Both directives count, with or without seconds; what they cannot mean is ignored."""
    assert door.stale_seconds(said) == allowed_s


async def test_staleness_begins_where_freshness_ends(
    app: FastAPI, client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """What a client lets pass is how long an answer has been stale, and not how old it is."""
    path = f"{PREFIX}/series/fee_changes"
    await client.get(path)
    [kept] = app.state.resources.reads._kept.values()
    kept.asked_at -= 60 + 20  # a minute for which it is young
    exchange.faults.status(503)

    soon, late, unasked = [
        (await client.get(path, headers={"Cache-Control": said})).status_code
        for said in ("stale-if-error=30", "stale-if-error=10", "no-cache")
    ]
    kept.asked_at += 60  # young again
    anew = await client.get(path, headers={"Cache-Control": "no-cache"})
    allowed = await client.get(path, headers={"Cache-Control": "no-cache, max-stale=1"})

    assert (soon, late, unasked) == (200, 503, 503)
    assert (anew.status_code, allowed.headers["X-Cache"]) == (503, "STALE")


async def test_stale_only_where_the_client_allows_it(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """While the exchange is down its own refusal is given, or what is kept to who may have that."""
    path = f"{PREFIX}/exchange/schedule"
    known = await client.get(path)
    exchange.faults.add(Fault(kind="status", status=503))

    plain = await client.get(path, headers=NEW)
    allowed = await client.get(path, headers={"Cache-Control": "no-cache, stale-if-error=60"})
    unknown = await client.get(f"{PREFIX}/series", headers={"Cache-Control": "max-stale"})

    assert refused(plain) == (503, "service_unavailable")
    assert (allowed.status_code, allowed.content) == (200, known.content)
    assert allowed.headers["X-Cache"] == "STALE"
    assert unknown.status_code == 503


@pytest.mark.parametrize("status", [500, 503, 504])
async def test_closed_exchange_says_so(
    client: httpx.AsyncClient, exchange: Exchange, status: int
) -> None:
    """While it is closed its status comes with a 5xx: an answer like another, and no failure."""
    closed = '{"exchange_active":false,"trading_active":false}'
    exchange.faults.status(status, closed, operation="GET /exchange/status")

    answers = [await client.get(f"{PREFIX}/exchange/status") for _ in range(2)]

    assert [(answer.status_code, answer.text) for answer in answers] == [(status, closed)] * 2
    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "HIT"]
    assert exchange.counters.requests["GET /exchange/status"] == 1


async def test_unreachable(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """An exchange that cannot be reached at all is said in its own words, too."""
    exchange.faults.add(Fault(kind="reset"))

    response = await client.get(f"{PREFIX}/markets")

    assert refused(response) == (503, "service_unavailable")
    assert "type" not in response.json()


async def test_identity_is_not_passed_on(
    app: FastAPI, settings: Settings, database_url: str
) -> None:
    """Of a client's headers none that tells who it is, or belongs to its connection, goes on."""
    seen: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"markets": [], "cursor": ""})

    app = create_app(settings, database_url=database_url, exchange=httpx.MockTransport(note))
    asking = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://g.example")
    personal = {"Cookie": "a=b", "X-Forwarded-For": "192.0.2.1", "TE": "trailers", "X-User": "ada"}
    query = "tickers=A&tickers=B,C&empty=&odd=%2f%20+"
    async with app.router.lifespan_context(app), asking as client:
        response = await client.get(f"{PREFIX}/markets?{query}", headers=personal)

    assert response.content == b'{"markets":[],"cursor":""}'
    [request] = seen
    assert request.url.query.decode() == query
    assert request.headers.keys().isdisjoint({name.lower() for name in personal})
    assert "authorization" not in request.headers


async def test_languages_are_told_apart(settings: Settings, database_url: str) -> None:
    """`Accept-Language` goes on, and each language's answer is kept by itself."""
    seen: list[str] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["accept-language"])
        return httpx.Response(200, json={"said": seen[-1]})

    app = create_app(settings, database_url=database_url, exchange=httpx.MockTransport(note))
    asking = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://g.example")
    async with app.router.lifespan_context(app), asking as client:
        said = [
            (await client.get(f"{PREFIX}/series", headers=headers)).json()["said"]
            for headers in [{}, {"Accept-Language": "es"}, {"Accept-Language": "pt"}, {}] * 2
        ]

    assert said == ["en", "es", "pt", "en"] * 2
    assert seen == ["en", "es", "pt"]


async def test_compressed_for_who_takes_it(
    client: httpx.AsyncClient, direct: httpx.AsyncClient
) -> None:
    """A client that takes gzip is given it, once made; the content is the same."""
    path, plain = f"{PREFIX}/series", {"Accept-Encoding": "identity"}

    zipped = [await client.get(path) for _ in range(2)]
    unzipped = await client.get(path, headers=plain)

    theirs = await direct.get(path)
    assert [answer.headers["content-encoding"] for answer in zipped] == ["gzip", "gzip"]
    assert "content-encoding" not in unzipped.headers
    assert {answer.content for answer in (*zipped, unzipped)} == {theirs.content}
    assert int(zipped[0].headers["content-length"]) < len(theirs.content) / 2


# --- who may do what


@pytest.mark.parametrize("operation", CLOSED, ids=lambda o: f"{o.method} {o.path}")
def test_nobody_calls_what_is_not_public(operation: Operation) -> None:
    """Who shows nothing is refused all that the exchange refuses without a signature."""
    assert (
        door.refusal(operation, door.Guest(None, None), trading=True) is refusals.SIGNATURE_MISSING
    )


async def test_no_token(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """A private read without token or signature is the exchange's 401."""
    bare = await client.get(f"{PREFIX}/portfolio/balance")
    token = {"Authorization": f"Bearer {TOKEN_PREFIX}{'x' * 43}"}
    unknown = await client.get(f"{PREFIX}/markets", headers=token)

    assert refused(bare) == (401, "signature_is_missing_from_headers")
    assert refused(unknown) == (401, "authentication_error")
    assert exchange.counters.requests.total() == 0


async def test_writes_never_leave(people: People, exchange: Exchange) -> None:
    """Whatever writes, and the list of real keys, is forbidden in the exchange's words."""
    ada = await people.admit()
    before = exchange.counters.requests.total()

    answers = [
        await people.client.request(o.method, a_path(o), headers=ada.token, content=b"{}")
        for o in FORBIDDEN
    ]

    assert len(answers) > 40
    assert {refused(answer) for answer in answers} == {(403, "permission_denied")}
    assert exchange.counters.requests.total() == before


async def test_private_reads_are_the_users_own(people: People, direct: httpx.AsyncClient) -> None:
    """A token reads what its user's key would read, byte for byte."""
    ada = await people.admit()
    paths = [
        "/portfolio/balance",
        "/portfolio/positions?limit=5",
        "/portfolio/fills",
        "/portfolio/orders?status=resting",
        "/portfolio/settlements",
        "/account/limits",
    ]

    for path in paths:
        ours = await people.client.get(PREFIX + path, headers=ada.token)
        theirs = await direct.get(PREFIX + path, auth=ada.signer)

        assert (ours.status_code, without_time(ours)) == (200, without_time(theirs)), path
        assert ada.key_id not in ours.text + str(ours.headers)


async def test_users_are_never_mixed(people: People, exchange: Exchange) -> None:
    """Users who ask the same at the same time are each answered over their own key, once."""
    everybody = [await people.admit(f"user{n}", cents=1_000 + n) for n in range(8)]

    async def ask(person: Person) -> Any:
        answer = await people.client.get(f"{PREFIX}/portfolio/balance", headers=person.token)
        return answer.json()["balance"]

    before = exchange.counters.requests["GET /portfolio/balance"]
    balances = await asyncio.gather(*(ask(person) for person in everybody * 5))

    assert balances == [1_000 + n for n in range(8)] * 5
    assert exchange.counters.requests["GET /portfolio/balance"] == before + 8


async def test_no_key_and_no_user(people: People) -> None:
    """A user without a key, and an administrator, who is nobody, are forbidden private reads."""
    keyless = await people.token("bob", "read")
    boss = await people.token(None, "admin")

    for token in (keyless, boss):
        answer = await people.client.get(f"{PREFIX}/portfolio/balance", headers=token)
        assert refused(answer) == (403, "permission_denied")


async def test_stale_is_never_anothers(people: People, exchange: Exchange) -> None:
    """While the exchange is down a user may have what was kept of theirs, and nobody else may."""
    ada, bob = await people.admit("ada"), await people.admit("bob")
    path = f"{PREFIX}/portfolio/positions"
    stale = {"Cache-Control": "no-cache, max-stale"}
    await people.client.get(path, headers=ada.token)
    exchange.faults.add(Fault(kind="status", status=503))

    hers = await people.client.get(path, headers={**ada.token, **stale})
    his = await people.client.get(path, headers={**bob.token, **stale})

    assert (hers.status_code, his.status_code) == (200, 503)


def without_time(response: httpx.Response) -> bytes:
    return re.sub(rb'"updated_ts":\d+', b"", response.content)
