"""A Postgres of our own, for as long as any local process uses it, when DATABASE_URL is absent.

Every process that uses the server holds a *shared* flock on `users.lock`, which the kernel drops
however the process ends, so there are no lists of pids to go wrong. A detached supervisor is the
postmaster's parent; as soon as it can take that lock exclusively nobody is left, and it stops the
server. In a home folder lie

    start.lock       held while one process starts or joins the server
    users.lock       held, shared, by each process that uses it
    supervisor.lock  held by the supervisor from birth to death
    server.json      what the supervisor runs, for itself and for those who join
    postgres.log     what the server had to say
    pg18/            the data of one major version, and usually the server's socket
"""

import asyncio
import hashlib
import os
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from . import build, locks
from .server import PORT, Account, EmbeddedUnavailable, Server

__all__ = ["Embedded", "EmbeddedUnavailable", "acquire", "default_data_dir", "make_data_dir"]

DATABASE = "kalshi_gateway"
START_SECONDS = 120.0  # recovery after a power cut may take a while
STOP_SECONDS = 20.0
POLL_SECONDS = 0.02
LOG_BYTES = 10_000_000
SOCKET_FOLDER_BYTES = 88  # macOS allows 103 with the socket's own name


class Embedded:
    """One process's hold on the server; with the last hold the server goes.

    The URL is asyncpg's as it is; SQLAlchemy takes it with the scheme `postgresql+asyncpg`.
    """

    def __init__(self, home: Path, server: Server, users: int) -> None:
        self.home = home
        self._server = server
        self._users: int | None = users

    def url(self, database: str = DATABASE) -> str:
        """Where a database is reached: by a Unix socket that only this user can open."""
        return self._server.url(database)

    def release(self) -> None:
        """Let go; the last one to do so waits until the server has stopped."""
        if self._users is None:
            return
        os.close(self._users)
        self._users = None
        deadline = time.monotonic() + STOP_SECONDS
        while not locks.is_free(self.home / "supervisor.lock"):
            if locks.is_shared(self.home / "users.lock") or time.monotonic() > deadline:
                return
            time.sleep(POLL_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def default_data_dir() -> Path:
    """Where this system keeps the data of services: of root's, or of one user's."""
    if sys.platform == "win32":
        return Path(os.environ["LOCALAPPDATA"], "kalshi-gateway")
    if os.geteuid() == 0:
        return Path("/var/lib/kalshi-gateway")
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/kalshi-gateway"
    data_home = os.environ.get("XDG_DATA_HOME", "")
    shared = Path(data_home) if data_home.startswith("/") else Path.home() / ".local/share"
    return shared / "kalshi-gateway"


def make_data_dir(path: Path) -> Path:
    """Make a folder for our data, closed to others; a folder that exists stays as it is.

    What root makes, the server's own user must pass through: it may enter, not look around.
    """
    mode = 0o711 if sys.platform != "win32" and os.geteuid() == 0 else 0o700
    for folder in reversed((path, *path.parents)):
        if not folder.exists():
            folder.mkdir(mode, exist_ok=True)
            folder.chmod(mode)  # whatever the umask
    return path


def acquire(home: Path, *, options: Sequence[str] = (), bin_dir: Path | None = None) -> Embedded:
    """Start the server of this home folder or join the one that runs; blocks until it answers.

    Call it in a thread. `options` like "fsync=off" are those of whoever starts the server;
    `bin_dir` names the programs to run instead of the best ones found.
    """
    if sys.platform == "win32":
        raise EmbeddedUnavailable("a Postgres of our own cannot be run on Windows")
    try:
        home = make_data_dir(home.expanduser()).resolve()
        with locks.held(home / "start.lock"):
            # Waits for a supervisor that is stopping; from here on none will.
            users = locks.hold(home / "users.lock", shared=True)
            try:
                return Embedded(home, _joined(home) or _started(home, options, bin_dir), users)
            except BaseException:
                os.close(users)
                raise
    except OSError as error:
        raise EmbeddedUnavailable(f"a Postgres of our own cannot be run: {error}") from error


def _joined(home: Path) -> Server | None:
    """The server, once it answers; None as soon as it has no supervisor."""
    deadline = time.monotonic() + START_SECONDS
    while not locks.is_free(home / "supervisor.lock"):
        server = Server.load(home)
        if server.answers():
            return server
        if time.monotonic() > deadline:
            raise EmbeddedUnavailable(f"Postgres does not answer; see {home / 'postgres.log'}")
        time.sleep(POLL_SECONDS)
    return None


def _started(home: Path, options: Sequence[str], bin_dir: Path | None) -> Server:
    log = home / "postgres.log"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    said = log.stat().st_size if log.exists() else 0
    with locks.held(home / "supervisor.lock") as lock:
        _prepared(home, options, bin_dir).save(home)
        _detach_supervisor(home, lock)
    server = _joined(home)
    if server is None:
        last_words = log.read_bytes()[said:].decode(errors="replace").strip()
        raise EmbeddedUnavailable(f"Postgres did not start: {last_words}")
    asyncio.run(_ensure_database(server))
    return server


def _prepared(home: Path, options: Sequence[str], bin_dir: Path | None) -> Server:
    """What is to be run, with everything it needs in place."""
    build.clear_unfinished(home)
    chosen = build.choose(home, bin_dir)
    data = home / f"pg{chosen.major}"
    account = build.account_for(data)
    build.require_enterable(home, account)
    programs = build.within_reach(chosen, home, account)
    if not (data / "PG_VERSION").exists():
        build.create_data(programs, data, chosen.major, account, options)
    sockets = _socket_folder(data, account)
    settings = [
        "listen_addresses=",
        "unix_socket_permissions=0700",
        "timezone=UTC",
        "log_timezone=UTC",
        "log_checkpoints=off",
        *options,
    ]
    command = [str(programs / "postgres"), "-D", str(data), "-k", str(sockets), "-p", str(PORT)]
    for setting in settings:
        command += ["-c", setting]
    return Server(str(data), str(sockets), command, account)


def _socket_folder(data: Path, account: Account | None) -> Path:
    """The data folder; a short one if its path is none a socket can have or a URL can carry."""
    if len(os.fsencode(data)) <= SOCKET_FOLDER_BYTES and not set(str(data)) & set(",:\"'\\"):
        return data
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    folder = Path("/tmp", f"kalshi-gateway-{name}")  # noqa: S108 - its owner is checked
    owner = account.uid if account else os.geteuid()
    with suppress(FileExistsError):
        folder.mkdir(0o700)
        if account:
            os.chown(folder, account.uid, account.gid)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise EmbeddedUnavailable(
            f"{folder} is not ours alone, and a socket in {data} would have too long a name",
            "choose a shorter GATEWAY_DATA_DIR, or set DATABASE_URL",
        )
    return folder


def _detach_supervisor(home: Path, lock: int) -> None:
    """Start the supervisor, which inherits its lock and outlives us if others stay."""
    names = (*build.INHERITED, "PYTHONPATH")
    with (home / "postgres.log").open("ab") as log:
        parent = subprocess.Popen(  # noqa: S603 - our own program, no shell
            [sys.executable, "-P", "-m", __name__, "--supervise", str(home)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={name: os.environ[name] for name in names if name in os.environ},
            pass_fds=(lock,),
            start_new_session=True,
        )
    parent.wait()


async def _ensure_database(server: Server) -> None:
    import asyncpg  # the supervisor does without

    conn = await asyncpg.connect(server.url("postgres"))
    try:
        if not await conn.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
            await conn.execute(f'CREATE DATABASE "{DATABASE}"')
    finally:
        await conn.close()
