"""Calls to the exchange: what is asked, what comes back, and what is done about failures."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from kalshi_gateway.kalshi import calls
from kalshi_gateway.kalshi.breaker import Breakers
from kalshi_gateway.kalshi.budget import Bucket, Budget, Lane
from kalshi_gateway.kalshi.client import Kalshi, http_client
from kalshi_gateway.kalshi.errors import (
    BreakerOpen,
    DeadlineExceeded,
    KalshiError,
    KeyRejected,
    Nonsense,
    NotFound,
    NotSent,
    RateLimited,
    Rejected,
    Unavailable,
)
from kalshi_gateway.kalshi.retries import Retries
from kalshi_gateway.kalshi.signing import ApiKey, ForeignHost, Signer

from . import recordings

BASE = "https://exchange.test/trade-api/v2"
SOON = timedelta(milliseconds=50)
AT_ONCE = Retries(first=timedelta())
MARKET = {"ticker": "T", "event_ticker": "E", "status": "active"}

Handler = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


class Exchange(httpx.AsyncBaseTransport):
    """Answers as told, one answer after the other, the last one for ever."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: list[httpx.Response | Exception | Handler] = []
        self.asked = asyncio.Event()

    def says(self, *answers: httpx.Response | Exception | Handler) -> None:
        self.answers = list(answers)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.asked.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(
                answer.status_code,
                headers=answer.headers,
                stream=httpx.ByteStream(answer.content),
            )
        outcome = answer(request)
        return outcome if isinstance(outcome, httpx.Response) else await outcome


def ok(**body: Any) -> httpx.Response:
    return httpx.Response(200, json=body)


def a_market(**fields: Any) -> httpx.Response:
    return ok(market={**MARKET, **fields})


def never(request: httpx.Request) -> Awaitable[httpx.Response]:
    """An exchange that has taken the call and says nothing."""
    return asyncio.get_running_loop().create_future()


@pytest.fixture
async def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
def signer() -> Signer:
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Signer(ApiKey.from_pem("key-id", pem), BASE)


@pytest.fixture
async def http(exchange: Exchange) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(BASE, transport=exchange) as http:
        yield http


@pytest.fixture
async def kalshi(http: httpx.AsyncClient, signer: Signer) -> Kalshi:
    return Kalshi(BASE, http, signer=signer, retries=AT_ONCE)


def left(kalshi: Kalshi, bucket: Bucket = Bucket.READ) -> float:
    return next(level.left for level in kalshi.budget.snapshot() if level.bucket is bucket)


# What is asked, and what comes back


