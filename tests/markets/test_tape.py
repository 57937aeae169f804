"""Order book, trades and candles: from the live tier and the archive, in one shape."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from kalshi_gateway import cursors
from kalshi_gateway.db import Database

from .builders import a_market, a_row, a_series, an_event, store
from .shapes import differences
from .upstream import Answer, Upstream

Client = httpx.AsyncClient

TICKER = "KXHIGHNY-26JUN15-T85"
BOOK = f"/markets/{TICKER}/orderbook"
LIVE, ARCHIVE = "/markets/trades", "/historical/trades"
CANDLES = f"/series/KXHIGHNY/markets/{TICKER}/candlesticks"
OLD_CANDLES = f"/historical/markets/{TICKER}/candlesticks"
NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def market(database: Database) -> None:
    """All tests ask about this one, which the catalogue has."""
    await store(database, a_series(), an_event(), a_market(TICKER))


async def answer(client: Client, kind: str, **asked: Any) -> Any:
    """What is answered, each number as the text it was written in."""
    response = await client.get(f"/kalshi/markets/{TICKER}/{kind}", params=asked)
    assert response.status_code == 200, response.text
    return json.loads(response.text, parse_float=str, parse_int=str)


def a_book(yes: list[list[str]], no: list[list[str]]) -> Answer:
    return {"orderbook_fp": {"yes_dollars": yes, "no_dollars": no}}


# --- the order book


async def test_book(client: Client, app: FastAPI, upstream: Upstream) -> None:
    """Both sides in YES prices, best first: a bid for NO at 0.19 offers YES at 0.81."""
    upstream.answers[BOOK] = a_book(
        [["0.7800", "45938.68"], ["0.7900", "33328.87"], ["0.8000", "16529.55"]],
        [["0.1700", "2897298.68"], ["0.1801", "2630402.87"], ["0.1900", "0.01"]],
    )

    book = await answer(client, "orderbook")

    assert book["ticker"] == TICKER
    assert book["bids"] == [["0.8000", "16529.55"], ["0.7900", "33328.87"], ["0.7800", "45938.68"]]
    assert book["asks"] == [["0.8100", "0.01"], ["0.8199", "2630402.87"], ["0.8300", "2897298.68"]]
    assert book["meta"]["source"] == "kalshi"
    response = await client.get(f"/kalshi/markets/{TICKER}/orderbook")
    assert differences(app, "/kalshi/markets/{ticker}/orderbook", response.json()) == []


async def test_book_in_disorder(client: Client, upstream: Upstream) -> None:
    """The best comes first, in whatever order the exchange has sent the levels."""
    upstream.answers[BOOK] = a_book(
        [["0.8000", "1.00"], ["0.1000", "2.00"], ["0.7900", "3.00"]],
        [["0.1900", "1.00"], ["0.0100", "2.00"], ["0.1800", "3.00"]],
    )

    book = await answer(client, "orderbook")

    assert [price for price, _ in book["bids"]] == ["0.8000", "0.7900", "0.1000"]
    assert [price for price, _ in book["asks"]] == ["0.8100", "0.8200", "0.9900"]


async def test_book_with_a_level_that_is_none(client: Client, upstream: Upstream) -> None:
    """A level that is no number makes the whole book unusable, and that is what is said."""
    upstream.answers[BOOK] = a_book([["NaN", "1.00"], ["0.1000", "2.00"]], [])

    response = await client.get(f"/kalshi/markets/{TICKER}/orderbook")

    assert (response.status_code, response.json()["code"]) == (502, "upstream_nonsense")


async def test_one_sided_book(client: Client, upstream: Upstream) -> None:
    """A side on which nobody waits is empty."""
    upstream.answers[BOOK] = a_book([], [["0.1900", "1.00"]])

    book = await answer(client, "orderbook")

    assert (book["bids"], len(book["asks"])) == ([], 1)


@pytest.mark.parametrize(
    ("asked", "passed_on"), [({}, None), ({"depth": 0}, None), ({"depth": 7}, "7")]
)
async def test_depth(
    client: Client, upstream: Upstream, asked: dict[str, int], passed_on: str | None
) -> None:
    """The exchange is asked for as many levels as the client wants; 0 are all."""
    upstream.answers[BOOK] = a_book([], [])

    await answer(client, "orderbook", **asked)

    assert upstream.queries[-1].get("depth") == passed_on


@pytest.mark.parametrize("depth", ["-1", "101", "all"])
async def test_refused_depth(client: Client, upstream: Upstream, depth: str) -> None:
    """A depth that no book has is refused with a pointer."""
    response = await client.get(f"/kalshi/markets/{TICKER}/orderbook", params={"depth": depth})

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/query/depth"
    assert upstream.asked == []


async def test_book_of_an_archived_market(client: Client, upstream: Upstream) -> None:
    """Nobody waits in the book of a market that settled long ago."""
    upstream.answers[f"/historical/markets/{TICKER}"] = {"market": a_row(TICKER)}

    book = await answer(client, "orderbook")

    assert (book["bids"], book["asks"]) == ([], [])


async def test_book_with_a_hole(client: Client, upstream: Upstream) -> None:
    """A book of which one level cannot be read is no book: it would have a hole."""
    upstream.answers[BOOK] = a_book([["0.8000", "1.00"], ["0.79"]], [])

    response = await client.get(f"/kalshi/markets/{TICKER}/orderbook")

    assert response.status_code == 502


@pytest.mark.parametrize("kind", ["orderbook", "trades", "candles"])
async def test_of_an_unknown_market(client: Client, upstream: Upstream, kind: str) -> None:
    """What nobody knows has no book, no trades and no candles, rather than empty ones."""
    response = await client.get(f"/kalshi/markets/KXNONE-1-X/{kind}")

    assert response.status_code == 404
    assert response.json()["code"] == "market_not_found"
    assert set(upstream.asked) == {"/markets/KXNONE-1-X", "/historical/markets/KXNONE-1-X"}


@pytest.mark.parametrize("kind", ["orderbook", "trades", "candles"])
async def test_exchange_down(client: Client, upstream: Upstream, kind: str) -> None:
    """While the exchange is down there is no answer, and not an empty one."""
    upstream.down = True

    response = await client.get(f"/kalshi/markets/{TICKER}/{kind}")

    assert response.status_code == 503
    assert "Retry-After" in response.headers


# --- trades


class Tape:
    """Both tiers of the exchange's trades: what is older than the cutoff moves to the archive."""

    def __init__(self, upstream: Upstream, trades: list[dict[str, Any]], cutoff: datetime) -> None:
        self.trades = sorted(trades, key=lambda trade: str(trade["created_time"]), reverse=True)
        self.cutoff = cutoff
        #: For how long before the cutoff the live tier still answers, too.
        self.overlap = timedelta()
        upstream.answers[LIVE] = self._live
        upstream.answers[ARCHIVE] = self._archived
        upstream.answers["/historical/cutoff"] = lambda _: {
            "market_settled_ts": at(self.cutoff),
            "trades_created_ts": at(self.cutoff),
        }

    def _live(self, query: Mapping[str, str]) -> Answer:
        oldest = at(self.cutoff - self.overlap)
        return self._page([t for t in self.trades if t["created_time"] >= oldest], query)

    def _archived(self, query: Mapping[str, str]) -> Answer:
        return self._page([t for t in self.trades if t["created_time"] < at(self.cutoff)], query)

    def _page(self, trades: list[dict[str, Any]], query: Mapping[str, str]) -> Answer:
        """As the exchange does: a cursor names the last trade that was seen."""
        after = query.get("cursor")
        if after is not None:
            time, trade_id = after.split("|")
            trades = [t for t in trades if (t["created_time"], t["trade_id"]) < (time, trade_id)]
        if "min_ts" in query:
            least = at(datetime.fromtimestamp(int(query["min_ts"]), UTC))
            trades = [trade for trade in trades if trade["created_time"] >= least]
        if "max_ts" in query:
            most = at(datetime.fromtimestamp(int(query["max_ts"]), UTC))
            trades = [trade for trade in trades if trade["created_time"] <= most]
        limit = int(query["limit"])
        last = trades[limit - 1] if len(trades) > limit else None
        cursor = "" if last is None else f"{last['created_time']}|{last['trade_id']}"
        return {"trades": trades[:limit], "cursor": cursor}


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def a_trade(number: int, **fields: Any) -> dict[str, Any]:
    """The higher its number, the longer ago: one every minute before noon."""
    return {
        "trade_id": f"trade-{1000 - number:04}",
        "ticker": TICKER,
        "count_fp": "3.50",
        "yes_price_dollars": "0.4210",
        "no_price_dollars": "0.5790",
        "taker_outcome_side": "yes",
        "taker_book_side": "bid",
        "created_time": at(NOON - timedelta(minutes=number, microseconds=number)),
        "is_block_trade": False,
        **fields,
    }


