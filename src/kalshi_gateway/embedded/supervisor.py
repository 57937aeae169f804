"""The postmaster's parent: keeps the server running until nobody uses it."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from . import build, locks
from .server import Server

POLL_SECONDS = 0.05
STOP_SECONDS = 20.0
START_ATTEMPTS = 5
SETTLED_SECONDS = 10.0  # a server that lived as long did not fail to start
PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>


def supervise(home: Path) -> None:
    """Run the server of this home, again if it dies, until nobody uses it."""
    os.chdir("/")
    for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ending, lambda *_: sys.exit())
    server = Server.load(home)
    users = locks.open_lock(home / "users.lock")
    failures = 0
    try:
        while failures < START_ATTEMPTS:
            # Backends that outlive a killed postmaster for a moment hold up the next one.
            time.sleep(POLL_SECONDS * (2**failures - 1))
            began = time.monotonic()
            # Once taken, the lock stays ours: who comes now waits for our end and starts anew.
            if _serve(server, until=lambda: locks.take(users)):
                return
            failures = 1 if time.monotonic() - began > SETTLED_SECONDS else failures + 1
    finally:
        if server.sockets != server.data:
            with suppress(OSError):
                Path(server.sockets).rmdir()


def _serve(server: Server, until: Callable[[], bool]) -> bool:
    """Run the postmaster and stop it in the end; False if it ended by itself."""
    _clear_the_way(server)
    postmaster = subprocess.Popen(  # noqa: S603 - our own program, no shell
        server.command,
        stdin=subprocess.DEVNULL,
        preexec_fn=_follow_into_death(os.getpid()),
        **build.as_user(server.account),
    )
    try:
        while postmaster.poll() is None:
            if until():
                return True
            time.sleep(POLL_SECONDS)
        return False
    finally:
        _stop(postmaster)


def _follow_into_death(supervisor: int) -> Callable[[], None]:
    """What has Linux shut the server down when its supervisor is killed.

    Elsewhere the next start finds the orphan and clears it away.
    """
    libc = ctypes.CDLL(None)

    def before_exec() -> None:
        if sys.platform == "linux":
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() != supervisor:  # killed a moment before that took effect
                os._exit(1)

    return before_exec


def _stop(postmaster: subprocess.Popen[bytes]) -> None:
    for shutdown in (signal.SIGINT, signal.SIGQUIT):  # fast, then immediate
        if postmaster.poll() is None:
            postmaster.send_signal(shutdown)
            with suppress(subprocess.TimeoutExpired):
                postmaster.wait(STOP_SECONDS)


def _clear_the_way(server: Server) -> None:
    """Stop an orphan on these data; forget a recorded pid that is a zombie's or a stranger's.

    Postgres itself forgets only the pid of a process that is gone.
    """
    pid = server.recorded_pid()
    if pid is None or not _exists(pid):
        return
    for shutdown in (signal.SIGINT, signal.SIGQUIT):
        deadline = time.monotonic() + STOP_SECONDS
        if serves(pid, server.data):
            os.kill(pid, shutdown)
        while serves(pid, server.data) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    Path(server.data, "postmaster.pid").unlink(missing_ok=True)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def serves(pid: int, data: str) -> bool:
    """Whether this process is a postmaster of these data; a zombie is none."""
    return f"postgres -D {data} " in _command_line(pid) + " "


def _command_line(pid: int) -> str:
    if sys.platform == "linux":
        try:
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).replace("\0", " ")
        except OSError:
            return ""
    return build.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], None).stdout.strip()
