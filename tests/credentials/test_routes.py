"""PUT, GET, DELETE /kalshi/users/{user_id}/credentials, and POST …/credentials/check."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from kalshi_gateway.app import create_app
from kalshi_gateway.audit import chain
from kalshi_gateway.audit import repository as audit
from kalshi_gateway.audit.entry import Line
from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.retries import Retries
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator import app as simulator
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.times import micros
from kalshi_gateway.tokens import repository as tokens
from tests.credentials.builders import NEW, a_pem, setting

ADA = "/kalshi/users/ada/credentials"
BOB = "/kalshi/users/bob/credentials"


async def a_token(database: Database, user_id: str = "ada") -> dict[str, str]:
    """The header of a token that may read for that user."""
    async with database.begin() as conn:
        _, secret = await tokens.create(conn, f"{user_id}'s app", ["read"], user_id, None)
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
async def ada(client: httpx.AsyncClient, database: Database) -> httpx.AsyncClient:
    client.headers.update(await a_token(database))
    return client


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Retries, "pause_s", lambda retries, attempt: 0.0)


def body(issued: tuple[str, str]) -> dict[str, str]:
    return {"api_key_id": issued[0], "private_key": issued[1]}


def found(answer: dict[str, Any]) -> dict[str, str]:
    """What was found, and how bad it is."""
    return {one["what"]: one["level"] for one in answer["verdict"]["findings"]}


async def written(database: Database) -> list[Line]:
    async with database.connect() as conn:
        return [line async for line in audit.lines(conn)]


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_stored(
    ada: httpx.AsyncClient, exchange: Exchange, database: Database, kind: Any
) -> None:
    """A key that the exchange accepts is stored, and all but the key itself is shown."""
    key_id, pem = exchange.keys.issue(kind, "advanced", ["read", "write::trade"])

    put = await ada.put(ADA, json=body((key_id, pem)))
    got = await ada.get(ADA)

    assert put.status_code == got.status_code == 200
    assert put.json() == got.json()
    answer = got.json()
    assert list(answer) == [
        "user_id",
        "source",
        "api_key_id",
        "kind",
        "fingerprint",
        "environment",
        "created_at",
        "checked_at",
        "verdict",
    ]
    assert (answer["user_id"], answer["source"], answer["api_key_id"]) == ("ada", "stored", key_id)
    assert (answer["kind"], answer["environment"]) == (kind, "127.0.0.1:1")
    assert (answer["verdict"]["level"], answer["verdict"]["accepted"]) == ("ok", True)
    assert set(found(answer)) == {
        "private key",
        "exchange",
        "tier",
        "scopes",
        "transfers",
        "subaccount",
        "attestation",
        "clock",
    }
    async with database.driver() as conn:
        rows = str(await conn.fetch("SELECT c::text FROM kalshi_user_credentials c"))
    for line in pem.splitlines()[1:-1]:
        assert line not in put.text + got.text + rows


async def test_nothing_there(ada: httpx.AsyncClient) -> None:
    """Without a key there is nothing to show, to check or to delete."""
    answers = [await ada.get(ADA), await ada.post(f"{ADA}/check"), await ada.delete(ADA)]

    assert [(a.status_code, a.json()["code"]) for a in answers] == [(404, "no_credentials")] * 3


async def test_replaced_and_deleted(ada: httpx.AsyncClient, exchange: Exchange) -> None:
    """Another key takes the place of the first; deleted, there is none."""
    first, second = exchange.keys.issue("ed25519"), exchange.keys.issue("ed25519")
    await ada.put(ADA, json=body(first))

    replaced = await ada.put(ADA, json=body(second))
    deleted = await ada.delete(ADA)

    assert replaced.json()["api_key_id"] == second[0]
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (await ada.get(ADA)).status_code == 404


@pytest.mark.parametrize(
    ("spoil", "repair"),
    [
        (lambda pem: pem.replace("\n", "\r\n"), "Windows line breaks"),
        (lambda pem: pem.replace("\n", "\\n"), "escaped line breaks"),
        (lambda pem: f'"{pem}"', "quotes"),
    ],
)
async def test_repairs_are_told(
    ada: httpx.AsyncClient, exchange: Exchange, spoil: Any, repair: str
) -> None:
    """A key that pasting has bent is stored, and what was repaired is told."""
    key_id, pem = exchange.keys.issue("ed25519")

    answer = (await ada.put(ADA, json=body((key_id, spoil(pem))))).json()

    assert repair in answer["verdict"]["findings"][0]["found"]
    assert (await ada.post(f"{ADA}/check")).json()["verdict"]["accepted"] is True


@pytest.mark.parametrize("which", ["unknown id", "another's private key"])
async def test_refused_by_the_exchange(
    ada: httpx.AsyncClient, exchange: Exchange, database: Database, which: str
) -> None:
    """A key that the exchange does not accept is not stored; the no is the exchange's, not ours."""
    mine, other = exchange.keys.issue("ed25519"), exchange.keys.issue("ed25519")
    bad = {"unknown id": ("unknown", mine[1]), "another's private key": (mine[0], other[1])}

    response = await ada.put(ADA, json=body(bad[which]))

    problem = response.json()
    assert (response.status_code, problem["code"]) == (502, "upstream_key_rejected")
    assert problem["upstream"] == {"status": 401, "code": "authentication_error"}
    assert "not stored" in problem["detail"]
    assert (await ada.get(ADA)).status_code == 404
    [line] = await written(database)
    assert (line.action, line.outcome, line.target) == ("credentials.put", "refused", bad[which][0])


