"""Users' keys, opened."""

import asyncio
import pickle
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from kalshi_gateway.credentials import repository
from kalshi_gateway.credentials.credential import (
    CredentialsFromEnvironment,
    NoCredentials,
    OtherEnvironment,
    environment_of,
)
from kalshi_gateway.credentials.ring import KeyRing, MasterKeyMissing, SealBroken
from kalshi_gateway.credentials.vault import Vault
from kalshi_gateway.db import Database, DatabaseUnavailable
from kalshi_gateway.kalshi.signing import ApiKey, ForeignHost
from tests.credentials.builders import BASE_URL, NEW, OLD, a_pem, keep, kept

RING = KeyRing([OLD])
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
ALWAYS_ASK = timedelta(0)
NEVER_ASK_AGAIN = timedelta(hours=1)


@pytest.fixture
def vault(database: Database) -> Vault:
    return Vault(database, RING, BASE_URL, believed_for=ALWAYS_ASK, hears=True)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the keys that were parsed."""
    found: list[str] = []
    parse = ApiKey._parse.__func__  # type: ignore[attr-defined]

    def counted(cls: type[ApiKey], key_id: str, *args: Any, **kwargs: Any) -> ApiKey:
        found.append(key_id)
        return parse(cls, key_id, *args, **kwargs)  # type: ignore[no-any-return]

    monkeypatch.setattr(ApiKey, "_parse", classmethod(counted))
    return found


async def test_opens(database: Database, vault: Vault) -> None:
    """A key that was sealed signs for its user."""
    row = kept(RING)
    await keep(database, row)

    signer = await vault.open("ada")

    assert signer.key.key_id == row.api_key_id
    assert signer.key.fingerprint == row.fingerprint


async def test_no_key(vault: Vault) -> None:
    """A user without a key is told so."""
    with pytest.raises(NoCredentials):
        await vault.open("ada")


async def test_each_has_their_own(database: Database, vault: Vault) -> None:
    """Nobody is given another's key."""
    await keep(database, kept(RING, "ada", pem=a_pem(1)), kept(RING, "bob", pem=a_pem(2)))

    ada, bob = await vault.open("ada"), await vault.open("bob")

    assert ada.key.fingerprint == ApiKey.from_pem("x", a_pem(1)).fingerprint
    assert bob.key.fingerprint == ApiKey.from_pem("x", a_pem(2)).fingerprint


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE kalshi_user_credentials SET user_id = 'bob'",
        "INSERT INTO kalshi_user_credentials SELECT 'bob', id, api_key_id, kind, fingerprint, "
        "environment, master_key_id, sealed, created_at FROM kalshi_user_credentials",
        "INSERT INTO kalshi_user_credentials SELECT 'bob', gen_random_uuid(), api_key_id, kind, "
        "fingerprint, environment, master_key_id, sealed, created_at FROM kalshi_user_credentials",
    ],
    ids=["moved", "copied", "copied under an id of its own"],
)
async def test_a_copied_row_does_not_open(database: Database, vault: Vault, forgery: str) -> None:
    """A row that was brought to another user by SQL opens nothing there."""
    await keep(database, kept(RING, "ada"))
    async with database.begin() as conn:
        await conn.execute(text(forgery))

    with pytest.raises(SealBroken):
        await vault.open("bob")


@pytest.mark.parametrize(
    "forgery",
    [
        "sealed = (SELECT sealed FROM kalshi_user_credentials WHERE user_id = 'bob')",
        "api_key_id = 'another'",
        "id = gen_random_uuid()",
    ],
)
async def test_a_changed_row_does_not_open(database: Database, vault: Vault, forgery: str) -> None:
    """A row in which anything was changed by SQL opens nothing."""
    await keep(database, kept(RING, "ada"), kept(RING, "bob"))
    async with database.begin() as conn:
        await conn.execute(
            text(f"UPDATE kalshi_user_credentials SET {forgery} WHERE user_id = 'ada'")
        )

    with pytest.raises(SealBroken):
        await vault.open("ada")


