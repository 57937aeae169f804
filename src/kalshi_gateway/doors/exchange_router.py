"""/trade-api/v2: the exchange's own API, for clients made for the exchange."""

from fastapi import APIRouter, Response
from starlette.requests import Request

from kalshi_gateway.answers import Asked
from kalshi_gateway.dependencies import ExchangeReads, Speaker, Visitor

from . import answers, exchange, refusals
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
        return answers.refused(refusals.KEY_UNKNOWN)
    answered = await exchange.answer(
        reads,
        visitor,
        user_id,
        scope["method"],
        scope["raw_path"].partition(b"?")[0].removeprefix(PREFIX),
        scope["query_string"],
        Asked.of(scope).directives,
    )
    return answers.given(answered) if isinstance(answered, Given) else answers.refused(answered)
