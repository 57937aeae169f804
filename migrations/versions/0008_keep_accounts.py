"""What users have at the exchange: the finished account, and a ledger of all that was recorded."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def moment(name: str, *, nullable: bool = False, comment: str | None = None) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)


def name(called: str) -> "sa.Column[str]":
    return sa.Column(called, sa.Text(collation="C"), nullable=False)


def ledger() -> "sa.Column[object]":
    return sa.Column("ledger_id", sa.UUID(), nullable=False)


def count(called: str, kind: type[sa.Integer] = sa.Integer) -> "sa.Column[int]":
    return sa.Column(called, kind(), server_default=sa.text("0"), nullable=False)


def upgrade() -> None:
    op.create_table(
        "kalshi_ledgers",
        sa.Column("id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        name("user_id"),
        sa.Column(
            "member_id",
            sa.Text(),
            nullable=True,
            comment="who the exchange says it is; null: no order has told it yet",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name="pk_kalshi_ledgers"),
        sa.UniqueConstraint(
            "user_id", "member_id", name=op.f("uq_kalshi_ledgers_user_id_member_id")
        ),
    )
    op.create_table(
        "kalshi_account_cache",
        name("user_id"),
        sa.Column("ledger_id", sa.UUID(), nullable=True),
        sa.Column(
            "signed_with",
            sa.Text(),
            nullable=True,
            comment="environment, id and fingerprint of the key whose account this is",
        ),
        sa.Column(
            "due_with", sa.Text(), nullable=True, comment="the same of the key it is due for"
        ),
        sa.Column(
            "body",
            sa.Text(),
            nullable=True,
            comment="the finished JSON object of an answer; null: never read",
        ),
        sa.Column(
            "rows",
            sa.Text(),
            nullable=True,
            comment="the exchange's own rows it was made of, as a JSON object",
        ),
        moment("as_of", nullable=True, comment="up to when the exchange's answers were current"),
        sa.Column("complete", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("warnings", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "epoch",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="raised by whatever makes all that was asked before old",
        ),
        sa.Column(
            "known_epoch",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="the epoch in which the body was asked for",
        ),
        moment("changed_at", nullable=True, comment="when the epoch was raised"),
        moment("due_at"),
        sa.Column("claim", sa.UUID(), nullable=True, comment="of the one who refreshes it now"),
        moment("claimed_until", nullable=True),
        count("refreshes", sa.BigInteger),
        count("ledger_version", sa.BigInteger),
        sa.Column(
            "failures",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="in a row, since the last good refresh",
        ),
        sa.Column("failure", sa.Text(), nullable=True, comment="why the last one failed, in words"),
        moment("watched_at", nullable=True, comment="when somebody asked for it last"),
        sa.PrimaryKeyConstraint("user_id", name="pk_kalshi_account_cache"),
    )
    op.create_index("ix_kalshi_account_cache_due_at", "kalshi_account_cache", ["due_at"])
    op.create_table(
        "kalshi_ledger_walks",
        ledger(),
        sa.Column(
            "scope", sa.Text(), nullable=False, comment="fills, fills:archive, settlements:0 …"
        ),
        moment("since", nullable=True, comment="all before is here; null: not all of it yet"),
        sa.Column(
            "cursor",
            sa.Text(),
            nullable=True,
            comment="where the walk under way goes on; null: it is not under way",
        ),
        moment("until", nullable=True, comment="what the walk under way will be complete up to"),
        sa.PrimaryKeyConstraint("ledger_id", "scope", name="pk_kalshi_ledger_walks"),
    )
    op.create_table(
        "kalshi_fills",
        ledger(),
        name("fill_id"),
        sa.Column("subaccount", sa.Integer(), nullable=False),
        sa.Column(
            "direction",
            sa.SmallInteger(),
            nullable=False,
            comment="1 bought YES, -1 NO; 0: cannot be read",
        ),
        name("ticker"),
        sa.Column("order_id", sa.Text(), nullable=True),
        moment("at", nullable=True),
        moment("listed_at", comment="at; where that is unknown, 1970"),
        sa.Column("contracts", sa.Numeric(), nullable=True),
        sa.Column("yes_price", sa.Numeric(), nullable=True),
        sa.Column("fee", sa.Numeric(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False, comment="the finished JSON object of a list"),
        sa.PrimaryKeyConstraint(
            "ledger_id", "fill_id", "subaccount", "direction", name="pk_kalshi_fills"
        ),
    )
    op.create_index(
        "ix_kalshi_fills_listed",
        "kalshi_fills",
        ["ledger_id", "listed_at", "fill_id", "subaccount", "direction"],
    )
    op.create_index("ix_kalshi_fills_ticker", "kalshi_fills", ["ledger_id", "ticker"])
    op.create_table(
        "kalshi_orders",
        ledger(),
        name("order_id"),
        name("ticker"),
        sa.Column("subaccount", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        moment("updated_at", nullable=True),
        moment("listed_at", comment="when it was made; where that is unknown, 1970"),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("ledger_id", "order_id", name="pk_kalshi_orders"),
    )
    op.create_index(
        "ix_kalshi_orders_listed", "kalshi_orders", ["ledger_id", "listed_at", "order_id"]
    )
    op.create_index(
        "ix_kalshi_orders_resting",
        "kalshi_orders",
        ["ledger_id"],
        postgresql_where=sa.text("status = 'resting'"),
    )
    op.create_table(
        "kalshi_settlements",
        ledger(),
        name("ticker"),
        sa.Column("subaccount", sa.Integer(), nullable=False),
        moment("listed_at", comment="when it was paid; where that is unknown, 1970"),
        sa.Column(
            "yes_value",
            sa.Numeric(),
            nullable=True,
            comment="what the market says one YES contract got",
        ),
        sa.Column("row", sa.Text(), nullable=False, comment="the exchange's own, verbatim"),
        sa.PrimaryKeyConstraint("ledger_id", "ticker", "subaccount", name="pk_kalshi_settlements"),
    )
    op.create_index(
        "ix_kalshi_settlements_listed",
        "kalshi_settlements",
        ["ledger_id", "listed_at", "ticker", "subaccount"],
    )
    op.create_table(
        "kalshi_transfers",
        ledger(),
        sa.Column(
            "source",
            sa.Text(),
            nullable=False,
            comment="which of the exchange's lists it is of: deposits, withdrawals …",
        ),
        name("transfer_id"),
        moment("listed_at"),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("ledger_id", "source", "transfer_id", name="pk_kalshi_transfers"),
    )
    op.create_table(
        "kalshi_account_snapshots",
        ledger(),
        moment("at"),
        sa.Column("balance", sa.Numeric(), nullable=False),
        sa.Column("portfolio_value", sa.Numeric(), nullable=True),
        sa.PrimaryKeyConstraint("ledger_id", "at", name="pk_kalshi_account_snapshots"),
    )


def downgrade() -> None:
    for table in (
        "kalshi_account_snapshots",
        "kalshi_transfers",
        "kalshi_settlements",
        "kalshi_orders",
        "kalshi_fills",
        "kalshi_ledger_walks",
        "kalshi_account_cache",
        "kalshi_ledgers",
    ):
        op.drop_table(table)
