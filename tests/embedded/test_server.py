"""What the server offers, where its home may be, and what is said when it cannot run."""

import asyncio
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from kalshi_gateway import embedded
from kalshi_gateway.db import sqlalchemy_url
from kalshi_gateway.embedded import EmbeddedUnavailable
from kalshi_gateway.embedded.server import Server
from tests.embedded.processes import (
    acquire,
    ask,
    postmaster_of,
    supervisor_of,
)


def test_sqlalchemy_understands_the_url(home: Path) -> None:
    """The URL serves SQLAlchemy as it serves asyncpg, once the scheme names the driver."""

    async def asked(url: str) -> Any:
        engine = create_async_engine(sqlalchemy_url(url))
        async with engine.connect() as conn:
            answer = await conn.scalar(text("SELECT current_database()"))
        await engine.dispose()
        return answer

    with acquire(home) as server:
        answer = asyncio.run(asked(server.url("postgres")))

    assert answer == "postgres"


def test_text_sorts_by_bytes_and_knows_its_lower_case(home: Path) -> None:
    """The embedded server sorts and folds text as the one in our compose file does."""
    with acquire(home) as server:
        order = ask(
            server.url(), "SELECT string_agg(x, '' ORDER BY x) FROM unnest('{a,B,é}'::text[]) x"
        )
        lower = ask(server.url(), "SELECT lower('ÉÀ')")

    assert order == "Baé"
    assert lower == "éà"


def test_data_outlive_the_server(home: Path) -> None:
    """What one run wrote, the next one reads."""
    with acquire(home) as server:
        ask(server.url(), "CREATE TABLE kept AS SELECT 42 AS answer")

    with acquire(home) as server:
        answer = ask(server.url(), "SELECT answer FROM kept")

    assert answer == 42


def test_lost_database_is_made_again(home: Path) -> None:
    """Our database is created whenever the server starts without it."""
    with acquire(home) as server:
        ask(server.url("postgres"), "DROP DATABASE kalshi_gateway")

    with acquire(home) as server:
        name = ask(server.url(), "SELECT current_database()")

    assert name == "kalshi_gateway"


@pytest.mark.parametrize(
    "name",
    ["with a space", "naïve-дом", "co,mma:and'quote", "long-" * 30],
    ids=["space", "non-ascii", "punctuation", "long"],
)
def test_any_path_will_do(home: Path, folder: Path, name: str) -> None:
    """A home may have any name, also one no socket could have."""
    moved = home.rename(folder / name)

    try:
        with acquire(moved) as server:
            answer = ask(server.url(), "SELECT true")
            sockets = Path(Server.load(moved).sockets)
    finally:
        moved.rename(home)

    assert answer is True
    assert sockets.parent == moved or not sockets.exists()


def test_socket_folder_of_a_stranger_is_refused(home: Path, folder: Path) -> None:
    """A short socket folder that others may write to is not used."""
    moved = home.rename(folder / ("long-" * 30))
    with acquire(moved):
        sockets = Path(Server.load(moved).sockets)
    sockets.mkdir()
    sockets.chmod(0o777)

    try:
        with pytest.raises(EmbeddedUnavailable, match="shorter GATEWAY_DATA_DIR"):
            acquire(moved)
    finally:
        sockets.rmdir()
        moved.rename(home)


def test_secrets_of_the_caller_are_not_handed_on(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server and its supervisor live long, and know no secret of their caller's."""
    monkeypatch.setenv("GATEWAY_ENCRYPTION_KEYS", "top-secret")

    with acquire(home):
        environments = [
            Path(f"/proc/{pid}/environ").read_bytes()
            for pid in (postmaster_of(home), supervisor_of(home))
        ]

    assert all(b"PATH=" in environment for environment in environments)
    assert not any(b"top-secret" in environment for environment in environments)


def test_server_listens_on_no_network(home: Path) -> None:
    """Only a Unix socket leads to the server, and only its owner may open it."""
    with acquire(home) as server:
        addresses = ask(server.url(), "SHOW listen_addresses")
        mode = Path(Server.load(home).sockets, ".s.PGSQL.5432").stat().st_mode

    assert addresses == ""
    assert stat.S_IMODE(mode) == 0o700


def test_long_log_is_put_aside(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that has grown long starts anew, and the old one is kept once."""
    monkeypatch.setattr(embedded, "LOG_BYTES", 10)
    (home / "postgres.log").write_text("what was said before\n")

    acquire(home).release()

    assert (home / "postgres.log.1").read_text() == "what was said before\n"
    assert "what was said" not in (home / "postgres.log").read_text()


def test_missing_programs_are_explained(folder: Path) -> None:
    """Where there is no PostgreSQL at all, the error says what to do."""
    with pytest.raises(EmbeddedUnavailable, match="install postgres, or set DATABASE_URL"):
        acquire(folder / "home", bin_dir=folder)


def test_data_of_another_major_version_are_not_passed_over(home: Path) -> None:
    """Data that none of the programs found can read are not silently replaced by empty ones."""
    [data] = home.glob("pg*/PG_VERSION")
    newer = data.parent.rename(home / "pg99")

    try:
        with pytest.raises(EmbeddedUnavailable, match="PostgreSQL 99"):
            acquire(home)
    finally:
        newer.rename(data.parent)


def test_server_that_cannot_start_says_why(home: Path) -> None:
    """What Postgres itself complained of is part of the error."""
    with pytest.raises(EmbeddedUnavailable, match='unrecognized configuration parameter "no_such"'):
        acquire(home, options=("no_such=thing",))


def test_home_that_cannot_be_made_is_an_error_of_ours(folder: Path) -> None:
    """A home that is a file is told like any other trouble."""
    (folder / "file").touch()

    with pytest.raises(EmbeddedUnavailable, match="file"):
        acquire(folder / "file")


def test_data_are_closed_to_other_users(folder: Path) -> None:
    """The folders we make let nobody look around, whatever the umask; others stay as they are."""
    before = stat.S_IMODE(folder.stat().st_mode)
    umask = os.umask(0)
    try:
        embedded.make_data_dir(folder / "a/b")
    finally:
        os.umask(umask)

    modes = {stat.S_IMODE(path.stat().st_mode) for path in (folder / "a", folder / "a/b")}
    assert modes == {0o711 if os.geteuid() == 0 else 0o700}
    assert stat.S_IMODE(folder.stat().st_mode) == before


def test_data_dir_follows_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's data belong to the system, a user's to where XDG says."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", "/elsewhere")

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert embedded.default_data_dir() == Path("/elsewhere/kalshi-gateway")
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    assert embedded.default_data_dir() == Path.home() / ".local/share/kalshi-gateway"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert embedded.default_data_dir() == Path("/var/lib/kalshi-gateway")
