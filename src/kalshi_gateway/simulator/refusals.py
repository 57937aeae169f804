"""What the exchange says when it refuses, in the four envelopes seen on its wire."""

from typing import Any

from . import wire


class Refused(Exception):
    """The exchange refuses a request."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = wire.encode(body)


def enveloped(status: int, code: str, message: str | None = None, details: str = "") -> Refused:
    """`{"error": {code, message, details?}}`: most refusals."""
    error = {"code": code, "message": message or code.replace("_", " ")}
    return Refused(status, {"error": {**error, "details": details} if details else error})


def flat(status: int, code: str, details: str = "") -> Refused:
    """`{code, message, details?}`: bodies that could not be decoded; the documented schema."""
    body = {"code": code, "message": code.replace("_", " ")}
    return Refused(status, {**body, "details": details} if details else body)


def message(status: int, text: str) -> Refused:
    """`{"msg": text}`: query parameters that did not validate."""
    return Refused(status, {"msg": text})


def bare(status: int, text: str) -> Refused:
    """`{"error": text}`: rate limits according to the documentation."""
    return Refused(status, {"error": text})


def not_found() -> Refused:
    """404 for anything unknown, paths included."""
    return enveloped(404, "not_found")


def invalid(details: str) -> Refused:
    """400 for parameters that do not go together, or are missing."""
    return enveloped(400, "invalid_parameters", details=details)


def permission_denied() -> Refused:
    """403 for a key without the scope, and for what is not offered to a member."""
    return enveloped(403, "permission_denied")


def restricted() -> Refused:
    """403 for a key of one subaccount that asks for another (docs, 2026-08)."""
    return enveloped(403, "permission_denied", "this API key is restricted to a single sub-account")


def insufficient_balance() -> Refused:
    """400 for want of money on the one shard that counts (demo, 2026-06)."""
    return enveloped(400, "insufficient_balance")


def unauthenticated(details: str) -> Refused:
    """401 for a key or signature that is wrong."""
    return enveloped(401, "authentication_error", "authentication_error", details)


def signature_missing() -> Refused:
    """401 for a request without the headers."""
    return enveloped(401, "signature_is_missing_from_headers")


def timestamp_expired() -> Refused:
    """401 for a clock too far off."""
    return enveloped(401, "header_timestamp_expired")


def legacy_order() -> Refused:
    """410 for order writes of the first version, since June 2026."""
    return enveloped(
        410,
        "deprecated_v1_order_endpoint",
        "this endpoint is deprecated, use /portfolio/events/orders",
    )


def usual(status: int) -> Refused:
    """The words that go with a status when nothing is known but the status."""
    known = {
        400: "invalid_parameters",
        401: "authentication_error",
        403: "permission_denied",
        404: "not_found",
        429: "too_many_requests",
        503: "service_unavailable",
        504: "gateway_timeout",
    }
    return enveloped(status, known.get(status, "internal_server_error"))