async def test_a_refused_key_leaves_the_one_before(
    ada: httpx.AsyncClient, exchange: Exchange
) -> None:
    """Who gives a key that is refused keeps the one that was accepted."""
    good = exchange.keys.issue("ed25519")
    await ada.put(ADA, json=body(good))

    await ada.put(ADA, json=body(("unknown", a_pem())))

    assert (await ada.get(ADA)).json()["api_key_id"] == good[0]


async def test_exchange_down(ada: httpx.AsyncClient, exchange: Exchange) -> None:
    """While the exchange cannot be asked a key is stored, and said to be unchecked."""
    key = exchange.keys.issue("ed25519")
    fault = exchange.faults.status(503)

    answer = (await ada.put(ADA, json=body(key))).json()
    exchange.faults.remove(fault)
    later = (await ada.post(f"{ADA}/check")).json()

    assert (answer["verdict"]["accepted"], answer["checked_at"]) == (None, None)
    assert found(answer)["exchange"] == "warning"
    assert later["verdict"]["accepted"] is True
    assert later == (await ada.get(ADA)).json()


async def test_clock_off(ada: httpx.AsyncClient, exchange: Exchange) -> None:
    """A clock that is wrong is a failure of this machine, and no reason to refuse the key."""
    exchange.faults.clock_off(90)

    answer = (await ada.put(ADA, json=body(exchange.keys.issue("ed25519")))).json()

    assert answer["verdict"]["accepted"] is True
    assert found(answer)["clock"] == "failure"
    assert answer["verdict"]["level"] == "failure"


async def test_clock_refused(ada: httpx.AsyncClient, exchange: Exchange) -> None:
    """A time that the exchange refuses again says nothing about the key: it is stored unchecked."""
    refusal = {"error": {"code": "header_timestamp_expired", "message": "expired"}}
    exchange.faults.status(401, json.dumps(refusal))

    answer = (await ada.put(ADA, json=body(exchange.keys.issue("ed25519")))).json()

    assert answer["verdict"]["accepted"] is None
    assert "time" in answer["verdict"]["findings"][1]["found"]


@pytest.mark.parametrize(
    ("scopes", "levels"),
    [
        (["read", "write::trade"], {"scopes": "ok", "transfers": "ok"}),
        (["read"], {"scopes": "ok", "transfers": "ok"}),
        (["read", "write"], {"scopes": "ok", "transfers": "warning"}),
        (["read", "write::transfer"], {"scopes": "ok", "transfers": "warning"}),
        (["write::trade"], {"exchange": "failure"}),
    ],
)
async def test_scopes(
    ada: httpx.AsyncClient, exchange: Exchange, scopes: list[str], levels: dict[str, str]
) -> None:
    """What the key may do is looked at: too little fails, the right to move money is a warning."""
    answer = (await ada.put(ADA, json=body(exchange.keys.issue("ed25519", scopes=scopes)))).json()

    assert answer["verdict"]["accepted"] is True
    assert found(answer).items() >= levels.items()


@pytest.mark.parametrize(
    ("days", "level"), [(None, "ok"), (100, "ok"), (5, "warning"), (-1, "failure")]
)
async def test_attestation(
    ada: httpx.AsyncClient, exchange: Exchange, days: int | None, level: str
) -> None:
    """An attestation that ends soon is a warning, one that has lapsed a failure."""
    key_id, pem = exchange.keys.issue("ed25519")
    key = exchange.keys.find(key_id)
    assert key is not None
    if days is not None:
        key.member.attested_us = micros(datetime.now(UTC) + timedelta(days=days))

    answer = (await ada.put(ADA, json=body((key_id, pem)))).json()

    assert found(answer)["attestation"] == level


