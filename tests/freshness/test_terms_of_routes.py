"""What a client says of an answer's age, on every route that answers what the exchange said."""

import re
import time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from kalshi_gateway import documents
from kalshi_gateway.db import Database
from kalshi_gateway.freshness import NO_NEWER
from tests.markets.builders import a_row
from tests.markets.gateway import a_gateway, client_of
from tests.markets.upstream import Upstream
from tests.test_hot import PASSING, layer_of

from .routes import ROUTES, TICKER, Route, of_kind

Client = httpx.AsyncClient

DOWN = "503 from the exchange"
MARKET = f"/kalshi/markets/{TICKER}"

#: Both ways to say the same.
YOUNG_ENOUGH = [{"Cache-Control": "max-age=3600"}, {"max_age": "3600"}]
TOO_OLD = [{"Cache-Control": "max-age=0"}, {"max_age": "0"}]
ANEW = [{"Cache-Control": "no-cache"}, {"refresh": "true"}]

said = pytest.mark.parametrize


async def ask(client: Client, route: Route | str, terms: dict[str, str]) -> httpx.Response:
    """With terms in the header or in the query, as they are named."""
    path = route if isinstance(route, str) else route.path
    if "Cache-Control" in terms:
        return await client.get(path, headers=terms)
    return await client.get(httpx.URL(path).copy_merge_params(terms))


async def meta(client: Client, route: Route | str, terms: dict[str, str]) -> Any:
    response = await ask(client, route, terms)
    assert response.status_code == 200, response.text
    return response.json()["meta"] | {"x-cache": response.headers["x-cache"]}


# --- what is known


@of_kind()
@said("terms", YOUNG_ENOUGH, ids=str)
@pytest.mark.usefixtures("known")
async def test_young_enough(
    client: Client, upstream: Upstream, route: Route, terms: dict[str, str]
) -> None:
    """What is young enough is answered, and nobody is asked."""
    await client.get(route.path)
    upstream.asked.clear()

    told = await meta(client, route, terms)

    assert (told["x-cache"], told["source"], told["stale"]) == ("HIT", "cache", False)
    assert upstream.asked == []


@of_kind("named", "momentary")
@said("terms", TOO_OLD + ANEW, ids=str)
@pytest.mark.usefixtures("known")
async def test_too_old(
    client: Client, upstream: Upstream, route: Route, terms: dict[str, str]
) -> None:
    """What is too old is asked of the exchange once, and answered as it says."""
    await client.get(route.path)
    upstream.asked.clear()

    began = time.monotonic()
    told = await meta(client, route, terms)
    seconds = time.monotonic() - began

    if terms in ANEW:
        assert told["x-cache"] == "BYPASS"
    else:
        assert told["x-cache"] == ("REVALIDATED" if route.kind == "named" else "MISS")
    assert (told["source"], told["stale"]) == ("kalshi", False)
    assert told["age_seconds"] <= seconds
    assert upstream.times_asked(route.upstream) == 1


@of_kind("walked")
@said("terms", TOO_OLD + ANEW, ids=str)
@pytest.mark.usefixtures("known")
async def test_no_newer_than_its_walk(
    client: Client, upstream: Upstream, route: Route, terms: dict[str, str]
) -> None:
    """A list is answered as it is, called stale, and says why; the next client is spared that."""
    told = await meta(client, route, terms)
    plain = await meta(client, route, {})

    assert (told["x-cache"], told["stale"]) == ("STALE", True)
    assert NO_NEWER in told["warnings"]
    assert (plain["x-cache"], plain["stale"]) == ("HIT", False)
    assert NO_NEWER not in plain["warnings"]
    assert upstream.asked == []


@of_kind("named")
@pytest.mark.usefixtures("known")
async def test_refreshed_for_all(client: Client, upstream: Upstream, route: Route) -> None:
    """What one client had asked anew is what all others get from then on."""
    await client.get(route.path)
    refreshed = await meta(client, route, {"refresh": "true"})
    upstream.asked.clear()

    plain = await meta(client, route, {})

    assert plain["as_of"] == refreshed["as_of"]
    assert plain["source"] == "cache"
    assert upstream.asked == []


