"""Let the operator have categories of their own, gathered of the exchange's and of tags.

own_categories  what each gathers
genre           of series, too: then a list of series is found as those of events and markets are
"""

from collections.abc import Iterable
from hashlib import blake2b

import msgspec
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# What is there may be known by its events already.
LEARN = sa.text(
    "INSERT INTO genres (id, category, tags) VALUES (:id, lower(:category), lowered(:tags))"
    " ON CONFLICT DO NOTHING"
).bindparams(
    sa.bindparam("id", type_=sa.BigInteger),
    sa.bindparam("category", type_=sa.Text),
    sa.bindparam("tags", type_=ARRAY(sa.Text)),
)
TELL = sa.text(
    "UPDATE series SET genre = :id WHERE category IS NOT DISTINCT FROM :category AND tags = :tags"
).bindparams(
    sa.bindparam("id", type_=sa.BigInteger),
    sa.bindparam("category", type_=sa.Text),
    sa.bindparam("tags", type_=ARRAY(sa.Text)),
)


def _id(category: str | None, tags: Iterable[str]) -> int:
    told = msgspec.json.encode((category, sorted(set(tags))))
    return int.from_bytes(blake2b(told, digest_size=8).digest(), signed=True)


def upgrade() -> None:
    op.create_table(
        "own_categories",
        sa.Column(
            "name",
            sa.Text,
            nullable=False,
            comment="in any case; that of the exchange is added to",
        ),
        sa.Column("category", sa.Text, comment="of the exchange; null: any"),
        sa.Column("tag", sa.Text, comment="null: any"),
        sa.CheckConstraint(
            "category IS NOT NULL OR tag IS NOT NULL",
            name=op.f("ck_own_categories_gathers_something"),
        ),
        sa.UniqueConstraint(
            "name",
            "category",
            "tag",
            name=op.f("uq_own_categories_name_category_tag"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.add_column("series", sa.Column("genre", sa.BigInteger))
    connection = op.get_bind()
    for category, tags in connection.execute(
        sa.text("SELECT DISTINCT category, tags FROM series")
    ).all():
        genre = _id(category, tags)
        in_order = sorted(set(tags))
        connection.execute(LEARN, {"id": genre, "category": category, "tags": in_order})
        connection.execute(TELL, {"id": genre, "category": category, "tags": tags})
    op.alter_column("series", "genre", nullable=False)
    op.drop_index("ix_series_tags", table_name="series")


def downgrade() -> None:
    op.create_index("ix_series_tags", "series", [sa.text("lowered(tags)")], postgresql_using="gin")
    op.drop_column("series", "genre")
    op.drop_table("own_categories")