OPERATIONS: dict[str, tuple[Callable[[Kalshi], Awaitable[Any]], str, dict[str, Any]]] = {
    "exchange_status": (
        lambda k: k.exchange_status(),
        "/exchange/status",
        {"exchange_active": True, "trading_active": False},
    ),
    "exchange_schedule": (
        lambda k: k.exchange_schedule(),
        "/exchange/schedule",
        {"schedule": {"standard_hours": [], "maintenance_windows": []}},
    ),
    "account_limits": (
        lambda k: k.account_limits(),
        "/account/limits",
        {"usage_tier": "basic", "grants": []},
    ),
    "endpoint_costs": (
        lambda k: k.endpoint_costs(),
        "/account/endpoint_costs",
        {"default_cost": 10, "endpoint_costs": []},
    ),
    "historical_cutoff": (
        lambda k: k.historical_cutoff(),
        "/historical/cutoff",
        {"market_settled_ts": "2026-07-28T00:00:00Z"},
    ),
    "series_list": (
        lambda k: k.series_list(min_updated_ts=datetime(2026, 10, 1, tzinfo=UTC)),
        "/series?min_updated_ts=1790812800",
        {"series": []},
    ),
    "series": (lambda k: k.series("KXFED"), "/series/KXFED", {"series": {"ticker": "KXFED"}}),
    "events_page": (
        lambda k: k.events_page(status="open", tickers=["A", "B"], with_nested_markets=True),
        "/events?status=open&tickers=A%2CB&with_nested_markets=true&limit=200",
        {"events": [], "cursor": ""},
    ),
    "event": (
        lambda k: k.event("KXSB-26"),
        "/events/KXSB-26?with_nested_markets=true",
        {"event": {"event_ticker": "KXSB-26"}},
    ),
    "markets_page": (
        lambda k: k.markets_page(min_created_ts=5, cursor="a+b/c=="),
        "/markets?cursor=a%2Bb%2Fc%3D%3D&min_created_ts=5&mve_filter=exclude&limit=1000",
        {"markets": [], "cursor": None},
    ),
    "market": (lambda k: k.market("KXBTC-T1.5"), "/markets/KXBTC-T1.5", {"market": MARKET}),
    "orderbook": (
        lambda k: k.orderbook("T", depth=5),
        "/markets/T/orderbook?depth=5",
        {"orderbook_fp": {"yes_dollars": [], "no_dollars": []}},
    ),
    "trades": (
        lambda k: k.trades("T", limit=1000, min_ts=1),
        "/markets/trades?ticker=T&limit=1000&min_ts=1",
        {"trades": [], "cursor": ""},
    ),
    "candles": (
        lambda k: k.candles("S", "T", start_ts=1, end_ts=2, period_minutes=60),
        "/series/S/markets/T/candlesticks?start_ts=1&end_ts=2&period_interval=60",
        {"ticker": "T", "candlesticks": []},
    ),
    "historical_markets_page": (
        lambda k: k.historical_markets_page(mve_filter=None),
        "/historical/markets?limit=1000",
        {"markets": [], "cursor": ""},
    ),
    "historical_market": (
        lambda k: k.historical_market("T"),
        "/historical/markets/T",
        {"market": MARKET},
    ),
    "historical_candles": (
        lambda k: k.historical_candles("T", start_ts=1, end_ts=2, period_minutes=1440),
        "/historical/markets/T/candlesticks?start_ts=1&end_ts=2&period_interval=1440",
        {"ticker": "T", "candlesticks": []},
    ),
    "historical_trades": (
        lambda k: k.historical_trades("T"),
        "/historical/trades?ticker=T&limit=100",
        {"trades": [], "cursor": ""},
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_each_operation_asks_what_it_says(
    kalshi: Kalshi, exchange: Exchange, name: str
) -> None:
    """Each method calls its operation once, signed, and pays for it."""
    ask, target, body = OPERATIONS[name]
    exchange.says(ok(**body))

    await ask(kalshi)

    [request] = exchange.requests
    assert str(request.url) == BASE + target
    assert request.method == "GET"
    assert request.headers["KALSHI-ACCESS-KEY"] == "key-id"
    assert request.headers["Accept-Language"] == "en"
    assert request.headers["User-Agent"] == "kalshi-gateway"
    assert left(kalshi) < 200


async def test_a_page_carries_each_row_verbatim(kalshi: Kalshi, exchange: Exchange) -> None:
    """Rows are not touched: their own text, odd spacing and odd rows included."""
    body = b'{"cursor":"next","markets":[{"ticker" : "A","x":1.10}, 7 ,{}]}'
    exchange.says(httpx.Response(200, content=body))
    before = datetime.now(UTC)

    page = await kalshi.markets_page()

    assert [bytes(row) for row in page.rows] == [b'{"ticker" : "A","x":1.10}', b"7", b"{}"]
    assert page.cursor == "next"
    assert before <= page.asked_at <= datetime.now(UTC)


@pytest.mark.parametrize("end", ['"cursor":"",', '"cursor":null,', "", '"cursor":7,'])
async def test_the_last_page_has_no_cursor(kalshi: Kalshi, exchange: Exchange, end: str) -> None:
    """However the wire says that this was all, the cursor is None."""
    exchange.says(httpx.Response(200, text="{" + end + '"markets":[]}'))

    assert (await kalshi.markets_page()).cursor is None


@recordings.needed
async def test_recorded_answers_are_taken(kalshi: Kalshi, exchange: Exchange) -> None:
    """Answers as recorded come through the client with their figures."""
    name = "market/prod-2026-10-06-kxnflgame.json"
    exchange.says(httpx.Response(200, content=recordings.body(name)))

    answer = await kalshi.market("KXNFLGAME-26OCT08TBDAL-TB")

    assert bytes(answer.raw) == bytes(recordings.parts(name)["market"])
    assert answer.value.yes_bid_dollars == Decimal(
        json.loads(recordings.body(name))["market"]["yes_bid_dollars"]
    )


async def test_a_book_comes_in_order(kalshi: Kalshi, exchange: Exchange) -> None:
    """Levels are ascending even if the exchange sends them otherwise."""
    levels = [["0.4000", "1.00"], ["0.1000", "2.00"]]
    exchange.says(ok(orderbook_fp={"yes_dollars": levels, "no_dollars": []}))

    book = (await kalshi.orderbook("T")).value

    assert [price for price, _ in book.yes_dollars] == [Decimal("0.1"), Decimal("0.4")]


@pytest.mark.parametrize("ticker", ["", "..", ".", "a/b", "a?b", "a%2fb", "é", "A" * 201, "a b"])
async def test_no_odd_ticker_leads_elsewhere(
    kalshi: Kalshi, exchange: Exchange, ticker: str
) -> None:
    """What cannot be a ticker is not found, without asking."""
    exchange.says(a_market())

    with pytest.raises(NotFound):
        await kalshi.market(ticker)

    assert exchange.requests == []


async def test_an_empty_list_does_not_ask_for_everything(
    kalshi: Kalshi, exchange: Exchange
) -> None:
    """No tickers are not all tickers."""
    exchange.says(ok(markets=[]))

    with pytest.raises(ValueError, match="everything"):
        await kalshi.markets_page(tickers=[])

    assert exchange.requests == []


async def test_a_closed_exchange_says_so_with_a_503(kalshi: Kalshi, exchange: Exchange) -> None:
    """The status of a closed exchange comes as a failure and is its answer all the same."""
    closed = {"exchange_active": False, "trading_active": False}
    exchange.says(httpx.Response(503, json=closed))

    answer = await kalshi.exchange_status()

    assert answer.value.exchange_active is False
    assert len(exchange.requests) == 1


async def test_an_answer_out_of_a_cache_is_older(kalshi: Kalshi, exchange: Exchange) -> None:
    """What lay in a cache on the way is dated back by its age."""
    exchange.says(httpx.Response(200, json={"market": MARKET}, headers={"Age": "15"}))
    before = datetime.now(UTC)

    answer = await kalshi.market("T")

    assert before - timedelta(seconds=15) <= answer.asked_at
    assert answer.asked_at <= datetime.now(UTC) - timedelta(seconds=15)


# Failures, named


HTML = "<!DOCTYPE html><html><body>Sorry</body></html>"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(400, json={"msg": "Limit"}), Rejected),
        (httpx.Response(401, json={"error": {"code": "authentication_error"}}), KeyRejected),
        (httpx.Response(403, json={"error": {"code": "permission_denied"}}), KeyRejected),
        (httpx.Response(403, html=HTML), Unavailable),
        (httpx.Response(404, json={"error": {"code": "not_found"}}), NotFound),
        (httpx.Response(500, text=""), Unavailable),
        (httpx.Response(503, html=HTML), Unavailable),
        (httpx.Response(200, html=HTML), Unavailable),
        (httpx.Response(200, text=""), Nonsense),
        (httpx.Response(204), Nonsense),
        (httpx.Response(200, text="null"), Nonsense),
        (httpx.Response(200, text="[]"), Nonsense),
        (httpx.Response(200, text="ok"), Nonsense),
        (httpx.Response(200, text='{"market":{"ticker":"T","event_ti'), Nonsense),
        (httpx.Response(200, json={"market": None}), Nonsense),
        (httpx.Response(200, json={"market": {"title": "no name"}}), Nonsense),
        (httpx.Response(200, content=b'{"market":"\xff"}'), Nonsense),
        (httpx.Response(200, text='{"market":' + "[" * 50_000), Nonsense),
        (httpx.Response(301, headers={"Location": "https://evil.test/"}), Nonsense),
        (httpx.Response(307, headers={"Location": "https://evil.test/"}), Nonsense),
        (httpx.ConnectError("refused"), NotSent),
        (httpx.ReadTimeout("slow"), Unavailable),
        (httpx.RemoteProtocolError("cut"), Unavailable),
        (httpx.Response(429, json={"error": "too many requests"}), RateLimited),
    ],
)
async def test_failures_have_names(
    kalshi: Kalshi, exchange: Exchange, answer: httpx.Response | Exception, kind: type[KalshiError]
) -> None:
    """Whatever comes instead of an answer is one of our errors, and nothing else."""
    exchange.says(answer)

    with pytest.raises(KalshiError) as failure:
        await kalshi.market("T", deadline=timedelta(seconds=1))

    if kind is RateLimited:  # waits for its turn until there is no time left
        assert isinstance(failure.value, DeadlineExceeded | RateLimited)
    else:
        assert type(failure.value) is kind
    assert all(request.url.host == "exchange.test" for request in exchange.requests)


