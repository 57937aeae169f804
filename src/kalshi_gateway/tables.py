"""The whole schema, on one page."""

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR, UUID

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Tickers are compared and ordered byte by byte, whatever the server's own collation is.
Ticker = Text(collation="C")
Moment = DateTime(timezone=True)

#: A family of questions.
series = Table(
    "series",
    metadata,
    Column("ticker", Ticker, primary_key=True),
    Column("title", Text),
    Column("category", Text),
    Column("categories", ARRAY(Text), nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
    Column("genre", BigInteger, nullable=False),
    Column("search", TSVECTOR, nullable=False),
    Column("body", Text, nullable=False, comment="the finished JSON object of an answer"),
    Column("digest", BigInteger, nullable=False, comment="of the exchange's own row"),
    Column("as_of", Moment, nullable=False, comment="when the exchange was asked"),
    Index("ix_series_search", "search", postgresql_using="gin"),
)

#: One occasion of a series.
events = Table(
    "events",
    metadata,
    Column("event_ticker", Ticker, primary_key=True),
    Column("series_ticker", Ticker),
    Column("title", Text),
    Column("sub_title", Text),
    Column("category", Text),
    Column("genre", BigInteger, nullable=False),
    Column("search", TSVECTOR, nullable=False),
    Column("body", Text, nullable=False, comment="the finished JSON object, without its markets"),
    Column("digest", BigInteger, nullable=False),
    Column("as_of", Moment, nullable=False),
    # What its markets say, kept up to date by the catalogue's writer.
    Column("status", Text, comment="open while any of its markets is"),
    Column("volume_24h_centicontracts", BigInteger),
    Column("open_interest_centicontracts", BigInteger),
    Column("close_time", Moment),
    Column("created_time", Moment),
    Index("ix_events_series_ticker", "series_ticker"),
    Index("ix_events_genre", "genre"),
    Index("ix_events_search", "search", postgresql_using="gin"),
)

#: A category with the tags of a series: what series, events and markets are of; a few hundred.
genres = Table(
    "genres",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False, comment="64 bits of both"),
    Column("category", Text, comment="in small letters"),
    Column("tags", ARRAY(Text), nullable=False, comment="in small letters"),
    Column(
        "share",
        REAL,
        nullable=False,
        server_default=text("0"),
        comment="of all open markets, as it was when they were counted",
    ),
)

#: Categories of the operator's own: each row gathers what has this category, this tag, or both.
own_categories = Table(
    "own_categories",
    metadata,
    Column("name", Text, nullable=False, comment="in any case; that of the exchange is added to"),
    Column("category", Text, comment="of the exchange; null: any"),
    Column("tag", Text, comment="null: any"),
    CheckConstraint("category IS NOT NULL OR tag IS NOT NULL", name="gathers_something"),
    UniqueConstraint("name", "category", "tag", postgresql_nulls_not_distinct=True),
)

#: A market as a row of ours: columns to filter and sort by, and its finished JSON.
instruments = Table(
    "instruments",
    metadata,
    Column("ticker", Ticker, primary_key=True),
    Column("event_ticker", Ticker, nullable=False),
    Column("series_ticker", Ticker),
    Column("category", Text),
    Column("genre", BigInteger, nullable=False),
    Column("status", Text, nullable=False, comment="unopened, open, paused, closed, settled"),
    Column("is_combo", Boolean, nullable=False),
    Column("last_price_microdollars", Integer),
    Column("change_microdollars", Integer, comment="last price less the price of a day before"),
    Column("volume_24h_centicontracts", BigInteger),
    Column("open_interest_centicontracts", BigInteger),
    Column("volume_centicontracts", BigInteger),
    Column("created_time", Moment),
    Column("open_time", Moment),
    Column("close_time", Moment),
    Column("search", TSVECTOR, nullable=False),
    Column("body", Text, nullable=False, comment="the finished JSON object of a list"),
    Column("rules", Text, nullable=False, comment="the further JSON members of the detail"),
    Column("digest", BigInteger, comment="of the exchange's own row; null: written by a timer"),
    Column("as_of", Moment, nullable=False, comment="when the exchange was asked"),
    postgresql_with={"toast_tuple_target": "8160"},
)

#: How far the catalogue's walks have come; a row per thing that is walked.
walks = Table(
    "catalogue_walks",
    metadata,
    Column("scope", Text, primary_key=True, comment="series, events:open, markets:open, changes …"),
    Column("began_at", Moment, nullable=False, comment="of the walk under way, or of the last one"),
    Column("cursor", Text, comment="where the walk under way goes on; null: it is not under way"),
    Column("pages", Integer, nullable=False, server_default=text("0")),
    Column("rows", Integer, nullable=False, server_default=text("0")),
    Column("set_aside", Integer, nullable=False, server_default=text("0")),
    Column("left_out", Integer, nullable=False, server_default=text("0")),
    Column("complete_as_of", Moment, comment="when the last walk that reached its end began"),
    Column("failure", Text, comment="why the last try stopped; null: it did not"),
)