async def pages(client: Client, **asked: Any) -> list[list[str]]:
    """The ids of all trades, page by page."""
    found: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None and len(found) < 100:
        page = await answer(client, "trades", **asked, **({"cursor": cursor} if cursor else {}))
        found.append([trade["trade_id"] for trade in page["trades"]])
        cursor = page["next_cursor"]
    return found


def ids(numbers: range) -> list[str]:
    return [a_trade(number)["trade_id"] for number in numbers]


async def test_one_trade(client: Client, app: FastAPI, upstream: Upstream) -> None:
    """A trade is told in YES terms, by the side of the book that its taker was on."""
    Tape(upstream, [a_trade(0)], cutoff=NOON - timedelta(days=60))

    page = await answer(client, "trades")

    assert page["trades"] == [
        {
            "trade_id": "trade-1000",
            "ticker": TICKER,
            "price": "0.4210",
            "count": "3.50",
            "taker_side": "bid",
            "is_block_trade": False,
            "created_time": "2026-06-15T12:00:00Z",
            "ts_ms": "1781524800000",
        }
    ]
    response = await client.get(f"/kalshi/markets/{TICKER}/trades")
    assert differences(app, "/kalshi/markets/{ticker}/trades", response.json()) == []


@pytest.mark.parametrize(
    ("fields", "side"),
    [
        ({}, "bid"),
        ({"taker_book_side": "ask"}, "ask"),
        ({"taker_book_side": ..., "taker_outcome_side": "no"}, "ask"),
        ({"taker_book_side": ..., "taker_outcome_side": ..., "taker_side": "yes"}, "bid"),
        ({"taker_book_side": ..., "taker_outcome_side": ...}, None),
    ],
)
async def test_taker(
    client: Client, upstream: Upstream, fields: dict[str, Any], side: str | None
) -> None:
    """Older trades name the taker's outcome instead: YES is the bid, NO the ask."""
    trade = {k: v for k, v in a_trade(0, **fields).items() if v is not ...}
    Tape(upstream, [trade], cutoff=NOON - timedelta(days=60))

    page = await answer(client, "trades")

    assert page["trades"][0]["taker_side"] == side


