"""Any error as an RFC 9457 answer."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Query
from pydantic import BaseModel, Field

from kalshi_gateway import documents
from kalshi_gateway.app import create_app
from kalshi_gateway.errors import FieldError, GatewayError, NotFound, Unavailable, Unprocessable
from kalshi_gateway.kalshi import errors as kalshi
from kalshi_gateway.problems import pointer
from kalshi_gateway.settings import Settings

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
SECRET = "swordfish"


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Body(BaseModel):
    price: Annotated[Decimal, Field(ge=0, le=1)]
    counts: list[int] = []
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    id: UUID | None = None


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    """An application whose database is down, with routes that go wrong in every way."""
    app = create_app(settings, database_url=NOWHERE)

    @app.get("/raise/{name}")
    async def fail(name: str) -> None:
        raise RAISED[name]

    @app.get("/list")
    async def page(limit: Annotated[int, Query(le=10)] = 5) -> int:
        return limit

    @app.post("/orders")
    async def place(body: Body) -> None: ...

    @app.delete("/orders")
    async def cancel() -> None: ...

    @app.get("/database")
    async def ask() -> None:
        async with app.state.resources.database.driver() as conn:
            await conn.execute("SELECT 1")

    @app.get("/engine")
    async def ask_slowly() -> None:
        async with app.state.resources.database.begin():
            pass

    return app


RAISED: dict[str, Exception] = {
    "not_found": NotFound("There is no market of this ticker."),
    "unavailable": Unavailable("Nothing is known yet.", retry_after_seconds=7),
    "unprocessable": Unprocessable("Two are wrong.", errors=(FieldError("/query/a", "no"),)),
    "bug": RuntimeError(f"{SECRET} was not expected"),
    "os": OSError("not of the database"),
    "exchange_not_found": kalshi.NotFound(404, "not_found", "market not found"),
    "exchange_key": kalshi.KeyRejected(401, "authentication_error:ada-7", "bad", "user ada-7"),
    "exchange_refused": kalshi.Rejected(400, "invalid_parameters", "bad"),
    "exchange_limit": kalshi.RateLimited("429", retry_after_s=1.2),
    "exchange_down": kalshi.Unavailable("502", status=502),
    "exchange_gone": kalshi.Unavailable("no connection"),
    "exchange_breaker": kalshi.BreakerOpen("not asked", retry_after_s=0.1),
    "exchange_nonsense": kalshi.Nonsense("html"),
    "exchange_late": kalshi.DeadlineExceeded("no time"),
    "exchange_other": kalshi.KalshiError("something"),
}


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


async def test_shape(client: httpx.AsyncClient) -> None:
    """A problem has every field of the contract, and none that does not apply."""
    response = await client.get("/raise/not_found?token=x", headers={"X-Request-ID": "abc-1"})

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json() == {
        "type": "/problems/not_found",
        "title": "Not found",
        "status": 404,
        "detail": "There is no market of this ticker.",
        "instance": "/raise/not_found",
        "code": "not_found",
        "request_id": "abc-1",
        "retryable": False,
        "error": "There is no market of this ticker.",
    }


async def test_retry_after(client: httpx.AsyncClient) -> None:
    """How long to wait is said in the body and in the header."""
    response = await client.get("/raise/unavailable")

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "7"
    assert response.json()["retry_after"] == 7
    assert response.json()["retryable"] is True


async def test_errors_have_pointers(client: httpx.AsyncClient) -> None:
    """What is wrong is named by place."""
    problem = (await client.get("/raise/unprocessable")).json()

    assert problem["errors"] == [{"pointer": "/query/a", "message": "no"}]


@pytest.mark.parametrize(
    ("name", "status", "code", "upstream", "retry_after"),
    [
        ("exchange_not_found", 404, "not_found", {"status": 404, "code": "not_found"}, None),
        (
            "exchange_key",
            502,
            "upstream_key_rejected",
            {"status": 401, "code": "authentication_error"},
            None,
        ),
        (
            "exchange_refused",
            502,
            "upstream_rejected",
            {"status": 400, "code": "invalid_parameters"},
            None,
        ),
        ("exchange_limit", 503, "upstream_rate_limited", {"status": 429, "code": None}, 2),
        ("exchange_down", 503, "upstream_unavailable", {"status": 502, "code": None}, 5),
        ("exchange_gone", 503, "upstream_unavailable", None, 5),
        ("exchange_breaker", 503, "upstream_unavailable", None, 1),
        ("exchange_nonsense", 502, "upstream_nonsense", None, None),
        ("exchange_late", 504, "upstream_timed_out", None, None),
        ("exchange_other", 502, "upstream_error", None, None),
    ],
)
async def test_exchange_errors(
    client: httpx.AsyncClient,
    name: str,
    status: int,
    code: str,
    upstream: dict[str, object] | None,
    retry_after: int | None,
) -> None:
    """What the exchange did is told with its status and code, and never as a 401 of ours."""
    response = await client.get(f"/raise/{name}")

    problem = response.json()
    assert response.status_code == problem["status"] == status
    assert problem["code"] == code
    assert problem.get("upstream") == upstream
    assert problem.get("retry_after") == retry_after
    assert "ada-7" not in response.text


@pytest.mark.parametrize("name", ["bug", "os"])
async def test_bug_says_nothing(
    client: httpx.AsyncClient, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What nobody foresaw gives the request id to the client, and the traceback to the log."""
    response = await client.get(f"/raise/{name}", headers={"X-Request-ID": "find-me"})

    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert response.json()["request_id"] == "find-me"
    assert SECRET not in response.text
    logged = capsys.readouterr().out
    assert "find-me" in logged
    assert "Traceback" in logged
    assert str(RAISED[name]) in logged