@pytest.mark.parametrize(
    "body", ["", "{}", '{"cursor":""}', '{"markets":null}', '{"markets":{}}', "[]", '{"markets":7}']
)
async def test_a_page_without_its_list_is_nonsense(
    kalshi: Kalshi, exchange: Exchange, body: str
) -> None:
    """A missing list is not an empty one: the catalogue must not believe that all is gone."""
    exchange.says(httpx.Response(200, text=body))

    with pytest.raises(Nonsense):
        await kalshi.markets_page()


async def test_endless_answers_are_cut_off(
    kalshi: Kalshi, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer larger than any the exchange has is given up, packed small or not."""
    monkeypatch.setattr(calls, "LARGEST_BODY", 10_000)
    packed = gzip.compress(b'{"market":"' + b"x" * 1_000_000 + b'"}')

    def zipped(request: httpx.Request) -> httpx.Response:
        headers = {"Content-Encoding": "gzip"}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(packed))

    exchange.says(zipped)

    with pytest.raises(Nonsense, match="10000 bytes"):
        await kalshi.market("T")


async def test_a_broken_packing_is_unavailable(kalshi: Kalshi, exchange: Exchange) -> None:
    """A body that does not unpack was damaged on its way."""

    def broken(request: httpx.Request) -> httpx.Response:
        headers = {"Content-Encoding": "gzip"}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(b"not gzip"))

    exchange.says(broken, a_market())

    assert (await kalshi.market("T")).value.ticker == "T"
    assert len(exchange.requests) == 2


async def test_strangers_are_not_asked(exchange: Exchange, signer: Signer) -> None:
    """A client for another host than its signer's sends nothing, and blames no exchange."""
    async with http_client("https://evil.test", transport=exchange) as http:
        kalshi = Kalshi("https://evil.test/trade-api/v2", http, signer=signer)

        with pytest.raises(ForeignHost):
            await kalshi.market("T")

    assert exchange.requests == []
    assert kalshi.breakers.failed_in_a_row == 0


# Asking again


@pytest.mark.parametrize(
    "failure",
    [
        httpx.Response(500),
        httpx.Response(503, html=HTML),
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.Response(429, json={"error": "too many requests"}),
        httpx.Response(429, json={"code": "too_many_requests", "message": "x", "details": ""}),
        httpx.Response(429, json={"error": {"code": "too_many_requests"}}),
    ],
)
async def test_reads_that_failed_are_asked_again(
    kalshi: Kalshi, exchange: Exchange, failure: httpx.Response | Exception
) -> None:
    """A passing failure is not seen by whoever asked; each attempt is signed and paid anew."""
    exchange.says(failure, a_market())

    answer = await kalshi.market("T")

    assert answer.value.ticker == "T"
    assert len(exchange.requests) == 2
    signatures = {request.headers["KALSHI-ACCESS-SIGNATURE"] for request in exchange.requests}
    timestamps = {request.headers["KALSHI-ACCESS-TIMESTAMP"] for request in exchange.requests}
    assert len(signatures) == len(timestamps)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410])
