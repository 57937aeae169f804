"""Finished answers: JSON put together from finished pieces, and all that is said of its age.

The content is made once; only `meta` and the headers that tell the age are made anew, at most once
a second, and both ways to an answer (through its route, or from `hot.py`) end in `Answer.send`.
"""

import gzip
import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from hashlib import blake2b
from http import HTTPStatus
from typing import NamedTuple, Self

from fastapi import Response
from starlette.types import Message, Receive, Scope, Send

from .freshness import Came, Meta, Source, Standing
from .units import to_json

#: In the ASGI scope: the answer that a route gave, for the layer that keeps it.
ANSWER = "gateway.answer"

#: Smaller bodies are not worth compressing.
WORTH_COMPRESSING = 1_400
#: A page of 100 markets in half a millisecond; higher levels take twice that for a tenth less.
GZIP_LEVEL = 1

#: gzip in an Accept-Encoding header, and how much it is liked (RFC 9110).
GZIP = re.compile(rb"(?:^|,)\s*gzip\s*(?:;\s*q=([\d.]+)\s*)?(?:,|$)", re.IGNORECASE)

TELLING = frozenset({b"authorization", b"if-none-match", b"accept-encoding", b"cache-control"})

Headers = list[tuple[bytes, bytes]]
#: Head and body of an answer as they go over the wire.
Ready = tuple[bytes, bytes]

NO_BODY: Message = {"type": "http.response.body", "body": b""}


class Asked(NamedTuple):
    """What the headers of a request say of the answer that is wanted."""

    authorization: bytes = b""
    #: The ETags the client holds.
    known: bytes | None = None
    #: It takes gzip.
    zipped: bool = False
    #: RFC 9111: it asks for more than what a cache has.
    directives: bytes | None = None

    @classmethod
    def of(cls, scope: Scope) -> Self:
        said = {name: value for name, value in scope["headers"] if name in TELLING}
        if b"cache-control" in said:  # which may come in several lines
            lines = [value for name, value in scope["headers"] if name == b"cache-control"]
            said[b"cache-control"] = b",".join(lines)
        return cls(
            said.get(b"authorization", b""),
            said.get(b"if-none-match"),
            takes_gzip(said.get(b"accept-encoding", b"")),
            said.get(b"cache-control"),
        )


def takes_gzip(accepts: bytes) -> bool:
    """Whether an Accept-Encoding header takes it."""
    if accepts == b"gzip":
        return True
    named = GZIP.search(accepts)
    return named is not None and (named[1] is None or named[1].strip(b"0.") != b"")


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
        momentary: bool = False,
    ) -> None:
        """`content` is the object without its last brace and without `meta`.

        What is `momentary` is asked for whenever it is needed: it is given again only to those
        who say how old it may be, or when there is no other.
        """
        self.status_code = 200
        self.background = None
        self.content = content
        self.standing = standing
        self.source: Source = source
        self.came: Came = came
        self.total = total
        self.momentary = momentary
        self.etag = b'W/"' + blake2b(content, digest_size=8).hexdigest().encode() + b'"'
        self.made_at = time.monotonic()
        self._rendered_at = -1
        self._unchanged = self._plain = NOT_RENDERED
        self._zipped: Form | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ANSWER] = self
        await self.send(Asked.of(scope), send)

    async def send(self, asked: Asked, send: Send) -> None:
        """Answer with the body, or with 304 to who has it already."""
        form = self.form(asked.known, zipped=asked.zipped)
        await send(form.start)
        await send(form.body)

    def form(self, known: bytes | None, *, zipped: bool) -> "Form":
        """How it is sent to who has this already, and who does or does not take gzip."""
        second = int(time.time())
        if second != self._rendered_at:
            self._render(second)
        if known is not None and _names(known, self.etag):
            return self._unchanged
        if zipped and len(self._plain.content) >= WORTH_COMPRESSING:
            return self._zipped or self._zip()
        return self._plain

    def restated(self, standing: Standing) -> "Answer":
        """The same content as it is given another time, with this to say of it."""
        return Answer(self.content, standing, total=self.total, momentary=self.momentary)

    @property
    def size(self) -> int:
        """Bytes held in memory, roughly: the content, in a body, and that compressed."""
        return 2 * len(self.content) + len(self.content) // 4 + 1_000

    def _render(self, second: int) -> None:
        """Say the age of this second."""
        meta = self.standing.meta(source=self.source, total=self.total)
        body = b"".join((self.content, b',"meta":', to_json(meta), b"}"))
        headers = _headers(meta, self.standing, self.came, self.etag)
        self._unchanged = Form(304, headers, b"", second)
        self._plain = _whole(headers, body, second)
        self._zipped = None
        self._rendered_at = second

    def _zip(self) -> "Form":
        body = gzip.compress(self._plain.content, GZIP_LEVEL, mtime=0)
        headers = [*self._unchanged.start["headers"], (b"content-encoding", b"gzip")]
        self._zipped = _whole(headers, body, self._rendered_at)
        return self._zipped


