"""One line of the audit log, and who wrote it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal
from uuid import UUID

#: `begun` is a write that leaves only now; another line tells what came of it, and that is
#: `unknown` where the exchange may or may not have done it.
Outcome = Literal["begun", "done", "refused", "failed", "unknown"]


@dataclass(frozen=True)
class Author:
    """Who writes, by which token, in which request."""

    caller: str
    token_id: UUID | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class Entry:
    """A write: by whom, of what, and what came of it."""

    action: str
    author: Author
    user_id: str | None = None
    target: str | None = None
    outcome: Outcome = "done"
    details: Mapping[str, str | int | bool | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """An entry in its place: bound to the line before it by its hash."""

    seq: int
    at: datetime
    action: str
    outcome: str
    caller: str
    token_id: UUID | None
    user_id: str | None
    target: str | None
    request_id: str | None
    details: str
    previous: bytes
    hash: bytes = b""

    def expected_hash(self) -> bytes:
        """SHA-256 of the hash before and of everything said here."""
        said = [
            self.seq,
            self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            self.action,
            self.outcome,
            self.caller,
            None if self.token_id is None else str(self.token_id),
            self.user_id,
            self.target,
            self.request_id,
            self.details,
        ]
        text = json.dumps(said, ensure_ascii=True, separators=(",", ":"))
        return sha256(self.previous + text.encode()).digest()