@pytest.mark.usefixtures("known")
async def test_what_has_changed(client: Client, upstream: Upstream) -> None:
    """A new price is in the answer that asked for it, in the next one, and in the lists."""
    await client.get(MARKET)
    upstream.answers[f"/markets/{TICKER}"] = {"market": a_row(TICKER, last_price_dollars="0.5500")}

    before = (await client.get(MARKET)).json()
    refreshed = (await ask(client, MARKET, {"refresh": "true"})).json()
    after = (await client.get(MARKET)).json()
    listed = (await client.get("/kalshi/markets")).json()["markets"]

    assert [one["last_price"] for one in (before, refreshed, after)] == [0.42, 0.55, 0.55]
    assert [market["last_price"] for market in listed] == [0.55]


@of_kind("named")
@pytest.mark.usefixtures("known")
async def test_what_has_not_changed(client: Client, route: Route) -> None:
    """Asked anew, the same content keeps its ETag, and is not sent to who has it."""
    first = await ask(client, route, {"refresh": "true"})

    again = await client.get(
        route.path, headers={"Cache-Control": "no-cache", "If-None-Match": first.headers["etag"]}
    )

    assert again.status_code == 304
    assert again.headers["x-cache"] == "BYPASS"


# --- only what is known


@of_kind()
@pytest.mark.usefixtures("known")
async def test_only_if_cached(client: Client, upstream: Upstream, route: Route) -> None:
    """Without a word to the exchange: what is known, or 504 if it is too old."""
    await client.get(route.path)
    upstream.asked.clear()

    known = await ask(client, route, {"Cache-Control": "only-if-cached"})
    young = await ask(client, route, {"Cache-Control": "only-if-cached, max-age=3600"})
    too_old = await ask(client, route, {"Cache-Control": "only-if-cached, max-age=0"})
    contradictory = await client.get(
        httpx.URL(route.path).copy_merge_params({"refresh": "true"}),
        headers={"Cache-Control": "only-if-cached"},
    )

    assert [known.status_code, young.status_code] == [200, 200]
    for refused in (too_old, contradictory):
        assert (refused.status_code, refused.json()["code"]) == (504, "not_cached")
    assert upstream.asked == []


@of_kind()
async def test_only_if_cached_and_nothing_is(
    client: Client, upstream: Upstream, route: Route
) -> None:
    """Where nothing is known there is 504, whether the exchange has it or not."""
    response = await ask(client, route, {"Cache-Control": "only-if-cached"})

    assert (response.status_code, response.json()["code"]) == (504, "not_cached")
    assert upstream.asked == []


async def test_only_if_cached_of_what_is_not(client: Client) -> None:
    """That a market does not exist can be known, too."""
    path = "/kalshi/markets/KXNONE-1-X"
    await client.get(path)

    response = await ask(client, path, {"Cache-Control": "only-if-cached"})

    assert (response.status_code, response.json()["code"]) == (404, "market_not_found")


# --- the exchange is down


@of_kind()
@said("terms", [TOO_OLD[0], ANEW[1]], ids=str)
@pytest.mark.usefixtures("known")
async def test_down_and_known(
    client: Client, upstream: Upstream, route: Route, terms: dict[str, str]
) -> None:
    """However strict the terms: the last known answer, called stale, with the reason."""
    before = await client.get(route.path)
    upstream.down = True

    after = await ask(client, route, terms)

    assert after.status_code == 200
    assert content(after) == content(before)
    told = after.json()["meta"]
    assert (told["stale"], after.headers["x-cache"]) == (True, "STALE")
    assert told["as_of"] == before.json()["meta"]["as_of"]
    reason = NO_NEWER if route.kind == "walked" else DOWN
    assert any(reason in warning for warning in told["warnings"])