async def test_environments_are_not_crossed(database: Database, vault: Vault) -> None:
    """A key of production is not opened where demo is spoken to, whatever SQL makes of its row."""
    await keep(database, kept(RING, environment="production"))

    with pytest.raises(OtherEnvironment):
        await vault.open("ada")
    async with database.begin() as conn:
        await conn.execute(
            text("UPDATE kalshi_user_credentials SET environment = :here"),
            {"here": vault.environment},
        )
    with pytest.raises(SealBroken):
        await vault.open("ada")


async def test_signs_for_its_host_only(database: Database, vault: Vault) -> None:
    """What the vault gives out signs for this gateway's exchange and nobody else."""
    await keep(database, kept(RING))

    signer = await vault.open("ada")

    assert signer.headers("GET", httpx.URL(BASE_URL))
    with pytest.raises(ForeignHost):
        signer.headers("GET", httpx.URL("https://external-api.kalshi.com/trade-api/v2"))


def test_environments() -> None:
    """Both hosts of production are one environment, as are those of demo; others are their own."""
    hosts = {
        "https://external-api.kalshi.com/trade-api/v2": "production",
        "https://api.elections.kalshi.com/trade-api/v2": "production",
        "https://external-api.demo.kalshi.co/trade-api/v2": "demo",
        "https://demo-api.kalshi.co/trade-api/v2": "demo",
        "http://127.0.0.1:8001/trade-api/v2": "127.0.0.1:8001",
        "https://external-api.kalshi.com.evil.example/trade-api/v2": (
            "external-api.kalshi.com.evil.example"
        ),
    }

    assert {url: environment_of(url) for url in hosts} == hosts


async def test_parsed_once(database: Database, vault: Vault, parsed: list[str]) -> None:
    """A key is parsed once, however often and by however many it is asked for."""
    row = kept(RING)
    await keep(database, row)
    parsed.clear()

    signers = await asyncio.gather(*(vault.open("ada") for _ in range(20)))
    signers.append(await vault.open("ada"))

    assert parsed == [row.api_key_id]
    assert len(set(signers)) == 1


