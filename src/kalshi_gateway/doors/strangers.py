"""Reads of people who do not say who they are: over the service's line, and in nobody's way."""

import asyncio

from kalshi_gateway.kalshi.calls import Headers, Operation, Reply
from kalshi_gateway.kalshi.client import Kalshi
from kalshi_gateway.kalshi.errors import RateLimited

from . import refusals

#: So many of their questions are with the exchange, or wait for their turn, at once.
MOST_AT_ONCE = 8

SIGN_IN = "too many ask this without a signature now; signed requests are not among them"


class TooManyStrangers(RateLimited):
    """As many as may are asking already."""

    refusal = refusals.enveloped(429, "too_many_requests", details=SIGN_IN)


class Strangers:
    """Asks for them what they may ask, some at once, and counts by itself what fails.

    They choose what is asked: if that were more than there is, or what the exchange fails to
    answer, nobody else could read or write.
    """

    def __init__(self, service: Kalshi) -> None:
        self._kalshi = service.beside()
        self._seats = asyncio.Semaphore(MOST_AT_ONCE)

    async def verbatim(self, operation: Operation, target: str, *, headers: Headers) -> Reply:
        """The exchange's answer to a path and its query; `TooManyStrangers` if none is free."""
        if self._seats.locked():
            raise TooManyStrangers("too many unsigned requests at once")
        async with self._seats:
            return await self._kalshi.verbatim(operation, target, headers=headers)
