"""Members of the exchange: their tier and their money."""

from dataclasses import dataclass, field

SHARDS = {
    0: "Default",
    1: "Combos",
    2: "Crypto & Commodities",
    3: "Tennis, Baseball, Basketball",
}


@dataclass(eq=False)
class Account:
    """One member; money is kept per shard, in ten-thousandths of a dollar."""

    user_id: str
    tier: str = "basic"
    balance_ten_thousandths: dict[int, int] = field(default_factory=dict)
    portfolio_value_cents: int = 0
