"""Profit and loss by market, event, category or day, exact to the microdollar.

An unknown part makes a sum unknown; what is known to be missing is said beside the sum. Fees
count on the day they were paid.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from kalshi_gateway.units import Dollars, Moment, moment

from .account import total
from .book import ZERO, Book, Entry, added, dollars, known
from .ledger import Ledger
from .marks import NO_FACTS, MarketFacts, MarkSource, mark
from .settling import Gap

Grouping = Literal["market", "event", "category", "day"]
Facts = Mapping[str, MarketFacts]

#: From good to bad, for a sum that is as good as its worst part.
_SOURCES: Sequence[MarkSource] = ("bid", "last", "none")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Period(NamedTuple):
    """Days from first to last, both included; None is open."""

    first: date | None = None
    last: date | None = None

    def holds(self, day: date) -> bool:
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


@dataclass(frozen=True, slots=True)
class Line:
    """What one market, event, category or day came to."""

    group: Annotated[
        str | None, Field(description="The ticker, category or day; null where it is not known.")
    ]
    display_name: str | None
    fills: int
    realized_gross: Annotated[Dollars, Field(description="Of what was closed, before fees.")]
    fees_paid: Dollars | None
    realized_net: Annotated[
        Dollars | None, Field(description="The same less all fees, those of what is open included.")
    ]
    unrealized_pnl: Annotated[
        Dollars | None,
        Field(description="What is open, at its mark less its cost; null for days and periods."),
    ]
    mark_source: Annotated[
        MarkSource | None, Field(description="Where the worst of the marks comes from.")
    ]
    exchange_realized_pnl: Annotated[
        Dollars | None, Field(description="The exchange's own figure, where it tells one.")
    ]
    difference: Annotated[
        Dollars | None, Field(description="Ours before fees, less the exchange's.")
    ]
    complete: Annotated[bool, Field(description="No fill or settlement is known to be missing.")]
    missing_since: Annotated[
        Moment | None, Field(description="If not complete: since when, as far as is known.")
    ]


@dataclass(frozen=True, slots=True)
class Pnl:
    """All lines, and what they come to together."""

    by: Grouping
    pnl: tuple[Line, ...]
    totals: Annotated[
        Line, Field(description="Of all lines; without a period, what is open now included.")
    ]
    complete: bool
    missing_since: Moment | None


@dataclass(frozen=True, slots=True)
class _Part:
    """What a book, or an entry in one, adds to its line."""

    ticker: str
    at: datetime | None
    fills: int
    realized: Fraction
    fees: Fraction | None
    unrealized: Fraction | None = None
    #: Of what is open; None when nothing is.
    source: MarkSource | None = None


def pnl(
    ledger: Ledger,
    by: Grouping,
    facts: Facts,
    *,
    exchange: Mapping[str, Decimal | None] | None = None,
    period: Period | None = None,
    zone: tzinfo = UTC,
) -> Pnl:
    """The ledger in lines; `exchange` has the exchange's realized P&L of markets, by ticker.

    Days are those of `zone`. What is open now belongs to no day and no period.
    """
    lines = _Lines(by, facts, exchange or {}, zone)
    entries = [_entry_part(entry) for entry in ledger.entries if _within(entry, period, zone)]
    books = [_book_part(book, facts) for book in ledger.books.values()]
    gaps = [*ledger.gaps, *_timeless(ledger)]
    sums = [gap for gap in gaps if not gap.only_when]
    in_time = period is not None or by == "day"
    lacking = gaps if in_time else sums
    return Pnl(
        by=by,
        pnl=lines.all(entries if in_time else books, lacking, whole=not in_time),
        totals=lines.line(None, books, sums, whole=True)
        if period is None
        else lines.line(None, entries, gaps, whole=False),
        complete=not lacking,
        missing_since=_earliest(lacking),
    )


def to_csv(answer: Pnl) -> str:
    """The lines as a spreadsheet reads them, without their sum; unknown cells are empty."""
    return _csv(
        [
            answer.by,
            "display_name",
            "fills",
            "realized_gross",
            "fees_paid",
            "realized_net",
            "unrealized_pnl",
            "mark_source",
            "exchange_realized_pnl",
            "difference",
            "complete",
            "missing_since",
        ],
        (
            [
                line.group,
                line.display_name,
                line.fills,
                line.realized_gross,
                line.fees_paid,
                line.realized_net,
                line.unrealized_pnl,
                line.mark_source,
                line.exchange_realized_pnl,
                line.difference,
                line.complete,
                line.missing_since,
            ]
            for line in answer.pnl
        ),
    )


def closings_csv(
    ledger: Ledger, facts: Facts, *, period: Period | None = None, zone: tzinfo = UTC
) -> str:
    """Everything that was closed, for a tax form: proceeds, cost, fees and gain of each.

    Fees are those of closing and, by weighted average, of opening the same contracts.
    """
    header = "closed_on opened_on market event category display_name side contracts kind"
    return _csv(
        [*header.split(), "proceeds", "cost", "fees", "gain", "subaccount"],
        (
            _closing(entry, facts.get(entry.ticker, NO_FACTS), zone)
            for entry in ledger.entries
            if (entry.closed or entry.kind == "settlement") and _within(entry, period, zone)
        ),
    )


def _closing(entry: Entry, facts: MarketFacts, zone: tzinfo) -> list[object]:
    fees = None
    if entry.closing_fee is not None and entry.opening_fees is not None:
        fees = entry.closing_fee + entry.opening_fees
    return [
        _day(entry.at, zone),
        _day(entry.opened_at, zone),
        entry.ticker,
        facts.event_ticker,
        facts.category,
        facts.display_name,
        entry.side,
        dollars(entry.closed),
        entry.kind,
        dollars(entry.proceeds),
        dollars(entry.cost),
        known(fees),
        None if fees is None else dollars(entry.realized - fees),
        entry.subaccount,
    ]


class _Lines:
    """Puts parts into lines, and says of each what is missing in it.

    Parts are `whole` where they are all that ever was in a market, not what happened at some time.
    """

    def __init__(
        self, by: Grouping, facts: Facts, exchange: Mapping[str, Decimal | None], zone: tzinfo
    ) -> None:
        self._by = by
        self._facts = facts
        self._exchange = exchange
        self._zone = zone

    def all(self, parts: Iterable[_Part], gaps: Sequence[Gap], *, whole: bool) -> tuple[Line, ...]:
        groups: dict[str | None, list[_Part]] = {}
        for part in parts:
            groups.setdefault(self._group(part.ticker, part.at), []).append(part)
        names = sorted(groups, key=lambda name: (name is None, name or ""))
        return tuple(
            self.line(
                name,
                groups[name],
                [gap for gap in gaps if self._concerns(gap, name)],
                whole=whole,
            )
            for name in names
        )

    def line(
        self, name: str | None, parts: Sequence[_Part], gaps: Sequence[Gap], *, whole: bool
    ) -> Line:
        gross = dollars(sum((part.realized for part in parts), ZERO))
        fees = known(added(part.fees for part in parts))
        theirs = self._theirs(parts) if whole else None
        return Line(
            group=name,
            display_name=self._facts.get(name or "", NO_FACTS).display_name,
            fills=sum(part.fills for part in parts),
            realized_gross=gross,
            fees_paid=fees,
            realized_net=None if fees is None else gross - fees,
            unrealized_pnl=known(added(part.unrealized for part in parts)) if whole else None,
            mark_source=_worst(parts),
            exchange_realized_pnl=theirs,
            difference=None if theirs is None else gross - theirs,
            complete=not gaps,
            missing_since=_earliest(gaps),
        )

    def _group(self, ticker: str, at: datetime | None) -> str | None:
        facts = self._facts.get(ticker, NO_FACTS)
        match self._by:
            case "market":
                return ticker
            case "event":
                return facts.event_ticker
            case "category":
                return facts.category
            case "day":
                return _day(at, self._zone)

    def _concerns(self, gap: Gap, name: str | None) -> bool:
        if self._by == "day":
            return name is None or (_day(gap.since, self._zone) or "") <= name
        return gap.ticker is None or self._group(gap.ticker, gap.since) == name

    def _theirs(self, parts: Sequence[_Part]) -> Decimal | None:
        """What the exchange says of these markets together, if it speaks of all of them."""
        return total(self._exchange.get(ticker) for ticker in {part.ticker for part in parts})


def _book_part(book: Book, facts: Facts) -> _Part:
    unrealized: Fraction | None = ZERO
    source: MarkSource | None = None
    if book.side is not None:
        price, source = mark(book.side, facts.get(book.ticker, NO_FACTS))
        worth = None if price is None else abs(book.contracts) * Fraction(price)
        unrealized = None if worth is None else worth - book.cost
    return _Part(
        ticker=book.ticker,
        at=None,
        fills=book.fills,
        realized=book.realized,
        fees=book.fees,
        unrealized=unrealized,
        source=source,
    )


def _entry_part(entry: Entry) -> _Part:
    return _Part(
        ticker=entry.ticker,
        at=entry.at,
        fills=int(entry.kind == "fill"),
        realized=entry.realized,
        fees=entry.fee,
    )


def _within(entry: Entry, period: Period | None, zone: tzinfo) -> bool:
    if period is None:
        return True
    return entry.at is not None and period.holds(entry.at.astimezone(zone).date())


def _timeless(ledger: Ledger) -> list[Gap]:
    """Settlements that nobody knows the day of: in the sums, and in no period."""
    return [
        Gap(None, "a settlement without a time", entry.ticker, only_when=True)
        for entry in ledger.entries
        if entry.at is None
    ]


def _earliest(gaps: Iterable[Gap]) -> datetime | None:
    """Since when something is missing; None also where nobody knows it of one of them."""
    since = [gap.since for gap in gaps]
    return None if None in since else moment(min((at for at in since if at), default=None))


def _day(at: datetime | None, zone: tzinfo) -> str | None:
    return None if at is None else at.astimezone(zone).date().isoformat()


def _worst(parts: Iterable[_Part]) -> MarkSource | None:
    found = (part.source for part in parts if part.source is not None)
    return max(found, key=_SOURCES.index, default=None)


def _csv(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%SZ")
        case str() if value.startswith(_FORMULA):
            # A spreadsheet would run it.
            return "'" + value
        case _:
            return str(value)
