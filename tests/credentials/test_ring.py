"""The master keys."""

import multiprocessing
import pickle
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_gateway.credentials.ring import (
    KeyRing,
    MasterKeyMissing,
    MasterKeysUnusable,
    SealBroken,
    Sealed,
)
from tests.credentials.builders import NEW, OLD

RING = KeyRing([OLD])


@given(st.binary(max_size=4096), st.binary(max_size=200))
def test_what_was_sealed_opens(secret: bytes, bound_to: bytes) -> None:
    """What is sealed opens again, and never looks the same twice."""
    sealed, again = RING.seal(secret, bound_to), RING.seal(secret, bound_to)

    assert RING.open(sealed, bound_to) == RING.open(again, bound_to) == secret
    assert sealed.box != again.box


@given(st.data())
def test_a_changed_box_does_not_open(data: st.DataObject) -> None:
    """One bit of the box, or of what it is bound to, keeps it shut."""
    sealed = RING.seal(b"secret", b"ada")
    bit = data.draw(st.integers(0, len(sealed.box) * 8 - 1))
    box = bytearray(sealed.box)
    box[bit // 8] ^= 1 << bit % 8

    with pytest.raises(SealBroken):
        RING.open(Sealed("old", bytes(box)), b"ada")
    with pytest.raises(SealBroken):
        RING.open(sealed, b"adb")
    with pytest.raises(SealBroken):
        RING.open(Sealed("old", sealed.box[: bit // 8]), b"ada")


def test_newest_seals_all_open() -> None:
    """A ring seals under its first key and opens what any of them has sealed."""
    before = KeyRing([OLD]).seal(b"secret", b"")

    ring = KeyRing([NEW, OLD])

    assert ring.seal(b"secret", b"").master_key_id == "new"
    assert ring.open(before, b"") == b"secret"


def test_lost_master_key() -> None:
    """Without its master key a box says which kind of thing is missing, not that it is broken."""
    sealed = KeyRing([OLD]).seal(b"secret", b"")

    with pytest.raises(MasterKeyMissing):
        KeyRing([NEW]).open(sealed, b"")
    with pytest.raises(MasterKeyMissing):
        KeyRing().seal(b"secret", b"")


def test_wrong_master_key() -> None:
    """Another key under the same name opens nothing."""
    sealed = KeyRing([OLD]).seal(b"secret", b"")

    with pytest.raises(SealBroken):
        KeyRing([("old", NEW[1])]).open(sealed, b"")


def test_first_key_is_generated(tmp_path: Path) -> None:
    """A file of one key is made, for its owner's eyes only, and read again by the next process."""
    path = tmp_path / "data" / "master.keys"
    ring = KeyRing.in_file(path)
    assert ring.ids == ()

    ring.begin()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(ring.ids) == 1
    assert KeyRing.in_file(path).open(ring.seal(b"secret", b"x"), b"x") == b"secret"


def begun(path: Path) -> tuple[str, ...]:
    ring = KeyRing.in_file(path)
    ring.begin()
    return ring.ids


def test_processes_that_begin_together_share_a_key(tmp_path: Path) -> None:
    """Of several processes one makes the first key, and all of them use it."""
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        found = pool.map(begun, [tmp_path / "master.keys"] * 6)

    assert len(set(found)) == 1
    assert len(found[0]) == 1


def test_turned_by_another(tmp_path: Path) -> None:
    """A ring that another process has turned is read again when a box needs its new key."""
    path = tmp_path / "master.keys"
    here = KeyRing.in_file(path)
    here.begin()
    before = here.seal(b"secret", b"")
    there = KeyRing.in_file(path)

    there.turn()

    assert there.ids == (there.newest, before.master_key_id)
    assert here.open(there.seal(b"secret", b""), b"") == b"secret"
    assert here.newest == there.newest
    assert there.open(before, b"") == b"secret"


def test_file_gone_while_serving(tmp_path: Path) -> None:
    """Who has read the file goes on when it is gone; who comes later says what is missing."""
    path = tmp_path / "master.keys"
    ring = KeyRing.in_file(path)
    ring.begin()
    sealed = ring.seal(b"secret", b"")
    path.unlink()

    ring.reload()

    assert ring.open(sealed, b"") == b"secret"
    with pytest.raises(MasterKeyMissing):
        KeyRing.in_file(path).open(sealed, b"")


@pytest.mark.parametrize("text", ["spoilt", "a:AAAA", "", "é:"])
def test_spoilt_file(tmp_path: Path, text: str) -> None:
    """A file that is no list of keys is said to be none, without a word of what is in it."""
    path = tmp_path / "master.keys"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)

    with pytest.raises(MasterKeysUnusable) as raised:
        KeyRing.in_file(path)

    assert raised.value.__cause__ is None
    assert not text or text not in str(raised.value).removeprefix(str(path))


def test_file_open_to_others(tmp_path: Path) -> None:
    """A file that others may read is not used before it is closed to them."""
    path = tmp_path / "master.keys"
    ring = KeyRing.in_file(path)
    ring.begin()
    path.chmod(0o640)

    with pytest.raises(MasterKeysUnusable, match="chmod 600"):
        KeyRing.in_file(path)


def test_a_ring_shows_nothing() -> None:
    """Its repr names keys and shows none; it cannot be pickled."""
    assert repr(KeyRing([NEW, OLD])) == "KeyRing(new, old)"
    with pytest.raises(TypeError):
        pickle.dumps(RING)
