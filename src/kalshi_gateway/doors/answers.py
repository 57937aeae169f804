"""What goes out of the doors: bodies as they came, or as they were made of that, and refusals."""

from fastapi import Response

from kalshi_gateway.answers import WORTH_COMPRESSING
from kalshi_gateway.kalshi.calls import Reply
from kalshi_gateway.kalshi.errors import Refusal

from . import refusals
from .reads import Given


def given(answered: Given) -> Response:
    """A body, with how old it is in the headers."""
    return Response(answered.body, headers=_told(answered), media_type=refusals.JSON)


async def zipped(answered: Given) -> Response:
    """The same for who takes gzip."""
    if len(answered.body) < WORTH_COMPRESSING:
        return given(answered)
    headers = {**_told(answered), "Content-Encoding": "gzip"}
    return Response(await answered.kept.zipped(), headers=headers, media_type=refusals.JSON)


def _told(answered: Given) -> dict[str, str]:
    return {
        "Age": str(int(answered.age_seconds)),
        "Cache-Control": "private, no-cache",
        "Vary": "Accept-Encoding, Accept-Language",
        "X-Cache": answered.came,
    }


def written(reply: Reply | Refusal) -> Response:
    """What the exchange made of a write, or why it did not; nobody is to keep it."""
    headers = {"Cache-Control": "no-store"}
    if reply.body:
        headers["Content-Type"] = reply.media_type
    return Response(reply.body, reply.status, headers)


def refused(refusal: Refusal) -> Response:
    """A refusal with its status, which nobody is to keep."""
    headers = {"Cache-Control": "no-store", "Content-Type": refusal.media_type}
    return Response(refusal.body, refusal.status, headers)
