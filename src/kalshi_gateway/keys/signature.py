"""What a client of the exchange signs, and whether that is what a virtual key has signed."""

import base64
import binascii
from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from kalshi_gateway.kalshi.signing import PSS

from .key import PublicKey

SHA256 = hashes.SHA256()
# Production accepts 10 s and refuses 60 s (measured 2026-10).
CLOCK_WINDOW_MS = 10_000
#: Milliseconds have thirteen digits until 2286.
LONGEST_TIMESTAMP = 15

KEY, SIGNATURE, TIMESTAMP = (
    b"kalshi-access-key",
    b"kalshi-access-signature",
    b"kalshi-access-timestamp",
)


class Flaw(Enum):
    """Why a signed request is refused, as the exchange tells them apart."""

    SIGNATURE_MISSING = auto()
    TIMESTAMP_EXPIRED = auto()
    KEY_UNKNOWN = auto()
    SIGNATURE_INCORRECT = auto()
    SIGNATURE_SPENT = auto()


class Signed(NamedTuple):
    """The three headers of a signed request."""

    key_id: bytes
    timestamp: bytes
    signature: bytes

    @classmethod
    def of(cls, headers: Iterable[tuple[bytes, bytes]]) -> Self | None:
        """What a request says of its signature; None if it names no key."""
        said = dict(headers)
        key_id = said.get(KEY)
        if key_id is None:
            return None
        return cls(key_id, said.get(TIMESTAMP, b""), said.get(SIGNATURE, b""))

    def flaw(self, now_ms: float) -> Flaw | None:
        """What is wrong before anybody looks at the key."""
        if not self.key_id or not self.signature:
            return Flaw.SIGNATURE_MISSING
        at = self.timestamp
        if not at.isdigit() or len(at) > LONGEST_TIMESTAMP:
            return Flaw.TIMESTAMP_EXPIRED
        return Flaw.TIMESTAMP_EXPIRED if abs(now_ms - int(at)) > CLOCK_WINDOW_MS else None

    def verified(self, key: PublicKey, method: str, path: bytes) -> bytes | None:
        """The signature itself if this key has made it for this time, method and path."""
        text = self.timestamp + method.encode() + path
        try:
            signature = base64.b64decode(self.signature, validate=True)
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(signature, text, PSS, SHA256)
            else:
                key.verify(signature, text)
        except (InvalidSignature, binascii.Error, ValueError):
            return None
        return signature
