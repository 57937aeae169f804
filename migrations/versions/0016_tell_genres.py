"""Tell of events and markets what genre they are: their category, with the tags of their series.

genres                           a few hundred, so that a category or a tag is soon looked up
genre                            of events and markets; those that stand alone have one of their own
ix_instruments_by_<sort>         tells of genre, price and volume, too: of all lists are filtered by
ix_instruments_of_genre_by_<sort>
                                 a page of a category or a tag is one of some genres, in any order;
                                 of small categories only, named here, that was so before
ix_instruments_of_series_by_<sort>
                                 a page of a series, now in any order
ix_*_genre                       how many there are, and what is not open
"""

from collections import defaultdict
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

SORTS = {
    "change": "change_microdollars",
    "close_time": "close_time",
    "created_time": "created_time",
    "last_price": "last_price_microdollars",
    "open_interest": "open_interest_centicontracts",
    "volume_24h": "volume_24h_centicontracts",
}
FILTERS = ("close_time", "last_price_microdollars", "volume_centicontracts")

SORTS_BEFORE = ("volume_24h", "close_time")
OPEN = "status = 'open' AND NOT is_combo"
SMALL = "category NOT IN ('Climate and Weather', 'Crypto', 'Sports')"

LEARN = sa.text(
    "INSERT INTO genres (id, category, tags) VALUES (:id, lower(:category), lowered(:tags))"
).bindparams(
    sa.bindparam("id", type_=sa.BigInteger),
    sa.bindparam("category", type_=sa.Text),
    sa.bindparam("tags", type_=ARRAY(sa.Text)),
)
TELL = sa.text("UPDATE events SET genre = :id WHERE event_ticker = ANY(:tickers)").bindparams(
    sa.bindparam("id", type_=sa.BigInteger), sa.bindparam("tickers", type_=ARRAY(sa.Text))
)


class _Tagged(msgspec.Struct):
    tags: list[str] | None = None


def _id(category: str | None, tags: Iterable[str]) -> int:
    told = msgspec.json.encode((category, tuple(tags)))
    return int.from_bytes(blake2b(told, digest_size=8).digest(), signed=True)


def _drop(names: Iterable[str]) -> None:
    for name in names:
        op.drop_index(f"ix_instruments_{name}", table_name="instruments")


def _create(name: str, columns: list[Any], where: Any = None) -> None:
    op.create_index(f"ix_instruments_{name}", "instruments", columns, postgresql_where=where)


def upgrade() -> None:
    _drop(f"by_{name}" for name in SORTS)
    _drop(f"of_category_by_{name}" for name in SORTS)
    _drop(f"of_series_by_{name}" for name in SORTS_BEFORE)
    _drop(["category"])
    op.create_table(
        "genres",
        sa.Column(
            "id", sa.BigInteger, primary_key=True, autoincrement=False, comment="64 bits of both"
        ),
        sa.Column("category", sa.Text, comment="in small letters"),
        sa.Column("tags", ARRAY(sa.Text), nullable=False, comment="in small letters"),
        sa.Column(
            "share",
            sa.REAL,
            nullable=False,
            server_default=sa.text("0"),
            comment="of all open markets, as it was when they were counted",
        ),
    )
    for table in ("events", "instruments"):
        op.add_column(table, sa.Column("genre", sa.BigInteger))
    _tell()
    for table in ("events", "instruments"):
        op.alter_column(table, "genre", nullable=False)
    op.create_index("ix_events_genre", "events", ["genre"])
    _create("genre", ["genre", "status"])
    for name, column in SORTS.items():
        place = [column, "ticker"]
        told = [other for other in FILTERS if other != column]
        _create(f"by_{name}", ["status", "is_combo", *place, "genre", "series_ticker", *told])
        _create(f"of_genre_by_{name}", ["genre", *place, *told], sa.text(OPEN))
        _create(f"of_series_by_{name}", ["series_ticker", *place], sa.text(OPEN))


def _tell() -> None:
    """Name the genre of all rows, and how much of all each has."""
    connection = op.get_bind()
    events: dict[tuple[str | None, tuple[str, ...]], list[str]] = defaultdict(list)
    # Postgres itself cannot look into a body with a NUL anywhere in it.
    rows = connection.execute(sa.text("SELECT event_ticker, category, body FROM events"))
    for ticker, category, body in rows:
        tags = msgspec.json.decode(body, type=_Tagged).tags or []
        events[category, tuple(sorted(set(tags)))].append(ticker)
    for (category, named), tickers in events.items():
        told = {"id": _id(category, named), "category": category, "tags": list(named)}
        connection.execute(LEARN, told)
        connection.execute(TELL, {"id": told["id"], "tickers": tickers})
    connection.execute(
        sa.text(
            "UPDATE instruments SET genre = coalesce("
            "(SELECT genre FROM events e WHERE e.event_ticker = instruments.event_ticker), :alone)"
        ).bindparams(sa.bindparam("alone", _id(None, ()), sa.BigInteger))
    )
    connection.execute(
        sa.text(
            "WITH counted AS (SELECT genre, count(*) AS markets FROM instruments"
            " WHERE status = 'open' AND NOT is_combo GROUP BY genre)"
            " UPDATE genres SET share = markets / (SELECT sum(markets) FROM counted)"
            " FROM counted WHERE counted.genre = genres.id"
        )
    )


def downgrade() -> None:
    for name in SORTS:
        _drop([f"by_{name}", f"of_genre_by_{name}", f"of_series_by_{name}"])
    _drop(["genre"])
    op.drop_index("ix_events_genre", table_name="events")
    for table in ("events", "instruments"):
        op.drop_column(table, "genre")
    op.drop_table("genres")
    category = sa.text("lower(category)")
    _create("category", [category, "status"])
    for name, column in SORTS.items():
        told = [category, "series_ticker", *([] if name == "close_time" else ["close_time"])]
        if name == "volume_24h":
            told += ["last_price_microdollars", "volume_centicontracts"]
        _create(f"by_{name}", ["status", "is_combo", column, "ticker", *told])
        _create(
            f"of_category_by_{name}", [category, column, "ticker"], sa.text(f"{OPEN} AND {SMALL}")
        )
        if name in SORTS_BEFORE:
            _create(f"of_series_by_{name}", ["series_ticker", column, "ticker"], sa.text(OPEN))
