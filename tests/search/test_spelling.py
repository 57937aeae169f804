"""How far words are apart, and what a misspelt one may stand for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_gateway.markets.spelling import (
    LONG_WORD,
    MOST_MEANT,
    SHORTEST_MENDED,
    least_shared,
    likeliest,
    mistakes_in,
    trigrams,
)

WORDS = {"bitcoin": 3000, "trump": 900, "president": 400, "presidents": 20, "temperature": 9000}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("bitcon", ["bitcoin"]),  # a letter left out
        ("bitcooin", ["bitcoin"]),  # one too many
        ("bitcain", ["bitcoin"]),  # a wrong one
        ("bitcion", ["bitcoin"]),  # two in each other's place
        ("itcoin", ["bitcoin"]),
        ("trmup", ["trump"]),
        ("temprature", ["temperature"]),
        ("temperatuer", ["temperature"]),
        ("tempreatuer", ["temperature"]),  # two mistakes in a long word
        ("presidnt", ["president"]),
        ("presidenst", ["president", "presidents"]),
        ("tempera", ["temperature"]),  # not finished
        ("temparat", ["temperature"]),  # not finished, and misspelt
        ("tramps", []),  # two mistakes in a short word
        ("btc", []),
        ("xyzzy", []),
    ],
)
def test_what_is_meant(typed: str, meant: list[str]) -> None:
    """One mistake is forgiven, two in a long word; the nearest word is what was meant."""
    assert likeliest(typed, WORDS) == meant


def test_among_equals_the_most_frequent() -> None:
    """Of words that are equally near the most frequent are meant, and no more than three."""
    near = {"cart": 5, "care": 50, "card": 7, "carp": 1, "bare": 9000}

    assert likeliest("carx", near) == ["care", "card", "cart"]
    assert MOST_MEANT == 3


WORD = st.text("abcdeé京", min_size=SHORTEST_MENDED, max_size=12)


def spoilt(word: str, kind: int, at: int, letter: str) -> str:
    """The word with one mistake."""
    at %= len(word) - 1
    return [
        word[:at] + word[at + 1 :],
        word[:at] + letter + word[at:],
        word[:at] + letter + word[at + 1 :],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    ][kind]


@given(WORD, st.integers(0, 3), st.integers(0, 20), st.sampled_from("abcx"))
def test_every_single_mistake_is_mended(word: str, kind: int, at: int, letter: str) -> None:
    """Whatever one mistake makes of a word, the word is near enough, and is looked at."""
    typed = spoilt(word, kind, at, letter)
    if mistakes_in(typed) == 0:
        return

    assert likeliest(typed, {word: 1}) == [word]
    assert len(set(trigrams(typed)) & set(trigrams(word))) >= least_shared(typed)


@given(WORD, WORD)
def test_mending_is_bounded(word: str, other: str) -> None:
    """A word that differs in more letters than are forgiven is not meant."""
    if abs(len(word) - len(other)) > mistakes_in(word) and len(other) < len(word):
        assert likeliest(word, {other: 1}) == []


def test_how_much_is_forgiven() -> None:
    """Short words are not mended at all: too many others are near."""
    assert [mistakes_in("x" * length) for length in (1, 3, 4, LONG_WORD - 1, LONG_WORD)] == [
        0,
        0,
        1,
        1,
        2,
    ]
