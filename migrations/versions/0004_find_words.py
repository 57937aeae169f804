"""What a search needs: indexes by relevance, a vocabulary to mend typos with, and synonyms.

ix_…_by_relevance            a page of a common word: the most traded are looked at first
ix_instruments_search_open   words of open markets, which is where nearly everybody searches;
                             those of the ever more others are in ix_instruments_search_others
pk_vocabulary_trigrams       words that share three letters in a row with a misspelt one
ix_search_synonyms_typed     synonyms of what is typed, in whatever case the operator wrote it
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Written out as an index expression and in every question alike, or the index is not used.
RELEVANCE = (
    "status",
    sa.text("(- coalesce(volume_24h_centicontracts, -1))"),
    sa.text("(coalesce(close_time, '2201-01-01 00:00:00+00'::timestamptz))"),
)

#: All words but numbers and tickers.
LEARN = r"""
    INSERT INTO vocabulary (word, documents)
    SELECT word, ndoc FROM ts_stat('SELECT search FROM instruments')
    WHERE word ~ '^[^0-9.-]{3,}$';

    INSERT INTO vocabulary (word)
    SELECT word FROM ts_stat('SELECT search FROM events UNION ALL SELECT search FROM series')
    WHERE word ~ '^[^0-9.-]{3,}$'
    ON CONFLICT DO NOTHING;

    INSERT INTO vocabulary_trigrams (trigram, word)
    SELECT DISTINCT substr('  ' || word || '  ', start, 3), word
    FROM vocabulary, generate_series(1, length(word) + 2) start
"""


def upgrade() -> None:
    op.create_table(
        "vocabulary",
        sa.Column("word", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "documents",
            sa.Integer(),
            server_default=sa.text("1"),
            nullable=False,
            comment="about how many markets have it",
        ),
        sa.PrimaryKeyConstraint("word", name="pk_vocabulary"),
    )
    op.create_table(
        "vocabulary_trigrams",
        sa.Column("trigram", sa.Text(collation="C"), nullable=False),
        sa.Column("word", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("trigram", "word", name="pk_vocabulary_trigrams"),
    )
    op.create_table(
        "search_synonyms",
        sa.Column("typed", sa.Text(), nullable=False),
        sa.Column("means", sa.Text(), nullable=False),
        sa.Column(
            "shipped",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="came with the gateway; false: the operator's own, which no upgrade touches",
        ),
        sa.PrimaryKeyConstraint("typed", "means", name="pk_search_synonyms"),
    )
    op.create_index("ix_search_synonyms_typed", "search_synonyms", [sa.text("lower(typed)")])
    for part in LEARN.split(";"):
        op.execute(part)
    op.drop_index("ix_instruments_search", table_name="instruments")
    op.create_index(
        "ix_instruments_search_open",
        "instruments",
        ["search"],
        postgresql_using="gin",
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_index(
        "ix_instruments_search_others",
        "instruments",
        ["search"],
        postgresql_using="gin",
        postgresql_where=sa.text("status <> 'open'"),
    )
    op.create_index("ix_instruments_by_relevance", "instruments", [*RELEVANCE, "ticker"])
    op.create_index("ix_events_by_relevance", "events", [*RELEVANCE, "event_ticker"])


def downgrade() -> None:
    op.drop_index("ix_events_by_relevance", table_name="events")
    op.drop_index("ix_instruments_by_relevance", table_name="instruments")
    op.drop_index("ix_instruments_search_others", table_name="instruments")
    op.drop_index("ix_instruments_search_open", table_name="instruments")
    op.create_index("ix_instruments_search", "instruments", ["search"], postgresql_using="gin")
    op.drop_table("search_synonyms")
    op.drop_table("vocabulary_trigrams")
    op.drop_table("vocabulary")
