"""What the exchange says about itself."""

from datetime import timedelta

import httpx

from kalshi_gateway.simulator.exchange import Exchange

from .moments import Moment


async def test_the_status_tells_shards_apart(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """The flags on top are those of shard 0."""
    exchange.reference.pause_trading(2)

    status = (await client.get("/exchange/status")).json()

    assert (status["exchange_active"], status["trading_active"]) == (True, True)
    trading = {
        row["exchange_index"]: row["trading_active"] for row in status["exchange_index_statuses"]
    }
    assert trading == {0: True, 1: True, 2: False, 3: True}


async def test_a_closed_exchange_says_so_with_a_503(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """The body is the usual one, with the time it expects to be back."""
    exchange.reference.pause_exchange(resumes_at_us=exchange.clock.micros())

    closed = await client.get("/exchange/status")
    exchange.reference.resume()
    again = await client.get("/exchange/status")

    assert closed.status_code == 503
    assert closed.json()["exchange_active"] is False
    assert closed.json()["exchange_estimated_resume_time"] == "2026-11-20T15:30:00Z"
    assert (again.status_code, again.json()["exchange_active"]) == (200, True)


async def test_thursdays_pause_is_in_the_schedule(client: httpx.AsyncClient) -> None:
    """Two sessions around a gap."""
    week = (await client.get("/exchange/schedule")).json()["schedule"]["standard_hours"][0]

    assert [(day["open_time"], day["close_time"]) for day in week["thursday"]] == [
        ("00:00", "03:00"),
        ("05:00", "00:00"),
    ]


async def test_tags_and_sports_are_those_of_the_catalogue(client: httpx.AsyncClient) -> None:
    """Categories without tags have null."""
    tags = (await client.get("/search/tags_by_categories")).json()["tags_by_categories"]
    sports = (await client.get("/search/filters_by_sport")).json()

    assert "Hourly" in tags["Crypto"]
    assert tags["Mentions"] is None
    assert sports["sport_ordering"][0] == "All sports"
    assert set(sports["sport_ordering"][1:]) == sports["filters_by_sports"].keys()


async def test_users_data_is_a_little_behind(client: httpx.AsyncClient) -> None:
    """Reads lag writes."""
    answer = await client.get("/exchange/user_data_timestamp")

    assert answer.json() == {"as_of_time": "2026-11-20T15:29:59.7Z"}


async def test_fee_changes_are_told(client: httpx.AsyncClient, exchange: Exchange) -> None:
    """Those to come; past ones when asked for."""
    past, future = (
        {
            "id": str(year),
            "series_ticker": "KXBTC",
            "fee_type": "quadratic",
            "fee_multiplier": 1,
            "scheduled_ts": f"{year}-01-01T00:00:00Z",
        }
        for year in (2026, 2027)
    )
    exchange.reference.series_fee_changes += [past, future]
    override = {"id": "1", "event_ticker": "E", "series_ticker": "KXBTC"}
    exchange.reference.event_fee_changes.append(override)

    coming = (await client.get("/series/fee_changes?series_ticker=KXBTC")).json()
    every = (await client.get("/series/fee_changes?show_historical=true")).json()
    events = (await client.get("/events/fee_changes")).json()

    assert coming == {"series_fee_change_arr": [future]}
    assert every == {"series_fee_change_arr": [past, future]}
    assert events == {"cursor": "", "event_fee_changes": [override]}


async def test_every_answer_is_dated_by_the_exchange(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Refusals too, and a switched clock shows."""
    refused = await client.get("/no/such/path")
    exchange.clock.offset = timedelta(minutes=-2)
    off = await client.get("/exchange/status")

    assert refused.headers["date"] == "Fri, 20 Nov 2026 15:30:00 GMT"
    assert off.headers["date"] == "Fri, 20 Nov 2026 15:28:00 GMT"


async def test_unknown_paths_are_counted_and_refused_by_any_method(
    client: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Also known paths with a wrong method."""
    for method, path in (("GET", "/nope"), ("POST", "/markets"), ("DELETE", "/series")):
        assert (await client.request(method, path)).status_code == 404

    assert exchange.counters.statuses[404] == 3
