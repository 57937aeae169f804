"""File locks that end with whoever holds them, however it ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock


def open_lock(path: Path) -> int:
    """A file descriptor that may be locked; closing it lets go."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def hold(path: Path, *, shared: bool = False) -> int:
    """A file descriptor that holds the lock; waits for it."""
    lock = open_lock(path)
    try:
        flock(lock, LOCK_SH if shared else LOCK_EX)
    except BaseException:
        os.close(lock)
        raise
    return lock


@contextmanager
def held(path: Path) -> Iterator[int]:
    """The lock, held until the block ends."""
    lock = hold(path)
    try:
        yield lock
    finally:
        os.close(lock)


def take(lock: int, *, shared: bool = False) -> bool:
    """Lock an open file if that can be done at once."""
    try:
        flock(lock, (LOCK_SH if shared else LOCK_EX) | LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock at all."""
    lock = open_lock(path)
    try:
        return take(lock)
    finally:
        os.close(lock)


def is_shared(path: Path) -> bool:
    """Whether somebody holds the lock and would share it."""
    lock = open_lock(path)
    try:
        return not take(lock) and take(lock, shared=True)
    finally:
        os.close(lock)
