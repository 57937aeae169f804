"""Who signs how is told apart strictly."""

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from kalshi_gateway.simulator.exchange import Exchange

from .asking import Signed
from .moments import Moment

LIMITS = "/account/limits"


def error(response: httpx.Response) -> tuple[int, dict[str, str]]:
    return response.status_code, response.json()["error"]


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_both_kinds_of_key_are_accepted(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment, kind: str
) -> None:
    """The query string is not part of what is signed."""
    signed = Signed(*exchange.keys.issue(kind), moment)  # type: ignore[arg-type]

    response = await client.get(f"{LIMITS}?anything=1", auth=signed)

    assert response.status_code == 200
    assert response.json()["usage_tier"] == "basic"


async def test_the_four_refusals_have_their_own_bodies(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """Wrong signature, unknown key, no signature, clock off."""
    key_id, pem = exchange.keys.issue("ed25519")
    wrong = Signed(key_id, pem, moment, text=lambda ts, method, path: f"{ts}{method}{path}?")
    unknown = Signed("00000000-0000-0000-0000-000000000000", pem, moment)

    refused = "authentication_error"
    assert error(await client.get(LIMITS, auth=wrong)) == (
        401,
        {"code": refused, "message": refused, "details": "INCORRECT_API_KEY_SIGNATURE"},
    )
    assert error(await client.get(LIMITS, auth=unknown)) == (
        401,
        {"code": refused, "message": refused, "details": "NOT_FOUND"},
    )
    assert error(await client.get(LIMITS, headers={"KALSHI-ACCESS-KEY": key_id})) == (
        401,
        {
            "code": "signature_is_missing_from_headers",
            "message": "signature is missing from headers",
        },
    )
    assert error(await client.get(LIMITS, auth=Signed(key_id, pem, moment, late=30))) == (
        401,
        {"code": "header_timestamp_expired", "message": "header timestamp expired"},
    )


@pytest.mark.parametrize(
    ("late", "status"), [(9.9, 200), (-9.9, 200), (10.1, 401), (-10.1, 401), (300, 401)]
)
async def test_the_clock_may_be_ten_seconds_off(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment, late: float, status: int
) -> None:
    """In both directions."""
    signed = Signed(*exchange.keys.issue("ed25519"), moment, late=late)

    assert (await client.get(LIMITS, auth=signed)).status_code == status


@pytest.mark.parametrize("salt", [20, padding.PSS.MAX_LENGTH])
async def test_only_a_salt_as_long_as_the_digest_is_accepted(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment, salt: int
) -> None:
    """A client that signs with the longest salt finds out here, not in production."""
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=salt)
    signed = Signed(*exchange.keys.issue("rsa"), moment, salt=pss)

    assert (await client.get(LIMITS, auth=signed)).status_code == 401


async def test_a_wrong_signature_is_refused_where_none_was_needed(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """Public data is for everyone, but who claims to be someone is checked."""
    key_id, pem = exchange.keys.issue("ed25519")
    wrong = Signed(key_id, pem, moment, text=lambda ts, method, path: path)

    assert (await client.get("/exchange/status")).status_code == 200
    assert (await client.get("/exchange/status", auth=wrong)).status_code == 401


async def test_a_key_can_only_do_what_it_was_granted(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """A child scope stands alone; `read` stands for all reading."""
    only = Signed(*exchange.keys.issue("ed25519", scopes=["read::portfolio_balance"]), moment)
    reader = Signed(*exchange.keys.issue("ed25519", scopes=["read"]), moment)

    assert (await client.get("/portfolio/balance", auth=only)).status_code == 200
    assert (await client.get("/portfolio/balance", auth=reader)).status_code == 200
    assert error(await client.get(LIMITS, auth=only)) == (
        403,
        {"code": "permission_denied", "message": "permission denied"},
    )


async def test_order_writes_of_the_first_version_are_gone(
    client: httpx.AsyncClient, exchange: Exchange, moment: Moment
) -> None:
    """410, whatever is in them."""
    signed = Signed(*exchange.keys.issue("ed25519"), moment)

    for method, path in (
        ("POST", "/portfolio/orders"),
        ("DELETE", "/portfolio/orders/1"),
        ("POST", "/portfolio/orders/batched"),
        ("POST", "/portfolio/orders/1/amend"),
        ("POST", "/portfolio/orders/1/decrease"),
    ):
        response = await client.request(method, path, auth=signed)
        assert response.status_code == 410
        assert response.json()["error"]["code"] == "deprecated_v1_order_endpoint"


def test_a_private_key_comes_out_in_the_exchanges_form(exchange: Exchange) -> None:
    """RSA as PKCS#1, Ed25519 as PKCS#8."""
    assert exchange.keys.issue("rsa")[1].startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert exchange.keys.issue("ed25519")[1].startswith("-----BEGIN PRIVATE KEY-----")
