"""Profit and loss in lines, and as a spreadsheet reads them."""

import csv
import io
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from kalshi_gateway.accounts.book import Execution
from kalshi_gateway.accounts.ledger import Ledger, replay
from kalshi_gateway.accounts.marks import MarketFacts
from kalshi_gateway.accounts.pnl import Grouping, Line, Period, closings_csv, pnl, to_csv
from kalshi_gateway.accounts.settling import Gap, Payout

MONDAY = datetime(2026, 7, 20, 23, 30, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(hours=1)
EASTERN = timezone(timedelta(hours=-4))

FACTS = {
    "A": MarketFacts(
        event_ticker="E1", category="Sports", display_name="Ada", yes_bid=Decimal("0.50")
    ),
    "B": MarketFacts(event_ticker="E1", category="Sports", last_price=Decimal("0.20")),
    "C": MarketFacts(event_ticker="E2", category=None),
}


def buy(
    fill_id: str, ticker: str, at: datetime, contracts: str, price: str, fee: str | None = "0.01"
) -> Execution:
    known = None if fee is None else Decimal(fee)
    return Execution(fill_id, ticker, at, Decimal(contracts), Decimal(price), known)


def a_ledger(*gaps: Gap) -> Ledger:
    """A: 10 bought on Monday, 4 sold on Tuesday; B: 5 NO; C: 2 bought, settled as yes."""
    return replay(
        [
            buy("1", "A", MONDAY, "10", "0.40"),
            buy("2", "A", TUESDAY, "-4", "0.45"),
            buy("3", "B", TUESDAY, "-5", "0.30"),
            buy("4", "C", MONDAY, "2", "0.60"),
        ],
        [Payout("C", TUESDAY, yes_value=Decimal(1))],
        gaps,
    )


def line(ledger: Ledger, by: Grouping, group: str | None) -> Line:
    [found] = [found for found in pnl(ledger, by, FACTS).pnl if found.group == group]
    return found


def figures(line: Line) -> tuple[Decimal | None, ...]:
    return (line.realized_gross, line.fees_paid, line.realized_net, line.unrealized_pnl)


def test_by_market() -> None:
    """Realized before and after fees, and what is open at its mark."""
    ledger = a_ledger()

    assert figures(line(ledger, "market", "A")) == tuple(
        map(Decimal, ("0.2", "0.02", "0.18", "0.6"))
    )
    assert figures(line(ledger, "market", "B")) == tuple(
        map(Decimal, ("0", "0.01", "-0.01", "0.5"))
    )
    assert figures(line(ledger, "market", "C")) == tuple(map(Decimal, ("0.8", "0.01", "0.79", "0")))
    assert [line(ledger, "market", t).mark_source for t in "ABC"] == ["bid", "last", None]
    assert line(ledger, "market", "A").display_name == "Ada"


def test_by_event_and_category() -> None:
    """Markets together; the worst mark is told, and what has no category is a line of its own."""
    ledger = a_ledger()

    event, category, none = (
        line(ledger, "event", "E1"),
        line(ledger, "category", "Sports"),
        line(ledger, "category", None),
    )

    assert figures(event) == figures(category)
    assert figures(event) == tuple(map(Decimal, ("0.2", "0.03", "0.17", "1.1")))
    assert (event.fills, event.mark_source) == (3, "last")
    assert none.realized_gross == Decimal("0.8")


def test_by_day() -> None:
    """Closing counts on its day, fees on the day they were paid; what is open is of no day."""
    ledger = a_ledger()

    monday, tuesday = line(ledger, "day", "2026-07-20"), line(ledger, "day", "2026-07-21")

    assert figures(monday) == (Decimal(0), Decimal("0.02"), Decimal("-0.02"), None)
    assert figures(tuesday) == (Decimal(1), Decimal("0.02"), Decimal("0.98"), None)
    assert pnl(ledger, "day", FACTS).totals.unrealized_pnl == Decimal("1.1")


def test_days_are_those_of_the_zone() -> None:
    """Half past midnight in London is still Monday in New York."""
    answer = pnl(a_ledger(), "day", FACTS, zone=EASTERN)

    assert [line.group for line in answer.pnl] == ["2026-07-20"]
    assert answer.pnl[0].realized_gross == 1


def test_a_period_holds_only_its_days() -> None:
    """First and last day included; what is open now and the exchange's figures are of no period."""
    tuesday = Period(first=date(2026, 7, 21), last=date(2026, 7, 21))

    answer = pnl(a_ledger(), "market", FACTS, exchange={"A": Decimal(1)}, period=tuesday)

    assert [line.group for line in answer.pnl] == ["A", "B", "C"]
    assert answer.totals.realized_gross == 1
    assert answer.totals.fees_paid == Decimal("0.02")
    assert answer.pnl[0].exchange_realized_pnl is None
    assert answer.totals.unrealized_pnl is None
    assert pnl(a_ledger(), "day", FACTS, period=Period(last=date(2026, 7, 19))).pnl == ()


@pytest.mark.parametrize("by", ["market", "day"])
@pytest.mark.parametrize("first", [date(2026, 7, 21), date(2030, 1, 1)])
def test_a_period_says_nothing_of_what_is_open(by: Grouping, first: date) -> None:
    """What is unrealized and what the exchange says are of no period, also an empty one."""
    totals = pnl(a_ledger(), by, FACTS, exchange={}, period=Period(first=first)).totals

    assert (totals.unrealized_pnl, totals.exchange_realized_pnl, totals.difference) == (None,) * 3
    assert totals.realized_gross is not None


def test_nothing_traded_is_worth_nothing() -> None:
    """Of nobody's trades all is known, and it is nothing."""
    totals = pnl(replay([]), "market", FACTS).totals

    assert totals.unrealized_pnl == totals.difference == 0


def test_the_exchange_beside_us() -> None:
    """Its own figure and the difference, where it has told one for each market."""
    told = {"A": Decimal("0.25"), "B": Decimal(0)}

    markets = pnl(a_ledger(), "market", FACTS, exchange=told)
    events = pnl(a_ledger(), "event", FACTS, exchange=told)

    assert [(x.exchange_realized_pnl, x.difference) for x in markets.pnl] == [
        (Decimal("0.25"), Decimal("-0.05")),
        (0, 0),
        (None, None),
    ]
    assert events.pnl[0].difference == Decimal("-0.05")
    assert events.totals.exchange_realized_pnl is None


def test_an_unknown_fee_or_mark_makes_the_sum_unknown() -> None:
    """Never silently less: the sum is null, its known neighbours are not."""
    ledger = replay(
        [buy("1", "A", MONDAY, "1", "0.40"), buy("2", "X", MONDAY, "1", "0.40", fee=None)]
    )

    answer = pnl(ledger, "market", FACTS)

    assert [line.fees_paid for line in answer.pnl] == [Decimal("0.01"), None]
    assert [line.unrealized_pnl for line in answer.pnl] == [Decimal("0.1"), None]
    assert answer.totals.fees_paid is None
    assert answer.totals.realized_net is None
    assert (answer.totals.unrealized_pnl, answer.totals.mark_source) == (None, "none")


def test_a_whole_history_is_complete() -> None:
    """Nothing missing, nothing since when."""
    answer = pnl(a_ledger(), "market", FACTS)

    assert answer.complete
    assert answer.missing_since is None


def test_what_is_missing_in_one_market() -> None:
    """Its line and its event say so, and the total; others are whole."""
    gap = Gap(TUESDAY, "fills do not add up", "B")

    markets, events = (pnl(a_ledger(gap), by, FACTS) for by in ("market", "event"))

    assert [line.complete for line in markets.pnl] == [True, False, True]
    assert [line.complete for line in events.pnl] == [False, True]
    assert markets.missing_since == TUESDAY
    assert not markets.complete


def test_what_is_missing_everywhere() -> None:
    """The earliest time of all counts; one that nobody knows makes it unknown."""
    early, late = Gap(MONDAY, "the archive was not read"), Gap(TUESDAY, "fill lost", "A")

    known = pnl(a_ledger(late, early), "market", FACTS)
    unknown = pnl(a_ledger(early, Gap(None, "no idea")), "market", FACTS)

    assert not any(line.complete for line in known.pnl)
    assert known.missing_since == MONDAY
    assert (unknown.complete, unknown.missing_since) == (False, None)


@pytest.mark.parametrize(("by", "complete"), [("market", True), ("day", False)])
def test_sums_may_be_right_where_days_are_not(by: Grouping, complete: bool) -> None:
    """What a settlement made good is missing from days, not from markets."""
    gap = Gap(TUESDAY, "fills are missing before a settlement", "C", only_when=True)

    answer = pnl(a_ledger(gap), by, FACTS)

    assert [line.complete for line in answer.pnl][-1] is complete
    assert answer.pnl[0].complete
    assert answer.totals.complete
    assert answer.complete is complete


def test_a_settlement_without_a_time_is_in_no_period() -> None:
    """It is in the sums; in days it stands apart, and a period says that it may be missing."""
    ledger = replay([buy("4", "C", MONDAY, "2", "0.60")], [Payout("C", None, yes_value=Decimal(1))])

    days = pnl(ledger, "day", FACTS)
    period = pnl(ledger, "market", FACTS, period=Period(first=date(2026, 7, 1)))

    assert [line.group for line in days.pnl] == ["2026-07-20", None]
    assert days.totals.realized_gross == Decimal("0.8")
    assert period.totals.realized_gross == 0
    assert not period.complete


# Spreadsheets


def test_lines_as_a_spreadsheet() -> None:
    """One row for each line under its names; unknown is empty, figures are plain."""
    text = to_csv(pnl(a_ledger(), "market", FACTS))

    rows = list(csv.DictReader(io.StringIO(text)))

    assert [row["market"] for row in rows] == ["A", "B", "C"]
    assert rows[0]["realized_net"] == "0.18"
    assert rows[0]["unrealized_pnl"] == "0.6"
    assert rows[0]["complete"] == "true"
    assert rows[2]["exchange_realized_pnl"] == ""


def test_closings_for_a_tax_form() -> None:
    """Each closing with its days, proceeds, cost, its share of fees and its gain."""
    text = closings_csv(a_ledger(), FACTS)

    first, second = csv.DictReader(io.StringIO(text))

    assert (first["market"], first["side"], first["contracts"]) == ("A", "yes", "4")
    assert (first["opened_on"], first["closed_on"]) == ("2026-07-20", "2026-07-21")
    assert (first["proceeds"], first["cost"]) == ("1.8", "1.6")
    assert (first["fees"], first["gain"]) == ("0.014", "0.186")
    assert (second["kind"], second["proceeds"], second["gain"]) == ("settlement", "2", "0.79")


def test_a_spreadsheet_runs_nothing() -> None:
    """A name that would be a formula is text; figures below zero stay figures."""
    facts = {"A": MarketFacts(display_name="=HYPERLINK(1)")}
    ledger = replay([buy("1", "A", MONDAY, "1", "0.40"), buy("2", "A", MONDAY, "-1", "0.30")])

    [row] = csv.DictReader(io.StringIO(to_csv(pnl(ledger, "market", facts))))

    assert row["display_name"] == "'=HYPERLINK(1)"
    assert row["realized_gross"] == "-0.1"
