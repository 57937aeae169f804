"""/trade-api/v2: the exchange's own API, for clients made for the exchange."""

from fastapi import APIRouter, Response
from starlette.requests import Request

from kalshi_gateway.answers import Asked
from kalshi_gateway.dependencies import door, written_by
from kalshi_gateway.keys.signature import Flaw

from . import answers, exchange, headers, operations, refusals
from .operations import Access
from .reads import Given
from .routing import Write

PREFIX = operations.PREFIX.encode()
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

# It is the exchange that describes these operations.
router = APIRouter(include_in_schema=False)


async def pass_on(request: Request) -> Response:
    """What the exchange answers to the same request."""
    reads, writes, guest = await door(request)
    if isinstance(guest, Flaw):
        return answers.refused(refusals.FLAWS[guest])
    scope = request.scope
    path: bytes = scope["raw_path"].partition(b"?")[0].removeprefix(PREFIX)
    query: bytes = scope["query_string"]
    operation = operations.find(scope["method"], path)
    if operation is None or not headers.can_be_sent(query):
        return answers.refused(refusals.NOT_FOUND)
    refused = exchange.refusal(operation, guest, trading=writes.enabled)
    if refused is not None:
        if guest.caller and operation.method != "GET":
            write = Write(operation, path, query, (), b"")
            await writes.refuse(guest.user_id, write, written_by(guest.caller), refused)
        return answers.refused(refused)
    if operation.access is Access.WRITE and guest.caller and guest.user_id:
        passed = headers.end_to_end(scope["headers"])
        write = Write(operation, path, query, passed, await request.body())
        author = written_by(guest.caller)
        sent = await writes.send(guest.user_id, write, author, guest.signature_sha256)
        return answers.written(sent)
    asked = Asked.of(scope)
    answered = await exchange.answer(
        reads,
        guest,
        operation,
        (path + b"?" + query if query else path).decode("ascii"),
        headers.of_answers(scope["headers"]),
        asked.directives,
    )
    if not isinstance(answered, Given):
        return answers.refused(answered)
    return await answers.given(answered, zipped=asked.zipped)


# Of what FastAPI adds to a route nothing is needed here, and it costs as much as the server does.
router.add_route(operations.ROUTE, pass_on, METHODS)
