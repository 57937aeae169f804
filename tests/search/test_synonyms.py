"""Other names for the same thing: those that come with the gateway, and the operator's own."""

from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from kalshi_gateway import migrate
from kalshi_gateway.db import Database
from kalshi_gateway.markets import search
from kalshi_gateway.markets.words import typed
from tests import postgres
from tests.markets.gateway import Shared

from .stock import found, put, titled

pytestmark = pytest.mark.asyncio(loop_scope="module")

Client = httpx.AsyncClient
ROOT = Path(__file__).resolve().parents[2]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(shared: Shared) -> Client:
    await put(
        shared.database,
        titled("KXA-1-KC", "Kansas City vs Buffalo Winner?"),
        titled("KXA-1-NICK", "Chiefs coach out?"),
        titled("KXA-1-RATE", "Fed decision in September?"),
        titled("KXA-1-COIN", "Bitcoin above $100k?"),
        titled("KXA-1-PARTY", "Republican nominee?"),
        titled("KXA-1-STOCK", "S&P 500 close?"),
        titled("KXA-1-MINE", "Platypus seen?"),
        titled("KXA-1-ST", "St. Louis snow?"),
    )
    return shared.client


@pytest.mark.parametrize(
    ("asked", "also"),
    [
        ("chiefs", "KXA-1-KC"),
        ("kc", "KXA-1-KC"),
        ("KC Buffalo", "KXA-1-KC"),
        ("bills chiefs", "KXA-1-KC"),
        ("kansas city coach", "KXA-1-NICK"),
        ("Kansas City", "KXA-1-NICK"),
        ("fomc september", "KXA-1-RATE"),
        ("federal reserve decision", "KXA-1-RATE"),
        ("btc", "KXA-1-COIN"),
        ("BTC 100k", "KXA-1-COIN"),
        ("gop nominee", "KXA-1-PARTY"),
        ("SPX", "KXA-1-STOCK"),
        ("spy close", "KXA-1-STOCK"),
    ],
)
async def test_shipped_synonyms(client: Client, asked: str, also: str) -> None:
    """Short forms of cities, teams, offices and coins find what is written out, and back."""
    assert also in await found(client, asked)


@pytest.mark.parametrize("asked", ["chiefs snow", "btc nominee", "kansas", "kc fed"])
async def test_synonyms_are_no_excuse(client: Client, asked: str) -> None:
    """All words have to be found, each as it is or by a synonym; half a name has none."""
    assert "KXA-1-NICK" not in await found(client, asked)


async def test_the_operators_own(client: Client, shared: Shared) -> None:
    """A row added by SQL works with the next search, however it is spelt."""
    assert await found(client, "duckbill") == []

    async with shared.database.begin() as conn:
        await conn.execute(
            text(
                "INSERT INTO search_synonyms (typed, means) VALUES"
                " ('Duckbill', 'PLATYPUS!'), ('show me', 'St. Louis'), ('blank', ' '),"
                " ('quotes', '''; DROP TABLE x --')"
            )
        )

    assert await found(client, "DUCKBILL  ") == ["KXA-1-MINE"]
    assert await found(client, "show-me") == ["KXA-1-ST"]
    assert await found(client, "blank") == await found(client, "quotes") == []


async def test_upgrade_keeps_the_operators_rows(cluster: postgres.Cluster) -> None:
    """A migration that takes the shipped rows away, or brings them, leaves all others alone."""
    async with cluster.database() as url, Database.opened(url) as database:
        async with database.driver() as conn:
            shipped = await conn.fetchval("SELECT count(*) FROM search_synonyms WHERE shipped")
            await conn.execute(
                "INSERT INTO search_synonyms (typed, means) VALUES ('mine', 'my own')"
            )

        async with database.begin() as connection:
            await connection.run_sync(without_shipped)
        await migrate.to_head(url)

        async with database.driver() as conn:
            rows = await conn.fetch("SELECT typed, shipped FROM search_synonyms")
        assert [row["typed"] for row in rows if not row["shipped"]] == ["mine"]
        assert len(rows) == shipped + 1 > 400


def without_shipped(connection: Connection) -> None:
    """The schema as it was before synonyms were shipped."""
    config = Config(ROOT / "alembic.ini")
    config.attributes["connection"] = connection
    command.downgrade(config, "0004")


async def test_shipped_synonyms_can_be_found(shared: Shared) -> None:
    """Every shipped row is written as a search cuts it, and no row leads nowhere or to itself."""
    async with shared.database.driver() as conn:
        rows = await conn.fetch("SELECT typed, means FROM search_synonyms WHERE shipped")
        for name, means in rows:
            assert typed(name) == name.split()
            assert typed(means) == means.split() != name.split()
            assert len(name.split()) <= search.LONGEST_NAME
            understood = await search.understand(conn, name)
            assert understood.reading.synonyms[name]
            assert understood.warnings == ()