async def test_checked_again(
    ada: httpx.AsyncClient, exchange: Exchange, database: Database
) -> None:
    """A check tells what has become of the key since, and is remembered."""
    key_id, pem = exchange.keys.issue("ed25519")
    await ada.put(ADA, json=body((key_id, pem)))
    exchange.keys.revoke(key_id)

    checked = (await ada.post(f"{ADA}/check")).json()

    assert checked["verdict"]["accepted"] is False
    assert found(checked)["exchange"] == "failure"
    assert (await ada.get(ADA)).json()["verdict"] == checked["verdict"]
    assert [line.action for line in await written(database)] == [
        "credentials.put",
        "credentials.check",
    ]


@pytest.mark.parametrize(
    "private_key",
    [
        "swordfish",
        "-----BEGIN PRIVATE KEY-----\nswordfish\n-----END PRIVATE KEY-----",
        "",
        "swordfish" * 2000,
        17,
        None,
        ["swordfish"],
    ],
)
async def test_unusable(ada: httpx.AsyncClient, database: Database, private_key: object) -> None:
    """What is no private key is refused without being repeated, and is not written down."""
    response = await ada.put(ADA, json={"api_key_id": "swordfish", "private_key": private_key})

    assert response.status_code == 422
    assert response.json()["code"] in {"key_unusable", "invalid_request"}
    assert "swordfish" not in response.text
    assert "swordfish" not in str(await written(database))
    assert (await ada.get(ADA)).status_code == 404


async def test_key_in_the_wrong_place(ada: httpx.AsyncClient, database: Database) -> None:
    """A private key given as the id is neither repeated nor written down."""
    response = await ada.put(ADA, json={"api_key_id": a_pem(), "private_key": a_pem()})

    secret = a_pem().splitlines()[1]
    assert response.status_code == 422
    assert secret not in response.text
    assert secret not in str(await written(database))


@pytest.mark.parametrize("known", [True, False], ids=["who has a key", "who has none"])
async def test_another_user(
    ada: httpx.AsyncClient, exchange: Exchange, database: Database, known: bool
) -> None:
    """Of another user nothing is told, not even whether he has a key."""
    new = body(exchange.keys.issue("ed25519"))
    if known:
        await ada.put(BOB, json=new, headers=await a_token(database, "bob"))

    answers = [
        await ada.get(BOB),
        await ada.put(BOB, json=new),
        await ada.delete(BOB),
        await ada.post(f"{BOB}/check"),
    ]

    assert [(a.status_code, a.json()["code"]) for a in answers] == [(403, "wrong_user")] * 4
    assert len({a.json()["detail"] for a in answers}) == 1


async def test_who_wrote(ada: httpx.AsyncClient, exchange: Exchange, database: Database) -> None:
    """Each write is a line that names the token and the request, in an unbroken chain."""
    key_id, pem = exchange.keys.issue("ed25519")

    await ada.put(ADA, json=body((key_id, pem)), headers={"X-Request-ID": "one"})
    await ada.post(f"{ADA}/check", headers={"X-Request-ID": "two"})
    await ada.delete(ADA, headers={"X-Request-ID": "three"})

    lines = await written(database)
    assert [(line.action, line.request_id) for line in lines] == [
        ("credentials.put", "one"),
        ("credentials.check", "two"),
        ("credentials.delete", "three"),
    ]
    assert {(line.caller, line.user_id, line.target, line.outcome) for line in lines} == {
        ("ada's app", "ada", key_id, "done")
    }
    assert all(line.token_id for line in lines)
    async with database.connect() as conn:
        report = await chain.verified(audit.lines(conn), await audit.head(conn))
    assert report.faults == ()


async def test_not_written_down_not_done(
    ada: httpx.AsyncClient, exchange: Exchange, database: Database
) -> None:
    """While nothing can be written down no key is stored, checked or deleted."""
    first = exchange.keys.issue("ed25519")
    await ada.put(ADA, json=body(first))
    async with database.begin() as conn:
        await conn.execute(text("SET LOCAL session_replication_role = replica"))
        await conn.execute(text("DELETE FROM audit_head"))

    answers = [
        await ada.put(ADA, json=body(exchange.keys.issue("ed25519"))),
        await ada.post(f"{ADA}/check"),
        await ada.delete(ADA),
    ]

    assert [(a.status_code, a.json()["code"]) for a in answers] == [(503, "audit_log_broken")] * 3
    assert (await ada.get(ADA)).json()["api_key_id"] == first[0]


