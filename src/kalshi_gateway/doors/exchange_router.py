"""/trade-api/v2: the exchange's own API, for clients made for the exchange."""

from fastapi import APIRouter, Response
from starlette.requests import Request

from kalshi_gateway.answers import Asked
from kalshi_gateway.dependencies import ExchangeGuest, ExchangeReads
from kalshi_gateway.keys.signature import Flaw

from . import answers, exchange, refusals
from .reads import Given

PREFIX = b"/trade-api/v2"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

# It is the exchange that describes these operations.
router = APIRouter(include_in_schema=False)


@router.api_route("/trade-api/v2/{path:path}", methods=METHODS)
async def pass_on(request: Request, reads: ExchangeReads, guest: ExchangeGuest) -> Response:
    """What the exchange answers to the same request."""
    if isinstance(guest, Flaw):
        return answers.refused(refusals.FLAWS[guest])
    scope = request.scope
    answered = await exchange.answer(
        reads,
        guest,
        scope["method"],
        scope["raw_path"].partition(b"?")[0].removeprefix(PREFIX),
        scope["query_string"],
        Asked.of(scope).directives,
    )
    return answers.given(answered) if isinstance(answered, Given) else answers.refused(answered)
