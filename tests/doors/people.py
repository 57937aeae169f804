"""Users of the gateway, with tokens and keys, who are members of the simulated exchange."""

from dataclasses import dataclass

import httpx

from kalshi_gateway.audit.entry import Author
from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.signing import ApiKey, Signer
from kalshi_gateway.keys import keeping
from kalshi_gateway.simulator.accounts import Member
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.tokens import repository
from tests.credentials.builders import BASE_URL

#: Where the tests' client finds the gateway.
GATEWAY_URL = "http://localhost"


@dataclass
class Person:
    """A user: the token for the gateway, the key for the exchange."""

    user_id: str
    member: Member
    key_id: str
    token: dict[str, str]
    signer: Signer


@dataclass
class People:
    """Lets people in."""

    client: httpx.AsyncClient
    exchange: Exchange
    database: Database

    async def token(self, user_id: str | None, *scopes: str, name: str = "") -> dict[str, str]:
        """The header that shows a new token."""
        async with self.database.begin() as conn:
            name = name or f"of {user_id}"
            _, secret = await repository.create(conn, name, list(scopes), user_id, None)
        return {"Authorization": f"Bearer {secret}"}

    async def admit(self, user_id: str = "ada", cents: int = 123_456) -> Person:
        """A member with money whose key the gateway keeps."""
        joined = self.exchange.desk.join(user_id, deposit_cents=cents)
        token = await self.token(user_id, "read", "trade")
        body = {"api_key_id": joined.key_id, "private_key": joined.private_pem}
        path = f"/kalshi/users/{user_id}/credentials"
        admin = await self.token(None, "admin", name=f"admin for {user_id}")
        response = await self.client.put(path, json=body, headers=admin)
        assert response.status_code == 200, response.text
        signer = Signer(ApiKey.from_pem(joined.key_id, joined.private_pem), BASE_URL)
        return Person(user_id, joined.member, joined.key_id, token, signer)

    async def key(self, user_id: str = "ada", *scopes: str, kind: str = "ed25519") -> Signer:
        """Signs for the gateway with a new virtual key, as clients sign for the exchange."""
        key, pem = await keeping.create(
            self.database, user_id, scopes or ("read", "trade"), Author("test"), kind
        )
        return Signer(ApiKey.from_pem(str(key.id), pem), GATEWAY_URL)
