"""Users' own keys of the exchange, sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kalshi_user_credentials",
        sa.Column("user_id", sa.Text(collation="C"), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False, comment="another one for every key put here"),
        sa.Column("api_key_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="rsa or ed25519"),
        sa.Column(
            "fingerprint", sa.Text(), nullable=False, comment="SHA-256 of the public half, in hex"
        ),
        sa.Column(
            "environment", sa.Text(), nullable=False, comment="production, demo, or another host"
        ),
        sa.Column(
            "master_key_id",
            sa.Text(),
            nullable=False,
            comment="what the private half is sealed under",
        ),
        sa.Column(
            "sealed", sa.LargeBinary(), nullable=False, comment="nonce and AES-256-GCM of the PEM"
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "checked_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the verdict was made",
        ),
        sa.Column(
            "verdict",
            sa.Text(),
            nullable=True,
            comment="the finished JSON object of the last check",
        ),
        sa.PrimaryKeyConstraint("user_id", name="pk_kalshi_user_credentials"),
    )


def downgrade() -> None:
    op.drop_table("kalshi_user_credentials")
