"""Terms: what a client accepts, as its header and its query say."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_gateway.directives import (
    LONGEST_SECONDS,
    NO_TERMS,
    NotCached,
    Terms,
    taken_apart,
)

ANEW = Terms(anew=True)


@pytest.mark.parametrize(
    ("header", "terms"),
    [
        (b"", NO_TERMS),
        (b"no-cache", ANEW),
        (b"No-Cache", ANEW),
        (b'no-cache="set-cookie"', ANEW),
        (b"max-age=5", Terms(5)),
        (b"MAX-AGE=5", Terms(5)),
        (b'max-age="5"', Terms(5)),
        (b"max-age=005", Terms(5)),
        (b"max-age=0", Terms(0)),
        (b"max-age=60, max-age=5, max-age=7", Terms(5)),
        (b"max-age=" + b"9" * 5000, Terms(LONGEST_SECONDS)),
        (b"max-age=" + b"0" * 5000 + b"7", Terms(7)),
        (b"only-if-cached,max-age=5", Terms(5, only_if_cached=True)),
        (b"no-store, max-stale=9, min-fresh=1, no-transform", NO_TERMS),
        (b"max-age", NO_TERMS),
        (b"max-age=-5", NO_TERMS),
        (b"max-age=1.5", NO_TERMS),
        (b"max-age=five", NO_TERMS),
        (b'max-age="', NO_TERMS),
        (b"x-max-age=5", NO_TERMS),
        (b'note="no-cache, max-age=0"', NO_TERMS),
        ("max-age=\u00b2".encode("latin-1"), NO_TERMS),
    ],
)
def test_header(header: bytes, terms: Terms) -> None:
    """RFC 9111: names in any case, arguments in either form; what cannot be read is ignored."""
    assert Terms.said(header) == terms


@pytest.mark.parametrize(
    ("query", "understood"),
    [
        (b"", (b"", NO_TERMS)),
        (b"limit=5&q=a%26b", (b"limit=5&q=a%26b", NO_TERMS)),
        (b"max_age=5", (b"", Terms(5))),
        (b"limit=5&max_age=5&sort=change", (b"limit=5&sort=change", Terms(5))),
        (b"refresh=true", (b"", ANEW)),
        (b"refresh=false&max_age=5", (b"", Terms(5))),
        (b"min_max_age=5", (b"min_max_age=5", NO_TERMS)),
        (b"max_age=-5", None),
        (b"max_age=", None),
        (b"max_age", None),
        (b"max_age=%35", None),
        (b"max_age=5&max_age=6", None),
        (b"refresh=maybe", None),
        (b"max_age=" + b"9" * 5000, None),
    ],
)
def test_query(query: bytes, understood: tuple[bytes, Terms] | None) -> None:
    """What is plainly said is taken out of the query; the rest of it stays as it was."""
    assert taken_apart(query, None) == understood


def test_header_and_query() -> None:
    """Of two ages the stricter counts, whichever says it."""
    assert taken_apart(b"max_age=9", b"max-age=5") == (b"", Terms(5))
    assert taken_apart(b"max_age=5", b"max-age=9, only-if-cached") == (
        b"",
        Terms(5, only_if_cached=True),
    )


@given(st.binary(max_size=200))
def test_any_header_can_be_read(header: bytes) -> None:
    """Whatever is sent there makes terms, and no error."""
    terms = Terms.said(header)

    assert terms.max_age_seconds is None or 0 <= terms.max_age_seconds <= LONGEST_SECONDS


@given(st.lists(st.integers(0, 2 * LONGEST_SECONDS), max_size=4), st.booleans(), st.booleans())
def test_order_does_not_count(ages: list[int], anew: bool, only: bool) -> None:
    """The same directives in another order are the same terms."""
    said = [f"max-age={age}" for age in ages]
    said += ["no-cache"] * anew + ["only-if-cached"] * only

    forth = Terms.said(", ".join(said).encode())

    assert forth == Terms.said(",".join(reversed(said)).encode())
    assert forth.max_age_seconds == min((*ages, LONGEST_SECONDS), default=None) or not ages


@given(age=st.integers(0, 10**6), accepted=st.integers(0, 10**6))
def test_age(age: int, accepted: int) -> None:
    """What is older than the client accepts will not do; what is younger will."""
    as_of = datetime.now(UTC) - timedelta(seconds=age, milliseconds=500)

    assert Terms(accepted).accepts(as_of) is (age < accepted)


def test_what_has_no_age() -> None:
    """What the exchange never said is not young, and accepted only by who does not mind."""
    assert NO_TERMS.accepts(None)
    assert not Terms(LONGEST_SECONDS).accepts(None)


def test_anew() -> None:
    """Who wants it anew accepts nothing that is known, however young."""
    assert not ANEW.accepts(datetime.now(UTC))
    assert not ANEW.accepts(datetime.now(UTC) + timedelta(days=1))


def test_asking_may_be_forbidden() -> None:
    """`only-if-cached` forbids it, and nothing else does."""
    ANEW.allow_asking()

    with pytest.raises(NotCached):
        Terms(only_if_cached=True).allow_asking()