async def test_refusals_are_final(kalshi: Kalshi, exchange: Exchange, status: int) -> None:
    """What was understood and refused is not asked again."""
    exchange.says(httpx.Response(status, json={"error": {"code": "no"}}))

    with pytest.raises(Rejected):
        await kalshi.market("T")

    assert len(exchange.requests) == 1


@pytest.mark.parametrize("status", [403, 413, 414, 431])
async def test_the_front_refuses_a_call(kalshi: Kalshi, exchange: Exchange, status: int) -> None:
    """What the network in front refuses is asked once, and stops no other call."""
    exchange.says(httpx.Response(status, html=HTML))

    for _ in range(10):
        with pytest.raises(Unavailable):
            await kalshi.market("T")

    assert len(exchange.requests) == 10
    assert kalshi.breakers.failed_in_a_row == 0


async def test_attempts_are_counted(kalshi: Kalshi, exchange: Exchange) -> None:
    """A read is asked a few times and no more."""
    exchange.says(httpx.Response(500))

    with pytest.raises(Unavailable):
        await kalshi.market("T")

    assert len(exchange.requests) == 4


async def test_retries_are_a_fraction_of_calls(http: httpx.AsyncClient, exchange: Exchange) -> None:
    """While everything fails, retries add a fifth to the calls, beside the few saved up before."""
    kalshi = Kalshi(BASE, http, retries=AT_ONCE, breakers=Breakers(failures=10_000))
    kalshi.budget = Budget(now=iter(range(10**9)).__next__)
    exchange.says(httpx.Response(500))

    for _ in range(100):
        with pytest.raises(Unavailable):
            await kalshi.market("T")

    assert 100 < len(exchange.requests) <= 100 + 10 + 20


