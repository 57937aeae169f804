"""`credential …`, `audit verify` and what `doctor` says of keys, run for real."""

import asyncio
import stat
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from kalshi_gateway.audit import repository as audit
from kalshi_gateway.audit.entry import Author, Line
from kalshi_gateway.credentials import repository
from kalshi_gateway.credentials.ring import KeyRing
from kalshi_gateway.credentials.vault import Vault
from kalshi_gateway.db import Database
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.tokens import keeping as tokens
from tests.credentials.builders import BASE_URL, HERE, NEW, OLD, a_pem, keep, kept, setting
from tests.sync.outages import listening
from tests.sync.test_commands import Ended, Shell


class Typist(Shell):
    """Types into commands, too."""

    async def type(self, typed: str, *words: str, **environment: str) -> Ended:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "kalshi_gateway",
            *words,
            cwd=self._folder,
            env={**self.environment, **environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(typed.encode())
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())


@pytest.fixture
def shell(database_url: str, tmp_path: Path) -> Typist:
    return Typist(database_url, tmp_path)


async def written(database: Database) -> list[Line]:
    async with database.connect() as conn:
        return [line async for line in audit.lines(conn)]


async def all_kept(database: Database) -> dict[str, str]:
    """Under which master key each user's key is sealed."""
    async with database.connect() as conn:
        return {row.user_id: row.sealed.master_key_id for row in await repository.page(conn)}


async def test_a_life(
    shell: Typist, exchange: Exchange, database: Database, tmp_path: Path
) -> None:
    """Stored from a file, shown, listed, checked, deleted: each 0, and never a line of the key."""
    key_id, pem = exchange.keys.issue("rsa", scopes=["read", "write::trade"])
    (tmp_path / "key.pem").write_text(pem)
    file = str(tmp_path / "key.pem")
    async with listening(exchange) as url:
        here = {"KALSHI_BASE_URL": url}
        ended = {
            name: await shell.run("credential", *words, **here)
            for name, words in {
                "set": ("set", "ada", "--key-id", key_id, "--key-file", file),
                "show": ("show", "ada"),
                "list": ("list",),
                "check": ("check", "ada"),
                "delete": ("delete", "ada"),
            }.items()
        }
        gone = await shell.run("credential", "show", "ada", **here)

    master = tmp_path / "data" / "master.keys"
    assert {name: (one.code, one.err) for name, one in ended.items()} == dict.fromkeys(
        ended, (0, "")
    )
    assert ended["set"].said["verdict"]["level"] == "ok"
    assert ended["show"].said == ended["set"].said
    [listed] = ended["list"].said["credentials"]
    assert listed["sealed_under"] == KeyRing.in_file(master).newest
    assert (gone.code, "No key" in gone.err) == (1, True)
    assert stat.S_IMODE(master.stat().st_mode) == 0o600
    said = "".join(one.out + one.err for one in [*ended.values(), gone])
    secrets = [*pem.splitlines()[1:-1], master.read_text().partition(":")[2].strip()]
    assert [secret for secret in secrets if secret in said] == []
    lines = await written(database)
    assert [line.action for line in lines] == [
        "credentials.put",
        "credentials.check",
        "credentials.delete",
    ]
    assert all(line.caller.endswith("(command line)") for line in lines)


async def test_typed(shell: Typist, exchange: Exchange, database: Database) -> None:
    """Without a file the key is read from stdin; the exchange being away does not matter."""
    key_id, pem = exchange.keys.issue("ed25519")

    ended = await shell.type(pem, "credential", "set", "ada", "--key-id", key_id)

    assert (ended.code, ended.said["verdict"]["accepted"]) == (0, None)
    assert list(await all_kept(database)) == ["ada"]


async def test_refused(shell: Typist, exchange: Exchange, database: Database) -> None:
    """What the exchange refuses, and what is no key: 1, with the reason and without the key."""
    async with listening(exchange) as url:
        words = ("credential", "set", "ada", "--key-id", "unknown")
        stranger = await shell.type(a_pem(), *words, KALSHI_BASE_URL=url)
        nonsense = await shell.type("swordfish", *words, KALSHI_BASE_URL=url)

    assert (stranger.code, nonsense.code) == (1, 1)
    assert "knows no key of this id" in stranger.err
    assert "not a PEM" in nonsense.err
    assert "swordfish" not in nonsense.err
    assert await all_kept(database) == {}


async def test_rotated(shell: Typist, database: Database) -> None:
    """A ring that is set: every row comes under its newest key, once, and opens as before."""
    rows = [kept(KeyRing([OLD]), name, pem=a_pem()) for name in ("ada", "bob", "cyd")]
    await keep(database, *rows)

    first = await shell.run("credential", "rotate", GATEWAY_ENCRYPTION_KEYS=setting(NEW, OLD))
    again = await shell.run("credential", "rotate", GATEWAY_ENCRYPTION_KEYS=setting(NEW, OLD))

    assert first.said == {"master_key_id": "new", "resealed": 3, "unreadable": []}
    assert again.said["resealed"] == 0
    assert await all_kept(database) == dict.fromkeys(("ada", "bob", "cyd"), "new")
    vault = Vault(database, KeyRing([NEW]), BASE_URL)
    for row in rows:
        assert (await vault.open(row.user_id)).key.fingerprint == row.fingerprint
    assert [line.action for line in await written(database)] == ["credentials.rotate"] * 2


