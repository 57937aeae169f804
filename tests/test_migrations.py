"""The schema, as migrations make it step by step and as `tables.py` tells it."""

from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from kalshi_gateway import migrate
from kalshi_gateway.db import sqlalchemy_url
from kalshi_gateway.markets.genres import genre_of
from kalshi_gateway.tables import metadata
from tests import postgres

EVERYTHING = """
    SELECT format('%s %s', tablename, indexdef) FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT format('%s.%s %s %s %s %s %s %s %s', attrelid::regclass, attname,
        format_type(atttypid, atttypmod), attcollation::regcollation, attnotnull, attstorage,
        attstattarget, pg_get_expr(adbin, adrelid), col_description(attrelid, attnum))
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT format('%s %s', tgrelid::regclass, pg_get_triggerdef(oid)) FROM pg_trigger
    WHERE NOT tgisinternal
    UNION ALL
    SELECT format('%s %s', oid::regclass, reloptions) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    ORDER BY 1
"""

STORED_BEFORE = """
    WITH stored_series AS (
        INSERT INTO series (ticker, category, categories, tags, search, body, digest, as_of) VALUES
            ('KXGOLF', 'Sports', '{}', '{PGA,Golf,Golf}', '', '{}', 1, now()),
            ('KXPOLO', 'Sports', '{}', '{}', '', '{}', 1, now()),
            ('KXODD', NULL, '{}', '{}', '', '{}', 1, now())
    ), stored AS (
        INSERT INTO events (event_ticker, category, body, search, digest, as_of) VALUES
            ('KXGOLF-1', 'Sports', '{"tags": ["PGA", "Golf"], "odd": "\\u0000"}', '', 1, now()),
            ('KXALONE-1', NULL, '{}', '', 1, now()),
            ('KXALONE-2', NULL, '{"tags": null}', '', 1, now())
    )
    INSERT INTO instruments (ticker, event_ticker, status, is_combo, search, body, rules, as_of)
    SELECT ticker, left(ticker, -2), 'open', false, '', '{}', '', now()
    FROM unnest('{KXGOLF-1-A,KXGOLF-1-B,KXALONE-1-A,KXNONE-1-A}'::text[]) AS ticker
"""

#: How columns are kept, which only migrations say; as triggers are.
STORED_OTHERWISE = """
    ALTER TABLE instruments
        ALTER body SET STORAGE MAIN, ALTER body SET STATISTICS 0, ALTER rules SET STATISTICS 0
"""


async def run(url: str, what: Any) -> Any:
    engine = create_async_engine(sqlalchemy_url(url))
    try:
        async with engine.begin() as conn:
            return await conn.run_sync(what)
    finally:
        await engine.dispose()


def everything(connection: Connection) -> list[str]:
    return list(connection.scalars(text(EVERYTHING)))


async def test_tables_are_what_migrations_make(
    database_url: str, cluster: postgres.Cluster
) -> None:
    """Nothing is in the one that is not in the other, but for what tables have no words for."""

    def made_of_tables(connection: Connection) -> list[str]:
        metadata.create_all(connection)
        connection.execute(text(STORED_OTHERWISE))
        return everything(connection)

    async with cluster.empty_database() as url:
        told = await run(url, made_of_tables)

    migrated = await run(database_url, everything)
    assert told == [
        line
        for line in migrated
        if " CREATE TRIGGER " not in line and not line.startswith("alembic_version")
    ]


async def test_every_migration_goes_back(database_url: str) -> None:
    """Each step down to nothing can be taken, and the way up again ends where it was."""
    before = await run(database_url, everything)

    def down_and_up(connection: Connection) -> list[str]:
        config: Config = migrate._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        left = everything(connection)
        command.upgrade(config, "head")
        return left

    left = await run(database_url, down_and_up)

    assert [line for line in left if not line.startswith("alembic_version")] == []
    assert await run(database_url, everything) == before


async def test_upgrade_tells_genres_of_what_is_there(database_url: str) -> None:
    """What was stored before is of the genre that the writer would give it, alone or not."""

    def up_and_down(connection: Connection) -> dict[str, list[Any]]:
        config: Config = migrate._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0015")
        connection.execute(text(STORED_BEFORE))
        command.upgrade(config, "head")
        found = {
            table: [
                tuple(row)
                for row in connection.execute(text(f"{select} FROM {table} ORDER BY 1, 2"))
            ]
            for table, select in (
                ("series", "SELECT ticker, genre"),
                ("events", "SELECT event_ticker, genre"),
                ("instruments", "SELECT ticker, genre"),
                ("genres", "SELECT category, tags, id, share"),
            )
        }
        command.downgrade(config, "0015")
        return found

    found = await run(database_url, up_and_down)

    golf, alone = genre_of("Sports", ("Golf", "PGA")), genre_of(None, ())
    plain = genre_of("Sports", ())
    assert found["series"] == [("KXGOLF", golf.id), ("KXODD", alone.id), ("KXPOLO", plain.id)]
    assert found["events"] == [
        ("KXALONE-1", alone.id),
        ("KXALONE-2", alone.id),
        ("KXGOLF-1", golf.id),
    ]
    assert found["instruments"] == [
        ("KXALONE-1-A", alone.id),
        ("KXGOLF-1-A", golf.id),
        ("KXGOLF-1-B", golf.id),
        ("KXNONE-1-A", alone.id),
    ]
    assert found["genres"] == [
        ("sports", [], plain.id, 0),
        ("sports", ["golf", "pga"], golf.id, 0.5),
        (None, [], alone.id, 0.5),
    ]
