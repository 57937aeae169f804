"""How a member stands: the exchange's own words on balance and positions, kept as they came."""

from datetime import datetime

import msgspec

from kalshi_gateway.kalshi import portfolio_wire as wire


class Placed(msgspec.Struct, frozen=True):
    """A position, and the subaccount it is in, which its row does not name."""

    subaccount: int
    row: wire.MarketPosition


class Stand(msgspec.Struct, frozen=True):
    """What was read together: all subaccounts' money, and every position."""

    balance: wire.Balance
    positions: tuple[Placed, ...]
    #: Up to when this was current, by the exchange's own word and clock.
    current_at: datetime | None = None
    #: Lists that the key may not ask for.
    withheld: tuple[str, ...] = ()

    def same_money(self, balance: wire.Balance) -> bool:
        """Whether no money has come, gone or moved, as far as a balance shows."""
        return (
            self.balance.balance_dollars == balance.balance_dollars
            and self.balance.balance_breakdown == balance.balance_breakdown
        )

    def to_text(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_text(cls, text: str) -> "Stand":
        return msgspec.json.decode(text, type=cls)
