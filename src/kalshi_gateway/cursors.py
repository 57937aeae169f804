"""Opaque texts that say where a list goes on, bound to the list they belong to."""

import base64
import binascii
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec

from .errors import FieldError, Unprocessable

T = TypeVar("T")


class CursorInvalid(Unprocessable):
    """This is no cursor of ours, or only part of one."""

    code = "cursor_invalid"
    title = "Cursor not understood"

    def __init__(self) -> None:
        super().__init__(
            "The cursor is not one of ours, or was cut or changed.",
            errors=(FieldError("/query/cursor", "not a cursor"),),
        )


class CursorMismatch(Unprocessable):
    """The cursor belongs to another question."""

    code = "cursor_mismatch"
    title = "Cursor of another list"

    def __init__(self) -> None:
        super().__init__(
            "The cursor belongs to a list with other filters or another order.",
            errors=(FieldError("/query/cursor", "belongs to another list"),),
        )


def pack(place: object, asked: object) -> str:
    """A cursor to this place of the list that was asked for."""
    packed = msgspec.json.encode((_fingerprint(asked), place))
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def unpack(cursor: str, asked: object, place: type[T]) -> T:
    """The place a cursor points to; raises `CursorInvalid` or `CursorMismatch`."""
    kind: Any = tuple[str, place]  # type: ignore[valid-type]
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        bound_to, found = msgspec.json.decode(packed, type=kind)
    except (binascii.Error, msgspec.MsgspecError, ValueError, RecursionError):
        raise CursorInvalid from None
    if bound_to != _fingerprint(asked):
        raise CursorMismatch
    return found  # type: ignore[no-any-return]


def _fingerprint(asked: object) -> str:
    """A few characters for a whole question; not a secret."""
    return blake2b(msgspec.json.encode(asked, order="deterministic"), digest_size=6).hexdigest()
