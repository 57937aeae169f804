"""What a listing searches: understood anew on its first page, and as before on all others."""

from dataclasses import replace

from kalshi_gateway.db import Driver
from kalshi_gateway.freshness import Standing

from . import search
from .listing import Listing, SeriesListing, cursor_of
from .search import Reading, Search


async def sought(conn: Driver, listing: Listing | SeriesListing) -> Search | None:
    """What was typed, if anything was."""
    if listing.q is None:
        return None
    if listing.cursor is None:
        return await search.understand(conn, listing.q)
    return search.as_read(listing.q, cursor_of(listing).reading or Reading())


def told(standing: Standing, sought: Search | None) -> Standing:
    """How things stand, and what else was searched than what was typed."""
    if sought is None or not sought.warnings:
        return standing
    return replace(standing, warnings=(*standing.warnings, *sought.warnings))
