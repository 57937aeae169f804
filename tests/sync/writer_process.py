"""A process that keeps the catalogue fresh until it is killed: python -m … DATABASE EXCHANGE."""

import asyncio
import sys
from datetime import timedelta

from kalshi_gateway.kalshi.client import http_client
from kalshi_gateway.markets.sync import Sync

from .desk import MINUTE, SmallPages, hasty_budget


async def write(database_url: str, exchange_url: str) -> None:
    async with http_client(exchange_url) as http:
        kalshi = SmallPages(exchange_url, http, budget=hasty_budget())
        sync = Sync(database_url, kalshi, changes_every=timedelta(seconds=0.1), prices_every=MINUTE)
        await sync.run()


if __name__ == "__main__":
    asyncio.run(write(*sys.argv[1:]))
