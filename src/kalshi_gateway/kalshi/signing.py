"""API keys of the exchange, and the three headers they put on a request."""

import base64
import binascii
import hashlib
import re
from collections.abc import Generator
from typing import Literal

import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from .clock import ExchangeClock
from .errors import KalshiError

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

SMALLEST_RSA_BITS = 2048
# docs.kalshi.com/getting_started/api_keys: RSA-PSS, SHA-256, salt as long as the digest.
PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
ARMOUR = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END ([A-Z0-9 ]+)-----", re.DOTALL)
QUOTES = "\"'`\u201c\u201d\u2018\u2019"


class UnusableKey(KalshiError):
    """This is no private key the exchange would take; the text never quotes it."""


class ForeignHost(KalshiError):
    """A request to a stranger was about to be signed."""


class ApiKey:
    """A key id and its private key, parsed and checked once."""

    __slots__ = ("_private", "key_id", "repairs")

    def __init__(self, key_id: str, private: PrivateKey, repairs: tuple[str, ...] = ()) -> None:
        self.key_id = key_id
        self.repairs = repairs
        self._private = private

    @classmethod
    def from_pem(cls, key_id: str, pem: str | bytes) -> "ApiKey":
        """Read a private key as people paste it, and check that it is sound (some 30 ms)."""
        return cls._parse(key_id, pem, checked_before=False)

    @classmethod
    def from_checked_pem(cls, key_id: str, pem: str | bytes) -> "ApiKey":
        """Read a key that `from_pem` accepted earlier, without checking its arithmetic again."""
        return cls._parse(key_id, pem, checked_before=True)

    @classmethod
    def _parse(cls, key_id: str, pem: str | bytes, *, checked_before: bool) -> "ApiKey":
        der, repairs = _der(pem)
        private = _load(der, checked_before)
        return cls(_clean_id(key_id), private, repairs)

    @property
    def kind(self) -> Literal["rsa", "ed25519"]:
        """Which of the exchange's two algorithms this key signs with."""
        return "rsa" if isinstance(self._private, RSAPrivateKey) else "ed25519"

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the public half, in hex: names the key and gives nothing away."""
        public = self._private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha256(public).hexdigest()

    def sign(self, message: bytes) -> bytes:
        """The signature of `message`, as the exchange verifies it."""
        if isinstance(self._private, RSAPrivateKey):
            return self._private.sign(message, PSS, hashes.SHA256())
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"ApiKey(key_id={self.key_id!r})"

    def __reduce__(self) -> str:
        raise TypeError("an ApiKey is not for copying or storing")


class Signer(httpx.Auth):
    """Signs every request it is handed with one API key.

    The path is read from the finished request, so what is signed is what is sent:
    `/trade-api/v2` included, query left out. Only the hosts of `urls` are signed for.
    """

    def __init__(self, key: ApiKey, *urls: str, clock: ExchangeClock | None = None) -> None:
        self.key = key
        self.clock = clock or ExchangeClock()
        self._hosts = frozenset(httpx.URL(url).netloc for url in urls)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Put the three headers on the request."""
        request.headers.update(self.headers(request.method, request.url))
        yield request

    def headers(self, method: str, url: httpx.URL) -> dict[str, str]:
        """The three headers for one request sent now."""
        if url.netloc not in self._hosts:
            raise ForeignHost(f"not signing for {url.host}")
        timestamp = str(self.clock.timestamp_ms())
        path = url.raw_path.partition(b"?")[0]
        signature = self.key.sign(timestamp.encode() + method.upper().encode() + path)
        return {
            "KALSHI-ACCESS-KEY": self.key.key_id,
            "KALSHI-ACCESS-TIMESTAMP": timestamp,
            "KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode(),
        }

    def __repr__(self) -> str:
        return f"Signer({self.key!r})"


def _clean_id(key_id: str) -> str:
    """The key id without what pasting adds to it."""
    clean = key_id.strip().strip(QUOTES).strip()
    # Anything else would break the header it travels in; it may be the key itself, so no quoting.
    if not clean or len(clean) > 128 or not re.fullmatch(r"[\x21-\x7e]+", clean):
        raise UnusableKey("the key id is not a key id: a UUID, as the exchange shows it")
    return clean


