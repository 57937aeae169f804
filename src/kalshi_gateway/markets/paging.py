"""Where one page ends and the next begins."""

from collections.abc import Sequence

from kalshi_gateway.directives import Terms
from kalshi_gateway.errors import Unavailable
from kalshi_gateway.freshness import Standing

from .listing import Listing, SeriesListing, cursor_after
from .repository import Row


class CatalogueNotReady(Unavailable):
    """Nothing has been read from the exchange yet."""

    code = "catalogue_not_ready"
    title = "The catalogue is being read"


def cut(rows: Sequence[Row], listing: Listing | SeriesListing) -> tuple[Sequence[Row], str | None]:
    """The page, and the cursor after its last row if one row more was found."""
    if len(rows) <= listing.limit:
        return rows, None
    page = rows[: listing.limit]
    return page, cursor_after(page[-1].place, listing)


def refuse_if_nothing_is_known(standing: Standing, terms: Terms) -> None:
    """An empty catalogue is no answer: zero markets and unknown markets never look alike."""
    if standing.as_of is None:
        terms.allow_asking()
        raise CatalogueNotReady(
            "The catalogue is still being read from the exchange.", retry_after_seconds=5
        )