async def test_a_wait_that_was_asked_for_is_kept(kalshi: Kalshi, exchange: Exchange) -> None:
    """Asked to come back later than we have time, we say so at once."""
    exchange.says(httpx.Response(503, headers={"Retry-After": "3600"}))

    with pytest.raises(Unavailable) as failure:
        await kalshi.market("T")

    assert failure.value.retry_after_s == 3600
    assert len(exchange.requests) == 1


async def test_429_slows_everybody_down(kalshi: Kalshi, exchange: Exchange) -> None:
    """A 429 empties the bucket the call was paid from."""
    exchange.says(httpx.Response(429), a_market())

    await kalshi.market("T")

    [read] = [level for level in kalshi.budget.snapshot() if level.bucket is Bucket.READ]
    assert read.left < 100


async def test_the_clock_is_set_right_after_a_refusal(kalshi: Kalshi, exchange: Exchange) -> None:
    """A laptop that slept signs with the right time on the second attempt."""
    true_time = datetime.now(UTC) + timedelta(hours=2)
    date = {"Date": format_datetime(true_time, usegmt=True)}
    late = {"error": {"code": "header_timestamp_expired", "message": "header timestamp expired"}}
    exchange.says(httpx.Response(401, json=late, headers=date), a_market())

    await kalshi.market("T")

    first, second = (int(r.headers["KALSHI-ACCESS-TIMESTAMP"]) for r in exchange.requests)
    assert abs(second - first - 7_200_000) < 5_000
    assert kalshi.skew is not None
    assert kalshi.skew > timedelta(hours=1, minutes=59)


async def test_a_clock_refused_twice_is_an_error(kalshi: Kalshi, exchange: Exchange) -> None:
    """If setting the clock right did not help, the refusal is passed on."""
    late = {"error": {"code": "header_timestamp_expired"}}
    exchange.says(httpx.Response(401, json=late))

    with pytest.raises(KeyRejected):
        await kalshi.market("T")

    assert len(exchange.requests) == 2


async def test_a_dead_exchange_is_left_alone(http: httpx.AsyncClient, exchange: Exchange) -> None:
    """After some failures in a row nothing is sent for a while."""
    kalshi = Kalshi(BASE, http, retries=Retries(attempts=1), breakers=Breakers(failures=3))
    exchange.says(httpx.ConnectError("refused"))
    for _ in range(3):
        with pytest.raises(Unavailable):
            await kalshi.market("T")

    with pytest.raises(BreakerOpen):
        await kalshi.market("T")

    assert len(exchange.requests) == 3


# Deadlines


