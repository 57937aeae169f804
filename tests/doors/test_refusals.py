"""What the gateway itself refuses is said in the words of each door."""

from typing import Any

import httpx
import pytest

from kalshi_gateway.app import create_app
from kalshi_gateway.settings import Settings

from .people import People

ENVELOPE = {"code": "too_many_requests", "message": "too many requests"}


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/trade-api/v2/nothing", {"error": ENVELOPE}),
        ("/api/v1/kalshi/balance/", {"error": "One caller may send 2 requests in 2 seconds."}),
    ],
    ids=["exchange", "dashboard"],
)
async def test_too_many_requests(
    settings: Settings, database_url: str, path: str, shape: dict[str, Any]
) -> None:
    """Who sends too much is told so in the form that the client knows, and when to come again."""
    strict = settings.model_copy(update={"gateway_requests_per_second": 1})
    app = create_app(strict, database_url=database_url)
    asking = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://g.example")

    async with app.router.lifespan_context(app), asking as client:
        answers = [await client.get(path) for _ in range(20)]

    refused = [answer for answer in answers if answer.status_code == 429]
    told = refused[-1].json()
    if isinstance(told["error"], dict):
        told["error"].pop("details")
    assert told == shape
    assert refused[-1].headers["Retry-After"] == "1"
    assert refused[-1].headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/trade-api/v2/portfolio/events/orders", 413, "body_too_large"),
        ("GET", "/trade-api/v3/markets", 404, "not_found"),
        ("OPTIONS", "/trade-api/v2/markets", 404, "not_found"),
    ],
)
async def test_other_refusals(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    """Whatever goes wrong before an operation is found has the exchange's envelope, too."""
    body = b"x" * (Settings.model_construct().gateway_max_body_bytes + 1)
    sent = body if status == 413 else b""

    response = await client.request(method, path, content=sent)

    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert response.json().keys() == {"error"}


async def test_nothing_here_lies_where_answers_are_given_again(people: People) -> None:
    """Neither door's answers are kept by the layer that gives them to everybody."""
    ada = await people.admit()
    paths = ("/trade-api/v2/portfolio/balance", "/api/v1/kalshi/positions/")

    answers = [await people.client.get(path, headers=ada.token) for path in paths]
    app: Any = people.client._transport.app  # type: ignore[attr-defined]
    kept = [path for path, _ in app.front.ready.answers]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [path for path in kept if not path.startswith("/kalshi/")] == []