#: Words of the catalogue that a misspelt one may stand for: no numbers, no tickers.
vocabulary = Table(
    "vocabulary",
    metadata,
    Column("word", Text(collation="C"), primary_key=True),
    Column(
        "documents",
        Integer,
        nullable=False,
        server_default=text("1"),
        comment="about how many markets have it",
    ),
)

#: Each three letters in a row of a word, with two blanks before and behind it.
vocabulary_trigrams = Table(
    "vocabulary_trigrams",
    metadata,
    Column("trigram", Text(collation="C"), primary_key=True),
    Column("word", Text(collation="C"), primary_key=True),
)

#: Whoever types the one also finds what has all words of the other.
search_synonyms = Table(
    "search_synonyms",
    metadata,
    Column("typed", Text, primary_key=True),
    Column("means", Text, primary_key=True),
    Column(
        "shipped",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="came with the gateway; false: the operator's own, which no upgrade touches",
    ),
    Index("ix_search_synonyms_typed", text("lower(typed)")),
)

#: Who may call: only a token's SHA-256 is kept.
tokens = Table(
    "tokens",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True, server_default=text("gen_random_uuid()")),
    Column("name", Text, nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("user_id", Text, comment="the one user it may speak for; null: an admin's"),
    Column("created_at", Moment, nullable=False, server_default=text("now()")),
    Column("expires_at", Moment),
    Column("last_used_at", Moment),
    Column("revoked_at", Moment),
)

#: Keys that the gateway issued to its own clients; only their public halves.
virtual_keys = Table(
    "virtual_keys",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True, server_default=text("gen_random_uuid()")),
    Column("user_id", Text, nullable=False, comment="the one user it speaks for"),
    Column("kind", Text, nullable=False, comment="rsa or ed25519"),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("public_key", LargeBinary, nullable=False, comment="DER, SubjectPublicKeyInfo"),
    Column("created_at", Moment, nullable=False, server_default=text("now()")),
    Column("last_used_at", Moment),
    Column("revoked_at", Moment),
)

#: Each signature of such a key allows one write.
spent_signatures = Table(
    "spent_signatures",
    metadata,
    Column(
        "signature_sha256",
        LargeBinary,
        primary_key=True,
        comment="of a virtual key's id and its signature under a write",
    ),
    Column("spent_at", Moment, nullable=False, server_default=text("now()")),
    Index("ix_spent_signatures_spent_at", "spent_at"),
)

#: Users' own keys of the exchange, sealed; what opens them is not in the database.
kalshi_user_credentials = Table(
    "kalshi_user_credentials",
    metadata,
    Column("user_id", Text(collation="C"), primary_key=True),
    Column("id", UUID(as_uuid=True), nullable=False, comment="another one for every key put here"),
    Column("api_key_id", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="rsa or ed25519"),
    Column("fingerprint", Text, nullable=False, comment="SHA-256 of the public half, in hex"),
    Column("environment", Text, nullable=False, comment="production, demo, or another host"),
    Column("master_key_id", Text, nullable=False, comment="what the private half is sealed under"),
    Column("sealed", LargeBinary, nullable=False, comment="nonce and AES-256-GCM of the PEM"),
    Column("created_at", Moment, nullable=False, server_default=text("now()")),
    Column("checked_at", Moment, comment="when the verdict was made"),
    Column("verdict", Text, comment="the finished JSON object of the last check"),
)

#: Every write, in order, each row bound to the one before it; a trigger refuses all but INSERT.
audit_log = Table(
    "audit_log",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("action", Text, nullable=False, comment="credentials.put, token.revoke, …"),
    Column("outcome", Text, nullable=False, comment="begun, done, refused, failed or unknown"),
    Column("caller", Text, nullable=False, comment="the token's name, or whose command line"),
    Column("token_id", UUID(as_uuid=True)),
    Column("user_id", Text, comment="whose thing was written"),
    Column("target", Text, comment="which thing: a key id, a token's name, an order"),
    Column("request_id", Text),
    Column("details", Text, nullable=False, comment="a JSON object; never a secret"),
    Column("previous", LargeBinary, nullable=False, comment="the hash of the row before"),
    Column("hash", LargeBinary, nullable=False, comment="SHA-256 of all of this row"),
)

