"""Those who write the log."""

import asyncio

from kalshi_gateway.audit import repository
from kalshi_gateway.audit.entry import Author, Entry
from kalshi_gateway.db import Database

ADA = Author("ada's laptop", request_id="r-1")


async def write(database: Database, *targets: str, author: Author = ADA) -> None:
    """One line for each target, each in a transaction of its own."""
    for target in targets:
        async with database.begin() as conn:
            await repository.record(conn, Entry("order.place", author, "ada", target))


def process(url: str, name: str, lines: int) -> None:
    """A process that writes on several connections at once."""

    async def run() -> None:
        async with Database.opened(url) as database:
            author = Author(name)
            halves = [[f"{name} {half} {line}" for line in range(lines // 2)] for half in range(2)]
            await asyncio.gather(*(write(database, *half, author=author) for half in halves))

    asyncio.run(run())
