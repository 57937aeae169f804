"""What a list is after: understood anew on its first page, its words as before on all others."""

from dataclasses import dataclass, replace

from kalshi_gateway.db import Driver
from kalshi_gateway.freshness import Standing

from . import genres, search
from .genres import Genres
from .listing import Listing, SeriesListing, cursor_of
from .search import Reading, Search


@dataclass(frozen=True)
class Sought:
    """What is looked up once, for a page and for how many there are of it."""

    #: What was typed, if anything was.
    search: Search | None = None
    #: What has the category and the tag, if either was named.
    genres: Genres | None = None


async def sought(conn: Driver, listing: Listing | SeriesListing) -> Sought:
    """What the words of a question stand for, and its category and tag."""
    found = None
    if listing.category is not None or listing.tag is not None:
        found = await genres.having(conn, listing.category, listing.tag)
    return Sought(await _understood(conn, listing), found)


async def _understood(conn: Driver, listing: Listing | SeriesListing) -> Search | None:
    if listing.q is None:
        return None
    if listing.cursor is None:
        return await search.understand(conn, listing.q)
    return search.as_read(listing.q, cursor_of(listing).reading or Reading())


def told(standing: Standing, searched: Search | None) -> Standing:
    """How things stand, and what else was searched than what was typed."""
    if searched is None or not searched.warnings:
        return standing
    return replace(standing, warnings=(*standing.warnings, *searched.warnings))
