"""GatewayError, the root of all we tell a client."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar


@dataclass(frozen=True)
class FieldError:
    """One thing wrong with a request: where (a JSON pointer) and what."""

    pointer: str
    message: str


@dataclass(frozen=True)
class Upstream:
    """What the exchange itself answered, where it did."""

    status: int | None
    code: str | None


class GatewayError(Exception):
    """Something a client is told: its status, its code and words meant for the client.

    Subclasses sit beside the rule that raises them and set `status` and `code`.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        retry_after_seconds: int | None = None,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] = MappingProxyType({}),
        upstream: Upstream | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds
        self.errors = errors
        self.headers = headers
        self.upstream = upstream


class Malformed(GatewayError):
    """The request cannot be understood at all."""

    status = 400
    code = "malformed"
    title = "Malformed request"


class Unprocessable(GatewayError):
    """The request is understood, and a value in it cannot be used."""

    status = 422
    code = "invalid_request"
    title = "Invalid request"


class NotFound(GatewayError):
    """There is no such thing, here or at the exchange."""

    status = 404
    code = "not_found"
    title = "Not found"


class Unavailable(GatewayError):
    """Neither the exchange nor what we keep can answer now; later it can."""

    status = 503
    code = "unavailable"
    title = "Unavailable"
    retryable = True
