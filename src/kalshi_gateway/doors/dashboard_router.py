"""/api/v1/kalshi: the older dashboard API, five routes."""

from typing import Annotated, Literal
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Response

from kalshi_gateway.auth import WrongUser
from kalshi_gateway.dependencies import ExchangeReads, Speaker, TakesGzip, requires
from kalshi_gateway.kalshi import errors

from . import answers, dashboard, operations
from .operations import Operation
from .reads import ANY_AGE, Given, Reads, Rendering, Wish

MINUTE, HALF_A_MINUTE = 60.0, 30.0
#: Of positions there is one page, the largest.
MOST_POSITIONS = 1_000

#: What the dashboard calls open is resting on the book.
OF_ORDERS = {"open": "resting"}

OrderStatus = Literal["open", "resting", "canceled", "executed"]
EventStatus = Literal["unopened", "open", "closed", "settled"]
Cursor = Annotated[str | None, Query(max_length=1_000)]

# Kept for clients that have it: who writes a new one finds more under /kalshi.
router = APIRouter(
    prefix="/api/v1/kalshi", dependencies=[requires("read")], include_in_schema=False
)


@router.get("/balance")
@router.get("/balance/")
async def read_balance(reads: ExchangeReads, user_id: Speaker, zipped: TakesGzip) -> Response:
    """Money free to use, in cents."""
    answered = await _own(reads, user_id, "/portfolio/balance", MINUTE)
    return await answers.given(answered, zipped=zipped)


@router.get("/positions")
@router.get("/positions/")
async def read_positions(reads: ExchangeReads, user_id: Speaker, zipped: TakesGzip) -> Response:
    """What is held, by event."""
    target = f"/portfolio/positions?limit={MOST_POSITIONS}"
    form = dashboard.positions_by_event
    answered = await _own(reads, user_id, target, HALF_A_MINUTE, form)
    return await answers.given(answered, zipped=zipped)


@router.get("/orders")
@router.get("/orders/")
async def read_orders(
    reads: ExchangeReads,
    user_id: Speaker,
    zipped: TakesGzip,
    status: OrderStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: Cursor = None,
) -> Response:
    """What was asked for, and what became of it."""
    wanted = None if status is None else OF_ORDERS.get(status, status)
    target = _target("/portfolio/orders", limit=limit, status=wanted, cursor=cursor)
    answered = await _own(reads, user_id, target, HALF_A_MINUTE)
    return await answers.given(answered, zipped=zipped)


@router.get("/events")
@router.get("/events/")
async def read_events(
    reads: ExchangeReads,
    zipped: TakesGzip,
    series_ticker: Annotated[str | None, Query(max_length=120)] = None,
    status: EventStatus = "open",
    with_nested_markets: bool = True,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
    cursor: Cursor = None,
) -> Response:
    """Events, with their markets unless those are not wanted."""
    target = _target(
        "/events",
        limit=limit,
        status=status,
        series_ticker=series_ticker,
        with_nested_markets="true" if with_nested_markets else "false",
        cursor=cursor,
    )
    answered = await reads.public(_operation(target), target, _wish(MINUTE))
    return await answers.given(answered, zipped=zipped)


@router.get("/markets/{ticker}")
@router.get("/markets/{ticker}/")
async def read_market(ticker: str, reads: ExchangeReads, zipped: TakesGzip) -> Response:
    """One market, of the archive too."""
    try:
        answered = await _market(reads, "/markets/{ticker}", ticker)
    except errors.NotFound:
        answered = await _market(reads, "/historical/markets/{ticker}", ticker)
    return await answers.given(answered, zipped=zipped)


async def _market(reads: Reads, path: str, ticker: str) -> Given:
    target = path.format(ticker=quote(ticker, safe=""))
    operation = _operation(target)
    if operation.path != path:
        # Beside markets lie other lists, such as that of all trades.
        raise errors.NotFound(404, "not_found", "no ticker looks like that")
    return await reads.public(operation, target, _wish(MINUTE))


async def _own(
    reads: Reads,
    user_id: str | None,
    target: str,
    fresh_seconds: float,
    form: Rendering = dashboard.with_twins,
) -> Given:
    if user_id is None:
        raise WrongUser("This takes a token that is bound to a user.")
    wish = _wish(fresh_seconds, form)
    return await reads.private(user_id, _operation(target), target, wish)


def _wish(fresh_seconds: float, form: Rendering = dashboard.with_twins) -> Wish:
    """An answer of any age is better than none."""
    return Wish(fresh_seconds, stale_seconds=ANY_AGE, form=form)


def _target(path: str, **asked: str | int | None) -> str:
    return f"{path}?{urlencode({name: said for name, said in asked.items() if said is not None})}"


def _operation(target: str) -> Operation:
    """The exchange's operation behind a path; a ticker that is none is not known to it."""
    operation = operations.find("GET", target.partition("?")[0].encode())
    if operation is None:
        raise errors.NotFound(404, "not_found", "no ticker looks like that")
    return operation
