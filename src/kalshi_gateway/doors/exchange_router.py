"""/trade-api/v2: the exchange's own API, for clients made for the exchange."""

from fastapi import APIRouter, Response
from starlette.requests import Request

from kalshi_gateway.answers import Asked
from kalshi_gateway.dependencies import ExchangeReads, Speaker, Visitor
from kalshi_gateway.kalshi.errors import Refusal

from . import exchange, refusals
from .reads import Given

PREFIX = b"/trade-api/v2"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

# It is the exchange that describes these operations.
router = APIRouter(include_in_schema=False)


@router.api_route("/trade-api/v2/{path:path}", methods=METHODS)
async def pass_on(
    request: Request, reads: ExchangeReads, visitor: Visitor, user_id: Speaker
) -> Response:
    """What the exchange answers to the same request."""
    scope = request.scope
    if visitor is None and "kalshi-access-key" in request.headers:
        return _refused(refusals.KEY_UNKNOWN)
    answered = await exchange.answer(
        reads,
        visitor,
        user_id,
        scope["method"],
        scope["raw_path"].partition(b"?")[0].removeprefix(PREFIX),
        scope["query_string"],
        Asked.of(scope).directives,
    )
    return given(answered) if isinstance(answered, Given) else _refused(answered)


def given(answered: Given) -> Response:
    """A body as it came, with how old it is in the headers."""
    headers = {
        "Age": str(int(answered.age_seconds)),
        "Cache-Control": "private, no-cache",
        "X-Cache": answered.came,
    }
    return Response(answered.body, headers=headers, media_type=refusals.JSON)


def _refused(refusal: Refusal) -> Response:
    headers = {"Cache-Control": "no-store", "Content-Type": refusal.media_type}
    return Response(refusal.body, refusal.status, headers)
