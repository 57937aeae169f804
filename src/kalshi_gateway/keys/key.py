"""VirtualKey: a key that the gateway issued, and that clients sign with as with the exchange's."""

from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from pydantic import BaseModel, ConfigDict

from kalshi_gateway.tokens.token import Scope

RSA_BITS = 2048
PUBLIC_EXPONENT = 65537

#: What a key may be used for. None administers: each speaks for one user.
SCOPES = frozenset({Scope.READ, Scope.TRADE})

PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


class Kind(StrEnum):
    """The exchange's two kinds of keys."""

    RSA = "rsa"
    ED25519 = "ed25519"


class VirtualKey(BaseModel):
    """A key as it is kept: its public half."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    user_id: str
    kind: Kind
    scopes: frozenset[Scope]
    public_key: bytes  # DER, SubjectPublicKeyInfo
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

    @property
    def name(self) -> str:
        """How the log and the audit log call it."""
        return f"key {self.id}"

    @property
    def expires_at(self) -> None:
        """It holds until it is revoked."""

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the public half, in hex."""
        return sha256(self.public_key).hexdigest()

    def holds_at(self, _: datetime) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None


def new_pair(kind: Kind) -> tuple[bytes, str]:
    """A public half, and its private half as PEM in the form the exchange gives out."""
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if kind is Kind.RSA:
        private = rsa.generate_private_key(PUBLIC_EXPONENT, RSA_BITS)
        form = serialization.PrivateFormat.TraditionalOpenSSL
    else:
        private = ed25519.Ed25519PrivateKey.generate()
        form = serialization.PrivateFormat.PKCS8
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pem = private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return public, pem.decode()


def parsed(public_key: bytes) -> PublicKey:
    """A public half that verifies; only those that `new_pair` made are kept."""
    key = serialization.load_der_public_key(public_key)
    if not isinstance(key, rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise TypeError("a virtual key is RSA or Ed25519")
    return key
