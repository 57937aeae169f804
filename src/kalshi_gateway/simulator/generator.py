"""An invented catalogue, the same for the same seed and time."""

import random
from collections import Counter
from itertools import accumulate

from . import combos, quotes, times, wire
from .catalogue import Catalogue, series_entry
from .entries import FILED, EventEntry, MarketEntry
from .lives import SHARES, Phase, Schedule, draw_schedule, most_wanting
from .prices import GRIDS, grid_of
from .quotes import Quote
from .themes import families
from .themes.family import Family, Occasion, Outcome

# A twentieth as many combos as markets; on the exchange they are the great majority.
MARKETS_PER_COMBO = 20
# More events than this and a family reaches over more days, or it would find none still free.
EVENTS_PER_SPREAD = 12
NEVER = "0001-01-01T00:00:00Z"
FOREVER = "9999-12-31T23:59:59Z"


class Generator:
    """Draws series, events and markets."""

    def __init__(self, seed: int, now_us: int, cutoff_us: int) -> None:
        self.rng = random.Random(seed)
        self.now_us = now_us
        self.cutoff_us = cutoff_us
        self.families = families()
        self._weights = list(accumulate(family.weight for family in self.families))
        self._tickers: set[str] = set()
        self._drawn: Counter[str] = Counter()

    def fill(self, catalogue: Catalogue, markets: int) -> None:
        """Fill an empty catalogue with so many markets and some combos."""
        for family in self.families:
            catalogue.file_series(series_entry(*self.series(family)))
        events: list[EventEntry] = []
        entries: list[MarketEntry] = []
        drawn = dict.fromkeys(SHARES, 0)
        # One event of forty strikes must not be most of a small catalogue.
        widest = max(markets // 20, 3)
        while len(entries) < markets:
            phase = most_wanting(drawn)
            event, fresh = self.event(self.pick(), phase)
            fresh = fresh[: min(widest, markets - len(entries))]
            drawn[phase] += len(fresh)
            events.append(event)
            entries += fresh
        for collection in combos.SERIES:
            catalogue.file_series(series_entry(*self.series(collection)))
        legs = [entry for entry in entries if entry.filed == "open"]
        for _ in range(markets // MARKETS_PER_COMBO if len(legs) > 1 else 0):
            event, combo = combos.draw(self.rng, legs, self.now_us)
            events.append(event)
            entries.append(combo)
        catalogue.file_many(events, entries)

    def pick(self) -> Family:
        """A family, the busier the likelier."""
        return self.rng.choices(self.families, cum_weights=self._weights)[0]

    def series(self, family: Family) -> tuple[wire.Series, int]:
        """The series of a family, and when it was last changed."""
        rng = self.rng
        updated = self.now_us - rng.randrange(10 * times.DAY, 400 * times.DAY)
        name, url = family.source
        series = wire.Series(
            additional_prohibitions=[
                "Persons who are employed by any of the Source Agencies are not permitted to trade "
                "on the Contract.",
                "Persons who hold any material, non-public information on the Underlying are not "
                "permitted to trade on the Contract.",
            ],
            categories=[family.category, *family.also],
            category=family.category,
            contract_terms_url=f"https://assets.kalshi.com/contract_terms/{family.ticker[2:]}.pdf",
            contract_url=f"https://assets.kalshi.com/regulatory/{family.ticker[2:]}.pdf",
            exchange_index=family.shard,
            fee_type="quadratic_with_maker_fees" if family.category == "Sports" else "quadratic",
            frequency=family.frequency,
            last_updated_ts=times.rfc3339(updated),
            settlement_sources=[{"name": name, "url": url}],
            # Both an empty list and null are seen where there are none.
            tags=list(family.tags) or (None if rng.random() < 0.5 else []),
            ticker=family.ticker,
            title=family.title,
        )
        return series, updated

    def event(
        self, family: Family, phase: Phase, created_us: int | None = None
    ) -> tuple[EventEntry, list[MarketEntry]]:
        """A new event of a family with its markets, in some phase of their lives."""
        schedule, occasion, ticker = self._occasion(family, phase, created_us)
        rng = self.rng
        updated = min(schedule.created_us + rng.randrange(times.HOUR), self.now_us - times.SECOND)
        event = wire.Event(
            category=family.category,
            collateral_return_type="MECNET" if family.exclusive else "",
            event_ticker=ticker,
            exchange_index=family.shard,
            # Year 1 is what the exchange sends for "never" (production, 2026-10).
            last_updated_ts=NEVER if rng.random() < 0.01 else times.rfc3339(updated),
            mutually_exclusive=family.exclusive,
            product_metadata=dict(occasion.product) or wire.ABSENT,
            series_ticker=family.ticker,
            settlement_sources=[dict(zip(("name", "url"), family.source, strict=True))],
            strike_period="",
            sub_title=occasion.sub_title,
            title=occasion.title,
        )
        if rng.random() < 0.3:
            event.strike_period = wire.ABSENT
            event.strike_date = times.rfc3339(schedule.happens_us)
        entry = EventEntry(ticker, family.ticker, False, schedule.created_us, updated, event)
        results = quotes.results(rng, occasion.outcomes, exclusive=family.exclusive)
        entry.markets = []
        fresh = [
            self._market(family, occasion, outcome, ticker, schedule, result)
            for outcome, result in zip(occasion.outcomes, results, strict=True)
        ]
        return entry, fresh

    def _occasion(
        self, family: Family, phase: Phase, created_us: int | None
    ) -> tuple[Schedule, Occasion, str]:
        """An occasion whose ticker is new; a busy family spreads over more days."""
        self._drawn[family.ticker] += 1
        spread = 1 + self._drawn[family.ticker] // EVENTS_PER_SPREAD
        while True:
            schedule = draw_schedule(self.rng, self.now_us, self.cutoff_us, phase, spread)
            if created_us is not None:
                schedule = schedule.created_at(created_us)
            occasion = family.draw(self.rng, times.moment(schedule.happens_us))
            ticker = f"{family.ticker}-{occasion.suffix}"
            if ticker not in self._tickers:
                self._tickers.add(ticker)
                return schedule, occasion, ticker
            spread += 1

    def _market(
        self,
        family: Family,
        occasion: Occasion,
        outcome: Outcome,
        event_ticker: str,
        schedule: Schedule,
        result: str,
    ) -> MarketEntry:
        rng = self.rng
        status = schedule.status
        if status == "active" and rng.random() < 0.018:
            status = "inactive"
        ticker = f"{event_ticker}-{outcome.suffix}"
        quote = quotes.draw(rng, outcome.chance, grid_of(GRIDS[family.grid]), status)
        odd = rng.random()
        updated = schedule.updated_us(status) + rng.randrange(times.SECOND)
        market = wire.Market(
            close_time=schedule.close_time,
            created_time=schedule.created_time,
            early_close_condition=family.early_close if odd > 0.1 else wire.ABSENT,
            event_ticker=event_ticker,
            exchange_index=family.shard,
            # Both ends of the calendar are seen for "unknown" and "no limit".
            expected_expiration_time=NEVER if odd < 0.004 else schedule.happens_time,
            expiration_time=schedule.expiration_time,
            latest_expiration_time=FOREVER if odd > 0.997 else schedule.expiration_time,
            no_sub_title=outcome.yes,
            occurrence_datetime=schedule.happens_time if odd > 0.2 else wire.ABSENT,
            open_time=schedule.open_time,
            price_level_structure=family.grid,
            price_ranges=GRIDS[family.grid],
            rules_primary=outcome.rules,
            rules_secondary=family.details,
            status=status,
            ticker=ticker,
            title=outcome.title if odd > 0.02 else wire.ABSENT,
            updated_time=times.rfc3339(updated),
            yes_sub_title=outcome.yes,
            **outcome.strike,
        )
        put_quote(market, quote)
        settled_us = self._ended(market, schedule, result)
        return MarketEntry(
            ticker,
            event_ticker,
            FILED[status],
            False,
            schedule.created_us,
            schedule.opens_us,
            schedule.closes_us,
            updated,
            settled_us,
            market,
        )

    def _ended(self, market: wire.Market, schedule: Schedule, result: str) -> int | None:
        """Write down how a market ended, if it has; the answer is when it was paid."""
        if market.status in ("determined", "disputed", "amended", "finalized"):
            # Some 0.7 % of settled markets pay something between (production, 2026-09).
            scalar = self.rng.random() < 0.007
            market.result = "scalar" if scalar else result
            share = self.rng.choice(("0.5000", "0.3700", "0.0125"))
            whole = "1.0000" if result == "yes" else "0.0000"
            market.settlement_value_dollars = share if scalar else whole
            market.expiration_value = market.yes_sub_title if result == "yes" else ""
        if market.status != "finalized":
            return None
        market.settlement_ts = schedule.settled_time
        return schedule.settled_us


def put_quote(market: wire.Market, quote: Quote) -> None:
    """Write a quote into a row."""
    market.yes_bid_dollars = quote.yes_bid
    market.yes_ask_dollars = quote.yes_ask
    market.no_bid_dollars = quote.no_bid
    market.no_ask_dollars = quote.no_ask
    market.yes_bid_size_fp = quote.bid_size
    market.yes_ask_size_fp = quote.ask_size
    market.last_price_dollars = quote.last
    market.previous_price_dollars = quote.previous
    market.previous_yes_bid_dollars = quote.previous_bid
    market.previous_yes_ask_dollars = quote.previous_ask
    market.volume_fp = quote.volume
    market.volume_24h_fp = quote.volume_24h
    market.open_interest_fp = quote.open_interest
