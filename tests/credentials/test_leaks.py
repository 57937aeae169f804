"""No key, master key or token in any log line, answer or traceback, whatever goes wrong."""

import base64
import io
import logging
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

from kalshi_gateway import logs
from kalshi_gateway.app import create_app
from kalshi_gateway.audit import repository as audit
from kalshi_gateway.audit.entry import Author
from kalshi_gateway.credentials import repository
from kalshi_gateway.credentials.ring import KeyRing
from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.retries import Retries
from kalshi_gateway.kalshi.signing import ApiKey
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.tokens import keeping as tokens
from tests.conftest import PLAIN_LOGS
from tests.credentials.builders import NEW, OLD
from tests.sync.outages import listening

ADA = "/kalshi/users/ada/credentials"

#: Whoever finds so many letters of a key in a row has found the key, or an accident of 1 in 10^28.
PIECE = 16


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that is logged, down to the libraries' last word."""
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    root = logging.getLogger()
    kept = root.handlers[:], root.level
    logs.configure("json", "debug")
    # A logger that remembers this would go on writing here when other tests use it.
    structlog.configure(cache_logger_on_first_use=False)
    yield stderr
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = kept
    structlog.reset_defaults()
    structlog.configure(processors=PLAIN_LOGS)


def encodings(raw: bytes) -> list[str]:
    """The ways in which bytes are written."""
    return [
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        raw.hex(),
        raw.hex().upper(),
        repr(raw)[2:-1],
        str(int.from_bytes(raw)),
    ]


def secrets_of(pem: str) -> list[str]:
    """A private key as its PEM has it, and the numbers that are secret in it."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    body = "".join(line for line in pem.splitlines() if not line.startswith("-----"))
    if isinstance(key, Ed25519PrivateKey):
        return [body, *encodings(key.private_bytes_raw())]
    assert isinstance(key, RSAPrivateKey)
    numbers = key.private_numbers()
    return [
        body,
        *(
            form
            for number in (numbers.p, numbers.q, numbers.d)
            for form in encodings(number.to_bytes((number.bit_length() + 7) // 8))
        ),
    ]


def found_in(said: str, secrets: list[str]) -> list[str]:
    """Pieces of secrets that can be read in a text, whatever breaks its lines."""
    joined = "".join(said.replace("\\n", "").split())
    pieces = {
        secret[at : at + PIECE] for secret in secrets for at in range(len(secret) - PIECE + 1)
    }
    return [piece for piece in pieces if piece in joined]


def test_leaks_are_found() -> None:
    """The search can fail: it sees a key cut in lines, in hex, and in the middle of a word."""
    pem = base64.b64encode(bytes(range(64))).decode()
    broken = f"x{pem[10:40]}\n  {pem[40:]}"

    assert found_in(broken, [pem])
    assert found_in(f"key={bytes(range(64)).hex()[:20]}…", encodings(bytes(range(64))))
    assert not found_in("nothing of it", [pem])


#: From then on the database refuses every row, and says which.
NO_MORE = "ALTER TABLE kalshi_user_credentials ADD CHECK (id IS NULL) NOT VALID"


class Scenario:
    """What a client is told, and what is raised, while everything goes wrong once."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.said: list[str] = []
        self.codes: list[int] = []

    async def ask(self, method: str, path: str = ADA, **body: Any) -> None:
        response = await self.client.request(method, path, **body)
        self.said.append(f"{response.headers} {response.text}")
        self.codes.append(response.status_code)

    async def put(self, key_id: object, private_key: object) -> None:
        await self.ask("PUT", json={"api_key_id": key_id, "private_key": private_key})

    async def raises(self, job: Callable[[], Any]) -> None:
        raised: BaseException | None = None
        try:
            await job()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is read
            raised = error
            self.said += traceback.TracebackException.from_exception(error).format()
        assert raised is not None
        while raised is not None:
            self.said += [repr(raised), str(raised), repr(raised.args)]
            raised = raised.__cause__ or raised.__context__


