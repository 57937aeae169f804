"""No answer ever holds what is another user's."""

from pathlib import Path

import httpx
from pydantic import SecretStr

from kalshi_gateway.app import create_app
from kalshi_gateway.db import Database
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator import app as simulator
from kalshi_gateway.simulator.exchange import Exchange
from tests.accounts.private_reads import PrivateReads
from tests.credentials.builders import BASE_URL, OLD, setting


async def test_interleaved_reads(database: Database, database_url: str, tmp_path: Path) -> None:
    """Users of two gateways, with refreshes, revocations and restarts between their reads."""
    settings = Settings.model_construct(
        gateway_auth="token",
        gateway_jobs=True,
        gateway_data_dir=tmp_path,
        gateway_encryption_keys=SecretStr(setting(OLD)),
        kalshi_base_url=BASE_URL,
    )
    exchange = Exchange.generated(20)
    exchange.limits.on = False
    transport = httpx.ASGITransport(simulator.create_app(exchange))
    reads = PrivateReads(
        database,
        exchange,
        lambda: create_app(settings, database_url=database_url, exchange=transport),
    )
    await reads.start()
    try:
        await reads.admit(8)

        await reads.read(400, laps=2, changes=0.1)
    finally:
        await reads.close()

    assert reads.answers["200"] > 250
    assert reads.answers["lay ready"] > 50
    assert reads.answers["refused"] > 5
