"""Virtual keys, by their public halves, and the signatures that writes have used up."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

OUTCOMES = "begun, done, refused or failed"
OUTCOMES_BEFORE = "done, refused or failed"


def upgrade() -> None:
    op.create_table(
        "virtual_keys",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False, comment="the one user it speaks for"),
        sa.Column("kind", sa.Text(), nullable=False, comment="rsa or ed25519"),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "public_key", sa.LargeBinary(), nullable=False, comment="DER, SubjectPublicKeyInfo"
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_virtual_keys"),
    )
    op.create_table(
        "spent_signatures",
        sa.Column(
            "signature_sha256",
            sa.LargeBinary(),
            nullable=False,
            comment="of a virtual key's id and its signature under a write",
        ),
        sa.Column(
            "spent_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("signature_sha256", name="pk_spent_signatures"),
    )
    op.create_index("ix_spent_signatures_spent_at", "spent_signatures", ["spent_at"])
    op.alter_column(
        "audit_log",
        "outcome",
        existing_type=sa.Text(),
        existing_nullable=False,
        existing_comment=OUTCOMES_BEFORE,
        comment=OUTCOMES,
    )


def downgrade() -> None:
    op.alter_column(
        "audit_log",
        "outcome",
        existing_type=sa.Text(),
        existing_nullable=False,
        existing_comment=OUTCOMES,
        comment=OUTCOMES_BEFORE,
    )
    op.drop_table("spent_signatures")
    op.drop_table("virtual_keys")
