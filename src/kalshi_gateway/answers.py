"""Finished answers: JSON put together from finished pieces, and all that is said of its age.

The content is made once; only `meta` and the headers that tell the age are made anew, at most once
a second, and both ways to an answer (through its route, or from `hot.py`) end in `Answer.send`.
"""

import gzip
import time
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Literal

from fastapi import Response
from starlette.types import Receive, Scope, Send

from .freshness import Meta, Source, Standing
from .units import to_json

#: In the ASGI scope: the answer that a route gave, for the layer that keeps it.
ANSWER = "gateway.answer"

#: Smaller bodies are not worth compressing.
WORTH_COMPRESSING = 1_400
#: A page of 100 markets in half a millisecond; higher levels take twice that for a tenth less.
GZIP_LEVEL = 1

#: RFC 9211: how this cache came by the answer.
Came = Literal["HIT", "MISS", "STALE", "BYPASS"]

Headers = list[tuple[bytes, bytes]]


class Answer(Response):
    """One JSON object that ends in its `meta`, and can be sent again as it grows older."""

    def __init__(
        self,
        content: bytes,
        standing: Standing,
        *,
        source: Source = "cache",
        came: Came = "HIT",
        total: int | None = None,
    ) -> None:
        """`content` is the object without its last brace and without `meta`."""
        self.status_code = 200
        self.background = None
        self.content = content
        self.standing = standing
        self.source: Source = source
        self.came: Came = came
        self.total = total
        self.etag = b'W/"' + blake2b(content, digest_size=8).hexdigest().encode() + b'"'
        self.made_at = time.monotonic()
        self._rendered_at = -1
        self._body = b""
        self._zipped: bytes | None = None
        self._said: Headers = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ANSWER] = self
        await self.send(scope, send)

    async def send(self, scope: Scope, send: Send) -> None:
        """Answer with the body, or with 304 to who has it already."""
        self._render()
        known, zipped = _asked_with(scope["headers"])
        if known is not None and _names(known, self.etag):
            await send({"type": "http.response.start", "status": 304, "headers": self._said})
            await send({"type": "http.response.body", "body": b""})
            return
        headers, body = self._said, self._body
        if zipped and len(body) >= WORTH_COMPRESSING:
            if self._zipped is None:
                self._zipped = gzip.compress(body, GZIP_LEVEL, mtime=0)
            body = self._zipped
            headers = [*headers, (b"content-encoding", b"gzip")]
        length = (b"content-length", str(len(body)).encode())
        start = {"type": "http.response.start", "status": 200, "headers": [*headers, length]}
        await send(start)
        await send({"type": "http.response.body", "body": body})

    def restated(self, standing: Standing) -> "Answer":
        """The same content with something else to say of it."""
        return Answer(self.content, standing, source=self.source, total=self.total)

    @property
    def size(self) -> int:
        """Bytes held in memory, roughly: content, body, and the compressed body."""
        return 2 * len(self.content) + len(self._zipped or b"") + 1_000

    def _render(self) -> None:
        """Say the age of this second."""
        second = int(time.time())
        if second == self._rendered_at:
            return
        meta = self.standing.meta(source=self.source, total=self.total)
        self._body = b"".join((self.content, b',"meta":', to_json(meta), b"}"))
        self._zipped = None
        self._said = _headers(meta, self.standing, self.came, self.etag)
        self._rendered_at = second


def listed(
    name: str,
    bodies: Iterable[str],
    next_cursor: str | None,
    standing: Standing,
    *,
    total: int | None = None,
) -> Answer:
    """A list of finished objects under the name of what is listed."""
    text = f'{{"{name}":[{",".join(bodies)}],"next_cursor":'.encode()
    return Answer(text + to_json(next_cursor), standing, total=total)


def detailed(body: str, standing: Standing, *more: str, came: Came = "HIT") -> Answer:
    """A finished object with further members."""
    source: Source = "cache" if came == "HIT" else "kalshi"
    return Answer(",".join((body[:-1], *more)).encode(), standing, source=source, came=came)


def asked(answer: object, standing: Standing, *, came: Came = "MISS") -> Answer:
    """What the exchange has just said, as an object without `meta`."""
    return Answer(to_json(answer)[:-1], standing, source="kalshi", came=came)


def kept(answer: object, standing: Standing) -> Answer:
    """What we know, put together just now, as an object without `meta`."""
    return Answer(to_json(answer)[:-1], standing)


def made(answer: object) -> Response:
    """An answer of our own, which has no age."""
    return Response(to_json(answer), media_type="application/json")


def _headers(meta: Meta, standing: Standing, came: Came, etag: bytes) -> Headers:
    age = meta.age_seconds
    left = None if age is None else int(standing.fresh_for_seconds) - age
    told: Came = "STALE" if came == "HIT" and meta.stale else came
    return [
        (b"content-type", b"application/json"),
        (b"etag", etag),
        # To be asked each time: with the ETag that costs next to nothing.
        (b"cache-control", b"private, no-cache"),
        (b"cache-status", _cache_status(told, left)),
        (b"x-cache", told.encode()),
        (b"vary", b"accept-encoding, authorization"),
        *([] if age is None else [(b"age", str(age).encode())]),
    ]


def _cache_status(came: Came, seconds_left: int | None) -> bytes:
    said = {
        "HIT": "hit",
        "STALE": "hit",
        "MISS": "fwd=miss",
        "BYPASS": "fwd=request",
    }[came]
    ttl = "" if seconds_left is None else f"; ttl={seconds_left}"
    return f"kalshi-gateway; {said}{ttl}".encode()


def _asked_with(headers: Sequence[tuple[bytes, bytes]]) -> tuple[bytes | None, bool]:
    """The ETags the client holds, and whether it takes gzip."""
    known, zipped = None, False
    for name, value in headers:
        if name == b"if-none-match":
            known = value if known is None else known + b"," + value
        elif name == b"accept-encoding":
            zipped = b"gzip" in value and b"gzip;q=0" not in value.replace(b" ", b"")
    return known, zipped


def _names(known: bytes, etag: bytes) -> bool:
    """Weak comparison (RFC 9110): the content is the same, whatever `meta` says of it."""
    return known.strip() == b"*" or any(
        tag.strip().removeprefix(b"W/") == etag[2:] for tag in known.split(b",")
    )
