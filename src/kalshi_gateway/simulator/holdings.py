"""What a member holds in one market, and what it has brought him so far."""

from typing import Any

import msgspec

from . import times
from .prices import DOLLAR, contracts, six_decimals


class Holding(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One member's contracts in one market; counts in hundredths, money in millionths.

    The cost of what is held is a weighted average (production, 2026-07): a trade against the
    position closes first, at the average, and what is left of it opens the other side.
    """

    ticker: str
    event_ticker: str
    shard: int
    position: int = 0  # of YES; held NO is negative
    exposure: int = 0
    realized: int = 0
    fees: int = 0
    # Everything ever bought of each side; selling YES counts as buying NO.
    bought_yes: int = 0
    bought_no: int = 0
    spent_yes: int = 0
    spent_no: int = 0
    updated_us: int = 0
    settled_us: int | None = None
    recorded: bytes | None = None

    @property
    def traded(self) -> int:
        """Money spent, ever."""
        return self.spent_yes + self.spent_no

    def row(self) -> dict[str, Any]:
        """As sent; fees stand beside the profit, not in it (demo, 2026-06)."""
        return {
            "exchange_index": self.shard,
            "fees_paid_dollars": six_decimals(self.fees),
            "last_updated_ts": times.rfc3339(self.updated_us),
            "market_exposure_dollars": six_decimals(self.exposure),
            "position_fp": contracts(self.position),
            "realized_pnl_dollars": six_decimals(self.realized),
            "ticker": self.ticker,
            "total_traded_dollars": six_decimals(self.traded),
        }

    def closing(self, *, bid: bool, count: int) -> int:
        """How many contracts of a trade close what is held."""
        against = self.position < 0 if bid else self.position > 0
        return min(count, abs(self.position)) if against else 0

    def change(self, *, bid: bool, price: int, count: int) -> int:
        """What a trade at YES's price moves to its owner, but for its fee."""
        paid = price if bid else DOLLAR - price
        return self.closing(bid=bid, count=count) * DOLLAR - count * paid

    def after(self, *, bid: bool, price: int, count: int, fee: int, at_us: int) -> "Holding":
        """What is held after a fill; the price is YES's, whichever side is bought."""
        paid = price if bid else DOLLAR - price
        held = abs(self.position)
        closing = self.closing(bid=bid, count=count)
        freed = _share(self.exposure, closing, held)
        return msgspec.structs.replace(
            self,
            position=self.position + (count if bid else -count),
            exposure=self.exposure - freed + (count - closing) * paid,
            realized=self.realized + closing * (DOLLAR - paid) - freed,
            fees=self.fees + fee,
            bought_yes=self.bought_yes + (count if bid else 0),
            bought_no=self.bought_no + (0 if bid else count),
            spent_yes=self.spent_yes + (count * paid if bid else 0),
            spent_no=self.spent_no + (0 if bid else count * paid),
            updated_us=at_us,
            recorded=None,
        )

    def worth(self, value: int) -> int:
        """What the position is worth when YES is worth so many ten-thousandths."""
        each = value if self.position > 0 else DOLLAR - value
        return abs(self.position) * each

    def settled(self, value: int, dust: int, at_us: int) -> "Holding":
        """What is left after the market has paid; dust is what rounding kept of it."""
        return msgspec.structs.replace(
            self,
            position=0,
            exposure=0,
            realized=self.realized + self.worth(value) - self.exposure,
            fees=self.fees + dust,
            updated_us=at_us,
            settled_us=at_us,
            recorded=None,
        )


def _share(exposure: int, closing: int, held: int) -> int:
    """The part of a cost that belongs to some of the contracts, to the nearest millionth."""
    return (2 * exposure * closing + held) // (2 * held) if closing else 0
