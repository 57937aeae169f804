"""Indexes for what is asked of the catalogue.

ix_…_by_<sort>           a page of a list: status, sort key and ticker, walked in either direction
ix_…_event_ticker        the markets of an event; ix_…_series_ticker those of a series, and
                         how many of them are open, counted without a look at the table
ix_instruments_category  a small category, which a walk by sort key would have to search for
ix_…_search              words and prefixes
ix_instruments_opening   markets that are due to open; those due to close are found by_close_time
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_events_by_close_time", "events", ["status", "close_time", "event_ticker"], unique=False
    )
    op.create_index(
        "ix_events_by_created_time",
        "events",
        ["status", "created_time", "event_ticker"],
        unique=False,
    )
    op.create_index(
        "ix_events_by_open_interest",
        "events",
        ["status", "open_interest_centicontracts", "event_ticker"],
        unique=False,
    )
    op.create_index(
        "ix_events_by_volume_24h",
        "events",
        ["status", "volume_24h_centicontracts", "event_ticker"],
        unique=False,
    )
    op.create_index("ix_events_search", "events", ["search"], unique=False, postgresql_using="gin")
    op.create_index("ix_events_series_ticker", "events", ["series_ticker"], unique=False)
    op.create_index(
        "ix_instruments_by_change",
        "instruments",
        ["status", "change_microdollars", "ticker"],
        unique=False,
    )
    op.create_index(
        "ix_instruments_by_close_time",
        "instruments",
        ["status", "close_time", "ticker"],
        unique=False,
    )
    op.create_index(
        "ix_instruments_by_created_time",
        "instruments",
        ["status", "created_time", "ticker"],
        unique=False,
    )
    op.create_index(
        "ix_instruments_by_last_price",
        "instruments",
        ["status", "last_price_microdollars", "ticker"],
        unique=False,
    )
    op.create_index(
        "ix_instruments_by_open_interest",
        "instruments",
        ["status", "open_interest_centicontracts", "ticker"],
        unique=False,
    )
    op.create_index(
        "ix_instruments_by_volume_24h",
        "instruments",
        ["status", "volume_24h_centicontracts", "ticker"],
        unique=False,
    )
    op.create_index("ix_instruments_category", "instruments", ["category", "status"], unique=False)
    op.create_index("ix_instruments_event_ticker", "instruments", ["event_ticker"], unique=False)
    op.create_index(
        "ix_instruments_opening",
        "instruments",
        ["open_time"],
        unique=False,
        postgresql_where=sa.text("status = 'unopened'"),
    )
    op.create_index(
        "ix_instruments_search", "instruments", ["search"], unique=False, postgresql_using="gin"
    )
    op.create_index(
        "ix_instruments_series_ticker",
        "instruments",
        ["status", "series_ticker"],
        unique=False,
        postgresql_include=["is_combo"],
    )
    op.create_index("ix_series_search", "series", ["search"], unique=False, postgresql_using="gin")


def downgrade() -> None:
    op.drop_index("ix_series_search", table_name="series")
    op.drop_index("ix_instruments_series_ticker", table_name="instruments")
    op.drop_index("ix_instruments_search", table_name="instruments")
    op.drop_index("ix_instruments_opening", table_name="instruments")
    op.drop_index("ix_instruments_event_ticker", table_name="instruments")
    op.drop_index("ix_instruments_category", table_name="instruments")
    op.drop_index("ix_instruments_by_volume_24h", table_name="instruments")
    op.drop_index("ix_instruments_by_open_interest", table_name="instruments")
    op.drop_index("ix_instruments_by_last_price", table_name="instruments")
    op.drop_index("ix_instruments_by_created_time", table_name="instruments")
    op.drop_index("ix_instruments_by_close_time", table_name="instruments")
    op.drop_index("ix_instruments_by_change", table_name="instruments")
    op.drop_index("ix_events_series_ticker", table_name="events")
    op.drop_index("ix_events_search", table_name="events")
    op.drop_index("ix_events_by_volume_24h", table_name="events")
    op.drop_index("ix_events_by_open_interest", table_name="events")
    op.drop_index("ix_events_by_created_time", table_name="events")
    op.drop_index("ix_events_by_close_time", table_name="events")
