"""Any error → an RFC 9457 answer."""

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Scope

from .doors import refusals
from .errors import FieldError, GatewayError, Malformed, NotFound, Unprocessable, Upstream
from .kalshi import errors as kalshi

JSON = "application/json"
MEDIA_TYPE = "application/problem+json"

#: A path longer than this is cut in `instance`; nobody needs it back to the last byte.
LONGEST_INSTANCE = 1024

#: When the exchange does not say how long to wait.
RETRY_AFTER_SECONDS = 5

#: Errors of pydantic whose words repeat what was sent, and what we say instead.
OUR_WORDS = {
    "json_invalid": "This is not JSON.",
    "union_tag_invalid": "This is none of the kinds that are possible here.",
    "url_parsing": "This is not a valid URL.",
    "url_syntax_violation": "This is not a valid URL.",
    "uuid_parsing": "This is not a valid UUID.",
}


class UnknownRoute(NotFound):
    """Nothing is served at this path."""


class MethodNotAllowed(GatewayError):
    """The path exists, but not for this method; `Allow` names those it exists for."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"


class UpstreamError(GatewayError):
    """The exchange did not give what was needed to answer."""

    status = 502
    code = "upstream_error"
    title = "Exchange error"


class UpstreamRejected(UpstreamError):
    """The exchange understood the request and refused it; it will refuse it again."""

    code = "upstream_rejected"
    title = "Refused by the exchange"


class UpstreamKeyRejected(UpstreamError):
    """The exchange does not accept the API key kept for this user, or not for this."""

    code = "upstream_key_rejected"
    title = "API key refused by the exchange"


class UpstreamNonsense(UpstreamError):
    """The exchange answered something that cannot be used."""

    code = "upstream_nonsense"
    title = "Unusable answer from the exchange"
    retryable = True


class UpstreamUnavailable(UpstreamError):
    """The exchange cannot be reached or cannot answer now."""

    status = 503
    code = "upstream_unavailable"
    title = "Exchange unavailable"
    retryable = True


class UpstreamRateLimited(UpstreamError):
    """What the exchange allows this account to ask is used up for the moment."""

    status = 503
    code = "upstream_rate_limited"
    title = "Exchange's limit reached"
    retryable = True


class UpstreamTimedOut(UpstreamError):
    """The exchange did not answer within the time there was."""

    status = 504
    code = "upstream_timed_out"
    title = "Exchange timed out"
    retryable = True


class ProblemField(BaseModel):
    """One thing wrong with the request."""

    pointer: Annotated[str, Field(examples=["/query/limit"], description="Where: a JSON pointer.")]
    message: Annotated[str, Field(description="What.")]


class ProblemUpstream(BaseModel):
    """What the exchange itself answered."""

    status: Annotated[int | None, Field(description="Its HTTP status.")]
    code: Annotated[str | None, Field(description="Its own error code.")]


class Problem(BaseModel):
    """Why a request has no answer (RFC 9457)."""

    model_config = ConfigDict(frozen=True)

    type: Annotated[str, Field(examples=["/problems/not_found"])]
    title: str
    status: int
    detail: str
    instance: Annotated[str, Field(description="The path that was asked for.")]
    code: Annotated[str, Field(description="The kind of problem, for programs.")]
    request_id: Annotated[str, Field(description="Also in the log, and in X-Request-ID.")]
    retryable: Annotated[bool, Field(description="The same request may succeed later.")]
    error: Annotated[str, Field(description="The detail again, for older dashboard clients.")]
    retry_after: Annotated[int | None, Field(description="Seconds to wait.")] = None
    upstream: ProblemUpstream | None = None
    errors: Annotated[list[ProblemField] | None, Field(description="All that is wrong.")] = None


def answer(error: GatewayError, scope: Scope, request_id: str) -> Response:
    """What the client is told; the status of the answer is that of the problem."""
    headers = {"Cache-Control": "no-store", **error.headers}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    foreign = refusals.spoken(error, scope["path"])
    if foreign is not None:
        return Response(foreign.body, foreign.status, headers, foreign.media_type)
    problem = Problem(
        type=f"/problems/{error.code}",
        title=error.title,
        status=error.status,
        detail=error.detail,
        instance=_path(scope),
        code=error.code,
        request_id=request_id,
        retryable=error.retryable,
        error=error.detail,
        **_where_they_apply(error),
    )
    return Response(problem.model_dump_json(exclude_unset=True), error.status, headers, MEDIA_TYPE)


def _where_they_apply(error: GatewayError) -> dict[str, Any]:
    members: dict[str, Any] = {}
    if error.retry_after_seconds is not None:
        members["retry_after"] = error.retry_after_seconds
    if error.upstream is not None:
        members["upstream"] = ProblemUpstream(
            status=error.upstream.status, code=error.upstream.code
        )
    if error.errors:
        members["errors"] = [
            ProblemField(pointer=wrong.pointer, message=wrong.message) for wrong in error.errors
        ]
    return members


def named(error: Exception, scope: Scope) -> GatewayError:
    """The error in our own terms; what nobody foresaw is an internal error that says nothing."""
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, kalshi.KalshiError):
        return from_kalshi(error)
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        return _from_framework(error, scope)
    return GatewayError("Something went wrong here. The request id finds the details in the log.")


def from_kalshi(error: kalshi.KalshiError) -> GatewayError:
    """What the exchange did to us, as the client is told it.

    The exchange's own words may name an account, so only its status and code are passed on.
    """
    match error:
        case kalshi.NotFound():
            return NotFound("The exchange knows no such thing.", upstream=_upstream(error))
        case kalshi.KeyRejected():
            return UpstreamKeyRejected(
                "The exchange does not accept the API key for this.", upstream=_upstream(error)
            )
        case kalshi.Rejected():
            return UpstreamRejected("The exchange refused this.", upstream=_upstream(error))
        case kalshi.RateLimited():
            return UpstreamRateLimited(
                "The exchange allows no more requests for the moment.",
                retry_after_seconds=_seconds(error.retry_after_s),
                upstream=Upstream(error.status, None),
            )
        case kalshi.Unavailable():
            return UpstreamUnavailable(
                "The exchange cannot answer now.",
                retry_after_seconds=_seconds(error.retry_after_s),
                upstream=None if error.status is None else Upstream(error.status, None),
            )
        case kalshi.DeadlineExceeded():
            return UpstreamTimedOut("The exchange did not answer in time.")
        case kalshi.Nonsense():
            return UpstreamNonsense("The exchange answered something that cannot be used.")
        case _:
            return UpstreamError("The exchange could not be asked.")


def pointer(*parts: str | int) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _invalid(error: RequestValidationError) -> GatewayError:
    """Everything that is wrong with the values, without repeating them."""
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        # What FastAPI gives as the place is an offset in the text, not a place in the value.
        return Malformed(
            "The body is not JSON.", errors=(FieldError("/body", OUR_WORDS["json_invalid"]),)
        )
    errors = tuple(FieldError(pointer(*item["loc"]), _message(item)) for item in found)
    return Unprocessable(_summary(errors), errors=errors)


def _message(item: Any) -> str:
    return str(OUR_WORDS.get(item["type"], item["msg"]))


def _summary(errors: Sequence[FieldError]) -> str:
    first = f"{errors[0].pointer}: {errors[0].message}"
    return first if len(errors) == 1 else f"{first} (and {len(errors) - 1} more)"


def _from_framework(error: HTTPException, scope: Scope) -> GatewayError:
    """What Starlette and FastAPI raise themselves; nothing of ours raises HTTPException."""
    if isinstance(error.__cause__, GatewayError):  # ours, raised while FastAPI read the body
        return error.__cause__
    if error.status_code == HTTPStatus.NOT_FOUND:
        return UnknownRoute("There is nothing at this path.")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(allowed_methods(scope))
        return MethodNotAllowed(
            f"This path answers {allowed or 'no method'}.", headers={"Allow": allowed}
        )
    if error.status_code == HTTPStatus.BAD_REQUEST:
        return Malformed(
            "The body cannot be read.", errors=(FieldError("/body", "This cannot be read."),)
        )
    return GatewayError("Something went wrong here. The request id finds the details in the log.")


def allowed_methods(scope: Scope) -> list[str]:
    """Every method that some route answers at this path: Starlette names the first route's only."""
    methods = {
        method
        for route in iter_route_contexts(scope["app"].routes)
        if (regex := getattr(route, "path_regex", None)) and regex.match(scope["path"])
        for method in (("GET",) if isinstance(route.route, Mount) else route.methods or ())
    }
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _upstream(error: kalshi.Rejected) -> Upstream:
    # Some codes end in a variable part, such as a user's id.
    return Upstream(error.status, (error.code or "").partition(":")[0] or None)


def _seconds(wait: float | None) -> int:
    return RETRY_AFTER_SECONDS if wait is None else max(1, math.ceil(wait))


def _path(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw[:LONGEST_INSTANCE].decode("ascii", "replace")
