"""Markets that open and close without a word, and markets that are gone from where they were."""

from datetime import UTC, datetime, timedelta

from kalshi_gateway.simulator import times
from kalshi_gateway.simulator.exchange import Exchange

from .desk import Desk


def at(span: timedelta) -> str:
    return times.rfc3339(times.micros(datetime.now(UTC) + span))


def a_ticker(desk: Desk, status: str) -> str:
    return next(ticker for ticker, is_now in desk.listed().items() if is_now == status)


async def due_since_walk(desk: Desk, exchange: Exchange, ticker: str, **moment: str) -> None:
    """Its hour came a second ago, and was last spoken of long before."""
    exchange.catalogue.change(ticker, **moment)
    await desk.walk()
    await desk.tell("UPDATE instruments SET as_of = as_of - interval '1 hour'")
    status = desk.listed()[ticker]
    assert (await desk.statuses())[ticker] == status


async def test_a_market_closes_at_its_hour_and_the_exchange_confirms(
    desk: Desk, exchange: Exchange
) -> None:
    """Silently there, at once here; then it is asked for by name."""
    ticker = a_ticker(desk, "open")
    await due_since_walk(desk, exchange, ticker, close_time=at(-timedelta(seconds=1)))
    exchange.catalogue.change(ticker, status="closed", expiration_value="12")
    desk.wire.asked.clear()

    await desk.writer.turn()
    turned = await desk.market(ticker)
    unasked = len(desk.wire.asked)
    await desk.writer.mend()

    assert (turned["status"], turned["exchange_status"]) == ("closed", "active")
    assert unasked == 0
    assert [query["tickers"] for query in desk.wire.queries()] == [ticker]
    confirmed = await desk.market(ticker)
    assert (confirmed["status"], confirmed["exchange_status"]) == ("closed", "closed")


async def test_a_market_opens_at_its_hour(desk: Desk, exchange: Exchange) -> None:
    """An unopened one, found as open from then on."""
    ticker = a_ticker(desk, "unopened")
    await due_since_walk(desk, exchange, ticker, open_time=at(-timedelta(seconds=1)))

    await desk.writer.turn()

    assert (await desk.market(ticker))["status"] == "open"
    assert (await desk.statuses())[ticker] == "open"


async def test_turning_changes_nothing_but_the_state(desk: Desk, exchange: Exchange) -> None:
    """Every other figure stays as it was written, digit for digit."""
    ticker = a_ticker(desk, "open")
    await due_since_walk(desk, exchange, ticker, close_time=at(-timedelta(seconds=1)))
    (before,) = await desk.ask("SELECT body FROM instruments WHERE ticker = $1", ticker)

    await desk.writer.turn()

    (after,) = await desk.ask("SELECT body FROM instruments WHERE ticker = $1", ticker)
    assert after == before.replace('"status":"open"', '"status":"closed"', 1)


async def test_events_follow_the_clock(desk: Desk, exchange: Exchange) -> None:
    """An event whose only market has closed is closed, before the exchange was asked."""
    exchange.catalogue.add_event("KXONE-1", next(iter(exchange.catalogue.series)))
    exchange.catalogue.add_market("KXONE-1-A", "KXONE-1")
    await due_since_walk(desk, exchange, "KXONE-1-A", close_time=at(-timedelta(seconds=1)))

    await desk.writer.turn()

    assert await desk.ask("SELECT status FROM events WHERE event_ticker = 'KXONE-1'") == ["closed"]


async def test_what_the_exchange_calls_open_after_its_hour_stays_open(
    desk: Desk, exchange: Exchange
) -> None:
    """It was turned, it was asked for, and the answer is believed: no ping-pong."""
    ticker = a_ticker(desk, "open")
    await due_since_walk(desk, exchange, ticker, close_time=at(-timedelta(seconds=1)))
    await desk.writer.turn()
    await desk.writer.mend()
    after_the_answer = await desk.market(ticker)
    before = await desk.versions()

    await desk.writer.turn()

    assert (after_the_answer["status"], after_the_answer["exchange_status"]) == ("open", "active")
    assert await desk.rewritten(before) == set()


async def test_a_market_whose_close_was_moved_stays_open(desk: Desk, exchange: Exchange) -> None:
    """The exchange lets it run on: so it says, when it is asked."""
    ticker = a_ticker(desk, "open")
    await due_since_walk(desk, exchange, ticker, close_time=at(-timedelta(seconds=1)))
    exchange.catalogue.change(ticker, close_time=at(timedelta(days=1)))

    await desk.writer.turn()
    await desk.writer.mend()

    assert (await desk.market(ticker))["status"] == "open"


async def test_the_clock_works_while_the_exchange_is_down(desk: Desk, exchange: Exchange) -> None:
    """What was turned is asked for when the exchange is back, however often that failed."""
    ticker = a_ticker(desk, "open")
    await due_since_walk(desk, exchange, ticker, close_time=at(-timedelta(seconds=1)))
    exchange.catalogue.settle(ticker, "yes")
    exchange.faults.status(503)

    await desk.writer.turn()
    turned = (await desk.market(ticker))["status"]
    failed = [await desk.writer.mend() for _ in range(2)]
    exchange.faults.clear()
    await desk.writer.mend()

    assert (turned, failed) == ("closed", [False, False])
    assert (await desk.market(ticker))["status"] == "settled"


