"""Walks that the exchange cuts short, and pages it spoils."""

import math
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from kalshi_gateway.markets import mending, sync
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.faults import Faults

from .desk import Desk, Row, SmallPages

MARKETS = "GET /markets"

#: What goes wrong on the third page of open markets, and what is written down of it.
BAD_DAYS: dict[str, tuple[Callable[[Faults], Any], str]] = {
    "500": (lambda faults: faults.status(500, operation=MARKETS), "500 from the exchange"),
    "503": (lambda faults: faults.status(503, operation=MARKETS), "503 from the exchange"),
    "reset": (lambda faults: faults.reset(operation=MARKETS), "cannot be reached"),
    "truncated": (lambda faults: faults.truncated(operation=MARKETS), "cannot be reached"),
    "html": (lambda faults: faults.html(200, operation=MARKETS), "a page instead of data"),
    "html 503": (lambda faults: faults.html(503, operation=MARKETS), "503 from the exchange"),
    "empty": (lambda faults: faults.empty(operation=MARKETS), "not what its operation gives"),
    "hang": (lambda faults: faults.hang(operation=MARKETS), "no answer in time"),
    "429": (lambda faults: faults.status(429, operation=MARKETS), "429 too many requests"),
    "400": (
        lambda faults: faults.status(400, body='{"msg":"a\\u0000b"}', operation=MARKETS),
        "400",
    ),
    "401": (lambda faults: faults.status(401, operation=MARKETS), "401"),
    "not json": (lambda faults: faults.status(200, body="[", operation=MARKETS), "not what"),
    "no rows": (lambda faults: faults.status(200, body="{}", operation=MARKETS), "without markets"),
    "null rows": (
        lambda faults: faults.status(200, body='{"markets":null,"cursor":"x"}', operation=MARKETS),
        "not what",
    ),
}


def open_pages(exchange: Exchange) -> int:
    """How many pages of open markets there are: more than two, or nothing is shown here."""
    pages = math.ceil(len(exchange.catalogue.created["open", 0]) / SmallPages.markets_at_once)
    assert pages > 3
    return pages


def from_page(desk: Desk, number: int, happen: Callable[[], Any]) -> None:
    """Let something happen when that page of open markets is asked for."""

    def meddle(request: httpx.Request) -> None:
        pages = [query for query in desk.wire.queries() if query.get("status") == "open"]
        if len(pages) == number and request.url == desk.wire.asked[-1]:
            desk.wire.meddle = leave_the_cursor
            happen()

    desk.wire.meddle = meddle


@pytest.mark.parametrize("bad_day", BAD_DAYS)
async def test_a_walk_that_stops_goes_on_where_it_stopped(
    desk: Desk, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, bad_day: str
) -> None:
    """Its reason is written down, it is complete for nobody, and no page is asked for twice."""
    if bad_day == "hang":
        monkeypatch.setattr(sync, "PATIENCE", timedelta(seconds=1))
        monkeypatch.setattr(mending, "PATIENCE", timedelta(seconds=1))
    happen, reason = BAD_DAYS[bad_day]
    from_page(desk, 3, lambda: happen(exchange.faults))

    stopped = {walk.scope: walk for walk in await desk.writer.everything()}["markets:open"]

    noted = (await desk.walks())["markets:open"]
    assert not stopped.complete
    assert reason in noted["failure"]
    assert noted["complete_as_of"] is None
    assert noted["cursor"] is not None
    assert (noted["pages"], noted["rows"]) == (2, 80)

    exchange.faults.clear()
    desk.wire.asked.clear()
    await desk.walk()

    assert (
        len([q for q in desk.wire.queries() if q.get("status") == "open"])
        == open_pages(exchange) - 2
    )
    noted = (await desk.walks())["markets:open"]
    assert noted["pages"] == open_pages(exchange)
    assert (noted["cursor"], noted["failure"]) == (None, None)
    assert noted["complete_as_of"] == stopped.began_at
    assert await desk.statuses() == desk.listed()


@pytest.mark.parametrize("shape", ["object", "string", "flat"])
async def test_a_storm_of_429_is_waited_out(desk: Desk, exchange: Exchange, shape: Any) -> None:
    """In whichever of its three shapes; a few refusals in a row stop nothing."""
    exchange.limits.refusal = shape
    from_page(desk, 2, lambda: exchange.faults.status(429, times=3))

    await desk.walk()

    assert exchange.counters.statuses[429] == 3
    assert await desk.statuses() == desk.listed()


