"""How far members' own reads lag behind what has happened to them."""

from dataclasses import asdict, dataclass

from .versions import REMEMBERED_US


@dataclass
class Lag:
    """Microseconds behind, for each kind of read (demo, 2026-06: some hundred milliseconds)."""

    balance_us: int = 0
    positions_us: int = 0
    orders_us: int = 0
    fills_us: int = 0
    settlements_us: int = 0

    def set(self, milliseconds: int, *kinds: str) -> None:
        """Let some kinds of read, or all of them, lag so far behind."""
        if not 0 <= milliseconds * 1_000 <= REMEMBERED_US:
            raise ValueError("nobody reads that far behind")
        for name in [f"{kind}_us" for kind in kinds] or asdict(self):
            if name not in asdict(self):
                raise ValueError(f"no such read: {name.removesuffix('_us')}")
            setattr(self, name, milliseconds * 1_000)

    @property
    def longest_us(self) -> int:
        """How far the slowest of them lags."""
        return max(self.describe().values()) * 1_000

    def describe(self) -> dict[str, int]:
        """All of them, in milliseconds."""
        return {name.removesuffix("_us"): us // 1_000 for name, us in asdict(self).items()}