async def test_what_was_turned_is_asked_for_by_the_next_process(
    desk: Desk, exchange: Exchange
) -> None:
    """The last one ended before it could ask: the row itself says that it waits."""
    ticker = a_ticker(desk, "open")
    await due_since_walk(desk, exchange, ticker, close_time=at(-timedelta(seconds=1)))
    exchange.catalogue.settle(ticker, "no")
    await desk.writer.turn()

    await desk.succeed()
    await desk.writer.mend()

    market = await desk.market(ticker)
    assert (market["status"], market["result"]) == ("settled", "no")


async def test_hours_are_counted_by_the_exchanges_clock(desk: Desk, exchange: Exchange) -> None:
    """Ours is fast: what has a minute left over there is not closed here."""
    exchange.clock.offset = -timedelta(minutes=5)
    ticker = a_ticker(desk, "open")
    await due_since_walk(desk, exchange, ticker, close_time=at(-timedelta(minutes=4)))

    await desk.writer.turn()

    assert (await desk.market(ticker))["status"] == "open"


async def test_many_markets_turn_at_once(desk: Desk, exchange: Exchange) -> None:
    """A whole hour's worth, in one transaction, and confirmed in few questions."""
    closing = [ticker for ticker, status in desk.listed().items() if status == "open"]
    for ticker in closing:
        exchange.catalogue.change(ticker, close_time=at(-timedelta(seconds=1)))
    await desk.walk()
    await desk.tell("UPDATE instruments SET as_of = as_of - interval '1 hour'")
    for ticker in closing:
        exchange.catalogue.close(ticker)
    desk.wire.asked.clear()

    await desk.writer.turn()
    await desk.writer.mend()

    said = await desk.ask("SELECT body::json ->> 'exchange_status' FROM instruments")
    assert said.count("active") == 0
    assert said.count("closed") >= len(closing)
    assert len({query["tickers"] for query in desk.wire.queries()}) == 1


async def test_an_answer_about_many_markets_may_come_in_parts(
    desk: Desk, exchange: Exchange
) -> None:
    """What is not on its first page is not taken for unknown."""
    await desk.walk()
    gone = [ticker for ticker, status in desk.listed().items() if status == "open"]
    for ticker in gone:
        exchange.catalogue.settle(ticker, "yes")
    exchange.faults.half_page(operation="GET /markets")

    await desk.walk()

    statuses = await desk.statuses()
    assert {statuses[ticker] for ticker in gone} == {"settled"}
    assert desk.wire.queries("/historical/markets") == []


async def test_a_market_gone_from_its_walk_is_looked_up(desk: Desk, exchange: Exchange) -> None:
    """It settled, and was archived, while nobody watched: it is found, and its event follows."""
    exchange.catalogue.add_event("KXTWO-1", next(iter(exchange.catalogue.series)))
    for ticker in ("KXTWO-1-A", "KXTWO-1-B"):
        exchange.catalogue.add_market(ticker, "KXTWO-1", volume_24h_fp="10.00")
    await desk.walk()
    exchange.catalogue.settle("KXTWO-1-A", "yes")
    exchange.catalogue.settle("KXTWO-1-B", "no")
    archived = exchange.catalogue.markets["KXTWO-1-B"]
    exchange.catalogue._take_down(archived)
    archived.archived = True
    exchange.catalogue._put_up(archived)

    await desk.walk()

    assert (await desk.market("KXTWO-1-A"))["result"] == "yes"
    assert (await desk.market("KXTWO-1-B"))["result"] == "no"
    assert await desk.ask("SELECT status FROM events WHERE event_ticker = 'KXTWO-1'") == ["settled"]


async def test_a_market_that_nobody_knows_any_more_is_kept(desk: Desk, exchange: Exchange) -> None:
    """Nothing is deleted, and it is asked for once in a while only."""
    await desk.walk()
    ticker = a_ticker(desk, "open")
    entry = exchange.catalogue.markets.pop(ticker)
    exchange.catalogue._take_down(entry)
    before = await desk.market(ticker)
    desk.wire.asked.clear()

    for _ in range(3):
        await desk.walk()

    assert await desk.market(ticker) == before
    assert len([q for q in desk.wire.queries() if q.get("tickers") == ticker]) == 1
    assert len(desk.wire.queries("/historical/markets")) == 1


async def test_a_walk_that_stopped_calls_nothing_gone(desk: Desk, exchange: Exchange) -> None:
    """What it did not come to may well be there."""
    await desk.walk()
    exchange.faults.status(500, operation="GET /markets")

    await desk.writer.everything()
    exchange.faults.clear()
    desk.wire.asked.clear()
    await desk.writer.mend()

    assert desk.wire.asked == []


async def test_one_question_that_is_refused_holds_up_no_other(
    desk: Desk, exchange: Exchange
) -> None:
    """Names that the exchange answers with 400 wait; those behind them are asked for."""
    await desk.walk()
    ticker = a_ticker(desk, "open")
    exchange.catalogue.change(ticker, last_price_dollars="0.3300")
    desk.catalogue.wanted_markets.renew([f"AAA-{number:03}" for number in range(200)])
    desk.catalogue.read_again([ticker])
    exchange.faults.status(400, times=1, operation="GET /markets")

    assert await desk.writer.mend()

    assert (await desk.market(ticker))["last_price"] == 0.33