async def test_a_silent_exchange_costs_no_more_than_the_deadline(
    http: httpx.AsyncClient, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When no answer comes in time the caller hears of it, and so does the breaker."""
    monkeypatch.setattr(calls, "PATIENCE_S", SOON.total_seconds() / 2)
    kalshi = Kalshi(BASE, http, breakers=Breakers(failures=1))
    exchange.says(never)

    with pytest.raises(DeadlineExceeded):
        await kalshi.market("T", deadline=SOON)

    assert kalshi.breakers.state == "open"


async def test_hurry_is_not_the_exchanges_fault(
    http: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Someone with very little time does not make the exchange look dead to all others."""
    kalshi = Kalshi(BASE, http, breakers=Breakers(failures=1))
    exchange.says(never)

    with pytest.raises(DeadlineExceeded):
        await kalshi.market("T", deadline=SOON)

    assert kalshi.breakers.state == "closed"


async def test_a_turn_that_does_not_come_ends_with_the_deadline(
    kalshi: Kalshi, exchange: Exchange
) -> None:
    """Who waits for budget longer than the deadline is told, and nothing is sent."""
    exchange.says(a_market())
    for _ in range(20):
        kalshi.budget.refused(Bucket.READ)

    with pytest.raises(DeadlineExceeded):
        await kalshi.market("T", deadline=SOON)

    assert exchange.requests == []
    assert kalshi.breakers.failed_in_a_row == 0


# Sharing


@pytest.fixture
def gate(exchange: Exchange) -> asyncio.Event:
    """The exchange answers only once this is set."""
    gate = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        await gate.wait()
        return a_market()

    exchange.says(answer)
    return gate


async def ask(kalshi: Kalshi, exchange: Exchange, **how: Any) -> "asyncio.Task[Any]":
    task = asyncio.create_task(kalshi.market("T", **how))
    await exchange.asked.wait()
    await asyncio.sleep(0)
    return task


async def test_identical_reads_share_one_call(
    kalshi: Kalshi, exchange: Exchange, gate: asyncio.Event
) -> None:
    """A hundred who want the same market make one call and pay once."""
    tasks = [await ask(kalshi, exchange) for _ in range(100)]

    gate.set()
    answers = await asyncio.gather(*tasks)

    assert len(exchange.requests) == 1
    assert all(answer is answers[0] for answer in answers)
    assert left(kalshi) >= 190


async def test_who_leaves_does_not_take_the_others_along(
    kalshi: Kalshi, exchange: Exchange, gate: asyncio.Event
) -> None:
    """The first caller's cancellation does not end the call others wait for."""
    first, second = [await ask(kalshi, exchange) for _ in range(2)]

    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    gate.set()

    assert (await second).value.ticker == "T"
    assert len(exchange.requests) == 1


async def test_a_read_nobody_waits_for_is_given_up(
    kalshi: Kalshi, exchange: Exchange, gate: asyncio.Event
) -> None:
    """When all have left, the call is ended, and the exchange not blamed."""
    task = await ask(kalshi, exchange)

    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    gate.set()
    again = await kalshi.market("T")

    assert again.value.ticker == "T"
    assert len(exchange.requests) == 2
    assert kalshi.breakers.failed_in_a_row == 0


async def test_a_patient_reader_outlasts_a_hurried_one(kalshi: Kalshi, exchange: Exchange) -> None:
    """Sharing with someone whose time runs out, one asks anew with one's own time."""
    exchange.says(never, a_market())
    hurried = await ask(kalshi, exchange, deadline=SOON)
    patient = await ask(kalshi, exchange, deadline=timedelta(seconds=5))

    assert (await patient).value.ticker == "T"
    with pytest.raises(DeadlineExceeded):
        await hurried


async def test_reads_about_a_write_are_not_shared(
    kalshi: Kalshi, exchange: Exchange, gate: asyncio.Event
) -> None:
    """A look at what one's own order did is never answered by a look from before it."""
    tasks = [await ask(kalshi, exchange, lane=lane) for lane in (Lane.WAITING, Lane.ORDER) * 2]

    gate.set()
    await asyncio.gather(*tasks)

    assert len(exchange.requests) == 3


async def test_different_questions_are_not_shared(kalshi: Kalshi, exchange: Exchange) -> None:
    """Pages with different cursors are different calls."""
    exchange.says(ok(markets=[], cursor=""))

    await asyncio.gather(*(kalshi.markets_page(cursor=cursor) for cursor in "abc"))

    assert len(exchange.requests) == 3


# Watching


async def test_each_attempt_is_observed(http: httpx.AsyncClient, exchange: Exchange) -> None:
    """Metrics hear of each attempt: operation by its template, outcome, seconds."""
    seen: list[tuple[str, str, float]] = []
    kalshi = Kalshi(BASE, http, retries=AT_ONCE, observe=lambda *what: seen.append(what))
    exchange.says(httpx.Response(500), a_market())

    await kalshi.market("KXSB-26-LAR")

    assert [(endpoint, outcome) for endpoint, outcome, _ in seen] == [
        ("/markets/{ticker}", "Unavailable"),
        ("/markets/{ticker}", "ok"),
    ]
    assert all(seconds >= 0 for _, _, seconds in seen)


async def test_a_turn_refused_by_the_breaker_costs_nothing(
    http: httpx.AsyncClient, exchange: Exchange
) -> None:
    """While the exchange is left alone no budget is spent either."""
    kalshi = Kalshi(BASE, http, retries=Retries(attempts=1), breakers=Breakers(failures=1))
    exchange.says(httpx.Response(500))
    with pytest.raises(Unavailable):
        await kalshi.market("T")
    before = left(kalshi)

    with pytest.raises(BreakerOpen):
        await kalshi.market("T")

    assert left(kalshi) >= before


async def test_without_a_key_nothing_is_signed(http: httpx.AsyncClient, exchange: Exchange) -> None:
    """Public data can be read unsigned."""
    exchange.says(a_market())

    await Kalshi(BASE, http).market("T")

    assert "KALSHI-ACCESS-KEY" not in exchange.requests[0].headers
