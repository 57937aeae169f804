"""What goes out of the doors: bodies as they came, or as they were made of that, and refusals."""

from fastapi import Response

from kalshi_gateway.kalshi.errors import Refusal

from . import refusals
from .reads import Given


def given(answered: Given) -> Response:
    """A body, with how old it is in the headers."""
    headers = {
        "Age": str(int(answered.age_seconds)),
        "Cache-Control": "private, no-cache",
        "X-Cache": answered.came,
    }
    return Response(answered.body, headers=headers, media_type=refusals.JSON)


def refused(refusal: Refusal) -> Response:
    """A refusal with its status, which nobody is to keep."""
    headers = {"Cache-Control": "no-store", "Content-Type": refusal.media_type}
    return Response(refusal.body, refusal.status, headers)