@of_kind("named")
@pytest.mark.usefixtures("known")
async def test_down_for_who_wants_it_anew(client: Client, upstream: Upstream, route: Route) -> None:
    """That it could not be had anew is said to who wanted it so, and to nobody after."""
    await client.get(route.path)
    works = upstream.answers[route.upstream]
    upstream.answers[route.upstream] = httpx.Response(503)
    anew = await meta(client, route, {"refresh": "true"})
    upstream.answers[route.upstream] = works

    plain = await meta(client, route, {})

    assert (anew["x-cache"], anew["stale"]) == ("STALE", True)
    assert (plain["x-cache"], plain["stale"]) == ("HIT", False)
    assert not any(DOWN in warning for warning in plain["warnings"])


@of_kind("momentary")
@pytest.mark.usefixtures("known", "never_the_same_time")
async def test_down_for_everybody(client: Client, upstream: Upstream, route: Route) -> None:
    """The last answer is also for those who set no terms; and is gone when the exchange is back."""
    await client.get(route.path)
    upstream.down = True
    down = await meta(client, route, {})
    upstream.down = False

    back = await meta(client, route, {})

    assert (down["x-cache"], down["source"], down["stale"]) == ("STALE", "cache", True)
    assert (back["x-cache"], back["warnings"]) == ("MISS", [])


@of_kind("named", "momentary")
@pytest.mark.usefixtures("known", "never_the_same_time")
async def test_the_service_s_key_is_refused(
    client: Client, upstream: Upstream, route: Route
) -> None:
    """A key that holds no longer is no fault of the question: the last known answer comes."""
    before = await client.get(route.path)
    refused = {"error": {"code": "authentication_error", "message": "key expired"}}
    upstream.answers[route.upstream] = httpx.Response(401, json=refused)

    after = await ask(client, route, ANEW[1])

    assert after.status_code == 200
    assert content(after) == content(before)
    assert after.headers["x-cache"] == "STALE"
    assert any("401" in warning for warning in after.json()["meta"]["warnings"])


@of_kind()
async def test_down_and_unknown(client: Client, upstream: Upstream, route: Route) -> None:
    """Nothing is known, nobody can be asked: 503, and when to try again."""
    upstream.down = True

    responses = [await ask(client, route, terms) for terms in ({}, *ANEW, *TOO_OLD)]

    for response in responses:
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) > 0
        assert response.json()["retryable"] is True


# --- nonsense


@of_kind()
async def test_nonsense_in_the_query(client: Client, upstream: Upstream, route: Route) -> None:
    """It is refused with a pointer."""
    wrong = [("max_age", value) for value in ("-1", "soon", "", "1.5", "9" * 30)]

    for name, value in (*wrong, ("refresh", "perhaps")):
        response = await ask(client, route, {name: value})

        assert response.status_code == 422, (name, value)
        assert [error["pointer"] for error in response.json()["errors"]] == [f"/query/{name}"]
    assert upstream.asked == []


@of_kind("named", "walked")
@pytest.mark.usefixtures("known")
async def test_nonsense_in_the_header(client: Client, upstream: Upstream, route: Route) -> None:
    """It is ignored, as what else is said there and nobody knows."""
    await client.get(route.path)
    upstream.asked.clear()

    for header in ("max-age=-1", "max-age=soon", "max-age", "max-age=", "no-store", ",,=", "x=0"):
        told = await meta(client, route, {"Cache-Control": header})

        assert (told["x-cache"], told["stale"]) == ("HIT", False), header
    assert upstream.asked == []


# --- both paths

ALL_TERMS = [
    {},
    *YOUNG_ENOUGH,
    *TOO_OLD,
    *ANEW,
    *({"Cache-Control": f"only-if-cached{more}"} for more in ("", ", max-age=99", ", max-age=0")),
    {"max_age": "-1"},
]


@of_kind("named", "walked")
@pytest.mark.usefixtures("known")
async def test_both_paths(
    client: Client, upstream: Upstream, database_url: str, route: Route
) -> None:
    """With finished answers at hand or without: status, headers and content are the same."""
    async with client_of(a_gateway(database_url, upstream)) as bare:
        await client.get(route.path)
        await bare.get(route.path)
        for terms in ALL_TERMS:
            by_hot = await ask(client, route, terms)
            by_route = await ask(bare, route, terms)

            assert by_hot.status_code == by_route.status_code, terms
            assert content(by_hot) == content(by_route), terms
            assert headers(by_hot) == headers(by_route), terms