async def test_holds_no_more_open_than_it_may(
    database: Database, vault: Vault, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many users the keys used least recently are given up, and opened anew when needed."""
    monkeypatch.setattr("kalshi_gateway.credentials.vault.MOST_OPENED", 2)
    for user_id in ("ada", "bob", "eve"):
        await keep(database, kept(RING, user_id))
    ada, bob = await vault.open("ada"), await vault.open("bob")
    await vault.open("ada")

    await vault.open("eve")
    parsed.clear()

    assert await vault.open("ada") is ada
    assert parsed == []
    assert await vault.open("bob") is not bob
    assert len(parsed) == 1


async def test_believed_for_a_moment(database: Database) -> None:
    """Within its moment a key signs without a question to the database, until we are told."""
    vault = Vault(database, RING, BASE_URL, believed_for=NEVER_ASK_AGAIN, hears=True)
    await keep(database, kept(RING, "ada"), kept(RING, "bob"))
    first = {user_id: await vault.open(user_id) for user_id in ("ada", "bob")}

    async with Database.opened(NOWHERE) as gone:
        vault.database = gone
        assert await vault.open("ada") is first["ada"]
        vault.forget("ada")
        with pytest.raises(DatabaseUnavailable):
            await vault.open("ada")
        assert await vault.open("bob") is first["bob"]
        vault.forget(None)
        with pytest.raises(DatabaseUnavailable):
            await vault.open("bob")


async def test_nothing_is_believed_that_nobody_would_tell(database: Database) -> None:
    """Who would not hear of another key asks before each signature."""
    vault = Vault(database, RING, BASE_URL, believed_for=NEVER_ASK_AGAIN)
    await keep(database, kept(RING))
    first = await vault.open("ada")
    same = await vault.open("ada")

    async with database.begin() as conn:
        await repository.remove(conn, "ada")

    assert same is first
    with pytest.raises(NoCredentials):
        await vault.open("ada")


async def test_told_while_it_looks(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked up before the change is believed by nobody who asks after it."""
    vault = Vault(database, RING, BASE_URL, believed_for=NEVER_ASK_AGAIN, hears=True)
    await keep(database, kept(RING))
    first = await vault.open("ada")
    vault.forget("ada")
    looked, go_on = asyncio.Event(), asyncio.Event()
    current = repository.current

    async def slow(driver: Any, user_id: str) -> Any:
        row_id = await current(driver, user_id)
        looked.set()
        await go_on.wait()
        return row_id

    monkeypatch.setattr(repository, "current", slow)
    before = asyncio.create_task(vault.open("ada"))
    await looked.wait()
    async with database.begin() as conn:
        await repository.remove(conn, "ada")
    vault.forget("ada")
    after = asyncio.create_task(vault.open("ada"))
    go_on.set()

    assert await before is first
    with pytest.raises(NoCredentials):
        await after
    with pytest.raises(NoCredentials):
        await vault.open("ada")


async def test_replaced_elsewhere(database: Database, vault: Vault) -> None:
    """A key that another process has replaced or deleted signs no more once it is asked about."""
    await keep(database, kept(RING, pem=a_pem(1)))
    before = await vault.open("ada")

    await keep(database, kept(RING, pem=a_pem(2)))
    after = await vault.open("ada")
    async with database.begin() as conn:
        await repository.remove(conn, "ada")

    assert before.key.fingerprint != after.key.fingerprint
    with pytest.raises(NoCredentials):
        await vault.open("ada")


async def test_resealed_elsewhere(database: Database, parsed: list[str]) -> None:
    """Rotation changes nothing for who has a key open, and nobody has to parse it again."""
    vault = Vault(database, KeyRing([NEW, OLD]), BASE_URL, believed_for=ALWAYS_ASK)
    row = kept(RING)
    await keep(database, row)
    before = await vault.open("ada")
    parsed.clear()

    async with database.begin() as conn:
        pem = RING.open(row.sealed, row.bound_to)
        await repository.reseal(conn, row.id, KeyRing([NEW]).seal(pem, row.bound_to))

    assert await vault.open("ada") is before
    assert parsed == []
    anew = Vault(database, KeyRing([NEW]), BASE_URL)
    assert (await anew.open("ada")).key.fingerprint == row.fingerprint


async def test_lost_master_key(database: Database) -> None:
    """Without its master key a user's key does not open, others' do."""
    await keep(database, kept(KeyRing([OLD]), "ada"), kept(KeyRing([NEW]), "bob"))
    vault = Vault(database, KeyRing([NEW]), BASE_URL)

    with pytest.raises(MasterKeyMissing):
        await vault.open("ada")
    assert (await vault.open("bob")).key.key_id == "key-of-bob"


async def test_one_who_gives_up_does_not_matter(database: Database, vault: Vault) -> None:
    """A caller that gives up leaves the answer to those who asked with it."""
    await keep(database, kept(RING))
    first = asyncio.create_task(vault.open("ada"))
    second = asyncio.create_task(vault.open("ada"))
    await asyncio.sleep(0)

    first.cancel()

    assert (await second).key.key_id == "key-of-ada"


async def test_own_key(database: Database) -> None:
    """The key of the settings speaks for its user, before any that is stored."""
    own = ApiKey.from_pem("own", a_pem(3))
    vault = Vault(database, RING, BASE_URL, own=("ada", own))
    await keep(database, kept(RING, "ada"), kept(RING, "bob"))

    assert (await vault.open("ada")).key is own
    assert (await vault.open("bob")).key is not own
    assert (await vault.show("ada")).source == "environment"
    vault.refuse_own("bob")
    with pytest.raises(CredentialsFromEnvironment):
        vault.refuse_own("ada")


async def test_a_vault_shows_nothing(database: Database, vault: Vault) -> None:
    """Neither the vault nor what it gives out shows a key, and none of it can be pickled."""
    await keep(database, kept(RING))
    signer = await vault.open("ada")

    shown = f"{vault!r} {vault.ring!r} {signer!r} {signer.key!r}"

    assert a_pem().splitlines()[1][:12] not in shown
    with pytest.raises(TypeError):
        pickle.dumps(signer.key)
