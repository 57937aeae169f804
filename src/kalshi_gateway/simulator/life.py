"""The generated exchange's own life: trading, listings, openings, closings, settlements."""

import heapq
import uuid
from random import Random
from typing import TYPE_CHECKING

from . import quotes, times
from .catalogue import NO_QUOTE
from .entries import MarketEntry
from .generator import Generator
from .prices import DOLLAR, contracts, dollars, hundredths, ten_thousandths
from .tape import Trade, stepped
from .traders import Traders

if TYPE_CHECKING:
    from .exchange import Exchange

# How many steps lie between two happenings of a kind.
LISTING_EVERY = 10
METADATA_EVERY = 7
PAUSE_EVERY = 23
SERIES_EVERY = 50
MOST_TRADED = 200


class Life:
    """What goes on at an exchange, the same for the same seed and the same times."""

    def __init__(self, exchange: "Exchange", source: Generator, traders: Traders) -> None:
        self.exchange = exchange
        self.traders = traders
        self.catalogue = exchange.catalogue
        self.source = source
        self.rng = Random(f"{exchange.seed} life")
        self.steps = 0
        self._due: list[tuple[int, str]] | None = None
        self._paused: list[str] = []

    def step(self) -> None:
        """Let a moment pass: whatever was due happens, some markets trade, now and then more."""
        self.steps += 1
        self.catch_up()
        self._trade()
        if self.steps % LISTING_EVERY == 0:
            self._list()
        if self.steps % METADATA_EVERY == 0:
            self._edit()
        if self.steps % PAUSE_EVERY == 0:
            self._pause()
        if self.steps % SERIES_EVERY == 0:
            self._edit_families()

    # What time brings

    def catch_up(self) -> None:
        """Open, close, determine and pay out what is due; orders go when they expire."""
        self.exchange.ledger.expire()
        if self._due is None:
            self._due = [(self._next(entry), entry.ticker) for entry in self._living()]
            heapq.heapify(self._due)
        now = self.exchange.clock.micros()
        while self._due and self._due[0][0] <= now:
            _, ticker = heapq.heappop(self._due)
            entry = self.catalogue.markets[ticker]
            # The desk may have settled it meanwhile.
            if entry.filed != "settled" and self._next(entry) <= now:
                self._advance(entry)
            if entry.filed != "settled":
                heapq.heappush(self._due, (self._next(entry), ticker))

    def _living(self) -> list[MarketEntry]:
        files = ("unopened", "open", "paused", "closed")
        return [
            entry
            for file in files
            for combo in (0, 1)
            for entry in self.catalogue.created[file, combo].things
        ]

    def _next(self, entry: MarketEntry) -> int:
        """When a market's next change is due."""
        if entry.filed == "unopened":
            return entry.opens_us
        if entry.filed in ("open", "paused"):
            return entry.closes_us
        chance = Random(f"{self.exchange.seed} {entry.ticker} delay")
        delay = int(min(chance.lognormvariate(5.9, 1.4), 68_400) * times.SECOND)
        if entry.field("status") == "closed":
            return max(entry.closes_us, self.source.now_us) + delay
        timer: int = entry.field("settlement_timer_seconds")
        return entry.updated_us + timer * times.SECOND

    def _advance(self, entry: MarketEntry) -> None:
        status = entry.field("status")
        if status == "initialized":
            # Nobody announces an opening; the row simply says so from now on.
            self.catalogue.change(entry.ticker, status="active", **self._first_quote(entry))
        elif status in ("active", "inactive"):
            self.catalogue.change(entry.ticker, status="closed", **NO_QUOTE)
        elif status == "closed":
            self.catalogue.determine(entry.ticker, self._result(entry))
        else:
            self.catalogue.finalize(entry.ticker)

    def _first_quote(self, entry: MarketEntry) -> dict[str, str]:
        bid, ask = quotes.two_sided(self.rng, self.rng.randrange(300, 9_700), entry.grid)
        return quote_fields(self.rng, bid, ask)

    def _result(self, entry: MarketEntry) -> str:
        """One winner where markets exclude each other, else what the last price makes likely."""
        event = self.catalogue.events.get(entry.event_ticker)
        level = Random(f"{self.exchange.seed} {entry.event_ticker} result")
        if event is None or event.event is None or not event.event.mutually_exclusive:
            return "yes" if level.randrange(DOLLAR) < _last(entry) else "no"
        known = {market.ticker: market.field("result") for market in event.markets}
        if "yes" in known.values():
            return "no"
        left = sorted(ticker for ticker, result in known.items() if not result)
        return "yes" if len(left) == 1 or level.choice(left) == entry.ticker else "no"

    # What people do

    def _trade(self) -> None:
        open_markets = self.catalogue.created["open", 0].things
        number = min(MOST_TRADED, max(len(open_markets) // 50, 1), len(open_markets))
        for entry in self.rng.sample(open_markets, number):
            self._trade_in(entry)
        self.traders.step(self.steps, open_markets)

    def _trade_in(self, entry: MarketEntry) -> None:
        rng, grid = self.rng, entry.grid
        price = stepped(rng, _last(entry) or rng.randrange(300, 9_700, 100), grid)
        count = rng.choice((100, 200, 500, 1_000, 2_500, rng.randrange(1, 9_000)))
        bid, ask = quotes.two_sided(rng, price, grid)
        trade = Trade(
            at_us=self.exchange.clock.micros(),
            ticker=entry.ticker,
            trade_id=str(uuid.UUID(int=rng.getrandbits(128))),
            price=price,
            count=count,
            taker_bids=rng.random() < 0.5,
        )
        self.exchange.tape.print(entry, trade)
        self.traders.share(entry, trade)
        grown = {
            name: contracts(hundredths(entry.field(name)) + added)
            for name, added in (
                ("volume_fp", count),
                ("volume_24h_fp", count),
                ("open_interest_fp", rng.randint(0, count)),
            )
        }
        self.catalogue.change(
            entry.ticker,
            last_price_dollars=dollars(price),
            **grown,
            **quote_fields(rng, bid, ask),
        )
        self.exchange.matching.meet(entry)

    # What the exchange does

    def _list(self) -> None:
        """A new event with its markets: some open at once, some later."""
        now = self.exchange.clock.micros()
        self.source.now_us = now
        event, fresh = self.source.event(self.source.pick(), "unopened", created_us=now)
        at_once = self.rng.random() < 0.5
        self.catalogue.file_event(event)
        for entry in fresh:
            self.catalogue.file_market(entry)
            if at_once:
                self.catalogue.open(entry.ticker)
                self.catalogue.change(entry.ticker, **self._first_quote(entry))
            if self._due is not None:
                heapq.heappush(self._due, (self._next(entry), entry.ticker))

    def _edit(self) -> None:
        """Some wording, or the time of closing, changes."""
        open_markets = self.catalogue.created["open", 0].things
        if not open_markets:
            return
        entry = self.rng.choice(open_markets)
        if self.rng.random() < 0.3:
            later = times.rfc3339(entry.closes_us + times.HOUR)
            self.catalogue.change(entry.ticker, close_time=later)
        else:
            rules = f"{entry.field('rules_primary')} (clarified)"
            self.catalogue.change(entry.ticker, rules_primary=rules)

    def _pause(self) -> None:
        """One market is stopped; what was stopped before goes on."""
        for ticker in self._paused:
            if self.catalogue.markets[ticker].filed == "paused":
                self.catalogue.open(ticker)
        open_markets = self.catalogue.created["open", 0].things
        self._paused = [self.rng.choice(open_markets).ticker] if open_markets else []
        for ticker in self._paused:
            self.catalogue.pause(ticker)

    def _edit_families(self) -> None:
        series = self.rng.choice(list(self.catalogue.series.values()))
        self.catalogue.change_series(series.ticker)
        event = self.rng.choice(self.catalogue.listed_events[0].things)
        self.catalogue.change_event(event.ticker)


def quote_fields(rng: Random, bid: int, ask: int) -> dict[str, str]:
    """The fields of a quote."""
    return {
        "yes_bid_dollars": dollars(bid),
        "yes_ask_dollars": dollars(ask),
        "yes_bid_size_fp": contracts(quotes.size(rng) if bid else 0),
        "yes_ask_size_fp": contracts(quotes.size(rng) if ask < DOLLAR else 0),
    }


def _last(entry: MarketEntry) -> int:
    return ten_thousandths(entry.field("last_price_dollars"))