async def test_own_key(settings: Settings, database_url: str, database: Database) -> None:
    """The key of the gateway's settings is shown and checked, and changed by nobody."""
    exchange = Exchange.generated(20)
    key_id, pem = exchange.keys.issue("ed25519")
    own = settings.model_copy(
        update={
            "kalshi_user_id": "ada",
            "kalshi_api_key_id": key_id,
            "kalshi_api_secret": SecretStr(pem),
        }
    )
    transport = httpx.ASGITransport(simulator.create_app(exchange))
    app = create_app(own, database_url=database_url, exchange=transport)
    asking = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
    new = body(exchange.keys.issue("ed25519"))

    async with app.router.lifespan_context(app), asking as ada:
        ada.headers.update(await a_token(database))
        shown = (await ada.get(ADA)).json()
        checked = (await ada.post(f"{ADA}/check")).json()
        changes = [await ada.put(ADA, json=new), await ada.delete(ADA)]

    assert (shown["source"], shown["api_key_id"], shown["created_at"]) == (
        "environment",
        key_id,
        None,
    )
    assert checked["verdict"]["accepted"] is True
    assert [(a.status_code, a.json()["code"]) for a in changes] == [
        (409, "credentials_from_environment")
    ] * 2


async def test_lost_master_key(
    ada: httpx.AsyncClient, exchange: Exchange, database_url: str, settings: Settings
) -> None:
    """Without its master key a row is shown and deleted, not used; and the problem says so."""
    await ada.put(ADA, json=body(exchange.keys.issue("ed25519")))
    other = settings.model_copy(update={"gateway_encryption_keys": SecretStr(setting(NEW))})
    app = create_app(other, database_url=database_url)
    asking = httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost", headers=ada.headers
    )

    async with app.router.lifespan_context(app), asking as later:
        checked = await later.post(f"{ADA}/check")
        shown = await later.get(ADA)
        deleted = await later.delete(ADA)

    assert (checked.status_code, checked.json()["code"]) == (503, "master_key_missing")
    assert (shown.status_code, deleted.status_code) == (200, 204)


async def test_lost_master_key_file(
    exchange: Exchange, database: Database, database_url: str, settings: Settings, tmp_path: Path
) -> None:
    """While rows wait for a lost master key no new one is made beside it; put back, all is well."""
    in_file = settings.model_copy(update={"gateway_encryption_keys": None})
    headers = await a_token(database)
    first, second = exchange.keys.issue("ed25519"), exchange.keys.issue("ed25519")
    codes = []

    async def put(key: tuple[str, str]) -> None:
        transport = httpx.ASGITransport(simulator.create_app(exchange))
        app = create_app(in_file, database_url=database_url, exchange=transport)
        asking = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost", headers=headers
        )
        async with app.router.lifespan_context(app), asking as ada:
            codes.append((await ada.put(ADA, json=body(key))).status_code)

    await put(first)
    kept = (tmp_path / "master.keys").rename(tmp_path / "elsewhere")
    await put(second)
    made_anew = (tmp_path / "master.keys").exists()
    kept.rename(tmp_path / "master.keys")
    await put(second)

    assert codes == [200, 503, 200]
    assert not made_anew


async def test_master_key_that_cannot_be_kept(
    exchange: Exchange, database: Database, database_url: str, settings: Settings, tmp_path: Path
) -> None:
    """A folder that cannot be written is said to be one, not a database that is away."""
    (tmp_path / "data").symlink_to(tmp_path / "unplugged")
    changed = {"gateway_encryption_keys": None, "gateway_data_dir": tmp_path / "data"}
    transport = httpx.ASGITransport(simulator.create_app(exchange))
    app = create_app(
        settings.model_copy(update=changed), database_url=database_url, exchange=transport
    )
    asking = httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://localhost",
        headers=await a_token(database),
    )

    async with app.router.lifespan_context(app), asking as ada:
        response = await ada.put(ADA, json=body(exchange.keys.issue("ed25519")))
        shown = await ada.get(ADA)

    problem = response.json()
    assert (response.status_code, problem["code"]) == (503, "master_keys_unusable")
    assert "cannot be written" in problem["detail"]
    assert problem["retryable"] is False
    assert shown.status_code == 404