@asynccontextmanager
async def asking(app: FastAPI, secret: str) -> AsyncIterator[Scenario]:
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://localhost",
        headers={"Authorization": f"Bearer {secret}"},
    )
    async with app.router.lifespan_context(app), client:
        yield Scenario(client)


def broken(*_: object, **__: object) -> Any:
    raise RuntimeError("a fault of ours")


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_nothing_leaks(
    kind: Any,
    settings: Settings,
    exchange: Exchange,
    database: Database,
    database_url: str,
    logged: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Keys stored, checked, refused, mispasted, sealed anew, lost, and broken off halfway."""
    monkeypatch.setattr(Retries, "pause_s", lambda retries, attempt: 0.0)
    key_id, pem = exchange.keys.issue(kind)
    _, other = exchange.keys.issue(kind)
    own_id, own = exchange.keys.issue(kind)
    _, secret = await tokens.create(database, "app", ["read"], "ada", None, Author("test"))
    _, stranger = await tokens.create(database, "other", ["read"], "bob", None, Author("test"))

    async with listening(exchange) as url:
        here = settings.model_copy(
            update={
                "kalshi_base_url": url,
                "kalshi_api_key_id": own_id,
                "kalshi_api_secret": SecretStr(own),
                "gateway_log_level": "debug",
            }
        )
        app = create_app(here, database_url=database_url)
        async with asking(app, secret) as ada:
            keeper = app.state.resources.keeper
            await ada.put(key_id, pem)
            await ada.ask("GET")
            await ada.ask("POST", f"{ADA}/check")
            await ada.put(key_id, pem.replace("\n", "\r\n"))
            await ada.put(key_id, other)  # refused by the exchange
            await ada.put(pem, pem)
            await ada.put(pem, key_id)
            await ada.put([pem], {"pem": pem})
            await ada.put(key_id, pem + "x" * 20_000)
            await ada.put(key_id, pem[:70] + pem[80:])
            await ada.put(key_id, pem.replace("-----END", "----END"))
            await ada.ask("PUT", content=f'{{"private_key": "{pem}'.encode())
            await ada.ask("PUT", content=pem.encode())
            await ada.ask("GET", headers={"Authorization": f"Bearer {stranger}"})
            await ada.ask("GET", headers={"Authorization": f"Bearer {stranger}x"})
            for module, name in (
                (repository, "save"),
                (audit, "record"),
                (ApiKey, "sign"),
                (ApiKey, "from_pem"),
                (KeyRing, "seal"),
            ):
                with monkeypatch.context() as patch:
                    patch.setattr(module, name, broken)
                    await ada.put(key_id, pem)
                    await ada.raises(lambda: keeper.put("ada", key_id, pem, Author("test")))
            exchange.faults.status(500)
            await ada.put(key_id, pem)
            await ada.ask("POST", f"{ADA}/check")
            async with database.begin() as conn:
                await conn.execute(text(NO_MORE))
            await ada.put(key_id, pem)
            await ada.raises(lambda: keeper.put("ada", key_id, pem, Author("test")))
            keeper.vault.ring._hold([NEW])
            keeper.vault._opened.clear()
            await ada.ask("POST", f"{ADA}/check")
            await ada.raises(lambda: keeper.vault.open("ada"))
            keeper.vault.ring._hold([("old", NEW[1])])
            await ada.ask("POST", f"{ADA}/check")
            await ada.raises(lambda: keeper.vault.open("ada"))
            shown = [repr(part) for part in (keeper, keeper.vault, keeper.doctor, here)]
            await ada.ask("DELETE")

    said = "\n".join([logged.getvalue(), *ada.said, *shown])
    secrets = [secret.removeprefix("kgw_"), stranger.removeprefix("kgw_")]
    for key in (pem, other, own):
        secrets += secrets_of(key)
    for _, master in (OLD, NEW):
        secrets += encodings(master)
    assert found_in(said, secrets) == []
    assert {200, 204, 403, 401, 422, 500, 502, 503} <= set(ada.codes)
    assert "a fault of ours" in logged.getvalue()
    assert "Traceback" in logged.getvalue()
