"""GET /kalshi/events, /kalshi/series and /kalshi/categories."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from kalshi_gateway import answers
from kalshi_gateway.dependencies import (
    CatalogueProgress,
    Database,
    MarketLookup,
    Terms,
    requires,
)
from kalshi_gateway.directives import RESPONSES

from . import paging, repository, search, searching
from .answers import CategoryList, EventDetail, EventList, SeriesDetail, SeriesList
from .listing import CategoryListing, EventListing, SeriesListing
from .repository import Inside

router = APIRouter(
    prefix="/kalshi",
    tags=["Events and series"],
    dependencies=[requires("read")],
    responses=RESPONSES,
)


@router.get("/events", response_model=EventList)
async def list_events(
    listing: Annotated[EventListing, Query()],
    terms: Terms,
    database: Database,
    progress: CatalogueProgress,
) -> Response:
    """Events with their markets; those with an open market unless you ask for others."""
    standing = await progress.events(with_markets=listing.markets)
    async with database.driver() as conn:
        sought = await searching.sought(conn, listing)
        rows = await repository.page_of_events(conn, listing, sought)
        page, next_cursor = paging.cut(rows, listing)
        names = [row.place.name for row in page]
        inside = await repository.markets_of(conn, names) if listing.markets else {}
        counted = listing.count == "exact"
        total = await repository.count_events(conn, listing, sought) if counted else None
    if not page:
        paging.refuse_if_nothing_is_known(standing, terms)
    bodies = (_with_markets(row.body, inside.get(row.place.name, [])) for row in page)
    standing = searching.told(standing, sought.search).walked(terms)
    return answers.listed("events", bodies, next_cursor, standing, total=total)


@router.get("/events/{event_ticker}", response_model=EventDetail)
async def read_event(
    event_ticker: Annotated[str, Path(max_length=120, examples=["KXHIGHNY-26JUN15"])],
    terms: Terms,
    lookup: MarketLookup,
) -> Response:
    """One event with all its markets; one that only the exchange knows is fetched."""
    looked = await lookup.event(event_ticker, terms)
    body = _with_markets(*looked.found)
    return answers.detailed(body, looked.standing, came=looked.came)


@router.get("/series", response_model=SeriesList)
async def list_series(
    listing: Annotated[SeriesListing, Query()],
    terms: Terms,
    database: Database,
    progress: CatalogueProgress,
) -> Response:
    """Series by ticker."""
    standing = await progress.series()
    async with database.driver() as conn:
        sought = await searching.sought(conn, listing)
        rows = await repository.page_of_series(conn, listing, sought)
    page, next_cursor = paging.cut(rows, listing)
    if not page:
        paging.refuse_if_nothing_is_known(standing, terms)
    standing = searching.told(standing, sought.search).walked(terms)
    return answers.listed("series", (row.body for row in page), next_cursor, standing)


@router.get("/series/{series_ticker}", response_model=SeriesDetail)
async def read_series(
    series_ticker: Annotated[str, Path(max_length=120, examples=["KXHIGHNY"])],
    terms: Terms,
    lookup: MarketLookup,
) -> Response:
    """One series; one that only the exchange knows is fetched."""
    looked = await lookup.series(series_ticker, terms)
    return answers.detailed(looked.found.body, looked.standing, came=looked.came)


@router.get("/categories", response_model=CategoryList)
async def list_categories(
    listing: Annotated[CategoryListing, Query()],
    terms: Terms,
    database: Database,
    progress: CatalogueProgress,
) -> Response:
    """All categories, the operator's own among them, and their tags: how much each finds."""
    standing = await progress.categories()
    async with database.driver() as conn:
        sought = None if listing.q is None else await search.understand(conn, listing.q)
        categories = await repository.facets(conn, sought)
    if not categories:
        paging.refuse_if_nothing_is_known(standing, terms)
    standing = searching.told(standing, sought).walked(terms)
    return answers.kept({"categories": categories}, standing)


def _with_markets(body: str, markets: list[Inside]) -> str:
    return f'{body[:-1]},"markets":[{",".join(market.body for market in markets)}]}}'
