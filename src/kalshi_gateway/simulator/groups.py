"""Order groups: orders that are taken down together when too much of them is matched at once."""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import refusals, times
from .accounts import Member
from .rows import Order

if TYPE_CHECKING:
    from .exchange import Exchange

# docs.kalshi.com/getting_started/order_groups, 2026-04: over a rolling 15 s, up to a million.
WINDOW_US = 15 * times.SECOND
MOST_CONTRACTS = 1_000_000


@dataclass(eq=False)
class Group:
    """Orders of one member, subaccount and shard, and how much of them may be matched."""

    group_id: str
    member: Member
    subaccount: int
    shard: int
    limit: int | None  # in hundredths; None: as much as there is
    # Taken down, and taking no order until it is reset.
    triggered: bool = False
    matched: deque[tuple[int, int]] = field(default_factory=deque)

    def sum(self, now_us: int) -> int:
        """What was matched within the window."""
        while self.matched and self.matched[0][0] <= now_us - WINDOW_US:
            self.matched.popleft()
        return sum(count for _, count in self.matched)


class Groups:
    """The groups of all members."""

    def __init__(self, exchange: "Exchange") -> None:
        self.exchange = exchange
        self._groups: dict[str, Group] = {}
        exchange.ledger.followers.append(self.follow)

    def create(self, member: Member, subaccount: int, shard: int, limit: int | None) -> Group:
        """A new group without orders."""
        group_id = self.exchange.ledger.bank.new_id()
        group = self._groups[group_id] = Group(group_id, member, subaccount, shard, limit)
        return group

    def of(self, member: Member, subaccount: int | None) -> list[Group]:
        """A member's groups, of one subaccount or of all."""
        return [
            group
            for group in self._groups.values()
            if group.member is member and subaccount in (None, group.subaccount)
        ]

    def find(self, member: Member, group_id: str, subaccount: int | None) -> Group:
        """A member's group."""
        group = self._groups.get(group_id)
        if group is None or group.member is not member:
            raise refusals.not_found()
        if subaccount not in (None, group.subaccount):
            raise refusals.not_found()
        return group

    def orders(self, group: Group) -> list[Order]:
        """What rests of a group."""
        return [
            order
            for order in group.member.orders.now.values()
            if order.order_group_id == group.group_id and order.status == "resting"
        ]

    def check(self, member: Member, group_id: str, subaccount: int, shard: int) -> None:
        """Refuse an order that its group does not take."""
        group = self._groups.get(group_id)
        if group is None or group.member is not member:
            raise refusals.enveloped(404, "order_group_not_found")
        if (group.subaccount, group.shard) != (subaccount, shard):
            raise refusals.invalid("an order group lives on one shard and subaccount")
        if group.triggered:
            raise refusals.enveloped(400, "invalid_order", details="order group is triggered")

    def follow(self, member: Member, order: Order, count: int, now_us: int) -> None:
        """Count what was matched of an order; too much of its group takes the group down."""
        group = self._groups.get(order.order_group_id or "")
        if group is None:
            return
        group.matched.append((now_us, count))
        self._watch(group, now_us)

    def trigger(self, group: Group) -> None:
        """Take down all that rests of a group, which takes no order until it is reset."""
        group.triggered = True
        for order in self.orders(group):
            self.exchange.ledger.cancel(group.member, order.order_id)

    def reset(self, group: Group) -> None:
        """Begin to count anew, and take orders again."""
        group.triggered = False
        group.matched.clear()

    def set_limit(self, group: Group, limit: int, now_us: int) -> None:
        """Allow more, or less; less than was just matched takes the group down."""
        group.limit = limit
        self._watch(group, now_us)

    def delete(self, group: Group) -> None:
        """Take down all that rests of a group, and forget it."""
        self.trigger(group)
        del self._groups[group.group_id]

    def _watch(self, group: Group, now_us: int) -> None:
        # "Exceeding it", says the documentation; to reach it is not to exceed it.
        if group.limit is not None and group.sum(now_us) > group.limit and not group.triggered:
            self.trigger(group)
