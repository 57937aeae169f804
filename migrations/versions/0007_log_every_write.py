"""The audit log: rows that are only added, each bound to the one before it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

REFUSE = """
CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% only grows: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$
"""
GROW = """
CREATE FUNCTION audit_head_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq <> OLD.seq + 1 THEN
        RAISE EXCEPTION 'audit_head goes on by one row at a time'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$
"""
TRIGGERS = (
    "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses()",
    "CREATE TRIGGER one_row BEFORE DELETE OR TRUNCATE ON audit_head "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses()",
    "CREATE TRIGGER grows BEFORE UPDATE ON audit_head "
    "FOR EACH ROW EXECUTE FUNCTION audit_head_grows()",
)


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.Text(), nullable=False, comment="credentials.put, token.revoke, …"),
        sa.Column("outcome", sa.Text(), nullable=False, comment="done, refused or failed"),
        sa.Column(
            "caller",
            sa.Text(),
            nullable=False,
            comment="the token's name, or whose command line",
        ),
        sa.Column("token_id", sa.UUID(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True, comment="whose thing was written"),
        sa.Column(
            "target",
            sa.Text(),
            nullable=True,
            comment="which thing: a key id, a token's name, an order",
        ),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False, comment="a JSON object; never a secret"),
        sa.Column(
            "previous", sa.LargeBinary(), nullable=False, comment="the hash of the row before"
        ),
        sa.Column("hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of all of this row"),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_log"),
    )
    op.create_table(
        "audit_head",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("one", name=op.f("ck_audit_head_one_row")),
        sa.PrimaryKeyConstraint("one", name="pk_audit_head"),
    )
    op.execute("INSERT INTO audit_head (seq, hash) VALUES (0, decode(repeat('00', 32), 'hex'))")
    op.execute(REFUSE)
    op.execute(GROW)
    for trigger in TRIGGERS:
        op.execute(trigger)


def downgrade() -> None:
    op.drop_table("audit_head")
    op.drop_table("audit_log")
    op.execute("DROP FUNCTION audit_head_grows()")
    op.execute("DROP FUNCTION audit_refuses()")