async def test_trade_of_an_odd_year(client: Client, upstream: Upstream) -> None:
    """A trade of an odd year was made nobody knows when, in milliseconds as well."""
    upstream.answers[LIVE] = {"trades": [a_trade(0, created_time="0001-01-01T00:00:00Z")]}
    upstream.answers["/historical/cutoff"] = {}

    (trade,) = (await answer(client, "trades"))["trades"]

    assert (trade["created_time"], trade["ts_ms"]) == (None, None)


@pytest.mark.parametrize("limit", [1, 4, 7, 10, 1000])
@pytest.mark.parametrize("overlap", [timedelta(), timedelta(minutes=3)], ids=["edge", "overlap"])
async def test_across_the_cutoff(
    client: Client, upstream: Upstream, limit: int, overlap: timedelta
) -> None:
    """A walk goes from the live tier on into the archive, without a repeat or a hole.

    Whether near the cutoff one tier answers or both: that is a boundary with a width.
    """
    tape = Tape(upstream, [a_trade(n) for n in range(20)], cutoff=NOON - timedelta(minutes=10))
    tape.overlap = overlap

    found = await pages(client, limit=limit)

    assert [trade for page in found for trade in page] == ids(range(20))
    assert all(found)  # no page of a walk is empty while there are trades to come


async def test_cutoff_that_moves(client: Client, upstream: Upstream) -> None:
    """The exchange moves its cutoff once a day, and a walk under way loses nothing by it."""
    tape = Tape(upstream, [a_trade(n) for n in range(20)], cutoff=NOON - timedelta(minutes=15))
    first = await answer(client, "trades", limit=5)

    tape.cutoff = NOON - timedelta(minutes=3)
    found = [trade["trade_id"] for trade in first["trades"]]
    cursor = first["next_cursor"]
    while cursor is not None:
        page = await answer(client, "trades", limit=5, cursor=cursor)
        found += [trade["trade_id"] for trade in page["trades"]]
        cursor = page["next_cursor"]

    assert found == ids(range(20))


