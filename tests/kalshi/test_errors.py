"""Every way in which the exchange says no, named."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from kalshi_gateway.kalshi.errors import (
    KalshiError,
    KeyRejected,
    Nonsense,
    NotFound,
    RateLimited,
    Rejected,
    Unavailable,
    from_response,
)

from . import recordings

HTML = "<html><body>Request blocked.</body></html>"


@recordings.needed
@pytest.mark.parametrize(
    ("name", "kind", "code", "details"),
    [
        ("400__markets_limit_over_max", Rejected, None, None),
        ("400__order_insufficient_balance", Rejected, "insufficient_balance", None),
        ("400__order_invalid_price", Rejected, "invalid_price", None),
        ("400__order_numeric_fields_rejected", Rejected, "bad_request", "json: cannot unmarshal"),
        ("400__order_post_only_cross", Rejected, "invalid_order", "post only cross"),
        (
            "401__auth_bad_signature",
            KeyRejected,
            "authentication_error",
            "INCORRECT_API_KEY_SIGNATURE",
        ),
        (
            "401__auth_missing_signature_header",
            KeyRejected,
            "signature_is_missing_from_headers",
            None,
        ),
        ("401__auth_timestamp_expired", KeyRejected, "header_timestamp_expired", None),
        ("401__auth_unknown_key_id", KeyRejected, "authentication_error", "NOT_FOUND"),
        ("403__permission_denied", KeyRejected, "permission_denied", None),
        ("404__order_cancel_not_found", NotFound, "not_found", None),
        ("409__order_already_exists", Rejected, "order_already_exists", None),
    ],
)
def test_recorded_refusals_are_named(
    name: str, kind: type[Rejected], code: str | None, details: str | None
) -> None:
    """Each refusal recorded from the exchange becomes the error it is, with all it says."""
    response = httpx.Response(int(name[:3]), content=recordings.body(f"errors/{name}.json"))

    error = from_response(response)

    assert type(error) is kind
    assert error.status == int(name[:3])
    assert error.code == code
    assert (error.details or "").startswith(details or "")
    assert error.message


@pytest.mark.parametrize(
    "body",
    [
        '{"error":"too many requests"}',
        '{"error":{"code":"too_many_requests","message":"too many requests"}}',
        '{"code":"too_many_requests","message":"too many requests","details":""}',
        HTML,
        "",
    ],
)
def test_429_is_told_by_its_status(body: str) -> None:
    """The three bodies of a 429, and none at all, mean the same."""
    error = from_response(httpx.Response(429, text=body))

    assert type(error) is RateLimited
    assert error.retry_after_s is None


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 521])
@pytest.mark.parametrize("body", ['{"error":{"code":"internal"}}', HTML, "", '{"code":'])
def test_5xx_is_told_by_its_status(status: int, body: str) -> None:
    """Whatever comes with it, a 5xx says that asking later makes sense."""
    error = from_response(httpx.Response(status, text=body))

    assert type(error) is Unavailable
    assert error.status == status


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, HTML, Unavailable),
        (403, "", Unavailable),
        (404, HTML, Unavailable),
        (404, "", NotFound),
        (401, "", KeyRejected),
        (400, "", Rejected),
        (400, '{"code":', Rejected),
        (400, "[1]", Rejected),
        (400, '{"error":7}', Rejected),
        (400, '{"error":null}', Rejected),
        (410, '{"error":{"code":"deprecated_v1_order_endpoint"}}', Rejected),
        (301, "", Nonsense),
        (302, HTML, Nonsense),
        (400, '{"a":' * 100_000, Rejected),
    ],
)
def test_odd_bodies_have_a_name(status: int, body: str, kind: type[KalshiError]) -> None:
    """A page, nothing, or half an envelope is never taken for the exchange's word on the key."""
    assert type(from_response(httpx.Response(status, text=body))) is kind


def test_codes_compare_in_lower_case() -> None:
    """Codes come in both cases and are compared in one; a variable part stays readable."""
    body = {"error": {"code": "USER_NOT_FOUND: 4711", "message": "no such user"}}

    error = from_response(httpx.Response(404, json=body))

    assert isinstance(error, NotFound)
    assert error.code == "user_not_found: 4711"
    assert "4711" not in str(error)


def test_its_words_stay_out_of_the_text() -> None:
    """What may name an account is not in the text that gets logged, and told to readers."""
    body = {"code": "bad_request", "message": "ada may not", "details": {"user": "ada"}}

    error = from_response(httpx.Response(400, json=body))

    assert isinstance(error, Rejected)
    assert error.details == '{"user":"ada"}'
    assert error.message == "ada may not"
    assert str(error) == "400 bad_request"


def test_long_texts_are_cut() -> None:
    """An endless message does not become an endless error."""
    long = "x" * 10_000
    error = from_response(httpx.Response(400, json={"code": long, "msg": long}))

    assert isinstance(error, Rejected)
    assert len(str(error)) < 400
    assert len(error.message) < 400


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("3", 3.0), ("0", 0.0), ("soon", None), ("-1", None), ("Fri, 31 Dec 1999", None)],
)
def test_retry_after_is_heard(said: str, seconds: float | None) -> None:
    """The wait that a front in between asks for is passed on, nonsense is not."""
    for status in (429, 503):
        error = from_response(httpx.Response(status, headers={"Retry-After": said}))

        assert isinstance(error, RateLimited | Unavailable)
        assert error.retry_after_s == seconds


def test_retry_after_may_be_a_date() -> None:
    """A date is turned into seconds; one gone by into none."""
    for ahead, least, most in ((60, 50.0, 60.0), (-60, 0.0, 0.0)):
        at = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)

        error = from_response(httpx.Response(503, headers={"Retry-After": at}))

        assert isinstance(error, Unavailable)
        assert error.retry_after_s is not None
        assert least <= error.retry_after_s <= most
