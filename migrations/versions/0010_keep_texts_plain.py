"""Keep the catalogue's texts as they are, and count no words in them.

toast_tuple_target  a row of more than 2 kB would have its rules compressed, which costs as much as
                    half of storing it, and a third of reading it
statistics          nothing is looked for in finished JSON; to compare texts of it was most of what
                    ANALYZE did
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE instruments SET (toast_tuple_target = 8160),"
        " ALTER body SET STATISTICS 0, ALTER rules SET STATISTICS 0"
    )


def downgrade() -> None:
    op.execute(
        "ALTER TABLE instruments RESET (toast_tuple_target),"
        " ALTER body SET STATISTICS -1, ALTER rules SET STATISTICS -1"
    )