async def test_a_walk_that_was_complete_keeps_its_age_while_the_next_one_fails(
    desk: Desk, exchange: Exchange
) -> None:
    """What is known is as old as the last walk that reached its end, not as the last try."""
    await desk.walk()
    complete_as_of = (await desk.walks())["markets:open"]["complete_as_of"]
    from_page(
        desk, open_pages(exchange) + 4, lambda: exchange.faults.status(500, operation=MARKETS)
    )

    await desk.writer.everything()

    noted = (await desk.walks())["markets:open"]
    assert noted["complete_as_of"] == complete_as_of
    assert noted["failure"] is not None


async def test_a_walk_stopped_long_ago_begins_anew(desk: Desk, exchange: Exchange) -> None:
    """The exchange may have forgotten its cursor by then."""
    from_page(desk, 3, lambda: exchange.faults.status(500, operation=MARKETS))
    await desk.writer.everything()
    exchange.faults.clear()
    await desk.tell("UPDATE catalogue_walks SET began_at = began_at - interval '31 min'")
    desk.wire.asked.clear()

    await desk.walk()

    assert len([q for q in desk.wire.queries() if q.get("status") == "open"]) == open_pages(
        exchange
    )


def lose_the_cursor(request: httpx.Request) -> None:
    """Send one that the exchange cannot read, which it answers with the first page."""
    if "cursor" in request.url.params and request.url.path.endswith("/markets"):
        request.url = request.url.copy_set_param("cursor", "garbage")


def leave_the_cursor(request: httpx.Request) -> None:
    """Send what was to be sent."""


@pytest.mark.parametrize("meddle", [lose_the_cursor, leave_the_cursor], ids=["garbage", "repeated"])
async def test_a_walk_led_in_circles_ends_and_begins_anew(
    desk: Desk, exchange: Exchange, meddle: Callable[[httpx.Request], None]
) -> None:
    """It is not complete, its cursor is not trusted, and the next one is right."""
    desk.wire.meddle = meddle
    if meddle is leave_the_cursor:
        exchange.faults.repeated_cursor(operation=MARKETS)

    stopped = {walk.scope: walk for walk in await desk.writer.everything()}["markets:open"]

    noted = (await desk.walks())["markets:open"]
    assert not stopped.complete
    assert stopped.pages < open_pages(exchange)
    assert (noted["complete_as_of"], noted["cursor"]) == (None, None)
    assert noted["failure"].startswith("the exchange")

    exchange.faults.clear()
    desk.wire.meddle = leave_the_cursor
    await desk.walk()

    assert await desk.statuses() == desk.listed()
    assert (await desk.walks())["markets:open"]["pages"] == open_pages(exchange)


async def test_a_cursor_that_is_forgotten_between_two_tries_is_no_harm(
    desk: Desk, exchange: Exchange
) -> None:
    """The walk that resumes with it is shown everything from the first page on."""
    from_page(desk, 3, lambda: exchange.faults.status(500, operation=MARKETS))
    await desk.writer.everything()
    exchange.faults.clear()
    await desk.tell("UPDATE catalogue_walks SET cursor = 'Zm9yZ290dGVu' WHERE cursor IS NOT NULL")

    await desk.walk()

    assert await desk.statuses() == desk.listed()


@pytest.mark.parametrize("cursor", ["a\x00b", "\n", "\x1b[2J"])
async def test_a_cursor_that_is_none_stops_only_the_walk(desk: Desk, cursor: str) -> None:
    """Not the writer: such a thing cannot even be written down."""
    body = httpx.Response(200, json={"markets": [], "cursor": cursor}).text
    fault = desk.exchange.faults.status(200, body=body, operation=MARKETS)

    stopped = [walk for walk in await desk.writer.everything() if not walk.complete]

    assert {walk.scope.partition(":")[0] for walk in stopped} == {"markets"}
    desk.exchange.faults.remove(fault)
    await desk.walk()
    assert await desk.statuses() == desk.listed()


async def test_pages_cut_short_only_make_more_of_them(desk: Desk, exchange: Exchange) -> None:
    """Half a page and a cursor that goes on behind it: nothing is missing."""
    exchange.faults.half_page(operation=MARKETS)

    await desk.walk()

    assert await desk.statuses() == desk.listed()


async def test_an_empty_page_deletes_nothing(desk: Desk, exchange: Exchange) -> None:
    """A walk that is shown nothing at all asks for each market before it believes anything."""
    await desk.walk()
    before = await desk.statuses()
    nothing = exchange.faults.status(
        200, body='{"markets":[],"cursor":""}', times=1, operation=MARKETS
    )

    await desk.writer.everything()

    assert nothing.hits == 1
    assert await desk.statuses() == before


async def test_an_exchange_whose_clock_is_off_is_walked(desk: Desk, exchange: Exchange) -> None:
    """And what it says is dated by our clock."""
    exchange.clock.offset = timedelta(minutes=7)

    await desk.walk()

    assert await desk.statuses() == desk.listed()
    assert await desk.ask("SELECT count(*) FROM instruments WHERE as_of > now()") == [0]