#: The last row of the log: writers take turns at it, and no row at the end can go unnoticed.
audit_head = Table(
    "audit_head",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    CheckConstraint("one", name="one_row"),
)

#: One member of the exchange, as one user of ours: all that is recorded of him hangs on its id.
kalshi_ledgers = Table(
    "kalshi_ledgers",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True, server_default=text("gen_random_uuid()")),
    Column("user_id", Text(collation="C"), nullable=False),
    Column(
        "member_id", Text, comment="who the exchange says it is; null: no order has told it yet"
    ),
    Column("created_at", Moment, nullable=False, server_default=text("now()")),
    UniqueConstraint("user_id", "member_id"),
)

#: A user's account as it is answered, when it is to be read again, and who does that now.
kalshi_account_cache = Table(
    "kalshi_account_cache",
    metadata,
    Column("user_id", Text(collation="C"), primary_key=True),
    Column("ledger_id", UUID(as_uuid=True)),
    Column(
        "signed_with",
        Text,
        comment="environment, id and fingerprint of the key whose account this is",
    ),
    Column("due_with", Text, comment="the same of the key it is due for"),
    Column("body", Text, comment="the finished JSON object of an answer; null: never read"),
    Column("rows", Text, comment="the exchange's own rows it was made of, as a JSON object"),
    Column("as_of", Moment, comment="up to when the exchange's answers were current"),
    Column("complete", Boolean, nullable=False, server_default=text("false")),
    Column("warnings", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column(
        "epoch",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="raised by whatever makes all that was asked before old",
    ),
    Column(
        "known_epoch",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="the epoch in which the body was asked for",
    ),
    Column("changed_at", Moment, comment="when the epoch was raised"),
    Column("due_at", Moment, nullable=False),
    Column("claim", UUID(as_uuid=True), comment="of the one who refreshes it now"),
    Column("claimed_until", Moment),
    Column("refreshes", BigInteger, nullable=False, server_default=text("0")),
    Column("ledger_version", BigInteger, nullable=False, server_default=text("0")),
    Column(
        "failures",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="in a row, since the last good refresh",
    ),
    Column("failure", Text, comment="why the last one failed, in words"),
    Column("watched_at", Moment, comment="when somebody asked for it last"),
    Index("ix_kalshi_account_cache_due_at", "due_at"),
)

#: How far a member's own lists have been read; a row per list and tier.
kalshi_ledger_walks = Table(
    "kalshi_ledger_walks",
    metadata,
    Column("ledger_id", UUID(as_uuid=True), primary_key=True),
    Column("scope", Text, primary_key=True, comment="fills, fills:archive, settlements:0 …"),
    Column("since", Moment, comment="all before is here; null: not all of it yet"),
    Column("cursor", Text, comment="where the walk under way goes on; null: it is not under way"),
    Column("until", Moment, comment="what the walk under way will be complete up to"),
)

#: What orders got, once each; live tier and archive have many of them both.
kalshi_fills = Table(
    "kalshi_fills",
    metadata,
    Column("ledger_id", UUID(as_uuid=True), primary_key=True),
    Column("fill_id", Text(collation="C"), primary_key=True),
    Column("subaccount", Integer, primary_key=True, autoincrement=False),
    Column(
        "direction",
        SmallInteger,
        primary_key=True,
        autoincrement=False,
        comment="1 bought YES, -1 NO; 0: cannot be read",
    ),
    Column("ticker", Ticker, nullable=False),
    Column("order_id", Text),
    Column("at", Moment),
    Column("listed_at", Moment, nullable=False, comment="at; where that is unknown, 1970"),
    Column("contracts", Numeric),
    Column("yes_price", Numeric),
    Column("fee", Numeric),
    Column("body", Text, nullable=False, comment="the finished JSON object of a list"),
    Index("ix_kalshi_fills_listed", "ledger_id", "listed_at", "fill_id", "subaccount", "direction"),
    Index("ix_kalshi_fills_ticker", "ledger_id", "ticker"),
)

kalshi_orders = Table(
    "kalshi_orders",
    metadata,
    Column("ledger_id", UUID(as_uuid=True), primary_key=True),
    Column("order_id", Text(collation="C"), primary_key=True),
    Column("ticker", Ticker, nullable=False),
    Column("subaccount", Integer, nullable=False),
    Column("status", Text),
    Column("updated_at", Moment),
    Column(
        "listed_at",
        Moment,
        nullable=False,
        comment="when it was made; where that is unknown, 1970",
    ),
    Column("body", Text, nullable=False),
    Index("ix_kalshi_orders_listed", "ledger_id", "listed_at", "order_id"),
    Index("ix_kalshi_orders_resting", "ledger_id", postgresql_where=text("status = 'resting'")),
)

#: What markets paid; the exchange shows it no more once it is archived.
kalshi_settlements = Table(
    "kalshi_settlements",
    metadata,
    Column("ledger_id", UUID(as_uuid=True), primary_key=True),
    Column("ticker", Ticker, primary_key=True),
    Column("subaccount", Integer, primary_key=True, autoincrement=False),
    Column(
        "listed_at",
        Moment,
        nullable=False,
        comment="when it was paid; where that is unknown, 1970",
    ),
    Column("yes_value", Numeric, comment="what the market says one YES contract got"),
    Column("row", Text, nullable=False, comment="the exchange's own, verbatim"),
    Index("ix_kalshi_settlements_listed", "ledger_id", "listed_at", "ticker", "subaccount"),
)

#: Money that came, went, or moved within the account.
kalshi_transfers = Table(
    "kalshi_transfers",
    metadata,
    Column("ledger_id", UUID(as_uuid=True), primary_key=True),
    Column(
        "source",
        Text,
        primary_key=True,
        comment="which of the exchange's lists it is of: deposits, withdrawals …",
    ),
    Column("transfer_id", Text(collation="C"), primary_key=True),
    Column("listed_at", Moment, nullable=False),
    Column("body", Text, nullable=False),
)

#: What an account was worth when it was read: one row where that changed, and one an hour.
kalshi_account_snapshots = Table(
    "kalshi_account_snapshots",
    metadata,
    Column("ledger_id", UUID(as_uuid=True), primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("balance", Numeric, nullable=False),
    Column("portfolio_value", Numeric),
)

for _column in (
    "volume_24h_centicontracts",
    "open_interest_centicontracts",
    "close_time",
    "created_time",
):
    Index(
        f"ix_events_by_{_column.removesuffix('_centicontracts')}",
        events.c.status,
        events.c[_column],
        events.c.event_ticker,
    )

_SORTED = (
    "volume_24h_centicontracts",
    "open_interest_centicontracts",
    "last_price_microdollars",
    "change_microdollars",
    "close_time",
    "created_time",
)

#: What else lists are filtered by, but for the sort itself.
_FILTERED = ("close_time", "last_price_microdollars", "volume_centicontracts")

_OPEN = text("status = 'open' AND NOT is_combo")

# One index per sort of the market list: a page is a range of it, at any depth. All that lists are
# filtered by stands behind the place, so that a row left out costs no look at the table. Of series
# and genres too many would be left out, so open markets are in order within them as well.
for _column in _SORTED:
    _sort = _column.removesuffix("_microdollars").removesuffix("_centicontracts")
    _place = (instruments.c[_column], instruments.c.ticker)
    _told = [instruments.c[_other] for _other in _FILTERED if _other != _column]
    Index(
        f"ix_instruments_by_{_sort}",
        instruments.c.status,
        instruments.c.is_combo,
        *_place,
        instruments.c.genre,
        instruments.c.series_ticker,
        *_told,
    )
    Index(
        f"ix_instruments_of_genre_by_{_sort}",
        instruments.c.genre,
        *_place,
        *_told,
        postgresql_where=_OPEN,
    )
    Index(
        f"ix_instruments_of_series_by_{_sort}",
        instruments.c.series_ticker,
        *_place,
        postgresql_where=_OPEN,
    )
# What a search finds, best first: written as the questions write it, or it is not used.
for _table, _name in ((instruments, "ticker"), (events, "event_ticker")):
    Index(
        f"ix_{_table.name}_by_relevance",
        _table.c.status,
        text("(- coalesce(volume_24h_centicontracts, -1))"),
        text("(coalesce(close_time, '2201-01-01 00:00:00+00'::timestamptz))"),
        _table.c[_name],
    )
Index("ix_instruments_event_ticker", instruments.c.event_ticker)
Index(
    "ix_instruments_series_ticker",
    instruments.c.status,
    instruments.c.series_ticker,
    instruments.c.is_combo,
)
Index("ix_instruments_genre", instruments.c.genre, instruments.c.status)
Index(
    "ix_instruments_search_open",
    instruments.c.search,
    postgresql_using="gin",
    postgresql_where=instruments.c.status == "open",
)
Index(
    "ix_instruments_search_others",
    instruments.c.search,
    postgresql_using="gin",
    postgresql_where=instruments.c.status != "open",
)
Index(
    "ix_instruments_opening",
    instruments.c.open_time,
    postgresql_where=instruments.c.status == "unopened",
)
