"""What can be made to go wrong inside one process."""

import asyncio

import httpx
import pytest

from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.faults import Fault

from .asking import Signed, pages, walk
from .members import a_market, a_member, asked, signed
from .moments import Moment

STATUS = "/exchange/status"


async def test_a_fault_lasts_for_its_requests(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Two go wrong, the third is well; each was counted."""
    exchange.faults.status(503, times=2)

    statuses = [(await client.get(STATUS)).status_code for _ in range(3)]

    assert statuses == [503, 503, 200]
    assert exchange.counters.faults["status"] == 2
    assert exchange.counters.statuses == {503: 2, 200: 1}
    assert exchange.counters.requests["GET /exchange/status"] == 3


async def test_a_fault_lasts_for_its_seconds(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """By the exchange's own clock, from the first request on."""
    exchange.faults.status(500, for_seconds=30)

    first = (await client.get(STATUS)).status_code
    moment.move(seconds=29)
    second = (await client.get(STATUS)).status_code
    moment.move(seconds=2)
    third = (await client.get(STATUS)).status_code

    assert (first, second, third) == (500, 500, 200)


async def test_a_fault_strikes_at_its_rate(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """Some of many, the same ones for the same seed."""
    exchange.faults.status(502, rate=0.3)

    statuses = [(await client.get(STATUS)).status_code for _ in range(200)]

    assert 30 < statuses.count(502) < 90


async def test_a_fault_keeps_to_its_operation_or_path(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """The operation is named as the counters name it."""
    exchange.faults.status(504, operation="GET /markets/{ticker}")
    exchange.faults.status(500, path="/trade-api/v2/exchange")

    statuses = [
        (await client.get(path)).status_code
        for path in ("/markets?limit=1", "/markets/NOPE", STATUS, "/series/NOPE")
    ]

    assert statuses == [200, 504, 500, 404]


async def test_a_status_comes_with_any_body(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """Its own, a given one, a proxy's page, or none; faults of one kind come one after another."""
    exchange.faults.status(429, times=1)
    exchange.faults.status(500, body='{"code":"x"}', times=1)
    own, given = await client.get(STATUS), await client.get(STATUS)
    exchange.faults.html(502, times=1)
    html = await client.get(STATUS)
    exchange.faults.empty(200, times=1)
    empty = await client.get(STATUS)

    assert own.json()["error"]["code"] == "too_many_requests"
    assert (given.status_code, given.text) == (500, '{"code":"x"}')
    assert html.status_code == 502
    assert html.headers["content-type"].startswith("text/html")
    assert "<HTML>" in html.text
    assert (empty.status_code, empty.content) == (200, b"")


async def test_a_reset_surfaces_as_a_transport_error(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Before the answer, or in the middle of it."""
    exchange.faults.reset(times=1)
    with pytest.raises(httpx.ReadError):
        await client.get(STATUS)

    exchange.faults.truncated(times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get(STATUS)

    assert (await client.get(STATUS)).status_code == 200


async def test_a_hanging_request_waits_for_its_caller_to_give_up(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Only the caller's own patience ends it."""
    exchange.faults.hang(times=1)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.get(STATUS)

    assert (await client.get(STATUS)).status_code == 200
    assert exchange.counters.faults["hang"] == 1
    assert not exchange.faults.hanging


async def test_a_late_answer_is_the_right_one(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Latency delays and changes nothing."""
    plain = await client.get(STATUS)
    exchange.faults.latency(0.001, times=1)

    assert (await client.get(STATUS)).content == plain.content
    assert exchange.counters.faults["latency"] == 1


async def test_half_a_page_still_leads_on(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """Pages may be shorter than asked for; who goes by the cursor misses nothing."""
    whole = await walk(client, "/markets", "markets", limit=100)
    exchange.faults.half_page(operation="GET /markets")

    short = await pages(client, "/markets", "markets", limit=100)

    assert [row["ticker"] for page in short for row in page] == [row["ticker"] for row in whole]
    assert max(len(page) for page in short) == 50


async def test_a_repeated_cursor_never_ends(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """Who does not notice walks for ever."""
    exchange.faults.repeated_cursor(operation="GET /events")
    first = (await client.get("/events?limit=5")).json()
    second = (await client.get(f"/events?limit=5&cursor={first['cursor']}")).json()
    third = (await client.get(f"/events?limit=5&cursor={second['cursor']}")).json()

    assert first["cursor"] == second["cursor"] == third["cursor"] != ""
    assert second["events"] == third["events"]


async def test_rows_lose_gain_and_change_fields(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """All of them, or a share."""
    fault = exchange.faults.rows(
        missing=["title"], unknown={"mood": "good"}, retyped={"volume_fp": 12}, share=0.5
    )
    rows = (await client.get("/markets?limit=200")).json()["markets"]
    exchange.faults.remove(fault)
    well = (await client.get("/markets?limit=200")).json()["markets"]

    hit = [row for row in rows if "mood" in row]
    assert 50 < len(hit) < 150
    assert all(row["volume_fp"] == 12 and "title" not in row for row in hit)
    assert not any("mood" in row for row in well)


async def test_markets_inside_events_are_rows_too(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """A nested page is spoiled like a flat one."""
    exchange.faults.rows(missing=["status"], operation="GET /events")

    events = (await client.get("/events?with_nested_markets=true&limit=5")).json()["events"]

    markets = [market for event in events for market in event["markets"]]
    assert markets
    assert not any("status" in market for market in markets)


async def test_faults_of_several_kinds_strike_together(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """A late half page with a repeated cursor, or an empty body where rows would be spoiled."""
    exchange.faults.latency(0.001)
    exchange.faults.half_page()
    exchange.faults.repeated_cursor()
    exchange.faults.rows(missing=["title"])

    page = (await client.get("/markets?limit=10")).json()
    exchange.faults.empty()
    nothing = await client.get("/markets?limit=10")

    assert len(page["markets"]) == 5
    assert not any("title" in row for row in page["markets"])
    assert nothing.content == b""


async def test_a_clock_off_dates_wrongly_and_refuses_right_signatures(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """The `Date` header tells a client how far off it is."""
    signed = Signed(*exchange.keys.issue("ed25519"), moment)
    exchange.faults.clock_off(60, times=1)

    off = await client.get("/account/limits", auth=signed)
    right = await client.get("/account/limits", auth=signed)

    assert off.json()["error"]["code"] == "header_timestamp_expired"
    assert off.headers["date"] == "Fri, 20 Nov 2026 15:31:00 GMT"
    assert (right.status_code, right.headers["date"]) == (200, "Fri, 20 Nov 2026 15:30:00 GMT")


async def test_faults_and_counters_are_reached_from_outside(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """By who runs the process, not by a page in a browser."""
    door = "http://exchange/_simulator"
    added = await client.post(f"{door}/faults", json={"kind": "status", "status": 500, "times": 1})
    nonsense = await client.post(f"{door}/faults", json={"kind": "mood"})
    foreign = await client.post(
        f"{door}/faults", json={"kind": "hang"}, headers={"Origin": "http://elsewhere"}
    )

    assert (added.status_code, nonsense.status_code, foreign.status_code) == (200, 400, 403)
    assert [fault.kind for fault in exchange.faults.active] == ["status"]
    assert (await client.get(STATUS)).status_code == 500
    assert (await client.get(f"{door}/counters")).json()["statuses"] == {"500": 1}
    await client.delete(f"{door}/faults")
    assert exchange.faults.active == []


async def test_the_control_door_is_shut_to_other_machines(exchange: Exchange) -> None:
    """Only loopback may make things go wrong."""
    from kalshi_gateway.simulator.app import create_app

    transport = httpx.ASGITransport(app=create_app(exchange), client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://exchange") as stranger:
        response = await stranger.post("/_simulator/faults", json={"kind": "hang"})

    assert response.status_code == 403
    assert exchange.faults.active == []


def test_a_fault_is_spent_after_its_last_request(exchange: Exchange) -> None:
    """It leaves the list by itself."""
    fault = exchange.faults.add(Fault(kind="status", times=1))

    assert exchange.faults.take("GET /x", "/x", 0) == [fault]
    assert exchange.faults.take("GET /x", "/x", 0) == []
    assert exchange.faults.active == []


async def test_accounts_can_change_their_shape(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """Rows of a page, one order, and an answer that is no list."""
    a_market(exchange)
    ada = a_member(exchange)
    auth = signed(ada, moment)
    exchange.desk.trade(ada.member, "KXCALM-26-A", "bid", "0.5000", "2")
    order = exchange.desk.rest(ada.member, "KXCALM-26-A", "bid", "0.1000", "2")
    exchange.faults.rows(missing=["fee_cost"], path="/portfolio/fills")
    exchange.faults.rows(retyped={"position_fp": 2}, path="/portfolio/positions")
    exchange.faults.rows(unknown={"colour": "red"}, path="/portfolio/orders")
    exchange.faults.rows(missing=["balance_dollars"], path="/portfolio/balance")

    fills = await asked(client, "/portfolio/fills", auth)
    positions = await asked(client, "/portfolio/positions", auth)
    one = await asked(client, f"/portfolio/orders/{order.order_id}", auth)
    balance = await asked(client, "/portfolio/balance", auth)

    assert "fee_cost" not in fills["fills"][0]
    assert positions["market_positions"][0]["position_fp"] == 2
    assert one["order"]["colour"] == "red"
    assert balance.keys() == {"balance", "balance_breakdown", "portfolio_value", "updated_ts"}


async def test_pages_of_accounts_can_be_cut_short(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """Their cursor goes on behind what was sent, so that nothing is lost."""
    a_market(exchange)
    ada = a_member(exchange)
    for _ in range(5):
        exchange.desk.trade(ada.member, "KXCALM-26-A", "bid", "0.5000", "1")
    exchange.faults.half_page(path="/portfolio/fills")

    found: list[int] = []
    cursor = ""
    while cursor or not found:
        page = await asked(client, "/portfolio/fills", signed(ada, moment), limit=4, cursor=cursor)
        found.append(len(page["fills"]))
        cursor = page["cursor"]

    assert (sum(found), found[0]) == (5, 2)
