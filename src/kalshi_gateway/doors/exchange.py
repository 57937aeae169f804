"""The exchange's own API: who may call which operation, and what they are given."""

from typing import NamedTuple

from kalshi_gateway import directives
from kalshi_gateway.auth import Caller
from kalshi_gateway.directives import Terms
from kalshi_gateway.kalshi.calls import Headers
from kalshi_gateway.kalshi.errors import KalshiError, Refusal
from kalshi_gateway.tokens.token import Scope

from . import refusals
from .operations import Access, Operation
from .reads import ANY_AGE, Given, Reads, Wish

#: RFC 9111 and RFC 5861: for how long an answer may have been stale when none newer can be had.
STALE_ALLOWED = frozenset({b"max-stale", b"stale-if-error"})

NO_WRITES = "this gateway passes on no writes: KALSHI_TRADING_ENABLED is false"
MAY_NOT_TRADE = "this key or token has not the scope trade"
WITHHELD = "this gateway passes on what trades, and nothing of keys, funds and members"
NO_USER = "this token is bound to no user"

#: What is in front of the exchange refuses somewhat more.
LONGEST_TARGET = 8_000
TOO_LONG = refusals.flat(414, "uri_too_long", f"path and query are over {LONGEST_TARGET} bytes")


class Guest(NamedTuple):
    """Who calls, whose things are meant, and the signature, if a virtual key has signed."""

    caller: Caller | None
    user_id: str | None
    signature_sha256: bytes | None = None


async def answer(
    reads: Reads,
    guest: Guest,
    operation: Operation,
    target: str,
    languages: Headers,
    header: bytes | None,
) -> Given | Refusal:
    """The exchange's answer to a read, or its refusal.

    `target` lies below /trade-api/v2, byte for byte as it came; `header` is `Cache-Control`.
    """
    wish = Wish(
        operation.fresh_seconds, stale_seconds(header), Terms.said(header), headers=languages
    )
    try:
        if operation.access is Access.PUBLIC or guest.user_id is None:
            if len(target) > LONGEST_TARGET:
                return TOO_LONG
            if guest.caller is None:
                return await reads.for_strangers(operation, target, wish)
            return await reads.public(operation, target, wish)
        return await reads.private(guest.user_id, operation, target, wish)
    except KalshiError as error:
        if error.refusal is None:
            raise
        return error.refusal


def refusal(operation: Operation, guest: Guest, *, trading: bool) -> Refusal | None:
    """Why this guest may not call this operation; None if they may."""
    if operation.access is Access.PUBLIC:
        return None
    if guest.caller is None:
        return refusals.SIGNATURE_MISSING
    if operation.access is Access.WITHHELD:
        return refusals.forbidden(WITHHELD)
    if operation.access is Access.WRITE:
        if not trading:
            return refusals.forbidden(NO_WRITES)
        if not guest.caller.has(Scope.TRADE):
            return refusals.forbidden(MAY_NOT_TRADE)
    return refusals.forbidden(NO_USER) if guest.user_id is None else None


def stale_seconds(header: bytes | None) -> float:
    """For how long the client lets an answer be stale when the exchange cannot be asked."""
    allowed: list[float] = []
    for name, argument in directives.directives(header or b""):
        if name in STALE_ALLOWED:
            allowed += [ANY_AGE] if argument is None else directives.seconds_in(argument)
    return min(allowed, default=0.0)
