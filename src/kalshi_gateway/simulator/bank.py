"""Money that comes, goes and is moved: never made, never lost, never more than there is."""

import uuid
from random import Random

import msgspec

from . import refusals
from .accounts import MOST_SUBACCOUNTS, SHARDS, Member, Purse
from .clock import Clock
from .rows import Payment, PaymentStatus, PaymentType, Transfer

CENT = 10_000  # in millionths


class Ids:
    """Ids nobody has had before, the same ones for the same seed."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)

    def __call__(self) -> str:
        """One more."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


class Bank:
    """The members' money."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self.clock = clock
        self.deposited = 0  # and not withdrawn
        self.new_id = Ids(f"{seed} bank")

    def deposit(
        self,
        member: Member,
        cents: int,
        *,
        status: PaymentStatus = "applied",
        by: PaymentType = "ach",
        fee_cents: int = 0,
        at_us: int | None = None,
    ) -> Payment:
        """Money from a member's bank; it is in his balance once it is applied."""
        asked = self._payment(True, cents, by, fee_cents, at_us)
        return self._begin(member, asked, status)

    def withdraw(
        self,
        member: Member,
        cents: int,
        *,
        status: PaymentStatus = "applied",
        by: PaymentType = "ach",
        fee_cents: int = 0,
        at_us: int | None = None,
    ) -> Payment:
        """Money to a member's bank; it leaves his balance once it is applied."""
        asked = self._payment(False, cents, by, fee_cents, at_us)
        return self._begin(member, asked, status)

    def finish(
        self, member: Member, payment_id: str, status: PaymentStatus, at_us: int | None = None
    ) -> Payment:
        """Say what has become of a payment: what was applied and is so no more is undone."""
        payment, now = member.payments[payment_id], self._now(at_us)
        if "applied" in (payment.status, status) and payment.status != status:
            self._apply(member, payment, 1 if status == "applied" else -1, now)
        done = None if status == "pending" else now
        payment = msgspec.structs.replace(payment, status=status, finalized_us=done)
        member.payments[payment_id] = payment
        return payment

    def open_subaccount(self, member: Member) -> int:
        """The number of one more subaccount."""
        if member.subaccounts == MOST_SUBACCOUNTS:
            raise refusals.invalid(f"at most {MOST_SUBACCOUNTS - 1} subaccounts")
        member.subaccounts += 1
        return member.subaccounts - 1

    def transfer(
        self,
        member: Member,
        amount: int,
        *,
        from_subaccount: int = 0,
        to_subaccount: int = 0,
        from_shard: int = 0,
        to_shard: int = 0,
        at_us: int | None = None,
    ) -> Transfer:
        """Move a member's own money, in millionths, to another subaccount or shard of his.

        Between shards it moves in his smallest steps, between subaccounts in whole cents.
        """
        source, target = (from_subaccount, from_shard), (to_subaccount, to_shard)
        step = CENT if from_shard == to_shard else member.precision
        if source == target or amount <= 0 or amount % step:
            raise refusals.invalid("not an amount that can be moved")
        for subaccount in (from_subaccount, to_subaccount):
            known(member, subaccount)
        if not {from_shard, to_shard} <= SHARDS.keys():
            raise refusals.invalid("no such shard")
        now = self._now(at_us)
        self.give(member, source, -amount, now)
        self.give(member, target, amount, now)
        transfer = Transfer(
            transfer_id=self.new_id(),
            amount=amount,
            from_subaccount=from_subaccount,
            to_subaccount=to_subaccount,
            from_shard=from_shard,
            to_shard=to_shard,
            at_us=now,
        )
        member.transfers.add(transfer)
        return transfer

    def give(self, member: Member, purse: Purse, amount: int, at_us: int) -> None:
        """Put money into a purse, or take it out; what is not there cannot be taken."""
        left = member.held(*purse) + amount
        if left < 0 and amount < 0 and not member.credit:
            raise refusals.insufficient_balance()
        member.cash.set(purse, left, at_us)
        member.recorded.clear()

    def _payment(
        self, deposit: bool, cents: int, by: PaymentType, fee_cents: int, at_us: int | None
    ) -> Payment:
        if cents <= 0:
            raise refusals.invalid("an amount is more than nothing")
        return Payment(
            payment_id=self.new_id(),
            deposit=deposit,
            status="pending",
            type=by,
            amount_cents=cents,
            fee_cents=fee_cents,
            created_us=self._now(at_us),
            finalized_us=None,
        )

    def _begin(self, member: Member, payment: Payment, status: PaymentStatus) -> Payment:
        if status == "applied":
            self._apply(member, payment, 1, payment.created_us)
        done = None if status == "pending" else payment.created_us
        payment = msgspec.structs.replace(payment, status=status, finalized_us=done)
        member.payments[payment.payment_id] = payment
        return payment

    def _apply(self, member: Member, payment: Payment, sign: int, at_us: int) -> None:
        """Let a payment touch the balance; its fee is the bank's and never does."""
        amount = sign * payment.amount_cents * CENT * (1 if payment.deposit else -1)
        self.give(member, (0, 0), amount, at_us)
        self.deposited += amount

    def _now(self, at_us: int | None) -> int:
        return self.clock.micros() if at_us is None else at_us


def known(member: Member, subaccount: int) -> None:
    """Refuse a subaccount that was never opened."""
    if not 0 <= subaccount < member.subaccounts:
        raise refusals.invalid(f"no subaccount {subaccount}")
