"""What a fill costs: the exchange's fee model, in millionths of a dollar and never rounded down."""

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import msgspec

from .catalogue import Catalogue
from .entries import MarketEntry
from .prices import DOLLAR

# docs.kalshi.com/getting_started/fee_rounding and the fee schedule, 2026-09: the maker's share of
# the taker's rate by type of fee; types not known here are estimated like the first of them.
BASE = Fraction(7, 100)
FLAT = Fraction(35, 1_000)
MAKERS_SHARE = {
    "quadratic": Fraction(0),
    "quadratic_with_maker_fees": Fraction(1, 4),
    "quadratic_with_combo_maker_fees": Fraction(1, 2),
    "flat": Fraction(0),
}
UNKNOWN_SHARE = Fraction(1, 4)
# No fee is more: seven hundredths of a quarter of a dollar, for a hundredth of a contract.
AT_MOST = 175


class Terms(NamedTuple):
    """The rates of a market."""

    taker: Fraction
    maker: Fraction

    def fee(self, price: int, count: int, *, taker: bool) -> int:
        """The model's fee of a fill, rounded up to a millionth of a dollar."""
        rate = self.taker if taker else self.maker
        share = rate.numerator * count * price * (DOLLAR - price)
        return -(-share // (rate.denominator * DOLLAR))


@cache
def terms(fee_type: str, multiplier: str) -> Terms:
    """The rates of a type of fee with its multiplier."""
    taker = (FLAT if fee_type == "flat" else BASE) * Fraction(multiplier)
    return Terms(taker, taker * MAKERS_SHARE.get(fee_type, UNKNOWN_SHARE))


def terms_of(catalogue: Catalogue, entry: MarketEntry) -> Terms:
    """What trading in a market costs: its event's override, else what its series says."""
    event = catalogue.events.get(entry.event_ticker)
    series = catalogue.series.get(event.series_ticker) if event is not None else None
    fee_type, multiplier = "quadratic", "1"
    if series is not None:
        fee_type = _field(series.series, series.row, "fee_type") or fee_type
        multiplier = _number(_field(series.series, series.row, "fee_multiplier"), multiplier)
    if event is not None:
        fee_type = _field(event.event, event.row, "fee_type_override") or fee_type
        override = _field(event.event, event.row, "fee_multiplier_override")
        multiplier = _number(override, multiplier)
    return terms(fee_type, multiplier)


def rounded(change: int, fee: int, saved: int, precision: int) -> tuple[int, int]:
    """What is charged for a fill, and what its order has saved up after it.

    `change` is what the fill moves without its fee. The balance moves in whole steps of the
    member's precision; what that takes too much is given back once it makes a step.
    """
    charged = change - (change - fee) // precision * precision
    saved += charged - fee
    back = min(saved // precision, charged // precision) * precision
    return charged - back, saved - back


def _field(row: msgspec.Struct | None, raw: bytes | None, name: str) -> Any:
    if row is None:
        return msgspec.json.decode(raw or b"{}").get(name)
    value = getattr(row, name)
    return None if value is msgspec.UNSET else value


def _number(value: int | float | None, default: str) -> str:
    return default if value is None else str(value)
