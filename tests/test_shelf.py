"""Answers within bounds, and users' own only for as long as they are so."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from kalshi_gateway.answers import Answer
from kalshi_gateway.freshness import Standing
from kalshi_gateway.shelf import Kept, Key, Shelf

ROOM = 10_000
OWNERS = st.sampled_from(["ada", "bob", "eve"])
PUT = st.tuples(st.just("put"), OWNERS | st.none(), st.integers(0, 5), st.integers(0, 4_000))
FORGET = st.tuples(st.just("forget"), OWNERS | st.none(), st.just(0), st.just(0))


def an_answer(length: int = 0) -> Answer:
    return Answer(b"{" + b"x" * length, Standing(datetime.now(UTC), 60.0))


def key_of(owner: str | None, number: int) -> Key:
    return (f"/{owner}/{number}", b"x" * 300 * number)


def size(kept: dict[Key, Kept]) -> int:
    return sum(one.answer.size + len(path) + len(query) for (path, query), one in kept.items())


@given(st.lists(PUT | FORGET, max_size=60))
def test_what_is_kept_of_whom(steps: list[tuple[str, str | None, int, int]]) -> None:
    """Never more than there is room for; nothing of who was forgotten; all else stays as it was."""
    shelf, expected = Shelf(ROOM), dict[Key, Kept]()
    for what, owner, number, length in steps:
        if what == "put":
            kept = Kept(an_answer(length), "/route", owner)
            key = key_of(owner, number)
            expected.pop(key, None)
            shelf.put(key, kept)
            expected[key] = kept
            while size(expected) > ROOM:
                del expected[next(iter(expected))]
        else:
            shelf.forget(owner)
            gone = {kept.owner for kept in expected.values()} if owner is None else {owner}
            expected = {k: kept for k, kept in expected.items() if kept.owner not in gone - {None}}

        assert dict(shelf.answers) == expected
        assert shelf.taken_bytes == size(expected) <= ROOM


@given(st.lists(PUT, max_size=60))
def test_nobody_is_remembered_of_whom_nothing_is_kept(
    steps: list[tuple[str, str | None, int, int]],
) -> None:
    """However many users come and go, what is known of them takes no room of its own."""
    shelf = Shelf(ROOM)
    for _, owner, number, length in steps:
        shelf.put(key_of(owner, number), Kept(an_answer(length), "/route", owner))
        kept = {key: one.owner for key, one in shelf.answers.items() if one.owner is not None}

        assert {key: who for who, keys in shelf._owned.items() for key in keys} == kept
        assert all(shelf._owned.values())


def test_read_before_a_change() -> None:
    """What is being read when its user's things change is not kept; another user's is."""
    shelf = Shelf(ROOM)
    shelf.hears = True

    with shelf.reading("ada") as adas, shelf.reading("bob") as bobs:
        shelf.forget("ada")
        shelf.put_own(key_of("ada", 1), an_answer(), "/route", adas)
        shelf.put_own(key_of("bob", 1), an_answer(), "/route", bobs)
        with shelf.reading("ada") as later:
            shelf.put_own(key_of("ada", 2), an_answer(), "/route", later)

    assert list(shelf.answers) == [key_of("bob", 1), key_of("ada", 2)]


def test_deaf() -> None:
    """While changes would not be heard of no user's things are kept; nor what was begun then."""
    shelf = Shelf(ROOM)

    with shelf.reading("ada") as reading:
        shelf.put_own(key_of("ada", 1), an_answer(), "/route", reading)
        shelf.forget(None)
        shelf.hears = True
        shelf.put_own(key_of("ada", 1), an_answer(), "/route", reading)

    assert len(shelf) == 0


def test_as_old_as_its_reading() -> None:
    """What took long to read is not young when it has been read."""
    shelf = Shelf(ROOM)
    shelf.hears = True

    with shelf.reading("ada") as reading:
        answer = an_answer()
        shelf.put_own(key_of("ada", 1), answer, "/route", reading)

    assert answer.made_at == reading.began_at
