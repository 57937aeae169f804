"""/openapi.json, /openapi-sdk.json and /docs, all served from here; /problems/{code}."""

from functools import cache
from importlib.resources import files
from typing import Annotated, Any, get_args

import msgspec
from fastapi import APIRouter, FastAPI, Path, Request
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response

from . import sdk
from .directives import described_headers
from .errors import GatewayError, NotFound
from .freshness import Came
from .problems import JSON, MEDIA_TYPE, Problem, ProblemField, ProblemUpstream

router = APIRouter(include_in_schema=False)

STATIC = files(__package__) / "static"

TITLE = "Kalshi Gateway"
DESCRIPTION = """\
The service between your apps and Kalshi: it knows the whole catalogue, holds the keys, answers
from what it has and says how old that is.

Send a gateway token with every request: `Authorization: Bearer kgw_…`. Money and counts are JSON
numbers with their exact decimal digits; prices are dollars per contract, from 0 to 1; times are
UTC. What is unknown is `null`, never 0. Everything that goes wrong is a problem (RFC 9457): its
`code` is for programs, its `request_id` finds the request in the log.
"""

#: Scripts, styles and requests from here alone. Swagger UI carries small pictures in its styles.
DOCS_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}

#: What is said in the headers of answers, by the names that the description refers to.
HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "Finds the request in the log; yours, if you sent one.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    "Age": {
        "description": "How many seconds ago the exchange said it; absent where that is unknown.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "ETag": {
        "description": "Of the content, not of `meta`.",
        "required": True,
        "schema": {"type": "string", "pattern": '^W/"[0-9a-f]+"$'},
    },
    "Cache-Control": {
        "description": "Ask each time: with the `ETag` that costs next to nothing.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Cache-Status": {
        "description": "How this answer was come by, and for how long it is fresh (RFC 9211).",
        "required": True,
        "schema": {"type": "string", "pattern": "^kalshi-gateway; "},
    },
    "X-Cache": {
        "description": "The same in one word.",
        "required": True,
        "schema": {"type": "string", "enum": list(get_args(Came))},
    },
    "Retry-After": {
        "description": "How many seconds to wait.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
}

DEFAULT_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


class ProblemKind(BaseModel):
    """What a `code` stands for."""

    type: str
    code: str
    title: str
    status: int
    retryable: bool
    meaning: str


def description(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description of everything this application serves."""
    described = app.openapi()
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    for model in (Problem, ProblemField, ProblemUpstream):
        if model.__name__ not in schemas:
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schema.pop("$defs", None)
            schemas[model.__name__] = schema
    described["components"]["headers"] = HEADERS
    for operations in described["paths"].values():
        for operation in operations.values():
            for answer in operation["responses"].values():
                answer["headers"] = {
                    **answer.get("headers", {}),
                    **described_headers("X-Request-ID"),
                }
    return described


@router.get("/openapi.json")
async def read_openapi(request: Request) -> Response:
    """The description of this API for programs."""
    return Response(msgspec.json.encode(description(request.app)), media_type=JSON)


@router.get("/openapi-sdk.json")
async def read_openapi_sdk(request: Request) -> Response:
    """The same for code generators."""
    flat = sdk.flattened(description(request.app))
    return Response(msgspec.json.encode(flat), media_type=JSON)


@router.get("/docs")
async def read_docs() -> Response:
    """The description of this API for people."""
    return HTMLResponse((STATIC / "docs.html").read_bytes(), headers=DOCS_HEADERS)


@router.get("/problems/{code}")
async def read_problem(code: Annotated[str, Path(max_length=64)]) -> Response:
    """What a problem's `type` points at."""
    kind = _kinds().get(code)
    if kind is None:
        raise NotFound("There is no problem of this code.")
    return Response(kind.model_dump_json(), media_type=JSON)


@cache
def _kinds() -> dict[str, ProblemKind]:
    """Every error that a client may be told, by its code."""
    found: dict[str, ProblemKind] = {}
    pending = [GatewayError]
    while pending:
        error = pending.pop()
        pending += error.__subclasses__()
        found.setdefault(
            error.code,
            ProblemKind(
                type=f"/problems/{error.code}",
                code=error.code,
                title=error.title,
                status=error.status,
                retryable=error.retryable,
                meaning=(error.__doc__ or "").partition("\n")[0],
            ),
        )
    return found