async def test_cutoff_known_from_before(client: Client, upstream: Upstream) -> None:
    """What we know of the cutoff may be an hour old, and no trade is lost for that."""
    tape = Tape(upstream, [a_trade(n) for n in range(20)], cutoff=NOON - timedelta(minutes=15))
    await answer(client, "trades")

    tape.cutoff = NOON - timedelta(minutes=3)
    found = await pages(client, limit=6)

    assert [trade for page in found for trade in page] == ids(range(20))


async def test_archived_trades(client: Client, upstream: Upstream) -> None:
    """The first page of a market that settled long ago has its trades, and is not empty."""
    Tape(upstream, [a_trade(n) for n in range(5)], cutoff=NOON + timedelta(days=1))

    page = await answer(client, "trades")

    assert [trade["trade_id"] for trade in page["trades"]] == ids(range(5))
    assert page["next_cursor"] is None


async def test_no_trades(client: Client, upstream: Upstream) -> None:
    """A market in which nobody has traded has an empty tape, and that is its end."""
    Tape(upstream, [], cutoff=NOON - timedelta(days=1))

    page = await answer(client, "trades")

    assert (page["trades"], page["next_cursor"], page["meta"]["complete"]) == ([], None, True)


async def test_archive_that_knows_nothing(client: Client, upstream: Upstream) -> None:
    """An archive that does not know the market has no trades of it."""
    Tape(upstream, [a_trade(n) for n in range(3)], cutoff=NOON - timedelta(days=1))
    del upstream.answers[ARCHIVE]

    found = await pages(client)

    assert [trade for page in found for trade in page] == ids(range(3))


@pytest.mark.parametrize("limit", [2, 100])
async def test_between_two_moments(client: Client, upstream: Upstream, limit: int) -> None:
    """From start to end, both included, across the cutoff."""
    Tape(upstream, [a_trade(n) for n in range(20)], cutoff=NOON - timedelta(minutes=10))
    start, end = NOON - timedelta(minutes=14), NOON - timedelta(minutes=7)

    found = await pages(client, limit=limit, start=start.isoformat(), end=int(end.timestamp()))

    assert [trade for page in found for trade in page] == ids(range(7, 14))


@pytest.mark.parametrize("cutoff", [NOON - timedelta(minutes=5), NOON + timedelta(minutes=5)])
async def test_between_parts_of_a_second(
    client: Client, upstream: Upstream, cutoff: datetime
) -> None:
    """The exchange counts in whole seconds; parts of one are neither cut off nor filled up."""
    tenths = range(30)  # the last three seconds before noon
    moments = [NOON - timedelta(seconds=number / 10) for number in tenths]
    Tape(upstream, [a_trade(n, created_time=at(m)) for n, m in enumerate(moments)], cutoff)
    start, end = moments[17], moments[4]

    found = await pages(client, limit=5, start=start.isoformat(), end=end.isoformat())

    assert [trade for page in found for trade in page] == ids(range(4, 18))


async def test_recent_trades_only(client: Client, upstream: Upstream) -> None:
    """Nobody looks into the archive for what is younger than the cutoff, moved as it may have."""
    Tape(upstream, [a_trade(n) for n in range(5)], cutoff=NOON - timedelta(days=9))

    found = await pages(client, start=(NOON - timedelta(days=1)).isoformat())

    assert len(found) == 1
    assert ARCHIVE not in upstream.asked


async def test_market_of_today(client: Client, upstream: Upstream) -> None:
    """Nobody looks into the archive for trades from before a market was opened."""
    Tape(upstream, [a_trade(n) for n in range(5)], cutoff=datetime(2026, 5, 1, tzinfo=UTC))

    found = await pages(client)

    assert len(found) == 1
    assert ARCHIVE not in upstream.asked


@pytest.mark.parametrize(
    "place",
    [
        '{"tier":"live","cursor":7}',
        '{"tier":"tomorrow"}',
        '{"tier":"archive","seen_from":"2026-06-15T12:00:00"}',
        '{"tier":"archive","seen_from":5}',
        "[]",
    ],
)
async def test_forged_cursor(client: Client, upstream: Upstream, place: str) -> None:
    """A forged place on the tape is refused before the exchange hears of it."""
    cursor = cursors.pack(msgspec.Raw(place.encode()), (TICKER, None, None))

    response = await client.get(f"/kalshi/markets/{TICKER}/trades", params={"cursor": cursor})

    assert response.status_code == 422
    assert response.json()["code"] == "cursor_invalid"
    assert upstream.asked == []


