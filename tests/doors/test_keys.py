"""Virtual keys: a client signs as it would for the exchange, with a key the gateway can end."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import select

from kalshi_gateway import rates
from kalshi_gateway.app import create_app
from kalshi_gateway.audit import repository as audit
from kalshi_gateway.audit.entry import Author
from kalshi_gateway.credentials.credential import Kept, bound_to
from kalshi_gateway.credentials.ring import KeyRing
from kalshi_gateway.db import Database
from kalshi_gateway.errors import Unprocessable
from kalshi_gateway.kalshi.signing import ApiKey, Signer
from kalshi_gateway.keys import keeping, key, repository
from kalshi_gateway.keys.key import Kind, new_pair
from kalshi_gateway.keys.signature import CLOCK_WINDOW_MS, Signed
from kalshi_gateway.keys.verifier import Verifier
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.desk import Joined
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.tables import virtual_keys
from tests.credentials.builders import OLD, a_pem, keep, kept

from .people import GATEWAY_URL, People

PREFIX = "/trade-api/v2"
BALANCE = f"{PREFIX}/portfolio/balance"
POSITIONS = f"{PREFIX}/portfolio/positions"
UNTIL_TOLD = timedelta(hours=1)
ADA = Author("ada")


def details(response: httpx.Response) -> tuple[int, str, str | None]:
    error = response.json()["error"]
    return response.status_code, error["code"], error.get("details")


# --- who may read what


@pytest.mark.parametrize("kind", Kind)
async def test_signed_reads_are_the_users_own(
    people: People, direct: httpx.AsyncClient, kind: str
) -> None:
    """A virtual key of either kind reads what the user's own key reads, byte for byte."""
    ada = await people.admit()
    signer = await people.key("ada", "read", kind=kind)

    for path in (POSITIONS, f"{PREFIX}/portfolio/orders?status=resting&limit=5", BALANCE):
        ours = await people.client.get(path, auth=signer)
        theirs = await direct.get(path, auth=ada.signer)

        assert (ours.status_code, without_time(ours)) == (200, without_time(theirs))


async def test_public_reads_signed_or_not(people: People) -> None:
    """What everybody may read is read with a signature, as the official client does, or without."""
    signer = await people.key()
    path = f"{PREFIX}/markets?limit=2"

    signed = await people.client.get(path, auth=signer)
    unsigned = await people.client.get(path)

    assert (signed.status_code, signed.content) == (200, unsigned.content)


async def test_signed_head(people: People) -> None:
    """HEAD is signed as HEAD, and answered as GET is, without the body."""
    await people.admit()
    signer = await people.key()
    await people.client.get(BALANCE, auth=signer)  # so that the key is known at the entrance, too

    head = await people.client.head(BALANCE, auth=signer)
    as_get = await people.client.head(
        BALANCE, headers=signer.headers("GET", httpx.URL(GATEWAY_URL + BALANCE))
    )

    assert (head.status_code, head.content) == (200, b"")
    assert as_get.status_code == 401


async def test_key_of_a_user_without_key(people: People) -> None:
    """A virtual key of a user whose real key is not kept is forbidden private reads."""
    signer = await people.key("bob")

    response = await people.client.get(BALANCE, auth=signer)

    assert details(response)[:2] == (403, "permission_denied")


@pytest.mark.parametrize("header", ["KEY", "SIGNATURE", "TIMESTAMP"])
async def test_headers_missing(people: People, header: str) -> None:
    """A signed request without one of the three headers is refused as by the exchange."""
    signer = await people.key()
    headers = signer.headers("GET", httpx.URL(GATEWAY_URL + BALANCE))
    del headers[f"KALSHI-ACCESS-{header}"]

    response = await people.client.get(BALANCE, headers=headers)

    expired = header == "TIMESTAMP"
    code = "header_timestamp_expired" if expired else "signature_is_missing_from_headers"
    assert details(response) == (401, code, None)