def _der(pem: str | bytes) -> tuple[bytes, tuple[str, ...]]:
    """The key's bytes, and what had to be repaired to read them."""
    text, repairs = _text(pem)
    for name, mend in (
        ("byte order mark", lambda t: t.removeprefix("\ufeff")),
        ("escaped line breaks", _unescape),
        ("Windows line breaks", lambda t: t.replace("\r\n", "\n").replace("\r", "\n")),
        ("quotes", lambda t: t.strip().strip(QUOTES + ",;").strip() if _is_quoted(t) else t),
    ):
        mended = mend(text)
        if mended != text:
            repairs.append(name)
        text = mended
    armour = ARMOUR.search(text)
    if armour is None:
        raise UnusableKey("not a PEM: -----BEGIN …----- and -----END …----- lines are expected")
    label, body = armour[1], armour[2]
    _refuse_label(label, body)
    if armour[3] != label:
        raise UnusableKey("the PEM's BEGIN and END lines do not belong together")
    repairs += _layout_repairs(text, armour)
    return _decoded(body), tuple(repairs)


def _text(pem: str | bytes) -> tuple[str, list[str]]:
    if isinstance(pem, str):
        return pem, []
    wide = pem.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = pem.decode("utf-16" if wide else "utf-8", errors="replace")
    return text, ["UTF-16 text"] if wide else []


def _unescape(text: str) -> str:
    return text.replace("\\r", "").replace("\\n", "\n")


def _is_quoted(text: str) -> bool:
    bare = text.strip()
    return bare[:1] in tuple(QUOTES) or bare[-1:] in (*QUOTES, ",", ";")


def _refuse_label(label: str, body: str) -> None:
    """Say what was pasted, where the label alone tells that it is the wrong thing."""
    if "ENCRYPTED" in label or "ENCRYPTED" in body:
        raise UnusableKey("the private key is encrypted: give it without a passphrase")
    if "PUBLIC KEY" in label:
        raise UnusableKey("this is the public key: the private key is needed")
    if label.startswith("OPENSSH"):
        raise UnusableKey("an OpenSSH key: export it as PKCS#8 PEM")
    if "PRIVATE KEY" not in label:
        raise UnusableKey("the PEM holds something other than a private key")


def _layout_repairs(text: str, armour: re.Match[str]) -> list[str]:
    repairs = []
    body = armour[2].strip("\n")
    if text[: armour.start()].strip() or text[armour.end() :].strip():
        repairs.append("text around the key")
    if any(line != line.strip() for line in text.rstrip().split("\n")):
        repairs.append("indentation")
    if "\n" not in body and len(body) > 76:
        repairs.append("one line")
    if not text.endswith("\n"):
        repairs.append("missing last line break")
    return repairs


def _decoded(body: str) -> bytes:
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        pass
    # Raised out here so that the exception which knows the text is not its context.
    raise UnusableKey("the PEM is damaged: its body is not Base64")


def _load(der: bytes, checked_before: bool) -> PrivateKey:
    """The private key, whatever its PEM label said."""
    reason = "not a private key we can read: PKCS#1 or PKCS#8, RSA or Ed25519, is expected"
    key: object = None
    try:
        key = serialization.load_der_private_key(
            der, password=None, unsafe_skip_rsa_key_validation=checked_before
        )
    except TypeError:
        reason = "the private key is encrypted: give it without a passphrase"
    except (ValueError, UnsupportedAlgorithm):
        if _is_public(der):
            reason = "this is the public key: the private key is needed"
    if isinstance(key, RSAPrivateKey):
        if key.key_size >= SMALLEST_RSA_BITS:
            return key
        reason = f"an RSA key of {key.key_size} bits: at least {SMALLEST_RSA_BITS} are needed"
    elif isinstance(key, Ed25519PrivateKey):
        return key
    elif key is not None:
        reason = "neither an RSA nor an Ed25519 key: the exchange takes no other"
    raise UnusableKey(reason)


def _is_public(der: bytes) -> bool:
    try:
        serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True