async def test_trades_set_aside(client: Client, upstream: Upstream) -> None:
    """A trade that cannot be read is left out, and the answer says so."""
    upstream.answers[LIVE] = {"trades": [a_trade(0), {"trade_id": 7}, "nonsense"], "cursor": ""}
    upstream.answers["/historical/cutoff"] = {}

    page = await answer(client, "trades")

    assert len(page["trades"]) == 1
    assert page["meta"]["complete"] is False
    assert page["meta"]["warnings"] == ["2 trades could not be read and are left out"]


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"limit": "0"}, "/query/limit"),
        ({"limit": "1001"}, "/query/limit"),
        ({"start": "yesterday"}, "/query/start"),
        ({"end": "1e400"}, "/query/end"),
        ({"cursor": "nonsense"}, "/query/cursor"),
        ({"start": "2026-06-02T00:00:00Z", "end": "2026-06-01T00:00:00Z"}, "/query/start"),
    ],
)
async def test_refused_trades(
    client: Client, upstream: Upstream, asked: dict[str, str], pointer: str
) -> None:
    """What cannot be meant is refused, with a pointer to it."""
    response = await client.get(f"/kalshi/markets/{TICKER}/trades", params=asked)

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == pointer
    assert upstream.asked == []


async def test_cursor_of_another_market(
    client: Client, database: Database, upstream: Upstream
) -> None:
    """A cursor holds for the market and the time it came from."""
    await store(database, a_market("KXHIGHNY-26JUN15-T90"))
    Tape(upstream, [a_trade(n) for n in range(5)], cutoff=NOON - timedelta(days=1))
    cursor = (await answer(client, "trades", limit=1))["next_cursor"]

    elsewhere = await client.get(
        "/kalshi/markets/KXHIGHNY-26JUN15-T90/trades", params={"cursor": cursor}
    )
    otherwise = await client.get(
        f"/kalshi/markets/{TICKER}/trades", params={"cursor": cursor, "start": "1781524800"}
    )

    assert elsewhere.json()["code"] == otherwise.json()["code"] == "cursor_mismatch"


# --- candles


def a_candle(ends_at: int = 1784386800, **fields: Any) -> dict[str, Any]:
    """As the live tier has it: nothing was traded, and nobody bid."""
    return {
        "end_period_ts": ends_at,
        "open_interest_fp": "212.29",
        "volume_fp": "0.00",
        "price": {"previous_dollars": "0.2100"},
        "yes_ask": {
            "open_dollars": "1.0000",
            "high_dollars": "1.0000",
            "low_dollars": "0.2001",
            "close_dollars": "0.2100",
        },
        "yes_bid": {
            "open_dollars": "0.0100",
            "high_dollars": "0.2500",
            "low_dollars": "0.0000",
            "close_dollars": "0.0000",
        },
        **fields,
    }


def an_old_candle(ends_at: int = 1784386800) -> dict[str, Any]:
    """The same candle as the archive has it."""
    return {
        "end_period_ts": ends_at,
        "open_interest": "212.29",
        "volume": "0.00",
        "price": {
            "open": None,
            "high": None,
            "low": None,
            "close": None,
            "mean": None,
            "previous": "0.2100",
        },
        "yes_ask": {"open": "1.0000", "high": "1.0000", "low": "0.2001", "close": "0.2100"},
        "yes_bid": {"open": "0.0100", "high": "0.2500", "low": "0.0000", "close": "0.0000"},
    }


THE_CANDLE = {
    "end_time": "2026-07-18T15:00:00Z",
    "price": {"open": None, "high": None, "low": None, "close": None},
    "mean_price": None,
    "previous_price": "0.2100",
    "yes_bid": {"open": "0.0100", "high": "0.2500", "low": None, "close": None},
    "yes_ask": {"open": None, "high": None, "low": "0.2001", "close": "0.2100"},
    "volume": "0.00",
    "open_interest": "212.29",
}