@pytest.mark.parametrize("off", ["path", "method", "key", "time", "body of the signature", "salt"])
@pytest.mark.parametrize("kind", Kind)
async def test_signature_over_something_else(
    people: People, exchange: Exchange, kind: str, off: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signature over another path, method or time, or by another key, is refused."""
    await people.admit()
    signer = await people.key(kind=kind)
    method, path = "GET", BALANCE
    if off == "path":
        path = POSITIONS
    elif off == "method":
        method = "DELETE"
    elif off == "key":
        signer = Signer(ApiKey.from_pem(signer.key.key_id, a_pem(2, kind)), GATEWAY_URL)
    elif off == "salt":
        monkeypatch.setattr("kalshi_gateway.kalshi.signing.PSS", salted(0))
    headers = signer.headers(method, httpx.URL(GATEWAY_URL + path))
    if off == "time":
        said = int(headers["KALSHI-ACCESS-TIMESTAMP"])
        headers["KALSHI-ACCESS-TIMESTAMP"] = str(said + 1)
    elif off == "body of the signature":
        headers["KALSHI-ACCESS-SIGNATURE"] = "not base64"
    before = exchange.counters.requests.total()

    response = await people.client.get(BALANCE, headers=headers)

    if (off, kind) == ("salt", Kind.ED25519):  # which has none
        assert response.status_code == 200
        return
    told = (401, "authentication_error", "INCORRECT_API_KEY_SIGNATURE")
    assert details(response) == told
    assert exchange.counters.requests.total() == before


def salted(length: int) -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=length)


@pytest.mark.parametrize("late_ms", [-CLOCK_WINDOW_MS - 2_000, CLOCK_WINDOW_MS + 2_000])
async def test_clock_window(people: People, late_ms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time too far from now is refused, signed or not; ten seconds either way are taken."""
    await people.admit()
    signer = await people.key()
    within = late_ms // abs(late_ms) * (CLOCK_WINDOW_MS - 2_000)

    def at(offset_ms: int) -> dict[str, str]:
        monkeypatch.setattr(
            signer.clock, "timestamp_ms", lambda: int(time.time() * 1000) + offset_ms
        )
        return signer.headers("GET", httpx.URL(GATEWAY_URL + BALANCE))

    far = await people.client.get(BALANCE, headers=at(late_ms))
    near = await people.client.get(BALANCE, headers=at(within))

    assert details(far) == (401, "header_timestamp_expired", None)
    assert near.status_code == 200


@pytest.mark.parametrize("said", ["", "soon", "-1", "1e12", "9" * 5_000, "\xb2"])
async def test_times_that_are_none(people: People, said: str) -> None:
    """What is no time at all is an expired one."""
    signer = await people.key()
    headers = signer.headers("GET", httpx.URL(GATEWAY_URL + BALANCE))
    shown = {**headers, "KALSHI-ACCESS-TIMESTAMP": said.encode("latin-1")}

    response = await people.client.get(BALANCE, headers=shown)  # type: ignore[arg-type]

    assert details(response) == (401, "header_timestamp_expired", None)


@pytest.mark.parametrize("key_id", ["7f1a8d6e-0c3b-4a57-9d1e-2b6f00c4e9aa", "some-key", "\xe9"])
async def test_unknown_key(people: People, key_id: str) -> None:
    """A key that the gateway did not issue is unknown, also where everybody may read."""
    signer = await people.key()
    headers = signer.headers("GET", httpx.URL(f"{GATEWAY_URL}{PREFIX}/markets"))
    shown = {**headers, "KALSHI-ACCESS-KEY": key_id.encode("latin-1")}

    response = await people.client.get(f"{PREFIX}/markets", headers=shown)  # type: ignore[arg-type]

    assert details(response) == (401, "authentication_error", "NOT_FOUND")


async def test_real_key_opens_nothing_here(people: People) -> None:
    """The user's own key of the exchange is none of the gateway's."""
    ada = await people.admit()
    real = Signer(ada.signer.key, GATEWAY_URL)

    response = await people.client.get(BALANCE, auth=real)

    assert details(response) == (401, "authentication_error", "NOT_FOUND")


async def test_without_tokens(
    settings: Settings, database: Database, database_url: str, exchange: Exchange, transport: Any
) -> None:
    """With GATEWAY_AUTH=off a signature by any key passes; one of ours speaks for its user."""
    own, other = exchange.desk.join("own", deposit_cents=1), exchange.desk.join(deposit_cents=2)
    local = settings.model_copy(
        update={
            "gateway_auth": "off",
            "kalshi_api_key_id": own.key_id,
            "kalshi_api_secret": SecretStr(own.private_pem),
        }
    )
    ring = KeyRing([OLD])
    await keep(database, as_kept(ring, "ada", other))
    key, pem = await keeping.create(database, "ada", ["read"], ADA, Kind.ED25519)
    ours = Signer(ApiKey.from_pem(str(key.id), pem), GATEWAY_URL)
    strange = Signer(ApiKey.from_pem(str(uuid4()), a_pem()), GATEWAY_URL)
    app = create_app(local, database_url=database_url, exchange=transport)

    async with asking(app) as client:
        nobody, stranger, ada = [
            await client.get(BALANCE, auth=signer) for signer in (None, strange, ours)
        ]
        wrong = Signer(ApiKey.from_pem(str(key.id), a_pem()), GATEWAY_URL)
        pretender = await client.get(BALANCE, auth=wrong)

    assert [answer.json().get("balance") for answer in (nobody, stranger, ada)] == [1, 1, 2]
    assert pretender.status_code == 401


# --- ended at once


class Hearing(Verifier):
    """Believes until it is told, and lets us wait until it hears."""

    def __init__(self, database: Database, *, hears: bool) -> None:
        self.ready = asyncio.Event()
        super().__init__(database, fresh_for=UNTIL_TOLD, hears=hears)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if (name, value) == ("hears", True):
            self.ready.set()


async def test_revoked_key_stops_at_once_everywhere(
    people: People,
    settings: Settings,
    database: Database,
    database_url: str,
    transport: httpx.ASGITransport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once `revoke` returns no gateway on the database takes the key, though all had it known."""
    await people.admit()
    monkeypatch.setattr("kalshi_gateway.app.Verifier", Hearing)
    ended, other = await people.key(), await people.key()
    first, second = (
        create_app(settings, database_url=database_url, exchange=transport) for _ in range(2)
    )

    async with asking(first) as one, asking(second) as two:
        before = [
            [(await client.get(BALANCE, auth=key)).status_code for key in (ended, other)]
            for client in (one, two)
        ]
        await keeping.revoke(database, UUID(ended.key.key_id), ADA)
        after = [
            [(await client.get(BALANCE, auth=key)).status_code for key in (ended, other)]
            for client in (one, two)
        ]
        told = await one.get(BALANCE, auth=ended)

    assert before == [[200, 200], [200, 200]]
    assert after == [[401, 200], [401, 200]]
    assert details(told) == (401, "authentication_error", "NOT_FOUND")


@asynccontextmanager
async def asking(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=GATEWAY_URL) as client,
    ):
        known = app.state.resources.verifier
        if isinstance(known, Hearing):
            await known.ready.wait()
        yield client


async def test_making_and_ending_are_written_down(database: Database) -> None:
    """Each key made and each revoked is a line of the audit log; what does not happen is none."""
    key, _ = await keeping.create(database, "ada", ["trade", "read"], ADA, Kind.ED25519)

    first = await keeping.revoke(database, key.id, ADA)
    again = await keeping.revoke(database, key.id, ADA)

    async with database.connect() as conn:
        lines = [line async for line in audit.lines(conn)]
    assert (first is not None, again) == (True, None)
    assert [(line.action, line.target, line.user_id) for line in lines] == [
        ("key.create", str(key.id), "ada"),
        ("key.revoke", str(key.id), "ada"),
    ]
    assert f'"fingerprint": "{key.fingerprint}"' in lines[0].details
    assert '"scopes": "read trade"' in lines[0].details


@pytest.mark.parametrize(
    ("user_id", "kind", "scopes"),
    [
        ("", "rsa", ["read"]),
        ("u" * 129, "rsa", ["read"]),
        ("ada", "dsa", ["read"]),
        ("ada", "rsa", []),
        ("ada", "rsa", ["admin"]),
        ("ada", "rsa", ["read", "write"]),
    ],
)
async def test_keys_that_cannot_be_made(
    database: Database, user_id: str, kind: str, scopes: list[str]
) -> None:
    """A key is of one user, of one of two kinds, and reads or trades."""
    with pytest.raises(Unprocessable):
        await keeping.create(database, user_id, scopes, ADA, kind)

    async with database.connect() as conn:
        assert await repository.page(conn) == []


# --- what is kept, and what never shows


@pytest.mark.parametrize("kind", Kind)
async def test_private_half_is_nowhere(database: Database, kind: str) -> None:
    """Of a key the database has the public half only, in the form that verifies."""
    key, pem = await keeping.create(database, "ada", ["read"], ADA, kind)

    async with database.connect() as conn:
        [row] = (await conn.execute(select(virtual_keys))).all()
        lines = [line async for line in audit.lines(conn)]
    private = ApiKey.from_pem(str(key.id), pem)
    assert private.fingerprint == key.fingerprint
    assert private.kind == kind
    body = "".join(pem.splitlines()[1:-1])
    assert body[40:80] not in f"{row}{lines}{key!r}"
    assert b"PRIVATE" not in bytes(row.public_key)


async def test_real_key_never_shows(
    people: People, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the id nor anything of the user's real key is in any answer, header or log."""
    caplog.set_level(logging.DEBUG)
    ada = await people.admit()
    signer = await people.key()
    paths = (BALANCE, f"{PREFIX}/api_keys", f"{PREFIX}/portfolio/orders/none", f"{PREFIX}/x")

    answers = [await people.client.get(path, auth=signer) for path in paths]
    people.exchange.keys.revoke(ada.key_id)
    new = {"Cache-Control": "no-cache"}
    answers.append(await people.client.get(POSITIONS, auth=signer, headers=new))

    said = capsys.readouterr()
    everything = caplog.text + said.out + said.err
    for answer in answers:
        everything += answer.text + str(answer.headers)
    assert [answer.status_code for answer in answers] == [200, 403, 404, 404, 401]
    assert ada.key_id not in everything
    assert "PRIVATE KEY" not in everything


# --- how much it costs


async def test_parsed_once_and_verified_once(
    people: People,
    settings: Settings,
    database_url: str,
    transport: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A public key is parsed when it is first seen, and each request verified a single time."""
    await people.admit()
    signer = await people.key()
    counts = {"parsed": 0, "verified": 0}
    parse, verify = key.parsed, Signed.verified

    def parsed(der: bytes) -> key.PublicKey:
        counts["parsed"] += 1
        return parse(der)

    def verified(*said: Any) -> bytes | None:
        counts["verified"] += 1
        return verify(*said)

    monkeypatch.setattr("kalshi_gateway.keys.verifier.parsed", parsed)
    monkeypatch.setattr(Signed, "verified", verified)
    counting = settings.model_copy(update={"gateway_requests_per_second": 1_000})
    app = create_app(counting, database_url=database_url, exchange=transport)

    async with asking(app) as client:
        for _ in range(5):
            assert (await client.get(POSITIONS, auth=signer)).status_code == 200
        app.state.resources.verifier.forget(None)
        assert (await client.get(POSITIONS, auth=signer)).status_code == 200

    assert counts == {"parsed": 1, "verified": 6}


async def test_limits_are_each_keys_own(
    people: People,
    settings: Settings,
    database_url: str,
    transport: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who shows a key's id without its signature takes nothing from what the key may send."""
    monkeypatch.setattr(rates, "monotonic_ns", lambda: rates.SECOND)
    await people.admit()
    signer, other = await people.key(), await people.key()
    strict = settings.model_copy(update={"gateway_requests_per_second": 1})
    app = create_app(strict, database_url=database_url, exchange=transport)
    path = f"{PREFIX}/exchange/status"

    async with asking(app) as client:
        known = app.state.resources.verifier
        known.fresh_for, known.hears = UNTIL_TOLD, True
        for key in (signer, other):
            await known.verdict(a_scope(key))
        pretended = [
            await client.get(
                path, headers={**signer_headers(signer), "KALSHI-ACCESS-SIGNATURE": "eA=="}
            )
            for _ in range(4)
        ]
        first = [await client.get(path, auth=signer) for _ in range(4)]
        second = await client.get(path, auth=other)

    assert [answer.status_code for answer in pretended[-2:]] == [429, 429]
    assert [answer.status_code for answer in first] == [200, 200, 429, 429]
    assert details(first[-1])[:2] == (429, "too_many_requests")
    assert second.status_code == 200


def signer_headers(signer: Signer) -> dict[str, str]:
    return signer.headers("GET", httpx.URL(f"{GATEWAY_URL}{PREFIX}/exchange/status"))


def a_scope(signer: Signer) -> dict[str, Any]:
    headers = [(k.lower().encode(), v.encode()) for k, v in signer_headers(signer).items()]
    path = f"{PREFIX}/exchange/status"
    return {"headers": headers, "method": "GET", "path": path, "raw_path": path.encode()}


async def test_two_hundred_users_are_never_mixed(
    people: People, exchange: Exchange, database: Database
) -> None:
    """Two hundred who ask at the same time, three times over, each read what is theirs alone."""
    ring, members = KeyRing([OLD]), {}
    for n in range(200):
        joined = exchange.desk.join(f"user{n}", deposit_cents=1_000 + n)
        members[f"user{n}"] = joined
    await keep(database, *(as_kept(ring, who, joined) for who, joined in members.items()))
    signers = {}
    async with database.begin() as conn:
        for who in members:
            public, pem = new_pair(Kind.ED25519)
            key = await repository.create(conn, who, Kind.ED25519, ["read"], public)
            signers[who] = Signer(ApiKey.from_checked_pem(str(key.id), pem), GATEWAY_URL)

    async def balance(who: str) -> tuple[str, int]:
        answer = await people.client.get(BALANCE, auth=signers[who])
        assert answer.status_code == 200, answer.text
        return who, answer.json()["balance"]

    told = await asyncio.gather(*(balance(who) for who in [*members] * 3))

    assert dict(told) == {f"user{n}": 1_000 + n for n in range(200)}
    assert len(set(told)) == 200


def as_kept(ring: KeyRing, user_id: str, joined: Joined) -> Kept:
    """A member's key as the gateway keeps it."""
    made = kept(ring, user_id, pem=joined.private_pem)
    bond = bound_to(user_id, made.id, joined.key_id, made.environment)
    sealed = ring.seal(joined.private_pem.encode(), bond)
    return replace(made, api_key_id=joined.key_id, sealed=sealed)


def without_time(response: httpx.Response) -> bytes:
    return re.sub(rb'"updated_ts":\d+', b"", response.content)
