"""Keys as users bring them, and rows as they are kept."""

import base64
from datetime import UTC, datetime
from functools import cache
from typing import Literal
from uuid import uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from kalshi_gateway.credentials import repository
from kalshi_gateway.credentials.credential import Kept, bound_to
from kalshi_gateway.credentials.ring import KeyRing
from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.signing import ApiKey

BASE_URL = "http://127.0.0.1:1/trade-api/v2"
HERE = "127.0.0.1:1"

OLD = ("old", bytes(range(32)))
NEW = ("new", bytes(range(32, 64)))


@cache
def a_pem(number: int = 1, kind: Literal["rsa", "ed25519"] = "ed25519") -> str:
    """The private key of that number."""
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if kind == "rsa":
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        private = ed25519.Ed25519PrivateKey.generate()
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def kept(
    ring: KeyRing, user_id: str = "ada", *, pem: str | None = None, environment: str = HERE
) -> Kept:
    """A user's key as it is kept."""
    pem = pem or a_pem()
    key = ApiKey.from_pem(f"key of {user_id}".replace(" ", "-"), pem)
    row_id = uuid4()
    return Kept(
        user_id=user_id,
        id=row_id,
        api_key_id=key.key_id,
        kind=key.kind,
        fingerprint=key.fingerprint,
        environment=environment,
        sealed=ring.seal(pem.encode(), bound_to(user_id, row_id, key.key_id, environment)),
        created_at=datetime.now(UTC),
    )


async def keep(database: Database, *all_kept: Kept) -> None:
    """Put rows into the table."""
    async with database.begin() as conn:
        for one in all_kept:
            await repository.save(conn, one)


def setting(*keys: tuple[str, bytes]) -> str:
    """Master keys as the environment names them."""
    return ",".join(f"{key_id}:{base64.b64encode(key).decode()}" for key_id, key in keys)
