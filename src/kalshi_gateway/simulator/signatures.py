"""Keys, and the check of what their owners sign."""

import base64
import binascii
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from . import refusals
from .accounts import Member, Members

PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey
# Salt as long as the digest, as every official client signs; others are refused.
PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
# Production accepts 10 s and refuses 60 s (measured 2026-10).
CLOCK_WINDOW_MS = 10_000


@dataclass(frozen=True, eq=False)
class Key:
    """A registered public key and what it may be used for."""

    key_id: str
    public_key: PublicKey
    member: Member
    scopes: tuple[str, ...]
    name: str = ""
    # The one subaccount it may be used for; None for all.
    subaccount: int | None = None

    def allows(self, scope: str) -> bool:
        """Whether a scope is granted, itself or by its parent."""
        return scope in self.scopes or scope.partition("::")[0] in self.scopes


class Keys:
    """The keys the exchange knows."""

    def __init__(self, members: Members) -> None:
        self.members = members
        self._keys: dict[str, Key] = {}

    def register(
        self,
        key_id: str,
        public_key: PublicKey | bytes | str,
        tier: str = "basic",
        scopes: Iterable[str] = ("read", "write"),
        member: Member | None = None,
        *,
        name: str = "",
        subaccount: int | None = None,
    ) -> Key:
        """Know a public key (an object or PEM); without a member it makes one of the tier."""
        if isinstance(public_key, str):
            public_key = public_key.encode()
        if isinstance(public_key, bytes):
            loaded = serialization.load_pem_public_key(public_key)
            if not isinstance(loaded, rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
                raise ValueError("a key is RSA or Ed25519")
            public_key = loaded
        if member is None:
            member = self.members.add(Member(user_id=f"user-{key_id}", tier=tier))
        key = Key(key_id, public_key, member, tuple(scopes), name, subaccount)
        self._keys[key_id] = key
        return key

    def issue(
        self,
        kind: Literal["rsa", "ed25519"] = "rsa",
        tier: str = "basic",
        scopes: Iterable[str] = ("read", "write"),
        member: Member | None = None,
        *,
        name: str = "",
        subaccount: int | None = None,
    ) -> tuple[str, str]:
        """A new key pair: its id, and the private key as PEM in the form the exchange gives out."""
        key_id = str(uuid.uuid4())
        private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
        if kind == "rsa":
            private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            form = serialization.PrivateFormat.TraditionalOpenSSL
        else:
            private = ed25519.Ed25519PrivateKey.generate()
            form = serialization.PrivateFormat.PKCS8
        public = private.public_key()
        self.register(key_id, public, tier, scopes, member, name=name, subaccount=subaccount)
        pem = private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        return key_id, pem.decode()

    def revoke(self, key_id: str) -> None:
        """Forget a key."""
        del self._keys[key_id]

    def of(self, member: Member) -> list[Key]:
        """A member's keys, oldest first."""
        return [key for key in self._keys.values() if key.member is member]

    def find(self, key_id: str) -> Key | None:
        """A key by its id."""
        return self._keys.get(key_id)

    def verify(self, method: str, path: str, headers: Mapping[str, str], now_ms: int) -> Key:
        """Whose request this is; refused unless key, clock and signature are right."""
        key_id = headers.get("kalshi-access-key")
        signature = headers.get("kalshi-access-signature")
        timestamp = headers.get("kalshi-access-timestamp")
        if not key_id or not signature:
            raise refusals.signature_missing()
        if not _timely(timestamp, now_ms):
            raise refusals.timestamp_expired()
        key = self._keys.get(key_id)
        if key is None:
            raise refusals.unauthenticated("NOT_FOUND")
        if not _signed(key.public_key, f"{timestamp}{method}{path}".encode(), signature):
            raise refusals.unauthenticated("INCORRECT_API_KEY_SIGNATURE")
        return key


def _timely(timestamp: str | None, now_ms: int) -> bool:
    if timestamp is None or not (timestamp.isascii() and timestamp.isdigit()):
        return False
    return abs(now_ms - int(timestamp)) <= CLOCK_WINDOW_MS


def _signed(public_key: PublicKey, text: bytes, signature: str) -> bool:
    try:
        given = base64.b64decode(signature, validate=True)
        if isinstance(public_key, rsa.RSAPublicKey):
            public_key.verify(given, text, PSS, hashes.SHA256())
        else:
            public_key.verify(given, text)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