@pytest.mark.parametrize("tier", ["live", "archive"])
async def test_candle(client: Client, app: FastAPI, upstream: Upstream, tier: str) -> None:
    """A candle reads the same from either tier: null for no trade and for no quote."""
    if tier == "live":
        upstream.answers[CANDLES] = {"ticker": TICKER, "candlesticks": [a_candle()]}
    else:
        upstream.answers[OLD_CANDLES] = {"ticker": TICKER, "candlesticks": [an_old_candle()]}

    page = await answer(client, "candles")

    assert page["candles"] == [THE_CANDLE]
    assert (page["ticker"], page["period"]) == (TICKER, "1h")
    response = await client.get(f"/kalshi/markets/{TICKER}/candles")
    assert differences(app, "/kalshi/markets/{ticker}/candles", response.json()) == []


async def test_candles_in_order(client: Client, upstream: Upstream) -> None:
    """Candles come oldest first, in whatever order they were sent."""
    rows = [a_candle(1784390400), a_candle(1784386800)]
    upstream.answers[CANDLES] = {"ticker": TICKER, "candlesticks": rows}

    page = await answer(client, "candles")

    ends = [candle["end_time"] for candle in page["candles"]]
    assert ends == ["2026-07-18T15:00:00Z", "2026-07-18T16:00:00Z"]


@pytest.mark.parametrize(("period", "minutes"), [("1m", "1"), ("1h", "60"), ("1d", "1440")])
async def test_periods(client: Client, upstream: Upstream, period: str, minutes: str) -> None:
    """The three periods that the exchange has, between the moments that were asked for."""
    upstream.answers[CANDLES] = {"ticker": TICKER, "candlesticks": []}

    await answer(
        client, "candles", period=period, start="2026-06-15T11:00:00Z", end="2026-06-15T12:00:00Z"
    )

    assert upstream.queries[-1] == {
        "start_ts": "1781521200",
        "end_ts": "1781524800",
        "period_interval": minutes,
    }


async def test_candles_between_parts_of_a_second(client: Client, upstream: Upstream) -> None:
    """Candles end at whole seconds: those before the start, or after the end, are not asked for."""
    upstream.answers[CANDLES] = {"ticker": TICKER, "candlesticks": []}

    await answer(
        client, "candles", start="2026-06-15T11:00:00.001Z", end="2026-06-15T12:00:59.999Z"
    )

    assert upstream.queries[-1]["start_ts"] == "1781521201"
    assert upstream.queries[-1]["end_ts"] == "1781524859"


async def test_candles_set_aside(client: Client, upstream: Upstream) -> None:
    """A candle that cannot be read, or ends beyond all time, is left out, and that is said."""
    rows: list[Any] = [a_candle(), a_candle(10**15), a_candle(-1), {"volume_fp": "1.00"}]
    upstream.answers[CANDLES] = {"ticker": TICKER, "candlesticks": rows}

    page = await answer(client, "candles")

    assert len(page["candles"]) == 1
    assert page["meta"]["complete"] is False
    assert page["meta"]["warnings"] == ["3 candles could not be read and are left out"]


async def test_candles_without_a_series(
    client: Client, database: Database, upstream: Upstream
) -> None:
    """Where nobody names the series, the archive is asked, which needs none."""
    await store(database, a_market("KXLONE-1-X"))
    upstream.answers["/historical/markets/KXLONE-1-X/candlesticks"] = {
        "candlesticks": [an_old_candle()]
    }

    response = await client.get("/kalshi/markets/KXLONE-1-X/candles")

    assert len(response.json()["candles"]) == 1


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"period": "5m"}, "/query/period"),
        ({"period": "60"}, "/query/period"),
        ({"start": "soon"}, "/query/start"),
        ({"end": "soon"}, "/query/end"),
        ({"start": "2026-06-02T00:00:00Z", "end": "2026-06-01T00:00:00Z"}, "/query/start"),
        ({"start": "2026-06-01T00:00:00Z", "end": "2026-06-01T00:00:00Z"}, "/query/start"),
        (
            {"period": "1m", "start": "2026-06-01T00:00:00Z", "end": "2026-06-08T00:00:00Z"},
            "/query/start",
        ),
        ({"end": "0001-01-01T00:00:00Z"}, "/query/end"),
        ({"start": "9999-01-01T00:00:00Z"}, "/query/start"),
    ],
)
async def test_refused_candles(
    client: Client, upstream: Upstream, asked: dict[str, str], pointer: str
) -> None:
    """What cannot be meant, or would be too much at once, is refused with a pointer to it."""
    response = await client.get(f"/kalshi/markets/{TICKER}/candles", params=asked)

    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["pointer"] == pointer
    assert upstream.asked == []
