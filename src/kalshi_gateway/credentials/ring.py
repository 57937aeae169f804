"""The master keys that seal users' keys: a ring, newest first."""

import base64
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kalshi_gateway.errors import GatewayError
from kalshi_gateway.settings import MASTER_KEY_BYTES, Settings, master_keys

try:
    import fcntl
except ImportError:  # there is none for Windows
    fcntl = None  # type: ignore[assignment]

#: Of AES-GCM: 96 random bits, which at our few thousand seals per key never meet again.
NONCE_BYTES = 12

FILE_NAME = "master.keys"


class MasterKeyMissing(GatewayError):
    """The master key that a stored key is sealed under is not here."""

    status = 503
    code = "master_key_missing"
    title = "Master key missing"


class SealBroken(GatewayError):
    """A stored key does not open: another master key has this id, or the row is not the one
    that was written."""

    status = 503
    code = "seal_broken"
    title = "Seal broken"


class MasterKeysUnusable(GatewayError):
    """The file of master keys is open to others, cannot be written, or is not what it should be."""

    status = 503
    code = "master_keys_unusable"
    title = "Master keys unusable"


def ring_of(settings: Settings) -> "KeyRing":
    """The ring that the settings name, or the one in the data directory."""
    if settings.gateway_encryption_keys is not None:
        return KeyRing(master_keys(settings.gateway_encryption_keys.get_secret_value()))
    if settings.gateway_data_dir is not None:
        return KeyRing.in_file(settings.gateway_data_dir.expanduser() / FILE_NAME)
    return KeyRing()


@dataclass(frozen=True)
class Sealed:
    """What a master key made of a secret."""

    master_key_id: str
    box: bytes  # the nonce, then what AES-GCM gave


class KeyRing:
    """Seals under its newest key and opens with any.

    A ring from a file looks there again when it meets a key it does not know, and before it
    seals: another process may have turned the ring.
    """

    def __init__(self, keys: Sequence[tuple[str, bytes]] = (), path: Path | None = None) -> None:
        self.path = path
        self._keys: list[str] = []
        self._ciphers: dict[str, AESGCM] = {}
        self._hold(keys)

    @classmethod
    def in_file(cls, path: Path) -> "KeyRing":
        """The ring kept in that file, which need not be there yet."""
        ring = cls(path=path)
        ring.reload()
        return ring

    @property
    def ids(self) -> tuple[str, ...]:
        """The keys' names, newest first."""
        return tuple(self._keys)

    @property
    def newest(self) -> str:
        """What is sealed now is sealed under this one."""
        if not self._keys:
            raise MasterKeyMissing("There is no master key; the operator has to set one.")
        return self._keys[0]

    def seal(self, secret: bytes, bound_to: bytes) -> Sealed:
        """The secret under the newest key; it opens only together with `bound_to`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return Sealed(
            self.newest, nonce + self._ciphers[self.newest].encrypt(nonce, secret, bound_to)
        )

    def open(self, sealed: Sealed, bound_to: bytes) -> bytes:
        """The secret again."""
        if sealed.master_key_id not in self._ciphers:
            self.reload()
        cipher = self._ciphers.get(sealed.master_key_id)
        if cipher is None:
            raise MasterKeyMissing("The master key that seals this key is not here.")
        nonce, text = sealed.box[:NONCE_BYTES], sealed.box[NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, text, bound_to)
        except (InvalidTag, ValueError):
            pass
        raise SealBroken("The stored key does not open under its master key.")

    def reload(self) -> None:
        """Take what is in the file now; a ring without one stays as it is."""
        if self.path is None:
            return
        keys = _read(self.path)
        if keys:  # a file that went away takes nothing from those who have read it
            self._hold(keys)

    def is_there(self) -> bool:
        """Whether there is a key to seal with; one that only this process still has is none."""
        if self.path is None:
            return bool(self._keys)
        keys = _read(self.path)
        if keys:
            self._hold(keys)
        return bool(keys)

    def begin(self) -> None:
        """Make the first key, unless another process has made it meanwhile."""
        if self.path is None:
            raise MasterKeyMissing("There is no master key; the operator has to set one.")
        with _alone(self.path):
            if not _read(self.path):
                _write(self.path, [_made()])
        self.reload()

    def turn(self) -> None:
        """Make a new key the newest; older ones stay in the file, for backups that need them."""
        if self.path is None:
            raise MasterKeyMissing("The master keys are set by the operator; add one there.")
        with _alone(self.path):
            _write(self.path, [_made(), *_read(self.path)])
        self.reload()

    def _hold(self, keys: Sequence[tuple[str, bytes]]) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys}
        self._keys = [key_id for key_id, _ in keys]

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"

    def __reduce__(self) -> str:
        raise TypeError("a KeyRing is not for copying or storing")


def _made() -> tuple[str, bytes]:
    key = secrets.token_bytes(MASTER_KEY_BYTES)
    return sha256(b"kalshi-gateway master key" + key).hexdigest()[:12], key


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time changes the file; the lock is another one, which stays."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("a") as lock:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        # By its own name: within a transaction it would be taken for the database's.
        raise MasterKeysUnusable(f"{path} cannot be written: {error.strerror}.") from error


def _read(path: Path) -> list[tuple[str, bytes]]:
    try:
        with path.open(encoding="ascii") as file:
            # Of the file that was opened, not of one that may have taken its place since.
            mode = os.fstat(file.fileno()).st_mode
            text = file.read()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError):
        raise MasterKeysUnusable(f"{path} cannot be read.") from None
    if os.name == "posix" and mode & 0o077:
        raise MasterKeysUnusable(f"{path} is open to others; chmod 600 it.")
    try:
        return master_keys(text)
    except ValueError as error:
        raise MasterKeysUnusable(f"{path}: {error}.") from None


def _write(path: Path, keys: Sequence[tuple[str, bytes]]) -> None:
    """Put the file in its place whole, or not at all."""
    text = "".join(f"{key_id}:{base64.b64encode(key).decode()}\n" for key_id, key in keys)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _fsync_folder(path.parent)


def _fsync_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
