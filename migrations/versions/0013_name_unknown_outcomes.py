"""Writes of which nobody knows whether the exchange has done them are told from failed ones."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

OUTCOMES = "begun, done, refused, failed or unknown"
OUTCOMES_BEFORE = "begun, done, refused or failed"


def upgrade() -> None:
    _explain(OUTCOMES, before=OUTCOMES_BEFORE)


def downgrade() -> None:
    _explain(OUTCOMES_BEFORE, before=OUTCOMES)


def _explain(comment: str, *, before: str) -> None:
    op.alter_column(
        "audit_log",
        "outcome",
        existing_type=sa.Text(),
        existing_nullable=False,
        existing_comment=before,
        comment=comment,
    )
