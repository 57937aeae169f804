"""The catalogue: series, events, instruments, and how far its walks have come."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "series",
        sa.Column("ticker", sa.Text(collation="C"), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("categories", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("search", postgresql.TSVECTOR(), nullable=False),
        sa.Column(
            "body", sa.Text(), nullable=False, comment="the finished JSON object of an answer"
        ),
        sa.Column("digest", sa.BigInteger(), nullable=False, comment="of the exchange's own row"),
        sa.Column(
            "as_of",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when the exchange was asked",
        ),
        sa.PrimaryKeyConstraint("ticker", name=("pk_series")),
    )
    op.create_table(
        "events",
        sa.Column("event_ticker", sa.Text(collation="C"), nullable=False),
        sa.Column("series_ticker", sa.Text(collation="C"), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("sub_title", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("search", postgresql.TSVECTOR(), nullable=False),
        sa.Column(
            "body",
            sa.Text(),
            nullable=False,
            comment="the finished JSON object, without its markets",
        ),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=True, comment="open while any of its markets is"),
        sa.Column("volume_24h_centicontracts", sa.BigInteger(), nullable=True),
        sa.Column("open_interest_centicontracts", sa.BigInteger(), nullable=True),
        sa.Column("close_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_time", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("event_ticker", name=("pk_events")),
    )
    op.create_table(
        "instruments",
        sa.Column("ticker", sa.Text(collation="C"), nullable=False),
        sa.Column("event_ticker", sa.Text(collation="C"), nullable=False),
        sa.Column("series_ticker", sa.Text(collation="C"), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column(
            "status", sa.Text(), nullable=False, comment="unopened, open, paused, closed, settled"
        ),
        sa.Column("is_combo", sa.Boolean(), nullable=False),
        sa.Column("last_price_microdollars", sa.Integer(), nullable=True),
        sa.Column(
            "change_microdollars",
            sa.Integer(),
            nullable=True,
            comment="last price less the price of a day before",
        ),
        sa.Column("volume_24h_centicontracts", sa.BigInteger(), nullable=True),
        sa.Column("open_interest_centicontracts", sa.BigInteger(), nullable=True),
        sa.Column("volume_centicontracts", sa.BigInteger(), nullable=True),
        sa.Column("created_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("open_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("close_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("search", postgresql.TSVECTOR(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False, comment="the finished JSON object of a list"),
        sa.Column(
            "rules", sa.Text(), nullable=False, comment="the further JSON members of the detail"
        ),
        sa.Column(
            "digest",
            sa.BigInteger(),
            nullable=True,
            comment="of the exchange's own row; null: written by a timer",
        ),
        sa.Column(
            "as_of",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when the exchange was asked",
        ),
        sa.PrimaryKeyConstraint("ticker", name=("pk_instruments")),
    )
    op.create_table(
        "catalogue_walks",
        sa.Column(
            "scope",
            sa.Text(),
            nullable=False,
            comment="series, events:open, markets:open, changes …",
        ),
        sa.Column(
            "began_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="of the walk under way, or of the last one",
        ),
        sa.Column(
            "cursor",
            sa.Text(),
            nullable=True,
            comment="where the walk under way goes on; null: it is not under way",
        ),
        sa.Column("pages", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("set_aside", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("left_out", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "complete_as_of",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the last walk that reached its end began",
        ),
        sa.Column(
            "failure",
            sa.Text(),
            nullable=True,
            comment="why the last try stopped; null: it did not",
        ),
        sa.PrimaryKeyConstraint("scope", name=("pk_catalogue_walks")),
    )


def downgrade() -> None:
    op.drop_table("catalogue_walks")
    op.drop_table("instruments")
    op.drop_table("events")
    op.drop_table("series")