class TextAnswer(Answer):
    """What is no JSON object, such as CSV: it has no `meta`, and headers alone tell its age."""

    def __init__(self, content: str, standing: Standing, media_type: str, came: Came) -> None:
        super().__init__(content.encode(), standing, source=_source(came), came=came)
        self.media_type = media_type

    def _render(self, second: int) -> None:
        meta = self.standing.meta(source=self.source)
        told = _headers(meta, self.standing, self.came, self.etag)[1:]
        headers = [(b"content-type", f"{self.media_type}; charset=utf-8".encode()), *told]
        self._unchanged = Form(304, headers, b"", second)
        self._plain = _whole(headers, self.content, second)
        self._zipped = None
        self._rendered_at = second


class Form:
    """An answer as it goes out for a second: as two messages, or as the bytes of its head."""

    __slots__ = ("_head", "body", "cache", "content", "second", "start", "status")

    def __init__(self, status: int, headers: Headers, body: bytes, second: int) -> None:
        self.status = status
        self.cache = cache_result(headers)
        self.content = body
        self.start: Message = {
            "type": "http.response.start",
            "status": status,
            "headers": headers,
        }
        self.body: Message = {"type": "http.response.body", "body": body} if body else NO_BODY
        self.second = second
        self._head: bytes | None = None

    @property
    def head(self) -> bytes:
        """Status line and headers, but for the empty line at their end."""
        if self._head is None:
            status = HTTPStatus(self.status)
            lines = [
                b"HTTP/1.1 %d %s" % (status, status.phrase.encode()),
                b"date: " + formatdate(self.second, usegmt=True).encode(),
                *(name + b": " + value for name, value in self.start["headers"]),
            ]
            self._head = b"\r\n".join(lines) + b"\r\n"
        return self._head


def cache_result(headers: Headers) -> bytes:
    """What the headers of an answer of ours say of how it was come by; empty: nothing."""
    return dict(headers).get(b"x-cache", b"")


NOT_RENDERED = Form(500, [], b"", 0)


def _whole(headers: Headers, body: bytes, second: int) -> Form:
    length = (b"content-length", str(len(body)).encode())
    return Form(200, [*headers, length], body, second)


def listed(
    name: str,
    bodies: Iterable[str],
    next_cursor: str | None,
    standing: Standing,
    *,
    total: int | None = None,
    came: Came = "HIT",
) -> Answer:
    """A list of finished objects under the name of what is listed."""
    text = f'{{"{name}":[{",".join(bodies)}],"next_cursor":'.encode()
    content = text + to_json(next_cursor)
    return Answer(content, standing, source=_source(came), came=came, total=total)


def detailed(body: str, standing: Standing, *more: str, came: Came = "HIT") -> Answer:
    """A finished object with further members."""
    content = ",".join((body[:-1], *more)).encode()
    return Answer(content, standing, source=_source(came), came=came)


def asked(answer: object, standing: Standing, *, came: Came = "MISS") -> Answer:
    """What the exchange has just said, as an object without `meta`."""
    return Answer(to_json(answer)[:-1], standing, source="kalshi", came=came, momentary=True)


def kept(answer: object, standing: Standing, came: Came = "HIT") -> Answer:
    """What we know, put together just now, as an object without `meta`."""
    return Answer(to_json(answer)[:-1], standing, source=_source(came), came=came)


def made(answer: object) -> Response:
    """An answer of our own, which has no age."""
    return Response(to_json(answer), media_type="application/json")


def _source(came: Came) -> Source:
    return "cache" if came == "HIT" else "kalshi"


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
        "REVALIDATED": "fwd=stale",
        "BYPASS": "fwd=request",
    }[came]
    ttl = "" if seconds_left is None else f"; ttl={seconds_left}"
    return f"kalshi-gateway; {said}{ttl}".encode()


def _names(known: bytes, etag: bytes) -> bool:
    """Weak comparison (RFC 9110): the content is the same, whatever `meta` says of it."""
    return known.strip() == b"*" or any(
        tag.strip().removeprefix(b"W/") == etag[2:] for tag in known.split(b",")
    )
