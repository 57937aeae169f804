"""The processes behind an embedded server, looked at from outside."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg

from kalshi_gateway import embedded
from kalshi_gateway.embedded import Embedded, locks
from kalshi_gateway.embedded.server import Server
from tests import postgres

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


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def has_stopped(home: Path) -> bool:
    return locks.is_free(home / "supervisor.lock") and not is_alive(postmaster_of(home))


def postmaster_of(home: Path) -> int | None:
    return Server.load(home).recorded_pid()


def supervisor_of(home: Path) -> int:
    listed = Path(f"/proc/{postmaster_of(home)}/stat").read_text()
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
