"""Tell every process whose account, or whose key, has changed."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# Said at the commit, and once however many rows it is about. The channel is that of `news.py`.
TELL = """
CREATE FUNCTION tell_of_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('kalshi_gateway_news', 'user ' || coalesce(NEW.user_id, OLD.user_id));
    RETURN NULL;
END
$$
"""
#: What an answer is made of; whose turn it is, and who was asked for, is not.
TOLD = (
    "ledger_id",
    "signed_with",
    "body",
    "rows",
    "as_of",
    "complete",
    "warnings",
    "epoch",
    "known_epoch",
    "ledger_version",
    "failures",
    "failure",
)
TRIGGERS = (
    "CREATE TRIGGER told AFTER INSERT OR DELETE OR UPDATE OF "
    f"{', '.join(TOLD)} ON kalshi_account_cache "
    "FOR EACH ROW EXECUTE FUNCTION tell_of_user()",
    "CREATE TRIGGER told AFTER INSERT OR DELETE OR UPDATE ON kalshi_user_credentials "
    "FOR EACH ROW EXECUTE FUNCTION tell_of_user()",
)


def upgrade() -> None:
    op.execute(TELL)
    for trigger in TRIGGERS:
        op.execute(trigger)


def downgrade() -> None:
    op.execute("DROP TRIGGER told ON kalshi_user_credentials")
    op.execute("DROP TRIGGER told ON kalshi_account_cache")
    op.execute("DROP FUNCTION tell_of_user()")