@pytest.mark.parametrize("path", ["/database", "/engine"])
async def test_database_down(client: httpx.AsyncClient, path: str) -> None:
    """A database that is down is a 503 that says when to come back, not a bug."""
    response = await client.get(path)

    assert response.status_code == 503
    assert response.json()["code"] == "database_unavailable"
    assert response.json()["retryable"] is True
    assert response.headers["Retry-After"] == str(response.json()["retry_after"])


@pytest.mark.parametrize(
    ("send", "status", "pointers"),
    [
        (lambda c: c.get("/list?limit=11"), 422, ["/query/limit"]),
        (lambda c: c.get(f"/list?limit={SECRET}"), 422, ["/query/limit"]),
        (lambda c: c.get(f"/list?limit={'9' * 5000}"), 422, ["/query/limit"]),
        (lambda c: c.post("/orders", json={"price": SECRET}), 422, ["/body/price"]),
        (
            lambda c: c.post("/orders", json={"price": 2, "id": SECRET}),
            422,
            ["/body/price", "/body/id"],
        ),
        (
            lambda c: c.post("/orders", json={"price": 1, "counts": [1, SECRET]}),
            422,
            ["/body/counts/1"],
        ),
        (
            lambda c: c.post("/orders", json={"price": 1, "pet": {"kind": SECRET}}),
            422,
            ["/body/pet"],
        ),
        (lambda c: c.post("/orders", json=[SECRET]), 422, ["/body"]),
        (lambda c: c.post("/orders"), 422, ["/body"]),
        (lambda c: post(c, f'{{"price": {SECRET}'.encode()), 400, ["/body"]),
        (lambda c: post(c, b'{"price": "\xff\xfe"}'), 400, ["/body"]),
        (lambda c: post(c, b"[" * 100_000), 400, ["/body"]),
        (lambda c: post(c, b'{"price": ' + b"9" * 5000 + b"}"), 400, ["/body"]),
        (lambda c: post(c, b'{"price": NaN}'), 422, ["/body/price"]),
        (lambda c: post(c, SECRET.encode(), "text/plain"), 422, ["/body"]),
    ],
)
async def test_invalid_input(
    client: httpx.AsyncClient,
    send: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]],
    status: int,
    pointers: list[str],
) -> None:
    """Bad values are named by place, all at once, and never repeated."""
    response = await send(client)

    problem = response.json()
    assert response.status_code == status
    assert problem["code"] == ("malformed" if status == 400 else "invalid_request")
    assert [error["pointer"] for error in problem["errors"]] == pointers
    assert all(error["message"] for error in problem["errors"])
    said = response.text.replace(problem["request_id"], "")
    assert SECRET not in said
    assert "9999" not in said


async def test_unknown_path(client: httpx.AsyncClient) -> None:
    """A path that nobody serves is a problem like any other."""
    response = await client.get("/no/such/path")

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


async def test_wrong_method(client: httpx.AsyncClient) -> None:
    """A wrong method is told all right ones, of every route at that path."""
    wrong = await client.put("/orders")
    of_reads = await client.post("/healthz")
    of_files = await client.post("/static/docs.js")

    assert wrong.status_code == of_reads.status_code == of_files.status_code == 405
    assert wrong.headers["Allow"] == "DELETE, POST"
    assert of_reads.headers["Allow"] == of_files.headers["Allow"] == "GET, HEAD"
    assert wrong.json()["code"] == "method_not_allowed"


async def test_type_can_be_followed(client: httpx.AsyncClient) -> None:
    """The `type` of a problem leads to what it means."""
    problem = (await client.get("/raise/unavailable")).json()

    kind = (await client.get(problem["type"])).json()

    assert kind["code"] == problem["code"]
    assert kind["status"] == problem["status"]
    assert kind["meaning"] == Unavailable.__doc__


def test_every_code_means_one_thing() -> None:
    """Errors that share a code share its status, too: clients look at the code alone."""
    statuses: dict[str, set[int]] = {}
    pending: list[type[GatewayError]] = [GatewayError]
    while pending:
        error = pending.pop()
        pending += error.__subclasses__()
        statuses.setdefault(error.code, set()).add(error.status)

    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


def test_problem_is_the_default_answer(app: FastAPI) -> None:
    """The description names the problem as what every route answers when something is wrong."""
    described = documents.description(app)

    schema = {"$ref": "#/components/schemas/Problem"}
    for path in described["paths"].values():
        for operation in path.values():
            content = operation["responses"]["default"]["content"]
            assert content == {"application/problem+json": {"schema": schema}}
            assert "422" not in operation["responses"]
    assert "HTTPValidationError" not in json.dumps(described)
    assert set(described["components"]["schemas"]["Problem"]["required"]) >= {
        "type", "title", "status", "detail", "instance", "code", "request_id", "retryable", "error",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "expected"), [(("query", "a/b"), "/query/a~1b"), (("body", "~", 0), "/body/~0/0")]
)
def test_pointer(parts: tuple[str | int, ...], expected: str) -> None:
    """Pointers escape what has a meaning in them."""
    assert pointer(*parts) == expected


async def post(
    client: httpx.AsyncClient, body: bytes, kind: str = "application/json"
) -> httpx.Response:
    return await client.post("/orders", content=body, headers={"Content-Type": kind})
