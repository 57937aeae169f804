"""What goes out of the doors: bodies as they came, or as they were made of that, and refusals."""

import time
from math import ceil

from fastapi import Response

from kalshi_gateway.answers import WORTH_COMPRESSING, Form
from kalshi_gateway.kalshi.calls import Reply
from kalshi_gateway.kalshi.errors import Refusal

from . import refusals
from .reads import Given, Kept


async def given(answered: Given, *, zipped: bool) -> Response:
    """A body as this client takes it, with how old it is in the headers."""
    if not zipped or len(answered.body) < WORTH_COMPRESSING:
        return _sent(answered, answered.body, _told(answered))
    headers = {**_told(answered), "Content-Encoding": "gzip"}
    return _sent(answered, await answered.kept.zipped(), headers)


def ready(kept: Kept, *, zipped: bool) -> Form | None:
    """A kept body as it goes over the wire; None where it would have to be compressed first."""
    second = int(time.time())
    body = kept.body
    if zipped and len(body) >= WORTH_COMPRESSING:
        at_once = kept.zipped_at_once()
        if at_once is None:
            return None
        body = at_once
    form = kept.form
    if form is None or form.second != second or form.content is not body:
        hit = Given(kept, "HIT")
        response = _sent(hit, body, _told(hit))
        if body is not kept.body:
            response.headers["Content-Encoding"] = "gzip"
        form = kept.form = Form(kept.status, response.raw_headers, body, second)
    return form


def _sent(answered: Given, body: bytes, headers: dict[str, str]) -> Response:
    return Response(body, answered.kept.status, headers, refusals.JSON)


def _told(answered: Given) -> dict[str, str]:
    return {
        "Age": str(int(answered.age_seconds)),
        "Cache-Control": "private, no-cache",
        "Vary": "Accept-Encoding, Accept-Language",
        "X-Cache": answered.came,
    }


def written(reply: Reply | Refusal) -> Response:
    """What the exchange made of a write, or why it did not; nobody is to keep it."""
    if isinstance(reply, Refusal):
        return refused(reply)
    headers = {"Cache-Control": "no-store"}
    if reply.body:
        headers["Content-Type"] = reply.media_type
    return Response(reply.body, reply.status, headers)


def refused(refusal: Refusal) -> Response:
    """A refusal with its status, which nobody is to keep."""
    headers = {"Cache-Control": "no-store", "Content-Type": refusal.media_type}
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(ceil(refusal.retry_after_s))
    return Response(refusal.body, refusal.status, headers)
