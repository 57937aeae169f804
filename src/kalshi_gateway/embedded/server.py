"""The server as its users and its supervisor both know it."""

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

PORT = 5432  # only names the socket's file


class EmbeddedUnavailable(RuntimeError):
    """No Postgres of our own can be had; says why, and what to do."""

    def __init__(
        self, reason: str, advice: str = "set DATABASE_URL to a Postgres of yours"
    ) -> None:
        super().__init__(f"{reason}; {advice}")


@dataclass(frozen=True)
class Account:
    """The user the server runs as when we are root, which PostgreSQL refuses to be."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Server:
    """What runs in a home folder: `server.json`, written before it is started."""

    data: str
    sockets: str
    command: list[str]
    account: Account | None

    def save(self, home: Path) -> None:
        (home / "server.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, home: Path) -> Self:
        fields = json.loads((home / "server.json").read_text())
        account = fields.pop("account")
        return cls(**fields, account=account and Account(**account))

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{quote(database)}?host={quote(self.sockets)}&port={PORT}"

    def answers(self) -> bool:
        """Whether it takes connections; the socket alone is there before it does."""
        return self._pidfile()[7:8] == ["ready"] and self._accepts()

    def recorded_pid(self) -> int | None:
        """The postmaster of these data as last written down; it may be long gone."""
        first = self._pidfile()[:1]
        return int(first[0]) if first and first[0].isdecimal() else None

    def _pidfile(self) -> list[str]:
        """The lines of postmaster.pid: the pid first, the state in the eighth."""
        try:
            text = Path(self.data, "postmaster.pid").read_text()
        except FileNotFoundError:
            return []
        return [line.strip() for line in text.splitlines()]

    def _accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(f"{self.sockets}/.s.PGSQL.{PORT}")
            except OSError:
                return False
            return True
