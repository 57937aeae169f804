"""The commands that a person types, run for real: what they print, and how they end."""

import asyncio
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from kalshi_gateway.db import Database, leadership
from kalshi_gateway.kalshi.signing import ApiKey
from kalshi_gateway.markets.sync import JOB
from kalshi_gateway.simulator.exchange import Exchange
from tests import postgres

from .outages import ROOT, eventually, listening

WHOLE_SECONDS = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
NOWHERE = "http://127.0.0.1:1/trade-api/v2"


@dataclass(frozen=True)
class Ended:
    """A command that has run."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> Any:
        """Its answer, where it is JSON."""
        return json.loads(self.out)


class Shell:
    """Runs commands beside one database, in an empty folder and a known environment."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "src"),
            "DATABASE_URL": database_url,
            "GATEWAY_DATA_DIR": str(folder / "data"),
            "KALSHI_BASE_URL": NOWHERE,
            "GATEWAY_LOG_LEVEL": "error",
        }
        self._folder = folder

    async def start(self, *words: str, **environment: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "kalshi_gateway",
            *words,
            cwd=self._folder,
            env={**self.environment, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *words: str, **environment: str) -> Ended:
        process = await self.start(*words, **environment)
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())


@pytest.fixture
def key(exchange: Exchange, tmp_path: Path) -> dict[str, str]:
    """A key that the exchange knows, as the environment gives it."""
    key_id, pem = exchange.keys.issue("ed25519")
    (tmp_path / "key.pem").write_text(pem)
    return {
        "KALSHI_API_KEY_ID": key_id,
        "KALSHI_API_SECRET_FILE": str(tmp_path / "key.pem"),
    }


@pytest.fixture
def shell(database_url: str, tmp_path: Path) -> Shell:
    return Shell(database_url, tmp_path)


async def test_sync_walks_everything_and_tells_what_it_did(
    shell: Shell, exchange: Exchange, key: dict[str, str]
) -> None:
    """Its numbers, those of the tables and those of /kalshi/status are the same; done is 0."""
    token = (await shell.run("token", "create", "door", "--scope", "admin")).said["token"]
    async with listening(exchange) as url:
        done = await shell.run("sync", "--json", KALSHI_BASE_URL=url, **key)
        again = await shell.run("sync", "--json", KALSHI_BASE_URL=url, **key)
        async with gateway(shell, url) as client:
            stranger = await client.get("/kalshi/status")
            shown = await client.get("/kalshi/status", headers={"Authorization": f"Bearer {token}"})

    walks = {walk["scope"]: walk for walk in done.said["walks"]}
    status = shown.json()["catalogue"]
    assert done.code == again.code == 0
    assert all(walk["complete"] and walk["failure"] is None for walk in walks.values())
    assert walks["markets:open"]["rows"] == len(exchange.catalogue.created["open", 0])
    assert walks["markets:open"]["changed"] == walks["markets:open"]["rows"]
    assert [walk["changed"] for walk in again.said["walks"]] == [0] * len(walks)
    assert all(re.fullmatch(WHOLE_SECONDS, walk["began_at"]) for walk in walks.values())
    assert stranger.status_code == 401
    assert status["complete"] is True
    assert {
        walk["scope"]: (walk["pages"], walk["rows"], walk["set_aside"]) for walk in status["walks"]
    } == {walk["scope"]: (walk["pages"], walk["rows"], 0) for walk in again.said["walks"]}