SPOILED: dict[str, Row] = {
    "fields missing": {"missing": ["title", "yes_bid_dollars", "close_time", "status"]},
    "fields unknown": {"unknown": {"mood": "bright", "nested": {"deep": [1, None]}}},
    "figures as numbers": {"retyped": {"last_price_dollars": 0.5, "volume_fp": 12}},
    "figures that are none": {"retyped": {"last_price_dollars": "lots", "volume_fp": []}},
    "figures beyond all measure": {"retyped": {"last_price_dollars": "-99999999999.0000"}},
    "times as numbers": {"retyped": {"open_time": 1780000000, "created_time": {}}},
    "texts as objects": {"retyped": {"title": {"en": "x"}, "rules_primary": 4}},
}


@pytest.mark.parametrize("spoiled", SPOILED)
async def test_rows_of_another_shape_are_stored_all_the_same(
    desk: Desk, exchange: Exchange, spoiled: str
) -> None:
    """What can be read of them is; the difference is counted, the page is not broken."""
    exchange.faults.rows(**SPOILED[spoiled], operation=MARKETS)

    walked = await desk.writer.everything()

    assert all(walk.complete for walk in walked)
    assert (await desk.statuses()).keys() == desk.listed().keys()
    assert {row["set_aside"] for row in (await desk.walks()).values()} == {0}


UNUSABLE: dict[str, Row] = {
    "no ticker": {"missing": ["ticker"]},
    "no event": {"missing": ["event_ticker"]},
    "ticker of another type": {"retyped": {"ticker": {"a": 1}}},
    "a state that cannot be kept": {"retyped": {"status": "act\x00ive"}},
    "an event that cannot be kept": {"retyped": {"event_ticker": "KX\x00-1"}},
}


@pytest.mark.parametrize("unusable", UNUSABLE)
async def test_one_bad_row_is_set_aside_and_the_rest_is_stored(
    desk: Desk, exchange: Exchange, unusable: str
) -> None:
    """It is counted, in its walk and as drift, and stored as soon as it is mended."""
    exchange.faults.rows(**UNUSABLE[unusable], share=0.1, operation=MARKETS)

    walked = await desk.writer.everything()

    aside = Counter({scope: row["set_aside"] for scope, row in (await desk.walks()).items()})
    stored = await desk.statuses()
    assert all(walk.complete for walk in walked)
    assert 0 < len(desk.listed()) - len(stored) <= aside.total()
    assert len(stored) > len(desk.listed()) / 2
    assert "set_aside" in [difference.kind for difference in desk.kalshi.drift.snapshot()]

    exchange.faults.clear()
    await desk.walk()

    assert await desk.statuses() == desk.listed()
    assert (await desk.walks())["markets:open"]["set_aside"] == 0


@pytest.mark.parametrize(
    ("scope", "field"),
    [
        ("events:open", "series_ticker"),
        ("events:open", "event_ticker"),
        ("series", "category"),
        ("series", "ticker"),
    ],
)
async def test_a_name_that_cannot_be_kept_is_set_aside(
    desk: Desk, exchange: Exchange, scope: str, field: str
) -> None:
    """Of some events or series; the others name their markets, and later all do."""
    operation = "GET /series" if scope == "series" else "GET /events"
    exchange.faults.rows(retyped={field: "Spo\x00rts"}, share=0.1, operation=operation, times=1)

    walked = await desk.writer.everything()

    assert all(walk.complete for walk in walked)
    assert (await desk.walks())[scope]["set_aside"] > 0
    exchange.faults.clear()
    await desk.walk()
    assert (await desk.walks())[scope]["set_aside"] == 0
    assert await desk.ask("SELECT count(*) FROM instruments WHERE category IS NULL") == [0]


async def test_pages_of_nothing_but_bad_rows_are_walked_to_their_end(
    desk: Desk, exchange: Exchange
) -> None:
    """All are set aside, nothing is stored, and the walk says so."""
    exchange.faults.rows(retyped={"status": "act\x00ive"}, operation=MARKETS)

    walked = await desk.writer.everything()

    aside = sum(row["set_aside"] for row in (await desk.walks()).values())
    assert all(walk.complete for walk in walked)
    assert aside == len(desk.listed())
    assert await desk.statuses() == {}


async def test_volumes_too_large_to_add_up_stop_nothing(desk: Desk, exchange: Exchange) -> None:
    """Each can be kept, but not their sum: the event has the largest sum that can be."""
    exchange.faults.rows(retyped={"volume_24h_fp": "99999999999999.00"}, operation=MARKETS)

    await desk.walk()

    assert await desk.statuses() == desk.listed()
