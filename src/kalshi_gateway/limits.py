"""What a request may be: how large, how slow, and from where while there are no tokens."""

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import chain
from urllib.parse import unquote_to_bytes, urlsplit

from starlette.types import Scope

from .errors import FieldError, GatewayError, Malformed
from .problems import pointer
from .settings import is_loopback

URL_BYTES = 16 * 1024
HEADER_BYTES = 32 * 1024
HEADER_COUNT = 100


class UrlTooLong(GatewayError):
    """Path and query together are longer than any sensible request's."""

    status = 414
    code = "url_too_long"
    title = "URL too long"


class HeadersTooLarge(GatewayError):
    """The headers are more, or longer, than any sensible request's."""

    status = 431
    code = "headers_too_large"
    title = "Headers too large"


class BodyTooLarge(GatewayError):
    """The body is larger than this gateway takes."""

    status = 413
    code = "body_too_large"
    title = "Body too large"


class ForeignCaller(GatewayError):
    """Without tokens only this machine's own programs and pages are listened to."""

    status = 403
    code = "foreign_caller"
    title = "Foreign caller"


@dataclass(frozen=True)
class Limits:
    """How much one request may be, and how long it may take."""

    body_bytes: int
    time: timedelta


@dataclass(frozen=True)
class LocalOnly:
    """Keeps pages of other sites out while there are no tokens.

    A page may make a browser send requests here under its own site's name (DNS rebinding) or
    across sites; the first shows in Host, the second in Origin.
    """

    origins: frozenset[str]

    def knows(self, host: bytes) -> bool:
        """Whether a request to this host, of no other origin, is one of this machine's own."""
        return _is_local(host.decode("latin-1"))

    def check(self, scope: Scope) -> None:
        """Refuse whom a page of another site may have sent."""
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or not _is_local(hosts[0]):
            raise ForeignCaller(
                "Without tokens (GATEWAY_AUTH=off) only localhost is answered; Host is another."
            )
        for origin in _values(scope, b"origin"):
            if origin not in self.origins and _host_of(origin) != hosts[0].lower():
                raise ForeignCaller(
                    "Pages of another origin may call only if GATEWAY_CORS_ORIGINS names it."
                )


def check_url(scope: Scope) -> None:
    """Refuse a URL that is too long or is not text: escapes must be UTF-8 without NUL."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    if len(path) + len(query) > URL_BYTES:
        raise UrlTooLong(f"Path and query together may have {URL_BYTES} bytes.")
    if b"%" in path and not _is_text(path):
        raise Malformed(
            "The path is not text.",
            errors=(FieldError("/path", "Escapes must be UTF-8, and none may be NUL."),),
        )
    if query.isascii() and b"%" not in query:
        return
    errors = tuple(
        FieldError(pointer("query", _shown(name)), "Escapes must be UTF-8, and none may be NUL.")
        for name, _, value in (pair.partition(b"=") for pair in query.split(b"&"))
        if not _is_text(name) or not _is_text(value)
    )
    if errors:
        raise Malformed("The query is not text.", errors=errors)


def check_headers(scope: Scope) -> None:
    """Refuse headers that are too many or too large."""
    headers = scope["headers"]
    if len(headers) > HEADER_COUNT:
        raise HeadersTooLarge(f"A request may have {HEADER_COUNT} headers.")
    if sum(map(len, chain.from_iterable(headers))) > HEADER_BYTES:
        raise HeadersTooLarge(f"Headers together may have {HEADER_BYTES} bytes.")


def check_length(scope: Scope, body_bytes: int) -> None:
    """Refuse a body that says it is too large, before any of it is read."""
    for value in _values(scope, b"content-length"):
        if not (value.isascii() and value.isdigit()):
            raise Malformed(
                "Content-Length is not a number.",
                errors=(FieldError("/header/content-length", "This must be a number."),),
            )
        if len(value) > 18 or int(value) > body_bytes:
            raise body_too_large()


def body_too_large() -> BodyTooLarge:
    """For whoever counts the body as it comes."""
    return BodyTooLarge("The body is larger than this gateway takes.")


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _is_text(escaped: bytes) -> bool:
    if not escaped.isascii():
        return False
    raw = unquote_to_bytes(escaped)
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in raw


def _shown(name: bytes) -> str:
    """A parameter's name as far as it can be shown."""
    text = unquote_to_bytes(name).decode(errors="replace")
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:64]


@lru_cache(maxsize=64)
def _is_local(host: str) -> bool:
    """Whether a Host header names this machine, on whatever port."""
    name = host.rpartition(":")[0] if re.search(r":\d*$", host) else host
    return is_loopback(name.lower())


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None
