"""A process that reads one user's account: python -m … DATABASE EXCHANGE USER."""

import asyncio
import sys

from pydantic import SecretStr

from kalshi_gateway.app import create_app
from kalshi_gateway.settings import Settings
from tests.credentials.builders import OLD, setting


def settings_for(exchange_url: str) -> Settings:
    return Settings.model_construct(
        gateway_auth="off",
        gateway_jobs=False,
        gateway_encryption_keys=SecretStr(setting(OLD)),
        kalshi_base_url=exchange_url,
    )


async def read(database_url: str, exchange_url: str, user_id: str) -> None:
    app = create_app(settings_for(exchange_url), database_url=database_url)
    async with app.router.lifespan_context(app):
        await app.state.resources.refresher.refresh(user_id)


if __name__ == "__main__":
    asyncio.run(read(*sys.argv[1:]))
