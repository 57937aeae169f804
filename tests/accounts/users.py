"""Users of the gateway who are members of the simulated exchange, and what each of them has."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import msgspec

from kalshi_gateway.db import Database
from kalshi_gateway.simulator.accounts import Member
from kalshi_gateway.simulator.exchange import Exchange
from tests.simulator.members import a_market

exactly = msgspec.json.Decoder(Any, float_hook=Decimal).decode


@dataclass
class User:
    """A user, the member that is, and the key of both."""

    user_id: str
    member: Member
    key_id: str
    private_key: str

    @property
    def path(self) -> str:
        return f"/kalshi/users/{self.user_id}"


@dataclass
class Users:
    """Admits users, and asks the gateway for them."""

    client: httpx.AsyncClient
    exchange: Exchange
    database: Database

    async def admit(self, user_id: str = "ada", dollars: int = 100, **given: Any) -> User:
        """A member with a key, which the gateway is given."""
        joined = self.exchange.desk.join(user_id, deposit_cents=dollars * 100, **given)
        user = User(user_id, joined.member, joined.key_id, joined.private_pem)
        await self.hand_over(user)
        return user

    async def hand_over(self, user: User) -> None:
        """Store the user's key at the gateway."""
        body = {"api_key_id": user.key_id, "private_key": user.private_key}
        response = await self.client.put(f"{user.path}/credentials", json=body)
        assert response.status_code == 200, response.text

    async def get(self, user: User, what: str = "account", **asked: Any) -> Any:
        """A good answer, with all digits exact."""
        response = await self.client.get(f"{user.path}/{what}", **asked)
        assert response.status_code == 200, response.text
        return exactly(response.content)

    def trade(
        self, user: User, ticker: str, side: Any, price: str, count: str, **given: Any
    ) -> Any:
        """The member trades in a quiet market, made for it if need be."""
        if ticker not in self.exchange.catalogue.markets:
            a_market(self.exchange, ticker)
        return self.exchange.desk.trade(user.member, ticker, side, price, count, **given)

    def truth(self, user: User) -> dict[str, Any]:
        """All that is the member's, exactly, by the exchange itself."""
        return self.exchange.desk.truth(user.member)
