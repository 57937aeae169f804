"""The exchange's own API: who may call which operation, and what they are given."""

import re
from typing import NamedTuple

from kalshi_gateway.auth import Caller
from kalshi_gateway.directives import Terms
from kalshi_gateway.kalshi.errors import KalshiError, Refusal

from . import operations, refusals
from .operations import Access, Operation
from .reads import ANY_AGE, Given, Reads, Wish

#: RFC 9111 and RFC 5861: how old an answer may be when none newer can be had.
STALE_ALLOWED = re.compile(
    rb"(?:\A|[\s,])(?:max-stale|stale-if-error)(?:\s*=\s*\"?(\d{1,9})\"?)?", re.IGNORECASE
)

NO_WRITES = "this gateway passes on no writes"
NOT_SHOWN = "this gateway does not show the keys it signs with"
NO_USER = "this token is bound to no user"


class Guest(NamedTuple):
    """Who calls, whose things are meant, and the signature, if a virtual key has signed."""

    caller: Caller | None
    user_id: str | None
    signature_sha256: bytes | None = None


async def answer(
    reads: Reads,
    guest: Guest,
    method: str,
    path: bytes,
    query: bytes,
    header: bytes | None,
) -> Given | Refusal:
    """The exchange's answer to a request, or its refusal, or ours in its words.

    `path` lies below /trade-api/v2, not yet unescaped; `header` is `Cache-Control`.
    """
    operation = operations.find(method, path)
    if operation is None:
        return refusals.NOT_FOUND
    refused = refusal(operation, guest)
    if refused is not None:
        return refused
    wish = Wish(operation.fresh_seconds, stale_seconds(header), Terms.said(header))
    target = (path + b"?" + query if query else path).decode("latin-1")
    try:
        if operation.access is Access.PUBLIC or guest.user_id is None:
            return await reads.public(operation, target, wish)
        return await reads.private(guest.user_id, operation, target, wish)
    except KalshiError as error:
        if error.refusal is None:
            raise
        return error.refusal


def refusal(operation: Operation, guest: Guest) -> Refusal | None:
    """Why this caller may not call this operation; None if they may."""
    if operation.access is Access.PUBLIC:
        return None
    if guest.caller is None:
        return refusals.SIGNATURE_MISSING
    if operation.access is Access.WRITE:
        return refusals.forbidden(NO_WRITES)
    if operation.access is Access.WITHHELD:
        return refusals.forbidden(NOT_SHOWN)
    return refusals.forbidden(NO_USER) if guest.user_id is None else None


def stale_seconds(header: bytes | None) -> float:
    """How old the client lets an answer be when the exchange cannot be asked."""
    allowed = [
        float(seconds) if seconds else ANY_AGE for seconds in STALE_ALLOWED.findall(header or b"")
    ]
    return min(allowed, default=0.0)
