"""Whatever a market says, it is found by typing it, or the beginning of it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_gateway.markets.search import Reading, as_read
from kalshi_gateway.markets.words import (
    LONGEST_WORD,
    MOST_QUERY_WORDS,
    MOST_WORDS,
    words,
)

LEXEME = re.compile(r"'([^'\\\s&|!()<>:*]+)':\*")


def prefixes(text: str) -> list[str]:
    """The prefixes a query asks for; it must consist of nothing else."""
    asked = as_read(text, Reading()).widest
    if asked is None:
        return []
    parts = asked.whole.removeprefix("(").removesuffix(")").split(" & ")
    lexemes = [LEXEME.fullmatch(part) for part in parts]
    assert None not in lexemes
    return [lexeme[1] for lexeme in lexemes if lexeme]


def finds(typed: str, document: list[str]) -> bool:
    """What `@@` answers: each prefix begins some word of the document."""
    return all(any(word.startswith(prefix) for word in document) for prefix in prefixes(typed))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Will BTC hit $100k?", ["will", "btc", "hit", "100k"]),
        ("Fed rate above 4.75%", ["fed", "rate", "above", "4.75"]),
        ("$52,300 to 52,399.99", ["52300", "to", "52399.99"]),
        ("$1.5M or €2", ["1.5m", "or", "2"]),
        ("86° or 86º", ["86", "or"]),
        ("The U.S. and the S&P 500", ["the", "us", "and", "sp", "500"]),
        ("Trump\u2019s men's", ["trumps", "mens"]),
        ("Aaron Taylor-Johnson", ["aaron", "taylor", "johnson"]),
        ("Côte d'Ivoire, Ødegaard", ["cote", "divoire", "odegaard"]),
        ("CO₂ in İstanbul", ["co2", "in", "istanbul"]),
        ("Jun 5, June 5", ["jun", "5", "june"]),
        ("Tie, tie, TIE.", ["tie"]),
        ("Kia™ 5'", ["kia", "5"]),
        ("KXFED-26SEP-T4.75", ["kxfed-26sep-t4.75", "kxfed", "fed", "26sep", "t4.75"]),
        ("GOVPARTYFL-26-R", ["govpartyfl", "26", "r"]),
        ("京 _u.s_", ["京", "us"]),
        ("KXA-1'B", ["kxa", "a", "1b"]),
        ("nul\x00 \ud800 lone", ["nul", "lone"]),
        ("— :: ?!", []),
    ],
)
def test_documents_are_cut_into_words(text: str, expected: list[str]) -> None:
    """Case, accents, signs and pronunciation marks do not matter; numbers stay whole."""
    assert words(text) == expected


@pytest.mark.parametrize(
    "typed",
    [
        "high",
        "KXHIGHNY",
        "highny",
        "kxhighny-26ju",
        "KXHIGHNY-26JUN15-T85",
        "highny-26jun15",
        "26jun15 t85",
        "nyc 86",
        "86°",
        ">85",
        "june 15",
        "jan",  # begins nothing
        "new york",  # not its words
    ],
)
def test_markets_are_found_by_what_people_type(typed: str) -> None:
    """A ticker or any part of it, words in any order, and unfinished ones find a market."""
    market = words(
        "KXHIGHNY-26JUN15-T85",
        "Will the high temp in NYC be >85° on Jun 15, 2026?",
        "86° or above",
        None,
    )

    assert finds(typed, market) == (typed not in {"jan", "new york"})


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("The U.S. State Department", "us state dep"),
        ("US-Iran nuclear deal", "u.s. iran"),
        ("S&P 500", "sp 500"),
        ("Men's World Cup", "mens world cup"),
        ("Men's World Cup", "men"),
        ("$52,300 or above", "52300"),
        ("52300", "$52,300"),
        ("Côte d\u2019Ivoire", "COTE D'IVOIRE"),
        ("Sept 5", "september"),
        ("\u03b1\u03c2", "\U0001d6a8\U0001d6ba"),  # in Greek, and in the capitals of mathematics
    ],
)
def test_spelling_does_not_matter(said: str, typed: str) -> None:
    """Both spellings of a word are cut to the same."""
    assert finds(typed, words(said))


def test_whole_tickers_find_only_themselves() -> None:
    """A ticker typed in full asks for itself, not for any market that shares its parts."""
    other = words("KXHIGHNY-26JUN15-B84.5", "T85 KXHIGHNY")

    assert not finds("KXHIGHNY-26JUN15-T85", other)


@pytest.mark.parametrize("text", ["", "  ", "?!", "' \\ ' :* & | ! ( ) <->", "\x00", "\udfff"])
def test_queries_without_words_are_none(text: str) -> None:
    """A search for nothing is no search."""
    assert as_read(text, Reading()).widest is None


def test_size_is_bounded() -> None:
    """Long words are cut, and neither documents nor queries grow without end."""
    many = " ".join(f"w{number}" for number in range(500))

    assert words("x" * 500) == ["x" * LONGEST_WORD]
    assert finds("x" * 500, words("x" * 500))
    assert len(words(many, many)) == MOST_WORDS
    assert len(prefixes(many)) == MOST_QUERY_WORDS


PIECES = st.sampled_from(
    ["KX", "KXA-1", "kxab-26jun15", "U.S", "1,23", *"kx-_.,'\u2019&$°:*|!()\\\x00 \n12aUsSéßº"]
)
TEXTS = st.lists(PIECES | st.characters()).map("".join)


@given(TEXTS)
def test_queries_hold_quoted_words_only(text: str) -> None:
    """Nothing that is typed becomes an operator, ends a quotation or is no storable text."""
    for prefix in prefixes(text):
        assert all(char.isalnum() or char in ".-" for char in prefix)
        assert len(prefix) <= LONGEST_WORD
        prefix.encode()


@given(st.lists(TEXTS, max_size=4))
def test_documents_hold_storable_words_only(texts: list[str]) -> None:
    """Words are different, not empty, short, and made of letters, digits, points and dashes."""
    document = words(*texts)

    assert len(set(document)) == len(document) <= MOST_WORDS
    for word in document:
        assert 0 < len(word) <= LONGEST_WORD
        assert all(char.isalnum() or char in ".-" for char in word)
        word.encode()


@given(st.lists(TEXTS, max_size=3))
def test_documents_are_found_by_their_own_text(texts: list[str]) -> None:
    """A document is found by each of its texts, and by each of its words alone."""
    document = words(*texts)

    if len(document) < MOST_WORDS:
        for text in texts:
            assert finds(text, document)
    for word in document:
        assert finds(word, document)
