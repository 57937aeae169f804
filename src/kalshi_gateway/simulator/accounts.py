"""Members of the exchange: their tier, their money, and everything that is theirs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from .holdings import Holding
from .rows import Fill, Order, Payment, Settlement, Transfer
from .shelves import Place, Shelf
from .versions import Versions

SHARDS = {
    0: "Default",
    1: "Combos",
    2: "Crypto & Commodities",
    3: "Tennis, Baseball, Basketball",
}
MOST_SUBACCOUNTS = 64
Purse = tuple[int, int]  # subaccount, shard
DIRECT = 100  # a direct member's balance moves in steps of $0.0001 (docs, 2026-06)

Row = TypeVar("Row", Order, Settlement, Payment, Transfer)


def _by_place(row: Row) -> Place:
    return row.place()


def newest_fill(fill: Fill) -> Place:
    """How fills are listed."""
    return -fill.at_us, fill.fill_id


@dataclass(eq=False, slots=True)
class Member:
    """One member; all money in millionths of a dollar, kept per subaccount and shard."""

    user_id: str
    name: str = ""
    tier: str = "basic"
    subaccounts: int = 1  # the primary one is among them
    precision: int = DIRECT
    # Whoever has credit stands for the rest of the world: he pays no fees and owes without end.
    credit: bool = False
    # Until when he has said where he is; unknown is None.
    attested_us: int | None = None
    cash: Versions[Purse, int] = field(default_factory=Versions)
    holdings: Versions[tuple[int, str], Holding] = field(default_factory=Versions)
    orders: Versions[str, Order] = field(default_factory=Versions)
    fills: Shelf[Fill] = field(default_factory=lambda: Shelf(newest_fill))
    # Where each order is listed; what it has become is in `orders`.
    placed: Shelf[Place] = field(default_factory=lambda: Shelf(lambda place: place))
    # A client's id names one order for ever, also one that was canceled.
    client_order_ids: set[str] = field(default_factory=set)
    settlements: Shelf[Settlement] = field(default_factory=lambda: Shelf(_by_place))
    payments: dict[str, Payment] = field(default_factory=dict)
    transfers: Shelf[Transfer] = field(default_factory=lambda: Shelf(_by_place))
    # Answers as they were recorded, by operation; they hold until his money moves.
    recorded: dict[str, bytes] = field(default_factory=dict)

    def held(self, subaccount: int, shard: int) -> int:
        """The money on a subaccount's shard."""
        return self.cash.now.get((subaccount, shard), 0)

    @property
    def total(self) -> int:
        """All the money that is free."""
        return sum(self.cash.now.values())


class Members:
    """Everyone who is a member, in the order of their joining."""

    def __init__(self) -> None:
        self._by_id: dict[str, Member] = {}
        self._all: list[Member] = []

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._all)

    def __getitem__(self, at: int) -> Member:
        return self._all[at]

    def add(self, member: Member) -> Member:
        """Admit someone new; nobody joins twice."""
        if member.user_id in self._by_id:
            raise ValueError(f"already a member: {member.user_id}")
        self._by_id[member.user_id] = member
        self._all.append(member)
        return member

    def find(self, user_id: str) -> Member | None:
        """A member by his id."""
        return self._by_id.get(user_id)