@asynccontextmanager
async def gateway(shell: Shell, exchange_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """`serve`, without jobs of its own; it ends well when it is told to."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    process = await shell.start(
        "serve", "--port", str(port), KALSHI_BASE_URL=exchange_url, GATEWAY_JOBS="false"
    )
    base_url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=base_url, trust_env=False) as client:
            await eventually(partial(answers, client))
            yield client
    finally:
        process.terminate()
        await process.communicate()
    assert process.returncode == 0


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).status_code == 200
    except httpx.TransportError:
        return False


async def test_sync_that_does_not_reach_its_end_says_so(shell: Shell, exchange: Exchange) -> None:
    """Failed is 1, with the reason of each walk in the answer and no traceback beside it."""
    async with listening(exchange) as url:
        exchange.faults.status(400, operation="GET /markets")
        failed = await shell.run("sync", "--json", KALSHI_BASE_URL=url)

    walks = {walk["scope"]: walk for walk in failed.said["walks"]}
    assert failed.code == 1
    assert walks["series"]["complete"] is True
    assert walks["markets:open"]["complete"] is False
    assert walks["markets:open"]["failure"].startswith("400")
    assert "Traceback" not in failed.err


async def test_sync_beside_a_running_gateway_is_refused(shell: Shell, database_url: str) -> None:
    """Somebody else keeps this catalogue fresh: 1, and a sentence that says where to look."""
    async with leadership(database_url, JOB):
        refused = await shell.run("sync", "--json")

    assert (refused.code, refused.out) == (1, "")
    assert "/kalshi/status" in refused.err
    assert "Traceback" not in refused.err


async def test_doctor_finds_nothing_wrong_where_nothing_is(
    shell: Shell, exchange: Exchange, key: dict[str, str]
) -> None:
    """Settings, database, schema, exchange, clock and key: 0, and not a line of the key."""
    async with listening(exchange) as url:
        healthy = await shell.run("doctor", "--json", KALSHI_BASE_URL=url, **key)

    findings = {finding["what"]: finding for finding in healthy.said["findings"]}
    assert healthy.code == 0
    assert all(finding["ok"] for finding in findings.values())
    assert {"settings", "database", "schema", "master keys", "exchange", "clock"} <= findings.keys()
    assert "basic" in findings["key: tier"]["found"]
    for line in lines_of(key["KALSHI_API_SECRET_FILE"]):
        assert line not in healthy.out + healthy.err


async def test_doctor_is_content_with_a_fresh_database(
    cluster: postgres.Cluster, exchange: Exchange, tmp_path: Path
) -> None:
    """No schema yet is nothing wrong, and is told: the next command makes it."""
    async with cluster.empty_database() as url, listening(exchange) as exchange_url:
        fresh = await Shell(url, tmp_path).run("doctor", "--json", KALSHI_BASE_URL=exchange_url)

    (schema,) = [finding for finding in fresh.said["findings"] if finding["what"] == "schema"]
    assert fresh.code == 0, fresh.out
    assert (schema["level"], schema["ok"]) == ("ok", True)
    assert "none yet" in schema["found"]


@pytest.mark.parametrize(
    ("revision", "level", "advice", "code"),
    [("0001", "warning", "migrate", 0), ("9999", "failure", "newer gateway", 1)],
)
async def test_doctor_tells_an_old_schema_from_a_new_one(
    shell: Shell,
    database: Database,
    exchange: Exchange,
    revision: str,
    level: str,
    advice: str,
    code: int,
) -> None:
    """An older one is brought up by whatever starts; on a newer one nothing would start."""
    async with database.driver() as conn:
        await conn.execute("UPDATE alembic_version SET version_num = $1", revision)

    async with listening(exchange) as url:
        looked = await shell.run("doctor", "--json", KALSHI_BASE_URL=url)

    (schema,) = [finding for finding in looked.said["findings"] if finding["what"] == "schema"]
    assert (looked.code, schema["level"]) == (code, level)
    assert f"at {revision}" in schema["found"]
    assert advice in schema["advice"]


def lines_of(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


async def test_doctor_says_what_to_do_about_each_failure(
    shell: Shell, exchange: Exchange, key: dict[str, str]
) -> None:
    """A key of another environment, an exchange that is not there: 1, with advice."""
    unknown = {**key, "KALSHI_API_KEY_ID": "somebody-else"}
    async with listening(exchange) as url:
        stranger = await shell.run("doctor", "--json", KALSHI_BASE_URL=url, **unknown)
    alone = await shell.run("doctor", "--json", DATABASE_URL="postgresql://127.0.0.1:1/none")

    for ended, failed in ((stranger, {"key: exchange"}), (alone, {"database", "exchange"})):
        wrong = [finding for finding in ended.said["findings"] if not finding["ok"]]
        assert ended.code == 1
        assert {finding["what"] for finding in wrong} == failed
        assert all(finding["advice"] for finding in wrong)
        assert "Traceback" not in ended.err


async def test_tokens_come_and_go(shell: Shell) -> None:
    """Created once with its secret, listed without it, revoked by name: 0; unknown: 1."""
    created = await shell.run("token", "create", "desk", "--scope", "read", "--user", "ada")
    secret = created.said["token"]
    listed = await shell.run("token", "list", "--json")
    revoked = await shell.run("token", "revoke", "desk")
    again = await shell.run("token", "revoke", "desk")
    after = await shell.run("token", "list")

    assert [ended.code for ended in (created, listed, revoked, again, after)] == [0, 0, 0, 1, 0]
    assert secret.startswith("kgw_")
    assert [(t["name"], t["user_id"], t["scopes"]) for t in listed.said["tokens"]] == [
        ("desk", "ada", ["read"])
    ]
    assert after.said["tokens"][0]["revoked_at"] is not None
    assert "desk" in again.err
    for ended in (listed, revoked, again, after):
        assert secret not in ended.out + ended.err
        assert secret.removeprefix("kgw_") not in ended.out + ended.err


async def test_keys_come_and_go(shell: Shell) -> None:
    """Created once with their private half, listed without it, revoked by id: 0; unknown: 1."""
    words = ("key", "create", "--user", "ada", "--scope", "read", "--scope", "trade")
    created = await shell.run(*words, "--kind", "ed25519")
    key_id, pem = created.said["id"], created.said["private_key"]
    listed = await shell.run("key", "list")
    ends = [await shell.run("key", "revoke", name) for name in (key_id, key_id, "desk")]
    after = await shell.run("key", "list", "--json")
    misused = await shell.run("key", "create", "--user", "ada", "--scope", "admin")

    assert [ended.code for ended in (created, listed, *ends, after)] == [0, 0, 0, 1, 1, 0]
    assert misused.code == 2
    assert ApiKey.from_pem(key_id, pem).fingerprint == listed.said["keys"][0]["fingerprint"]
    assert [(k["id"], k["user_id"], k["kind"], k["scopes"]) for k in listed.said["keys"]] == [
        (key_id, "ada", "ed25519", ["read", "trade"])
    ]
    assert after.said["keys"][0]["revoked_at"] is not None
    for ended in (listed, *ends, after):
        assert pem.splitlines()[1] not in ended.out + ended.err


MISUSED = {
    "an unknown command": (["sink"], {}),
    "an unknown option": (["sync", "--fast"], {}),
    "a setting that is none": (["sync"], {"GATEWAY_CATALOGUE_REFRESH_SECONDS": "soon"}),
    "a stranger's host": (["sync"], {"KALSHI_BASE_URL": "https://example.com/trade-api/v2"}),
}


@pytest.mark.parametrize("misuse", MISUSED)
async def test_misuse_ends_with_2(shell: Shell, misuse: str) -> None:
    """With a sentence on stderr, and nothing on stdout."""
    words, environment = MISUSED[misuse]

    ended = await shell.run(*words, **environment)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err
    assert "Traceback" not in ended.err
