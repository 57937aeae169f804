"""Token, and what it is made of."""

import re
import secrets
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from pydantic import BaseModel, ConfigDict

PREFIX = "kgw_"
RANDOM_BYTES = 32

_SECRET = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


class Scope(StrEnum):
    """What a token may be used for."""

    READ = "read"
    TRADE = "trade"
    ADMIN = "admin"


class Token(BaseModel):
    """A token as it is kept: everything but the secret."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    name: str
    scopes: frozenset[Scope]
    user_id: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def holds_at(self, now: datetime) -> bool:
        """Whether it opens anything at that time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def new_secret() -> str:
    """256 random bits, with a prefix that scanners for leaked secrets can look for."""
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def looks_like_one(secret: str) -> bool:
    """Whether it is worth asking the database about."""
    return _SECRET.fullmatch(secret) is not None


def digest(secret: str) -> bytes:
    """What is kept of a secret. It is random, so a plain hash gives nothing away."""
    return sha256(secret.encode()).digest()
