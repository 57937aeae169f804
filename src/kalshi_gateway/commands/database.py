"""The database that a command works on: the one that is named, or one of our own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kalshi_gateway import embedded, settings
from kalshi_gateway.settings import Settings


def found_settings() -> Settings:
    """The settings of this process, with the data directory that holds where none is named."""
    found = settings.load()
    if found.gateway_data_dir is not None:
        return found
    return found.model_copy(update={"gateway_data_dir": embedded.default_data_dir()})


@asynccontextmanager
async def database_url(settings: Settings) -> AsyncIterator[str]:
    """Its address, for as long as it is used."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    home = (settings.gateway_data_dir or embedded.default_data_dir()) / "postgres"
    server = await asyncio.to_thread(embedded.acquire, home)
    try:
        yield server.url()
    finally:
        await asyncio.to_thread(server.release)
