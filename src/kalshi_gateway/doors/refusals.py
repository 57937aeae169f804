"""What is wrong, in the words of those for whom the doors are made."""

from collections.abc import Mapping
from typing import Any

from kalshi_gateway.errors import FieldError, GatewayError
from kalshi_gateway.kalshi.errors import Refusal
from kalshi_gateway.keys.signature import Flaw
from kalshi_gateway.units import to_json

#: Where the exchange's own API is spoken, and where the older dashboard's.
EXCHANGE = "/trade-api/"
DASHBOARD = "/api/v1/kalshi/"

JSON = "application/json"

#: The exchange's words for a status (measured 2026-06 on demo).
CODES = {
    400: "bad_request",
    401: "authentication_error",
    403: "permission_denied",
    404: "not_found",
    429: "too_many_requests",
    500: "internal_server_error",
    503: "service_unavailable",
    504: "gateway_timeout",
}
#: Ours that the exchange would answer with another status.
STATUSES = {
    "method_not_allowed": 404,  # an operation is a path and a method
    "no_credentials": 403,
    "not_authenticated": 401,
    "upstream_rate_limited": 429,
    "upstream_error": 503,
    "upstream_nonsense": 503,
}

#: We give up waiting for a write, and not the write.
OVERDUE = "no answer in time: if this was a write, its outcome is unknown"

#: The dashboard's words for what the exchange did.
WENT_WRONG = {
    "upstream_key_rejected": "authentication failed",
    "upstream_nonsense": "unusable answer",
    "upstream_rate_limited": "too many requests",
    "upstream_timed_out": "connection timeout",
    "upstream_unavailable": "connection failed",
}
#: What a parameter is wanted to be, by how our own words for its being something else begin.
WANTED = {
    "Input should be a valid integer": "must be an integer",
    "Input should be a valid boolean": "must be true or false",
    "Input should be greater than or equal to ": "must be at least ",
    "Input should be less than or equal to ": "must be at most ",
    "Input should be ": "must be ",
}


def enveloped(status: int, code: str, message: str | None = None, details: str = "") -> Refusal:
    """`{"error": {code, message, details?}}`, as most of the exchange's refusals are."""
    error = {"code": code, "message": message or code.replace("_", " ")}
    body = {"error": {**error, "details": details} if details else error}
    return Refusal(status, JSON, to_json(body))


def flat(status: int, code: str, details: str) -> Refusal:
    """`{code, message, details}`, as the exchange refuses bodies that it cannot read."""
    body = {"code": code, "message": code.replace("_", " "), "details": details}
    return Refusal(status, JSON, to_json(body))


SIGNATURE_MISSING = enveloped(401, "signature_is_missing_from_headers")
NOT_FOUND = enveloped(404, "not_found")


def _unauthenticated(details: str) -> Refusal:
    return enveloped(401, "authentication_error", "authentication_error", details)


#: What is wrong with a signature, in the exchange's words (measured 2026-06 on demo); that one
#: counts only once for a write is ours to say.
FLAWS = {
    Flaw.SIGNATURE_MISSING: SIGNATURE_MISSING,
    Flaw.TIMESTAMP_EXPIRED: enveloped(401, "header_timestamp_expired"),
    Flaw.KEY_UNKNOWN: _unauthenticated("NOT_FOUND"),
    Flaw.SIGNATURE_INCORRECT: _unauthenticated("INCORRECT_API_KEY_SIGNATURE"),
    Flaw.SIGNATURE_SPENT: _unauthenticated("SIGNATURE_ALREADY_USED"),
}


def forbidden(details: str) -> Refusal:
    """403 as the exchange says it, with our reason."""
    return enveloped(403, "permission_denied", details=details)


def at_exchange(error: GatewayError) -> Refusal:
    """An error of ours as the exchange would say it."""
    status = STATUSES.get(error.code, error.status)
    code = CODES.get(status, error.code)
    message = code if status == 401 else None
    details = OVERDUE if error.code == "timed_out" else error.detail
    return enveloped(status, code, message, details)


def at_dashboard(error: GatewayError) -> Refusal:
    """An error of ours in the older dashboard's one shape, `{"error": text}`."""
    status, text = _in_words(error)
    return Refusal(status, JSON, to_json({"error": text}))


#: Where other clients come in, and how they are told.
SPOKEN: Mapping[str, Any] = {EXCHANGE: at_exchange, DASHBOARD: at_dashboard}


def spoken(error: GatewayError, path: str) -> Refusal | None:
    """The error as whoever asks at this path understands it; None: as we say it."""
    for prefix, words in SPOKEN.items():
        if path.startswith(prefix):
            refusal: Refusal = words(error)
            return refusal
    return None


def _in_words(error: GatewayError) -> tuple[int, str]:
    if error.code == "not_found" and error.upstream is not None:
        return 404, "Kalshi API error: not found"
    if error.code == "upstream_rejected":
        return 503, f"Kalshi API error: {_code(error)}"
    if error.code.startswith("upstream_"):
        return 503, f"Kalshi API error: {WENT_WRONG.get(error.code, 'unknown')}"
    if error.code == "timed_out":
        return 503, "Kalshi API error: connection timeout"
    if error.status == 422:
        first = next(iter(error.errors), FieldError("", error.detail))
        return 400, f"Invalid query parameter: {_wanted(first)}"
    if error.status == 500:
        return 500, "Internal server error"
    return error.status, error.detail


def _code(error: GatewayError) -> str:
    upstream = error.upstream
    return "refused" if upstream is None else upstream.code or str(upstream.status)


def _wanted(wrong: FieldError) -> str:
    name = wrong.pointer.rpartition("/")[2]
    for ours, theirs in WANTED.items():
        if wrong.message.startswith(ours):
            rest = wrong.message.removeprefix(ours) if ours.endswith(" ") else ""
            return f"{name} {theirs}{rest}"
    return f"{name} {wrong.message[:1].lower()}{wrong.message[1:]}".strip()
