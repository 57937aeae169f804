"""GET /kalshi/markets, and what trades in one of them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from kalshi_gateway import answers, cursors
from kalshi_gateway.db import Driver
from kalshi_gateway.dependencies import (
    CatalogueProgress,
    Database,
    MarketLookup,
    MarketTiers,
    Terms,
    requires,
)
from kalshi_gateway.directives import RESPONSES
from kalshi_gateway.errors import FieldError, Unprocessable
from kalshi_gateway.freshness import Standing, came_by
from kalshi_gateway.units import EARLIEST

from . import paging, repository, searching
from .answers import BookDetail, CandleList, MarketDetail, MarketList, TradeList
from .listing import Instant, MarketListing
from .repository import Row
from .tiers import MINUTES, NEWEST, Period, TapePlace

router = APIRouter(
    prefix="/kalshi/markets",
    tags=["Markets"],
    dependencies=[requires("read")],
    responses=RESPONSES,
)

Ticker = Annotated[str, Path(max_length=120, examples=["KXHIGHNY-26JUN15-T85"])]

#: How much is shown when no beginning is asked for.
USUAL_SPAN: dict[Period, timedelta] = {
    "1m": timedelta(hours=6),
    "1h": timedelta(days=7),
    "1d": timedelta(days=365),
}
MOST_CANDLES = 10_000

#: What the exchange itself was just asked for is fresh.
JUST_ASKED_SECONDS = 5.0


@router.get("", response_model=MarketList)
async def list_markets(
    listing: Annotated[MarketListing, Query()],
    terms: Terms,
    database: Database,
    progress: CatalogueProgress,
) -> Response:
    """Search, filter and sort the whole catalogue; open markets unless you ask for others."""
    with_combos = listing.include_combos and not listing.tickers
    standing = await progress.markets(listing.statuses, with_combos=with_combos)
    async with database.driver() as conn:
        sought = await searching.sought(conn, listing)
        rows = await repository.page(conn, listing, sought)
        counted = listing.count == "exact"
        total = await repository.count(conn, listing, sought) if counted else None
        page, next_cursor = paging.cut(rows, listing)
        if listing.tickers or listing.include_combos:
            standing = await _beyond_the_walks(conn, listing, page, standing)
    if not page:
        paging.refuse_if_nothing_is_known(standing, terms)
    bodies = (row.body for row in page)
    standing = searching.told(standing, sought.search).walked(terms)
    return answers.listed("markets", bodies, next_cursor, standing, total=total)


async def _beyond_the_walks(
    conn: Driver, listing: MarketListing, page: Sequence[Row], standing: Standing
) -> Standing:
    """What no walk tells: how old combos are, and which of the named tickers nobody has met."""
    oldest = await repository.oldest_combo(conn, [row.place.name for row in page])
    if oldest is not None and standing.as_of is not None:
        standing = replace(standing, as_of=min(oldest, standing.as_of))
    unknown = await repository.unknown_among(conn, listing.tickers or ())
    if unknown:
        text = f"{unknown} of the tickers are not in the catalogue: ask for each by itself"
        standing = replace(standing, complete=False, warnings=(*standing.warnings, text))
    return standing


@router.get("/{ticker}", response_model=MarketDetail)
async def read_market(ticker: Ticker, terms: Terms, lookup: MarketLookup) -> Response:
    """One market with its rules; one that only the exchange knows is fetched."""
    looked = await lookup.market(ticker, terms)
    market = looked.found
    return answers.detailed(market.body, looked.standing, market.rules, came=looked.came)


@router.get("/{ticker}/orderbook", response_model=BookDetail)
async def read_order_book(
    ticker: Ticker,
    terms: Terms,
    tiers: MarketTiers,
    depth: Annotated[int, Query(ge=0, le=100, description="Levels per side; 0 for all.")] = 0,
) -> Response:
    """Both sides of the book, best level first, in YES prices."""
    terms.allow_asking()
    book, as_of = await tiers.book(ticker, depth)
    standing = Standing(as_of, JUST_ASKED_SECONDS)
    return answers.asked(book, standing, came=came_by(terms, known=False))


@router.get("/{ticker}/trades", response_model=TradeList)
async def list_trades(
    ticker: Ticker,
    terms: Terms,
    tiers: MarketTiers,
    start: Instant = None,
    end: Instant = None,
    cursor: Annotated[str | None, Query(max_length=1_000)] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> Response:
    """What the public tape printed, newest first, on into the exchange's archive."""
    _check_order(start, end)
    asked = (ticker, start, end)
    place = NEWEST if cursor is None else cursors.unpack(cursor, asked, TapePlace)
    terms.allow_asking()
    found = await tiers.trades(ticker, start=start, end=end, place=place, limit=limit)
    older = None if found.older is None else cursors.pack(found.older, asked)
    shown = {"trades": found.trades, "next_cursor": older}
    standing = _just_asked(found.as_of, found.set_aside, "trades")
    return answers.asked(shown, standing, came=came_by(terms, known=False))


@router.get("/{ticker}/candles", response_model=CandleList)
async def list_candles(
    ticker: Ticker,
    terms: Terms,
    tiers: MarketTiers,
    period: Annotated[Period, Query(description="Length of one candle.")] = "1h",
    start: Instant = None,
    end: Instant = None,
) -> Response:
    """How price, quotes and volume moved; quiet periods may be left out by the exchange."""
    until = end or datetime.now(UTC)
    if until <= EARLIEST:
        raise _refused("end", "must lie after 1970")
    since = start or max(EARLIEST, until - USUAL_SPAN[period])
    _check_order(since, until)
    if (until - since) / timedelta(minutes=MINUTES[period]) > MOST_CANDLES:
        raise _refused("start", f"too long ago: at most {MOST_CANDLES} candles at once")
    terms.allow_asking()
    found = await tiers.candles(ticker, start=since, end=until, period=period)
    shown = {"ticker": ticker, "period": period, "candles": found.candles}
    standing = _just_asked(found.as_of, found.set_aside, "candles")
    return answers.asked(shown, standing, came=came_by(terms, known=False))


def _check_order(start: datetime | None, end: datetime | None) -> None:
    if start is not None and end is not None and start >= end:
        raise _refused("start", "must lie before end")


def _refused(name: str, message: str) -> Unprocessable:
    return Unprocessable(f"{name} {message}.", errors=(FieldError(f"/query/{name}", message),))


def _just_asked(as_of: datetime, set_aside: int, what: str) -> Standing:
    warnings = (f"{set_aside} {what} could not be read and are left out",) if set_aside else ()
    return Standing(as_of, JUST_ASKED_SECONDS, complete=not set_aside, warnings=warnings)
