"""Many users read what is theirs, while keys, tokens and gateways come and go."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import cast

import httpx
from fastapi import FastAPI

from kalshi_gateway.app import Gateway
from kalshi_gateway.audit.entry import Author
from kalshi_gateway.db import Database
from kalshi_gateway.simulator.accounts import Member
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.tokens import keeping as tokens
from tests.serving import served
from tests.simulator.members import a_market

WHAT = ("account", "positions", "fills", "orders", "settlements", "history", "pnl", "credentials")
#: Everything that is a user's has the user's number in its name.
MARK = re.compile(r"U(\d{5})X")
#: Of a user's money, too, the thousands are the number.
THOUSAND = 1_000

#: What a read may come to besides an answer: its key or token has just been taken away.
TAKEN = {401, 404, 502, 503}

AUTHOR = Author("private reads")


@dataclass
class Reader:
    """A user, and what is shown to the gateway for that user."""

    number: int
    member: Member
    key_id: str
    private_key: str
    token: str = ""

    @property
    def user_id(self) -> str:
        return f"U{self.number:05}X"

    @property
    def ticker(self) -> str:
        return f"KXOWN-26-{self.user_id}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class Foreign(Exception):
    """An answer held what is another user's."""

    path: str
    found: str


@dataclass
class PrivateReads:
    """Two gateways on one database, each behind a server, and all who read through them."""

    database: Database
    exchange: Exchange
    made: Callable[[], FastAPI]
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    readers: list[Reader] = field(default_factory=list)
    clients: list[httpx.AsyncClient] = field(default_factory=list)
    gateways: list[Gateway] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    stacks: list[AsyncExitStack] = field(default_factory=list)
    reads: int = 0

    async def start(self, gateways: int = 2) -> None:
        for _ in range(gateways):
            await self._open(len(self.clients))

    async def close(self) -> None:
        for stack in self.stacks:
            await stack.aclose()

    async def admit(self, count: int) -> None:
        """Members who have traded in a market of their own, and whose key the gateway has."""
        for _ in range(count):
            number = len(self.readers) + 1
            cents = (number * THOUSAND + THOUSAND // 2) * 100
            joined = self.exchange.desk.join(f"U{number:05}X", deposit_cents=cents)
            reader = Reader(number, joined.member, joined.key_id, joined.private_pem)
            a_market(self.exchange, reader.ticker)
            self.exchange.desk.trade(joined.member, reader.ticker, "bid", "0.4000", "10.00")
            self.readers.append(reader)
            await self._new_token(reader)
            await self._put_key(reader)

    async def read(
        self, count: int, *, laps: int = 8, at_once: int = 16, changes: float = 0.025
    ) -> None:
        """So many reads, with changes between them; after each lap a gateway is replaced."""
        for lap in range(1, laps + 1):
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(self._read_until(count * lap // laps, changes))
            await self._restart(self.rng.randrange(len(self.clients)))

    async def _read_until(self, count: int, changes: float) -> None:
        while self.reads < count:
            await (self._change() if self.rng.random() < changes else self._read_some())

    async def _read_some(self) -> None:
        """The same a few times, so that it lies ready; then another user tries that door."""
        reader, other = self.rng.choice(self.readers), self.rng.choice(self.readers)
        what = self.rng.choice(WHAT)
        path = f"/kalshi/users/{reader.user_id}/{what}"
        query = self.rng.choice((*[""] * 10, "?refresh=true", "?max_age=1"))
        place = self.rng.randrange(len(self.clients))
        await self._read(place, path + query * (what != "credentials"), reader)
        for _ in range(self.rng.randint(0, 3)):
            await self._read(place, path, reader)
        if other is not reader and self.rng.random() < 0.1:
            await self._knock(place, path, other)

    async def _read(self, place: int, path: str, reader: Reader) -> None:
        self.answers["lay ready"] += (path, b"") in self.gateways[place].front.ready.answers
        response = await self.clients[place].get(path, headers=reader.headers)
        self.reads += 1
        self.answers[f"{response.status_code}"] += 1
        self._check(path, response, reader)

    def _check(self, path: str, response: httpx.Response, reader: Reader) -> None:
        foreign = {m for m in MARK.findall(response.text) if int(m) != reader.number}
        if foreign:
            raise Foreign(path, str(foreign))
        if response.status_code == 200:
            body = response.json()
            money = [body[name] for name in ("balance",) if name in body]
            money += [row["balance"] for row in body.get("history", ())]
            if any(int(amount // THOUSAND) != reader.number for amount in money):
                raise Foreign(path, "a balance")
        elif response.status_code not in TAKEN:
            raise AssertionError(f"{path}: {response.status_code} {response.text}")

    async def _knock(self, place: int, path: str, with_token_of: Reader) -> None:
        """A token of one user opens nothing of another."""
        response = await self.clients[place].get(path, headers=with_token_of.headers)
        if response.status_code not in (401, 403):
            raise Foreign(path, f"{response.status_code} for another user's token")
        self.answers["refused"] += 1

    async def _change(self) -> None:
        reader = self.rng.choice(self.readers)
        change = self.rng.choice(("money", "refresh", "key", "token", "no key", "swap"))
        self.answers[change] += 1
        client = self.rng.choice(self.clients)
        path = f"/kalshi/users/{reader.user_id}"
        match change:
            case "money":
                self.exchange.ledger.bank.deposit(reader.member, 1)
            case "refresh":
                response = await client.post(f"{path}/account/refresh", headers=reader.headers)
                self._check(path, response, reader)
            case "key":
                if self.exchange.keys.find(reader.key_id):
                    self.exchange.keys.revoke(reader.key_id)
                await self._new_key(reader)
            case "token":
                await tokens.revoke(self.database, reader.user_id, AUTHOR)
                await self._new_token(reader)
            case "no key":
                await client.delete(f"{path}/credentials", headers=reader.headers)
                await self._put_key(reader)
            case "swap":
                await self._put_key(reader)

    async def _new_key(self, reader: Reader) -> None:
        issued = self.exchange.keys.issue("ed25519", member=reader.member)
        reader.key_id, reader.private_key = issued
        await self._put_key(reader)

    async def _put_key(self, reader: Reader) -> None:
        body = {"api_key_id": reader.key_id, "private_key": reader.private_key}
        path = f"/kalshi/users/{reader.user_id}/credentials"
        response = await self.clients[0].put(path, json=body, headers=reader.headers)
        if response.status_code not in {200, *TAKEN}:
            raise AssertionError(f"{path}: {response.status_code} {response.text}")

    async def _new_token(self, reader: Reader) -> None:
        _, reader.token = await tokens.create(
            self.database, f"{reader.user_id}", ["read"], reader.user_id, None, AUTHOR
        )

    async def _open(self, place: int) -> None:
        stack = AsyncExitStack()
        app = self.made()
        port = await stack.enter_async_context(served(app))
        client = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}",
                timeout=60,
                # Given up by the client, lest the server do so at the moment of a request.
                limits=httpx.Limits(keepalive_expiry=2),
                trust_env=False,
            )
        )
        await client.get("/healthz")
        self.stacks[place:place] = [stack]
        self.clients[place:place] = [client]
        self.gateways[place:place] = [cast("Gateway", app)]

    async def _restart(self, place: int) -> None:
        await self.stacks.pop(place).aclose()
        self.clients.pop(place)
        self.gateways.pop(place)
        await self._open(place)
