"""Tell of a market what lists are filtered by without a look at the table.

ix_instruments_by_<sort>  as before, by kind, and with category, series and close time behind the
                          place: a row that is left out costs no look at the table
ix_instruments_category   in whatever case a category is asked for
storage                   a list reads a hundred bodies and no rules: of a row that is too long it
                          is the rules that are kept apart
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
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


def _with_filters(column: str) -> list[Any]:
    place = ["status", "is_combo", column, "ticker"]
    filters = [sa.text("lower(category)"), "series_ticker"]
    return [*place, *filters, *([] if column == "close_time" else ["close_time"])]


def _renew(name: str, columns: list[Any]) -> None:
    op.drop_index(name, table_name="instruments")
    op.create_index(name, "instruments", columns)


def upgrade() -> None:
    op.execute("ALTER TABLE instruments ALTER body SET STORAGE MAIN")
    for name, column in SORTS.items():
        _renew(f"ix_instruments_by_{name}", _with_filters(column))
    _renew("ix_instruments_category", [sa.text("lower(category)"), "status"])


def downgrade() -> None:
    _renew("ix_instruments_category", ["category", "status"])
    for name, column in SORTS.items():
        _renew(f"ix_instruments_by_{name}", ["status", column, "ticker"])
    op.execute("ALTER TABLE instruments ALTER body SET STORAGE EXTENDED")
