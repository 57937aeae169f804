"""GET …/account and POST …/account/refresh; what is recorded of a user, and what it came to."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from kalshi_gateway import answers, cursors
from kalshi_gateway.dependencies import AccountReader, Database, Terms, WrittenBy, requires
from kalshi_gateway.directives import RESPONSES
from kalshi_gateway.markets.listing import Instant

from . import pages
from .answers import (
    AccountDetail,
    FillList,
    HistoryList,
    OrderList,
    PositionList,
    SettlementList,
)
from .known import Looked
from .pages import FILLS, ORDERS, SETTLEMENTS, Every, Place, Shelf, Wanted

router = APIRouter(
    prefix="/kalshi/users/{user_id}",
    tags=["Accounts"],
    dependencies=[requires("read")],
    responses=RESPONSES,
)

UserId = Annotated[str, Path(min_length=1, max_length=128)]
Ticker = Annotated[str | None, Query(max_length=120, description="Of one market only.")]
Subaccount = Annotated[int | None, Query(ge=0, le=63, description="Of one subaccount only.")]
Cursor = Annotated[str | None, Query(max_length=1_000)]
Limit = Annotated[int, Query(ge=1, le=1_000)]


@router.get("/account", response_model=AccountDetail)
async def read_account(user_id: UserId, terms: Terms, accounts: AccountReader) -> Response:
    """Balance and positions as last known; old ones are refreshed behind the answer."""
    return _account(await accounts.find(user_id, terms))


@router.post("/account/refresh", response_model=AccountDetail)
async def refresh_account(user_id: UserId, accounts: AccountReader, author: WrittenBy) -> Response:
    """Read the account from the exchange now; who asks meanwhile shares the answer."""
    return _account(await accounts.refreshed(user_id, author))


@router.get("/account/refresh", response_model=AccountDetail, deprecated=True)
async def refresh_account_by_get(
    user_id: UserId, accounts: AccountReader, author: WrittenBy
) -> Response:
    """The same, for older clients."""
    return _account(await accounts.refreshed(user_id, author))


@router.get("/positions", response_model=PositionList)
async def list_positions(
    user_id: UserId,
    terms: Terms,
    accounts: AccountReader,
    ticker: Ticker = None,
    event: Annotated[str | None, Query(max_length=120, description="Of one event only.")] = None,
    subaccount: Subaccount = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """What is held, by ticker."""
    asked = ("positions", user_id, ticker, event, subaccount)
    after = None if cursor is None else cursors.unpack(cursor, asked, pages.Spot)
    looked = await accounts.find(user_id, terms)
    wanted = pages.Held(ticker, event, subaccount)
    bodies, onward = pages.cut_positions(looked.body, wanted, after, limit, asked)
    return answers.listed("positions", bodies, onward, looked.standing, came=looked.came)


@router.get("/fills", response_model=FillList)
async def list_fills(
    user_id: UserId,
    terms: Terms,
    accounts: AccountReader,
    database: Database,
    ticker: Ticker = None,
    order_id: Annotated[str | None, Query(max_length=120, description="Of one order.")] = None,
    subaccount: Subaccount = None,
    start: Instant = None,
    end: Instant = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """What orders got, newest first, archived ones included."""
    wanted = _wanted(ticker=ticker, order_id=order_id, subaccount=subaccount, start=start, end=end)
    looked = await accounts.find(user_id, terms)
    return await _listed("fills", FILLS, user_id, looked, database, wanted, cursor, limit)


@router.get("/orders", response_model=OrderList)
async def list_orders(
    user_id: UserId,
    terms: Terms,
    accounts: AccountReader,
    database: Database,
    status: Annotated[
        str | None, Query(max_length=40, description="resting, canceled or executed.")
    ] = None,
    ticker: Ticker = None,
    subaccount: Subaccount = None,
    start: Instant = None,
    end: Instant = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """What was asked for and what became of it, newest first, archived ones included."""
    wanted = _wanted(ticker=ticker, status=status, subaccount=subaccount, start=start, end=end)
    looked = await accounts.find(user_id, terms)
    return await _listed("orders", ORDERS, user_id, looked, database, wanted, cursor, limit)


@router.get("/settlements", response_model=SettlementList)
async def list_settlements(
    user_id: UserId,
    terms: Terms,
    accounts: AccountReader,
    database: Database,
    ticker: Ticker = None,
    subaccount: Subaccount = None,
    start: Instant = None,
    end: Instant = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """What markets paid, newest first; kept when the exchange shows it no more."""
    wanted = _wanted(ticker=ticker, subaccount=subaccount, start=start, end=end)
    looked = await accounts.find(user_id, terms)
    name = "settlements"
    return await _listed(name, SETTLEMENTS, user_id, looked, database, wanted, cursor, limit)


@router.get("/history", response_model=HistoryList)
async def list_history(
    user_id: UserId,
    terms: Terms,
    accounts: AccountReader,
    database: Database,
    every: Annotated[
        Every, Query(description="The last of each hour or day (UTC), or all that was noted.")
    ] = "all",
    start: Instant = None,
    end: Instant = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """What the account was worth over time, newest first."""
    asked = ("history", user_id, every, str(start), str(end))
    after = None if cursor is None else cursors.unpack(cursor, asked, Place)
    looked = await accounts.find(user_id, terms)
    async with database.driver() as conn:
        rows = await pages.page_of_history(conn, looked.ledger_id, every, start, end, after, limit)
    bodies, onward = pages.cut(rows, limit, asked)
    return answers.listed("history", bodies, onward, looked.standing, came=looked.came)


async def _listed(
    name: str,
    shelf: Shelf,
    user_id: str,
    looked: Looked,
    database: Database,
    wanted: list[Wanted],
    cursor: str | None,
    limit: int,
) -> Response:
    asked = (name, user_id, [(one.condition, str(one.value)) for one in wanted])
    after = None if cursor is None else cursors.unpack(cursor, asked, Place)
    async with database.driver() as conn:
        rows = await shelf.page(conn, looked.ledger_id, wanted, after, limit)
    bodies, onward = pages.cut(rows, limit, asked)
    return answers.listed(name, bodies, onward, looked.standing, came=looked.came)


def _wanted(*, start: Instant, end: Instant, **equal: str | int | None) -> list[Wanted]:
    """What was asked of a list, as conditions."""
    found = [
        Wanted(f"r.{name} = {{}}", value) for name, value in equal.items() if value is not None
    ]
    if start is not None:
        found.append(Wanted("r.listed_at >= {}", start))
    if end is not None:
        found.append(Wanted("r.listed_at < {}", end))
    return found


def _account(looked: Looked) -> Response:
    return answers.detailed(looked.body, looked.standing, came=looked.came)
