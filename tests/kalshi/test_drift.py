"""Differences are counted, bounded, and quoted only where everybody may read."""

import pytest

from kalshi_gateway.kalshi.drift import Difference, Drift


def test_differences_are_counted_by_endpoint_field_and_kind() -> None:
    """The same difference again raises a count; another one is listed beside it."""
    drift = Drift()

    drift.note("/markets", "mood", "unknown", "bullish")
    drift.note("/markets", "mood", "unknown", "bearish")
    drift.note("/markets", "title", "missing")

    [mood, title] = drift.snapshot()
    assert (mood.endpoint, mood.field, mood.kind, mood.count) == ("/markets", "mood", "unknown", 2)
    assert mood.example == '"bullish"'
    assert mood.first_at <= mood.last_at
    assert (title.field, title.kind, title.count, title.example) == ("title", "missing", 1, None)


def test_the_first_of_each_is_told() -> None:
    """A new difference is passed on once, when it is first seen."""
    told: list[Difference] = []
    drift = Drift(on_first=told.append)

    for _ in range(3):
        drift.note("/events", "mood", "unknown", 1)

    assert [(d.field, d.count) for d in told] == [("mood", 1)]


def test_examples_are_short_and_printable() -> None:
    """A huge or binary value leaves no more than 80 plain characters."""
    drift = Drift()

    drift.note("/markets", "a", "unknown", "line\n\x1b[31m" + "é" * 1000)
    drift.note("/markets", "b", "set_aside", b"\xff" * 1000)
    drift.note("/markets", "c", "unknown", object())

    examples = [d.example for d in drift.snapshot()]
    assert examples[2] is None
    for example in examples[:2]:
        assert example is not None
        assert len(example) <= 80
        assert example.isascii()
        assert example.isprintable()


@pytest.mark.parametrize(
    "endpoint",
    ["/portfolio/balance", "GET /portfolio/orders", "/account/limits", "/historical/fills", "/x"],
)
def test_private_answers_are_never_quoted(endpoint: str) -> None:
    """Nothing of an account's own data gets into the counts."""
    drift = Drift()

    drift.note(endpoint, "mood", "unknown", "4711")

    assert drift.snapshot()[0].example is None


@pytest.mark.parametrize(
    "endpoint", ["/markets", "markets", "GET /markets/{ticker}", "/historical/markets"]
)
def test_public_answers_may_be_quoted(endpoint: str) -> None:
    """However the operation is written, what everybody may read is quoted."""
    drift = Drift()

    drift.note(endpoint, "mood", "unknown", 7)

    assert drift.snapshot()[0].example == "7"


def test_the_list_does_not_grow_without_end() -> None:
    """Beyond its size no new difference is kept; known ones count on."""
    drift = Drift(most=2)

    for name in ("a", "b", "c", "d" * 10_000, "a"):
        drift.note("/markets", name, "unknown")

    assert [(d.field, d.count) for d in drift.snapshot()] == [("a", 2), ("b", 1)]
