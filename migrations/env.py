"""Runs migrations over a connection it is handed, or over DATABASE_URL."""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from kalshi_gateway.db import sqlalchemy_url
from kalshi_gateway.tables import metadata


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


async def run_alone() -> None:
    engine = create_async_engine(sqlalchemy_url(os.environ["DATABASE_URL"]))
    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()


handed = context.config.attributes.get("connection")
if handed is not None:
    run(handed)
else:
    asyncio.run(run_alone())
