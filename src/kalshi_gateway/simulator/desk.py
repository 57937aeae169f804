"""The exchange's own desk: whoever runs the simulator acts for its members here.

Prices and counts are texts, as on the exchange; each is read exactly or refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from . import refusals
from .accounts import Member
from .entries import MarketEntry
from .ledger import BookSide, Side
from .prices import (
    DOLLAR,
    contracts,
    dollars,
    four_decimals,
    hundredths,
    is_number,
    millionths,
    six_decimals,
    snap,
    ten_thousandths,
)
from .rows import Fill, Order
from .tape import Trade

if TYPE_CHECKING:
    from .exchange import Exchange

SCOPES = ("read", "write")
KeyKind = Literal["rsa", "ed25519"]


@dataclass(frozen=True)
class Joined:
    """A new member and his key; the private half is nowhere else."""

    member: Member
    key_id: str
    private_pem: str = field(repr=False)


class Desk:
    """What can be done for members without their keys and without budget."""

    def __init__(self, exchange: "Exchange") -> None:
        self.exchange = exchange

    # Members and keys

    def join(
        self,
        name: str = "",
        *,
        user_id: str | None = None,
        tier: str = "basic",
        deposit_cents: int = 0,
        kind: KeyKind = "ed25519",
        scopes: Iterable[str] = SCOPES,
    ) -> Joined:
        """Admit a member, with a key and with money."""
        member = self.admit(name, user_id=user_id, tier=tier, deposit_cents=deposit_cents)
        key_id, pem = self.exchange.keys.issue(kind, scopes=scopes, member=member, name=name)
        return Joined(member, key_id, pem)

    def admit(
        self,
        name: str = "",
        *,
        user_id: str | None = None,
        tier: str = "basic",
        deposit_cents: int = 0,
        at_us: int | None = None,
    ) -> Member:
        """Admit a member who has no key yet."""
        ledger = self.exchange.ledger
        member = Member(user_id or ledger.bank.new_id(), name)
        self.promote(member, tier)
        self.exchange.members.add(member)
        if deposit_cents:
            ledger.bank.deposit(member, deposit_cents, at_us=at_us)
        return member

    def promote(self, member: Member, tier: str) -> None:
        """Give a member another tier."""
        if tier not in self.exchange.limits.tiers:
            raise refusals.invalid(f"no tier {tier}")
        member.tier = tier

    # Trading

    def trade(
        self,
        member: Member,
        ticker: str,
        side: BookSide,
        price: str,
        count: str,
        *,
        against: Member | None = None,
        taker: bool = True,
        subaccount: int = 0,
        asked: str | None = None,
        limit: str | None = None,
        client_order_id: str | None = None,
    ) -> Fill:
        """Let a member trade now; everyone sees it, as with any trade.

        `asked` is how many contracts his order was for, when it did not get them all, and
        `limit` what it would have paid, when it paid less.
        """
        entry, at, size = self._order(ticker, price, count)
        before = self.exchange.ledger.collateral.get(ticker, 0)
        fill = self.exchange.ledger.trade(
            member,
            entry,
            side,
            at,
            size,
            against=against,
            taker=taker,
            subaccount=subaccount,
            initial=None if asked is None else _counted(asked),
            limit=None if limit is None else _priced(limit),
            client_order_id=client_order_id,
        )
        self.publish(entry, fill, before)
        return fill

    def rest(
        self,
        member: Member,
        ticker: str,
        side: BookSide,
        price: str,
        count: str,
        *,
        subaccount: int = 0,
        client_order_id: str | None = None,
        expires_us: int | None = None,
    ) -> Order:
        """Put a member's order into the book."""
        entry, at, size = self._order(ticker, price, count)
        ledger = self.exchange.ledger
        order = ledger.order(
            member,
            entry,
            side,
            at,
            size,
            subaccount=subaccount,
            client_order_id=client_order_id,
            expires_us=expires_us,
        )
        return ledger.rest(member, order)

    def hit(self, member: Member, order_id: str, count: str) -> Fill:
        """Let someone take a part of a member's resting order."""
        self.exchange.ledger.expire()
        order = member.orders.now.get(order_id)
        if order is None or order.status != "resting" or _counted(count) > order.remaining:
            raise refusals.not_found()
        ledger = self.exchange.ledger
        entry, at, size = self._order(order.ticker, dollars(order.price), count)
        before = ledger.collateral.get(entry.ticker, 0)
        maker = Side(member, order.bid, False, order.subaccount, order)
        fill, _ = ledger.match(entry, maker, Side(ledger.crowd, not order.bid, True), at, size)
        self.publish(entry, fill, before)
        return fill

    def settle(self, ticker: str, result: str, value_dollars: str | None = None) -> MarketEntry:
        """Determine a market and pay it out; a void one pays its last price unless told."""
        catalogue = self.exchange.catalogue
        entry = catalogue.markets.get(ticker)
        if entry is None or entry.filed == "settled" or entry.market is None:
            raise refusals.not_found()
        if result not in ("yes", "no", "scalar", "void"):
            raise refusals.invalid("a result is yes, no, scalar or void")
        if result == "void":
            result, value_dollars = "scalar", value_dollars or entry.field("last_price_dollars")
        if result == "scalar" and value_dollars is None:
            raise refusals.invalid("a scalar result has a value")
        value = None if value_dollars is None else dollars(_priced(value_dollars))
        return catalogue.settle(ticker, result, value)

    def _order(self, ticker: str, price: str, count: str) -> tuple[MarketEntry, int, int]:
        entry, at = self.exchange.matching.market(ticker), _priced(price)
        if not 0 < at < DOLLAR or snap(entry.grid, at) != at:
            raise refusals.enveloped(400, "invalid_price")
        return entry, at, _counted(count)

    def publish(self, entry: MarketEntry, fill: Fill, locked_before: int) -> None:
        """Show a trade to everyone; what was recorded does not move."""
        exchange = self.exchange
        if entry.market is None:
            return
        trade = Trade(
            at_us=fill.at_us,
            ticker=fill.ticker,
            trade_id=fill.fill_id,
            price=fill.price,
            count=fill.count,
            taker_bids=fill.bid is fill.taker,
        )
        exchange.tape.print(entry, trade)
        opened = (exchange.ledger.collateral[fill.ticker] - locked_before) // DOLLAR
        grown = {"volume_fp": fill.count, "volume_24h_fp": fill.count, "open_interest_fp": opened}
        exchange.catalogue.change(
            fill.ticker,
            last_price_dollars=dollars(fill.price),
            **{
                name: contracts(max(hundredths(entry.field(name)) + more, 0))
                for name, more in grown.items()
            },
        )

    # The truth

    def truth(self, member: Member) -> dict[str, Any]:
        """All that is a member's, exactly and now, live and archived; by nobody's budget."""
        holdings = sorted(member.holdings.now.items())
        fills = [fill.row() for fill in member.fills.things]
        orders = [member.orders.now[order_id].row() for _, order_id in member.placed.things]
        payments = sorted(member.payments.values(), key=lambda payment: payment.place())
        return {
            "user_id": member.user_id,
            "name": member.name,
            "tier": member.tier,
            "subaccounts": member.subaccounts,
            "balance_dollars": four_decimals(member.total),
            "balances": [
                {
                    "subaccount_number": subaccount,
                    "exchange_index": shard,
                    "balance_dollars": six_decimals(amount),
                }
                for (subaccount, shard), amount in sorted(member.cash.now.items())
            ],
            "realized_pnl_dollars": six_decimals(sum(h.realized for _, h in holdings)),
            "fees_paid_dollars": six_decimals(sum(h.fees for _, h in holdings)),
            "market_exposure_dollars": six_decimals(sum(h.exposure for _, h in holdings)),
            "positions": [
                {
                    **holding.row(),
                    "event_ticker": holding.event_ticker,
                    "settled": holding.settled_us is not None,
                    "subaccount_number": subaccount,
                }
                for (subaccount, _), holding in holdings
            ],
            "fills": fills,
            "orders": orders,
            "settlements": [
                {
                    **row.row(),
                    "subaccount_number": row.subaccount,
                    "paid_dollars": six_decimals(row.paid),
                }
                for row in member.settlements.things
            ],
            "deposits": [payment.row() for payment in payments if payment.deposit],
            "withdrawals": [payment.row() for payment in payments if not payment.deposit],
            "transfers": [transfer.row() for transfer in member.transfers.things],
        }


def _exact(text: str, decimals: int) -> str:
    if not is_number(text, decimals):
        raise refusals.invalid(f"not a number of at most {decimals} decimals: {text!r}")
    return text


def _priced(text: str) -> int:
    """The ten-thousandths of a price that is one."""
    return ten_thousandths(_exact(text, 4))


def _counted(text: str) -> int:
    """The hundredths of a count that is one."""
    count = hundredths(_exact(text, 2))
    if count == 0:
        raise refusals.invalid("a count is more than nothing")
    return count


def amount(text: str) -> int:
    """The millionths of an amount of dollars."""
    return millionths(_exact(text, 6))