@of_kind("momentary")
@pytest.mark.usefixtures("known", "never_the_same_time")
async def test_both_paths_to_what_passes(
    client: Client, upstream: Upstream, database_url: str, route: Route
) -> None:
    """The same holds, except that only finished answers remember what was said a moment ago."""
    remembered = [*YOUNG_ENOUGH, {"Cache-Control": "only-if-cached"}]
    remembered += [{"Cache-Control": "only-if-cached, max-age=99"}]
    async with client_of(a_gateway(database_url, upstream)) as bare:
        before = await client.get(route.path)
        for terms in ALL_TERMS:
            by_hot = await ask(client, route, terms)
            by_route = await ask(bare, route, terms)

            if terms in remembered:
                assert by_hot.headers["x-cache"] == "HIT", terms
                assert content(by_hot) == content(before), terms
            else:
                assert by_hot.status_code == by_route.status_code, terms
                assert content(by_hot) == content(by_route), terms
                assert headers(by_hot) == headers(by_route), terms


# --- keys and cursors


@pytest.mark.usefixtures("known")
async def test_terms_make_no_keys(app: FastAPI, client: Client) -> None:
    """However many ages are asked for, one answer is kept; and no more for other spellings."""
    for number in range(20):
        await client.get(f"/kalshi/series?max_age={1000 + number}")
        await client.get(f"/kalshi/series?max%5Fage={1000 + number}")
        await client.get(f"/kalshi/series?max_age=%2B{1000 + number}")

    kept = layer_of(app)._ready.answers

    assert list(kept) == [("/kalshi/series", b"")]


@pytest.mark.usefixtures("known")
async def test_terms_belong_to_no_cursor(client: Client, database: Database) -> None:
    """A cursor holds for its list, whatever age each page may have."""
    async with database.driver() as conn:
        await conn.execute(
            "INSERT INTO instruments SELECT (r).* FROM (SELECT jsonb_populate_record(i, "
            '\'{"ticker": "KXHIGHNY-26JUN15-T99"}\') AS r FROM instruments i) AS copies'
        )
    first = (await client.get("/kalshi/markets?limit=1&max_age=60")).json()

    rest = await client.get(
        "/kalshi/markets", params={"limit": 1, "cursor": first["next_cursor"], "refresh": "true"}
    )

    assert rest.status_code == 200, rest.text
    assert len(rest.json()["markets"]) == 1


async def test_in_several_lines(client: Client, upstream: Upstream) -> None:
    """A header that comes in several lines is read whole."""
    response = await client.get(
        MARKET, headers=[("Cache-Control", "only-if-cached"), ("Cache-Control", "max-age=5")]
    )

    assert response.status_code == 504
    assert upstream.asked == []


# --- as described


def test_every_route_takes_them(app: FastAPI) -> None:
    """Each route whose answer has `meta` is in the table above, and is described with its terms."""
    described = documents.description(app)
    schemas = described["components"]["schemas"]
    found = set()
    for path, operations in described["paths"].items():
        answer = operations.get("get", {}).get("responses", {}).get("200", {})
        schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
        name = schema.get("$ref", "").rpartition("/")[2]
        if "meta" not in schemas.get(name, {}).get("properties", {}) or "/users/" in path:
            continue
        found.add(path)
        parameters = {(one["in"], one["name"]) for one in operations["get"]["parameters"]}
        assert {("query", "max_age"), ("query", "refresh"), ("header", "Cache-Control")} <= (
            parameters
        )
        for status in ("503", "504"):
            said = operations["get"]["responses"][status]["content"]
            assert list(said) == ["application/problem+json"]

    assert found == {route.template or re.sub(r"\?.*", "", route.path) for route in ROUTES}


def content(response: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    return {name: value for name, value in body.items() if name not in ("meta", "request_id")}


def headers(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in PASSING}
