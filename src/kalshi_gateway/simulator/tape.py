"""Public trades: what happened before the exchange began is derived, what happens since is kept."""

import heapq
import uuid
from dataclasses import dataclass, field
from functools import lru_cache
from math import isqrt
from random import Random
from typing import Any

import msgspec

from . import times, wire
from .catalogue import Catalogue
from .entries import MarketEntry
from .prices import DOLLAR, Grid, above, below, contracts, dollars, hundredths, ten_thousandths
from .shelves import Place, Shelf

MOST_TRADES = 400
BUSIEST = 200
REMEMBERED = 2_000


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One public trade."""

    at_us: int
    ticker: str
    trade_id: str
    price: int  # of YES, in ten-thousandths
    count: int  # in hundredths
    taker_bids: bool
    block: bool = False
    recorded: bytes | None = None

    def row(self) -> bytes:
        """The trade as sent."""
        if self.recorded is not None:
            return self.recorded
        side = "yes" if self.taker_bids else "no"
        row = {
            "count_fp": contracts(self.count),
            "created_time": times.rfc3339(self.at_us),
            "is_block_trade": self.block,
            "no_price_dollars": dollars(DOLLAR - self.price),
            "taker_book_side": "bid" if self.taker_bids else "ask",
            "taker_outcome_side": side,
            "taker_side": side,
            "ticker": self.ticker,
            "trade_id": self.trade_id,
            "yes_price_dollars": dollars(self.price),
        }
        return wire.encode(row)


def newest_first(trade: Trade) -> Place:
    """How trades are listed."""
    return -trade.at_us, trade.trade_id


@dataclass(frozen=True)
class Anchor:
    """Where a market's derived past ends and its kept present begins."""

    until_us: int
    last: int
    volume: int


@dataclass(eq=False)
class Tape:
    """Every trade of every market."""

    catalogue: Catalogue
    seed: int
    born_us: int
    # Recorded trades; a market that has them has no others.
    recorded: dict[str, list[Trade]] | None = None
    _anchors: dict[str, Anchor] = field(default_factory=dict)
    _kept: dict[str, list[Trade]] = field(default_factory=dict)
    _all_kept: Shelf[Trade] = field(default_factory=lambda: Shelf(newest_first))
    _everywhere: dict[bool, Shelf[Trade]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._past = lru_cache(maxsize=REMEMBERED)(self._derive)

    def print(self, entry: MarketEntry, trade: Trade) -> None:
        """Keep a trade that happens now; call it before the row shows it."""
        self._anchors.setdefault(entry.ticker, self._anchor(entry))
        self._kept.setdefault(entry.ticker, []).insert(0, trade)
        self._all_kept.add(trade)

    def of(self, ticker: str) -> list[Trade]:
        """The trades of a market, newest first; none of an unknown one."""
        if self.recorded is not None:
            return self.recorded.get(ticker, [])
        entry = self.catalogue.markets.get(ticker)
        if entry is None:
            return []
        return [*self._kept.get(entry.ticker, []), *self._past_of(entry)]

    def shelves(self, *, archived: bool) -> list[Shelf[Trade]]:
        """The trades of all markets: those kept, and the past of the busiest ones."""
        if self.recorded is not None:
            every = [trade for trades in self.recorded.values() for trade in trades]
            return [Shelf(newest_first, every)]
        if archived not in self._everywhere:
            files = ("archived",) if archived else ("open", "paused", "closed", "settled")
            entries = (entry for file in files for entry in self.catalogue.created[file, 0].things)
            busiest = heapq.nlargest(BUSIEST, entries, key=_volume)
            past = [trade for entry in busiest for trade in self._past_of(entry)]
            self._everywhere[archived] = Shelf(newest_first, past)
        return [self._all_kept, self._everywhere[archived]]

    def _past_of(self, entry: MarketEntry) -> tuple[Trade, ...]:
        anchor = self._anchors.get(entry.ticker) or self._anchor(entry)
        return self._past(entry.ticker, entry.opens_us, anchor, entry.grid)

    def _anchor(self, entry: MarketEntry) -> Anchor:
        until = min(entry.closes_us, max(self.born_us, entry.created_us))
        last = ten_thousandths(entry.field("last_price_dollars"))
        return Anchor(until, last, _volume(entry))

    def _derive(self, ticker: str, opens_us: int, anchor: Anchor, grid: Grid) -> tuple[Trade, ...]:
        """A past that adds up to the volume and ends at the last price."""
        if anchor.volume <= 0 or not 0 < anchor.last < DOLLAR:
            return ()
        rng = Random(f"{self.seed} {ticker} tape")
        number = min(MOST_TRADES, 1 + isqrt(anchor.volume // 100), anchor.volume)
        counts = _shared_out(rng, anchor.volume, number)
        begin = min(opens_us, anchor.until_us - times.HOUR)
        moments = sorted(
            (rng.randrange(begin, anchor.until_us) for _ in range(number)), reverse=True
        )
        price, trades = anchor.last, []
        for at_us, count in zip(moments, counts, strict=True):
            trades.append(
                Trade(
                    at_us=at_us,
                    ticker=ticker,
                    trade_id=str(uuid.UUID(int=rng.getrandbits(128))),
                    price=price,
                    count=count,
                    taker_bids=rng.random() < 0.5,
                    block=rng.random() < 0.005,
                )
            )
            price = stepped(rng, price, grid)
        return tuple(sorted(trades, key=newest_first))


def stepped(rng: Random, price: int, grid: Grid) -> int:
    """A neighbouring price on the grid, now and then one farther off; never 0 or a dollar."""
    for _ in range(rng.choice((0, 0, 1, 1, 1, 2))):
        next_ones = (below(grid, price), above(grid, price))
        price = rng.choice([near for near in next_ones if 0 < near < DOLLAR] or [price])
    return price


def _shared_out(rng: Random, volume: int, number: int) -> list[int]:
    """Random parts of a volume, none of them empty."""
    spare = volume - number
    cuts = sorted(rng.randint(0, spare) for _ in range(number - 1))
    return [1 + end - start for start, end in zip([0, *cuts], [*cuts, spare], strict=True)]


def _volume(entry: MarketEntry) -> int:
    return hundredths(entry.field("volume_fp") or "0")


def recorded_trade(row: dict[str, Any], raw: bytes) -> Trade:
    """A recorded trade, sent as it was recorded."""
    return Trade(
        at_us=times.parse(row["created_time"]),
        ticker=row["ticker"],
        trade_id=row["trade_id"],
        price=0,
        count=0,
        taker_bids=row.get("taker_side") == "yes",
        block=bool(row.get("is_block_trade")),
        recorded=raw,
    )
