"""Cursors: there and back, and nowhere else."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kalshi_gateway import cursors
from kalshi_gateway.cursors import CursorInvalid, CursorMismatch
from kalshi_gateway.markets.listing import Place

moments = st.integers(0, 7 * 10**15).map(
    lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
)
keys = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | moments, max_size=3)
places = st.builds(Place, keys.map(tuple), st.text(max_size=120))


@given(places)
def test_there_and_back(place: Place) -> None:
    """A cursor leads back to exactly the place it was made of."""
    cursor = cursors.pack(place, {"q": "rain"})

    assert cursors.unpack(cursor, {"q": "rain"}, Place) == place


@given(places)
def test_plain_text(place: Place) -> None:
    """A cursor goes into a URL as it is."""
    cursor = cursors.pack(place, "asked")

    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert cursor.isascii()


def test_bound_to_its_question() -> None:
    """A cursor of one list is refused by another, whatever the order its filters are named in."""
    cursor = cursors.pack(Place((1,), "A"), {"q": "rain", "tag": "Daily"})

    assert cursors.unpack(cursor, {"tag": "Daily", "q": "rain"}, Place).name == "A"
    with pytest.raises(CursorMismatch):
        cursors.unpack(cursor, {"q": "snow", "tag": "Daily"}, Place)


@given(places, st.data())
def test_cut(place: Place, data: st.DataObject) -> None:
    """A cursor that was cut short is never taken for a whole one."""
    cursor = cursors.pack(place, "asked")
    length = data.draw(st.integers(0, len(cursor) - 1))

    with pytest.raises(CursorInvalid):
        cursors.unpack(cursor[:length], "asked", Place)


@given(st.text(max_size=200))
@example("")
@example("=")
@example("AAAA=AAA")
@example("ключ")
@example("\x00")
@example("\ud800")
def test_anything_else(text: str) -> None:
    """Whatever a client makes up is refused in so many words."""
    with pytest.raises((CursorInvalid, CursorMismatch)):
        cursors.unpack(text, "asked", Place)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 700,
        '["f",' + "[" * 700,
        '["f",{"keys":[],"name":"A","more":' + "[" * 600 + "]" * 600 + "}]",
        '["f",{"keys":[1.5],"name":"A"}]',
        '["f",{"keys":["A"],"name":"A"}]',
        '["f",{"keys":[],"name":null}]',
        '["f",{"keys":[]}]',
        '["f"]',
        "null",
    ],
    ids=lambda content: content[:40],
)
def test_forged(content: str) -> None:
    """What is no place of a list is refused, however it is nested."""
    cursor = base64.urlsafe_b64encode(content.encode()).rstrip(b"=").decode()

    with pytest.raises((CursorInvalid, CursorMismatch)):
        cursors.unpack(cursor, "asked", Place)


def test_depth_of_the_stack() -> None:
    """Nesting is refused as well where little of the stack is left."""
    content = '["f",{"keys":[],"name":"A","more":' + "[" * 600 + "]" * 600 + "}]"
    cursor = base64.urlsafe_b64encode(content.encode()).rstrip(b"=").decode()

    def deep(levels: int) -> Any:
        return deep(levels - 1) if levels else cursors.unpack(cursor, "asked", Place)

    with pytest.raises((CursorInvalid, CursorMismatch)):
        deep(700)


def test_no_secret_and_no_surprise() -> None:
    """What a cursor says can be read, so nothing is in it that a client may not know."""
    cursor = cursors.pack(Place((5,), "KXHIGHNY"), {"q": "secret plans"})

    read: Any = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))

    assert read[1] == {"keys": [5], "name": "KXHIGHNY", "reading": None}
    assert "plans" not in str(read)
