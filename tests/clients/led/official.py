"""The exchange's own SDK for Python, led from outside; its package is the only argument."""

import asyncio
import importlib
import inspect
import sys
from typing import Any

from .leading import obey, places


class Sides:
    """One client of the SDK per place."""

    def __init__(self, package: str, sides: dict[str, Any]) -> None:
        self.sdk = importlib.import_module(package)
        self.heard: list[list[Any]] = []
        self.clients = {name: self._client(**side) for name, side in sides.items()}

    def _client(self, host: str, key_id: str, private_key: str) -> Any:
        configuration = self.sdk.Configuration(host=host)
        configuration.api_key_id = key_id
        configuration.private_key_pem = private_key
        client = self.sdk.KalshiClient(configuration)
        reads = client.response_deserialize

        def listens(response_data: Any, *arguments: Any, **named: Any) -> Any:
            self.heard.append([response_data.status, response_data.data.decode()])
            return reads(response_data, *arguments, **named)

        client.response_deserialize = listens
        return client

    async def ask(self, side: str, call: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Make one call as a user of the SDK would."""
        self.heard = []
        try:
            made = getattr(self.clients[side], call)(**arguments)
            if inspect.isawaitable(made):
                made = await made
        except Exception as error:  # noqa: BLE001 - it is the caller who knows what was expected
            return {"heard": self.heard, "made": None, "failed": type(error).__name__}
        return {"heard": self.heard, "made": repr(made), "failed": None}

    async def close(self) -> None:
        """Hang up everywhere, where that is for us to do."""
        for client in self.clients.values():
            if inspect.iscoroutinefunction(getattr(client, "close", None)):
                await client.close()


async def main() -> None:
    """Make calls for as long as there are any."""
    await obey(Sides(sys.argv[1], places()))


if __name__ == "__main__":
    asyncio.run(main())
