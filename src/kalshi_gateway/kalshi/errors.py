"""What can go wrong with the exchange, named."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import httpx
import msgspec

LONGEST_TEXT = 300
#: Of those that blame the call, the ones that another time, or another pace, may mend.
PASSING = frozenset({408, 425, 429})


class Refusal(NamedTuple):
    """An unsuccessful answer as it came; it may name an account."""

    status: int
    media_type: str
    body: bytes
    retry_after_s: float | None = None


class KalshiError(Exception):
    """Anything the exchange, or the way to it, did to us."""

    #: Where it was an answer: for clients that speak the exchange's own language.
    refusal: Refusal | None = None


class Unavailable(KalshiError):
    """The exchange cannot be reached or cannot answer now; asking later makes sense."""

    def __init__(
        self, message: str, *, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def blames_call(self) -> bool:
        """Whether what was asked was refused on its way: that says nothing of other calls."""
        status = self.status
        return status is not None and 400 <= status < 500 and status not in PASSING


class NotSent(Unavailable):
    """Nothing left for the exchange."""


class TurnMissed(NotSent):
    """The account's budget was spent for too long."""


class BreakerOpen(NotSent):
    """The exchange failed too often; we did not ask."""


class RateLimited(KalshiError):
    """The account's budget is spent, or so the exchange counts."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = 429
        self.retry_after_s = retry_after_s


class Rejected(KalshiError):
    """The exchange understood and refused; the same again will be refused again.

    `code` is lower case, as the exchange mixes both. `message` and `details` may name an account:
    they are kept out of the text that `str` gives.
    """

    def __init__(
        self, status: int, code: str | None = None, message: str = "", details: str | None = None
    ) -> None:
        # Some codes end in a variable part, such as a user's id.
        label = (code or "").partition(":")[0]
        super().__init__(" ".join(part for part in (str(status), label) if part))
        self.status = status
        self.code = code
        self.message = message
        self.details = details


class NotFound(Rejected):
    """No such thing at the exchange, or not any more, or not yet."""


class KeyRejected(Rejected):
    """The exchange does not accept this key, or not for this."""


class Nonsense(KalshiError):
    """The exchange answered something we cannot use."""


class DeadlineExceeded(KalshiError):
    """There was no time left to wait for our turn, or for the answer."""


def from_response(response: httpx.Response) -> KalshiError:
    """The error that an unsuccessful, fully read answer stands for, with that answer."""
    error = _named(response)
    media_type = response.headers.get("content-type", "application/json")
    error.refusal = Refusal(
        response.status_code, media_type, response.content, _retry_after_s(response)
    )
    return error


def _named(response: httpx.Response) -> KalshiError:
    status = response.status_code
    retry_after_s = _retry_after_s(response)
    if status == 429:
        return RateLimited("429 too many requests", retry_after_s=retry_after_s)
    if status >= 500 or status in PASSING:
        return Unavailable(
            f"{status} from the exchange", status=status, retry_after_s=retry_after_s
        )
    if status < 400:
        return Nonsense(f"{status} where an answer was expected")
    envelope = _envelope(response.content)
    if envelope is None and (is_html(response) or status == 403):
        # Such a page comes from the network in front of the exchange and says nothing about the
        # key or the thing asked for.
        return Unavailable(
            f"{status} from the exchange's front", status=status, retry_after_s=retry_after_s
        )
    code, message, details = envelope or (None, "", None)
    if status in (401, 403):
        return KeyRejected(status, code, message, details)
    if status == 404:
        return NotFound(status, code, message, details)
    return Rejected(status, code, message, details)


def is_html(response: httpx.Response) -> bool:
    """Whether a page for people came instead of data."""
    kind = response.headers.get("content-type", "").lower()
    return "html" in kind or response.content[:64].lstrip()[:1] == b"<"


def _envelope(body: bytes) -> tuple[str | None, str, str | None] | None:
    """Code, message and details out of the four shapes errors come in (measured 2026-06 on demo).

    `{"error": {"code", "message", "details"}}`, the same without the wrapping, `{"msg": text}`
    and `{"error": text}`.
    """
    try:
        said: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    inner = said.get("error", said)
    if isinstance(inner, str):
        return None, _text(inner), None
    if not isinstance(inner, dict):
        return None
    code = _text(inner.get("code")).lower() or None
    message = _text(inner.get("message")) or _text(inner.get("msg"))
    return code, message, _text(inner.get("details")) or None


def _text(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text[:LONGEST_TEXT]


def _retry_after_s(response: httpx.Response) -> float | None:
    """Seconds to wait, where the front in between says so; the exchange itself does not."""
    said = response.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:9])
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None
    if at.tzinfo is None:
        return None
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
