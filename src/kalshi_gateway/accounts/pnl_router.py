"""GET …/pnl: profit and loss, as JSON or for a spreadsheet."""

import asyncio
from dataclasses import fields, replace
from datetime import date
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Header, Path, Query, Response

from kalshi_gateway import answers
from kalshi_gateway.dependencies import AccountProfits, AccountReader, Terms, requires
from kalshi_gateway.directives import RESPONSES
from kalshi_gateway.errors import FieldError, Unprocessable

from . import pnl as counting
from .answers import PnlDetail
from .pnl import Grouping, Period

router = APIRouter(
    prefix="/kalshi/users/{user_id}",
    tags=["Accounts"],
    dependencies=[requires("read")],
    responses=RESPONSES,
)

UserId = Annotated[str, Path(min_length=1, max_length=128)]
Format = Literal["json", "csv", "closings"]
CSV = "text/csv"


@router.get("/pnl", response_model=PnlDetail)
async def read_pnl(
    user_id: UserId,
    terms: Terms,
    accounts: AccountReader,
    profits: AccountProfits,
    by: Annotated[Grouping, Query(description="What the lines are.")] = "market",
    start: Annotated[date | None, Query(description="The first day, included.")] = None,
    end: Annotated[date | None, Query(description="The last day, included.")] = None,
    timezone: Annotated[
        str, Query(max_length=64, description="Whose days they are.", examples=["America/New_York"])
    ] = "UTC",
    format: Annotated[
        Format | None,
        Query(
            description="csv: the lines; closings: a row for all that was closed, for a tax form."
        ),
    ] = None,
    accept: Annotated[
        str | None, Header(description="text/csv is the same as `format=csv`.")
    ] = None,
) -> Response:
    """What was won and lost, exactly, and whether it adds up to the balance."""
    period, zone = _period(start, end), _zone(timezone)
    looked = await accounts.find(user_id, terms)
    found = await profits.find(looked.cached)
    standing, came = looked.standing, looked.came
    if format == "closings":
        text = await asyncio.to_thread(
            counting.closings_csv, found.ledger, found.facts, period=period, zone=zone
        )
        return answers.TextAnswer(text, standing, CSV, came)
    made = await asyncio.to_thread(
        counting.pnl,
        found.ledger,
        by,
        found.facts,
        exchange=found.exchange,
        period=period,
        zone=zone,
    )
    if format == "csv" or (format is None and _takes_csv(accept)):
        return answers.TextAnswer(counting.to_csv(made), standing, CSV, came)
    shown = {field.name: getattr(made, field.name) for field in fields(made)}
    shown["reconciliation"] = found.reconciliation
    standing = replace(standing, complete=standing.complete and made.complete)
    return answers.kept(shown, standing, came)


def _period(start: date | None, end: date | None) -> Period | None:
    if start is not None and end is not None and start > end:
        raise _refused("start", "must not lie after end")
    return None if start is None and end is None else Period(start, end)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _refused("timezone", "is no time zone") from None


def _takes_csv(accept: str | None) -> bool:
    return accept is not None and CSV in accept and "json" not in accept


def _refused(name: str, message: str) -> Unprocessable:
    return Unprocessable(f"{name} {message}.", errors=(FieldError(f"/query/{name}", message),))
