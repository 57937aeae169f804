"""GET /kalshi/search/suggestions."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Response

from kalshi_gateway import answers
from kalshi_gateway.dependencies import CatalogueProgress, Database, Terms, requires
from kalshi_gateway.directives import RESPONSES
from kalshi_gateway.freshness import Meta

from . import paging, search, searching
from .suggestions import Suggestion, suggest

router = APIRouter(
    prefix="/kalshi/search",
    tags=["Search"],
    dependencies=[requires("read")],
    responses=RESPONSES,
)


@dataclass(frozen=True, slots=True)
class SuggestionList:
    """What was perhaps meant, the likeliest first."""

    suggestions: tuple[Suggestion, ...]
    meta: Meta


@router.get("/suggestions", response_model=SuggestionList)
async def list_suggestions(
    q: Annotated[str, Query(max_length=200, description="What was typed so far.")],
    terms: Terms,
    database: Database,
    progress: CatalogueProgress,
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> Response:
    """Open events, series and markets to offer while somebody is typing."""
    standing = await progress.events(with_markets=True)
    async with database.driver() as conn:
        sought = await search.understand(conn, q)
        found = await suggest(conn, sought, limit)
    if not found:
        paging.refuse_if_nothing_is_known(standing, terms)
    standing = searching.told(standing, sought).walked(terms)
    return answers.kept({"suggestions": found}, standing)
