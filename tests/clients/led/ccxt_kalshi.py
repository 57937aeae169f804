"""CCXT's view of the exchange, led from outside."""

import asyncio
import importlib
import json
from typing import Any

from .leading import obey, places

#: CCXT looks words up at a host of the exchange's that is no part of its API.
ELSEWHERE = "http://127.0.0.1:1/v1"


class Sides:
    """One of CCXT's exchanges per place."""

    def __init__(self, sides: dict[str, Any]) -> None:
        self.kalshi = importlib.import_module("ccxt.prediction").kalshi
        self.heard: list[list[Any]] = []
        self.clients = {name: self._client(**side) for name, side in sides.items()}

    def _client(self, host: str, key_id: str, private_key: str) -> Any:
        client = self.kalshi({"apiKey": key_id, "privateKey": private_key})
        client.enableRateLimit = False
        client.urls["api"] = {"kalshi": host, "elections": ELSEWHERE}
        reads = client.handle_errors

        def listens(status: int, *rest: Any) -> Any:
            self.heard.append([status, rest[4]])
            return reads(status, *rest)

        client.handle_errors = listens
        return client

    async def ask(self, side: str, call: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Make one call as a user of CCXT would."""
        self.heard = []
        try:
            made = await getattr(self.clients[side], call)(**arguments)
        except Exception as error:  # noqa: BLE001 - it is the caller who knows what was expected
            return {"heard": self.heard, "made": None, "failed": type(error).__name__}
        return {"heard": self.heard, "made": json.dumps(made, default=str), "failed": None}

    async def close(self) -> None:
        """Hang up everywhere."""
        for client in self.clients.values():
            await client.close()


async def main() -> None:
    """Make calls for as long as there are any."""
    await obey(Sides(places()))


if __name__ == "__main__":
    asyncio.run(main())
