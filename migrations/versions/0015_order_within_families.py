"""Order open markets within their series, and within small categories.

ix_instruments_by_volume_24h          tells of price and volume as well: the sort most lists have
ix_instruments_of_series_by_<sort>    a page of a series, which a walk in the order of all markets
                                      would have to search for; in the two orders most asked for
ix_instruments_of_category_by_<sort>  the same of a category; of the largest, most markets of a walk
                                      are, so they are left out, and what they cost is not paid for
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SORTS = {
    "change": "change_microdollars",
    "close_time": "close_time",
    "created_time": "created_time",
    "last_price": "last_price_microdollars",
    "open_interest": "open_interest_centicontracts",
    "volume_24h": "volume_24h_centicontracts",
}
SORTS_IN_SERIES = ("volume_24h", "close_time")
OPEN = "status = 'open' AND NOT is_combo"
SMALL = "category NOT IN ('Climate and Weather', 'Crypto', 'Sports')"
PLACE = ["status", "is_combo", "volume_24h_centicontracts", "ticker"]
FILTERS: list[Any] = [sa.text("lower(category)"), "series_ticker", "close_time"]


def _renew_volume(*more: str) -> None:
    op.drop_index("ix_instruments_by_volume_24h", table_name="instruments")
    op.create_index("ix_instruments_by_volume_24h", "instruments", [*PLACE, *FILTERS, *more])


def upgrade() -> None:
    _renew_volume("last_price_microdollars", "volume_centicontracts")
    for name, column in SORTS.items():
        if name in SORTS_IN_SERIES:
            op.create_index(
                f"ix_instruments_of_series_by_{name}",
                "instruments",
                ["series_ticker", column, "ticker"],
                postgresql_where=sa.text(OPEN),
            )
        op.create_index(
            f"ix_instruments_of_category_by_{name}",
            "instruments",
            [sa.text("lower(category)"), column, "ticker"],
            postgresql_where=sa.text(f"{OPEN} AND {SMALL}"),
        )


def downgrade() -> None:
    for name in SORTS:
        op.drop_index(f"ix_instruments_of_category_by_{name}", table_name="instruments")
        if name in SORTS_IN_SERIES:
            op.drop_index(f"ix_instruments_of_series_by_{name}", table_name="instruments")
    _renew_volume()