async def test_half_rotated(shell: Typist, database: Database) -> None:
    """Rows under several keys of the ring all open, and another rotation brings them together."""
    await keep(database, kept(KeyRing([OLD]), "ada"), kept(KeyRing([NEW]), "bob"))
    vault = Vault(database, KeyRing([NEW, OLD]), BASE_URL)

    opened = [(await vault.open(name)).key.key_id for name in ("ada", "bob")]
    rotated = await shell.run("credential", "rotate", GATEWAY_ENCRYPTION_KEYS=setting(NEW, OLD))

    assert opened == ["key-of-ada", "key-of-bob"]
    assert (rotated.code, rotated.said["resealed"]) == (0, 1)


async def test_rotated_without_a_key(shell: Typist, database: Database) -> None:
    """A row that does not open stays as it is and is named: 1; the others are sealed anew."""
    lost = kept(KeyRing([("lost", bytes(32))]), "bob")
    wrong = kept(KeyRing([("old", bytes(32))]), "cyd")
    await keep(database, kept(KeyRing([OLD]), "ada"), lost, wrong)

    ended = await shell.run("credential", "rotate", GATEWAY_ENCRYPTION_KEYS=setting(NEW, OLD))

    assert ended.code == 1
    assert ended.said == {"master_key_id": "new", "resealed": 1, "unreadable": ["bob", "cyd"]}
    async with database.connect() as conn:
        after = {row.user_id: row.sealed for row in await repository.page(conn)}
    assert (after["bob"], after["cyd"]) == (lost.sealed, wrong.sealed)
    [line] = await written(database)
    assert (line.action, line.outcome) == ("credentials.rotate", "failed")


async def test_rotated_while_serving(shell: Typist, database: Database, tmp_path: Path) -> None:
    """While a generated ring is turned a serving process opens every key, each time it is asked."""
    path = tmp_path / "data" / "master.keys"
    ring = KeyRing.in_file(path)
    ring.begin()
    names = [f"user-{n}" for n in range(10)]
    await keep(database, *(kept(ring, name) for name in names))
    vault = Vault(database, ring, BASE_URL, believed_for=timedelta(0))
    over = asyncio.Event()

    async def serve() -> int:
        opened = 0
        while not over.is_set():
            for name in names:
                vault.forget(name)
                assert (await vault.open(name)).key.key_id == f"key-of-{name}"
                opened += 1
        return opened

    serving = asyncio.create_task(serve())
    before = await all_kept(database)
    ended = [await shell.run("credential", "rotate") for _ in range(3)]
    over.set()

    assert await serving > 0
    assert [(one.code, one.said["resealed"]) for one in ended] == [(0, 10)] * 3
    assert len(KeyRing.in_file(path).ids) == 4
    assert set(before.values()) != set((await all_kept(database)).values())
    assert set((await all_kept(database)).values()) == {KeyRing.in_file(path).newest}


async def test_audit_verify(shell: Typist, database: Database) -> None:
    """A log that is in order: 0. One that somebody changed: 1, and where. Misused: 2."""
    for name in ("first", "second", "third"):
        await tokens.create(database, name, ["read"], "ada", None, Author("ada"))

    good = await shell.run("audit", "verify")
    noted = f"{good.said['seq']}:{good.said['hash']}"
    again = await shell.run("audit", "verify", "--noted", noted)
    misused = await shell.run("audit", "verify", "--noted", "nonsense")
    async with database.begin() as conn:
        await conn.execute(text("SET LOCAL session_replication_role = replica"))
        await conn.execute(text("UPDATE audit_log SET caller = 'bob' WHERE seq = 2"))
    bad = await shell.run("audit", "verify", "--noted", noted)

    assert (good.code, good.said["lines"], again.code, misused.code, bad.code) == (0, 3, 0, 2, 1)
    assert bad.said["faults"] == [
        {"seq": 2, "what": "changed or moved: not what was written in this place"}
    ]


async def test_doctor_on_keys(
    shell: Typist, exchange: Exchange, database: Database, tmp_path: Path
) -> None:
    """The doctor opens each stored key and asks the exchange about it."""
    good_id, good = exchange.keys.issue("ed25519", scopes=["read", "write::trade"])
    ring = {"GATEWAY_ENCRYPTION_KEYS": setting(NEW, OLD)}
    async with listening(exchange) as url:
        environment = {**ring, "KALSHI_BASE_URL": url}
        host = url.removeprefix("http://").partition("/")[0]
        await shell.type(good, "credential", "set", "ada", "--key-id", good_id, **environment)
        await keep(
            database,
            kept(KeyRing([OLD]), "bob", pem=a_pem(), environment=host),
            kept(KeyRing([OLD]), "cyd", environment=HERE),
            kept(KeyRing([("lost", bytes(32))]), "dan", environment=host),
        )
        ended = await shell.run("doctor", "--json", **environment)

    levels = {finding["what"]: finding["level"] for finding in ended.said["findings"]}
    assert ended.code == 1
    assert levels["key of ada"] == "ok"
    assert [levels[f"key of {name}"] for name in ("bob", "cyd", "dan")] == ["failure"] * 3
    assert levels["master keys"] == "failure"
    assert a_pem().splitlines()[1] not in ended.out + ended.err
