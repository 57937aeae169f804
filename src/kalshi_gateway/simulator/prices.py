"""Prices as ten-thousandths of a dollar, counts as hundredths, and the grids prices stand on."""

import re
from functools import cache

from .wire import PriceRange

DOLLAR = 10_000
MICRO = 1_000_000  # of a dollar; a price times a count is a whole number of them
Grid = tuple[tuple[int, int, int], ...]  # bands in ten-thousandths: start, end, step


@cache
def dollars(ten_thousandths: int) -> str:
    """Four decimals, as the exchange prints prices; cached, so that equal prices share a text."""
    return f"{ten_thousandths // DOLLAR}.{ten_thousandths % DOLLAR:04d}"


def contracts(hundredths: int) -> str:
    """Two decimals, as the exchange prints counts."""
    if hundredths < 0:
        return "-" + contracts(-hundredths)
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def six_decimals(millionths: int) -> str:
    """Money to the millionth, as the exchange prints costs and fees."""
    sign, whole = ("-", -millionths) if millionths < 0 else ("", millionths)
    return f"{sign}{whole // MICRO}.{whole % MICRO:06d}"


def four_decimals(millionths: int) -> str:
    """Money to the ten-thousandth, as the exchange prints balances."""
    return six_decimals(millionths)[:-2]


def is_number(text: str, decimals: int) -> bool:
    """Whether a text is digits as the exchange writes them, with so many decimals at most."""
    return re.fullmatch(rf"[0-9]{{1,10}}(\.[0-9]{{1,{decimals}}})?", text) is not None


def millionths(text: str) -> int:
    """The money a text says, to the millionth."""
    whole, _, rest = text.removeprefix("-").partition(".")
    amount = int(whole) * MICRO + int(rest[:6].ljust(6, "0") or 0)
    return -amount if text.startswith("-") else amount


def ten_thousandths(text: str) -> int:
    """The price a text says."""
    whole, _, rest = text.partition(".")
    return int(whole) * DOLLAR + int(rest[:4].ljust(4, "0") or 0)


def hundredths(text: str) -> int:
    """The count a text says."""
    whole, _, rest = text.partition(".")
    return int(whole) * 100 + int(rest[:2].ljust(2, "0") or 0)


def _bands(*bands: tuple[int, int, int]) -> tuple[PriceRange, ...]:
    return tuple(
        PriceRange(start=dollars(start), end=dollars(end), step=dollars(step))
        for start, end, step in bands
    )


def _edged(edge: int, cut: int, centre: int) -> tuple[PriceRange, ...]:
    return _bands((0, cut, edge), (cut, DOLLAR - cut, centre), (DOLLAR - cut, DOLLAR, edge))


# By the labels that go with them; what a market's own ranges say is the rule, and new labels appear
# (docs.kalshi.com/getting_started/fixed_point_migration, 2026-08-17).
GRIDS: dict[str, tuple[PriceRange, ...]] = {
    "linear_cent": _bands((0, DOLLAR, 100)),
    "deci_cent": _bands((0, DOLLAR, 10)),
    "tapered_deci_cent": _edged(10, 1_000, 100),
    "center_centi_edge_centi_cent": _bands((0, DOLLAR, 1)),
    "center_deci_edge_centi_cent": _edged(1, 100, 10),
    "center_half_edge_half_cent": _bands((0, DOLLAR, 50)),
    "center_quint_edge_quint_cent": _bands((0, DOLLAR, 20)),
    "center_whole_edge_half_cent": _edged(50, 1_000, 100),
    "center_whole_edge_quint_cent": _edged(20, 1_000, 100),
    "center_half_edge_quint_cent": _edged(20, 1_000, 50),
    "center_half_edge_deci_cent": _edged(10, 1_000, 50),
    "center_quint_edge_deci_cent": _edged(10, 1_000, 20),
}


@cache
def grid_of(ranges: tuple[PriceRange, ...]) -> Grid:
    """The bands of a market's ranges, in ten-thousandths."""
    return tuple(
        (ten_thousandths(band.start), ten_thousandths(band.end), ten_thousandths(band.step))
        for band in ranges
    )


def snap(grid: Grid, price: int) -> int:
    """The highest price on the grid that is not above; 0 where there is none."""
    return max(
        (
            start + (min(price, end) - start) // step * step
            for start, end, step in grid
            if start <= price
        ),
        default=0,
    )


def below(grid: Grid, price: int) -> int:
    """The next price on the grid downwards; 0 where there is none."""
    return snap(grid, price - 1)


def above(grid: Grid, price: int) -> int:
    """The next price on the grid upwards; a dollar where there is none."""
    return min(
        (
            start + max((price - start) // step + 1, 0) * step
            for start, end, step in grid
            if price < end
        ),
        default=DOLLAR,
    )
