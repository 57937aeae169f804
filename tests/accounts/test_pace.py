"""When an account is read again."""

from datetime import timedelta

import pytest

from kalshi_gateway.accounts import pace
from kalshi_gateway.credentials.credential import NoCredentials
from kalshi_gateway.kalshi.errors import KeyRejected, Nonsense, RateLimited, Unavailable

EVERY = timedelta(seconds=300)


def about(span: timedelta, expected: timedelta) -> bool:
    """Within the jitter."""
    return expected * 0.9 <= span <= expected * 1.1


@pytest.mark.parametrize(
    ("unwatched", "expected"),
    [
        (timedelta(0), timedelta(seconds=60)),
        (timedelta(minutes=9), timedelta(seconds=60)),
        (timedelta(minutes=11), EVERY),
        (timedelta(hours=23), EVERY),
        (timedelta(days=2), EVERY * 3),
        (None, EVERY * 3),
    ],
)
def test_interval(unwatched: timedelta | None, expected: timedelta) -> None:
    """Watched accounts often, idle ones rarely, and never all at the same time."""
    spans = [pace.interval(EVERY, unwatched) for _ in range(20)]

    assert all(about(span, expected) for span in spans)
    assert len(set(spans)) > 1


def test_pause() -> None:
    """Pauses double up to the longest; without a key that holds they begin long."""
    down = [pace.pause(Unavailable("503"), failures) for failures in range(12)]
    refused = [pace.pause(KeyRejected(401), failures) for failures in range(12)]

    assert about(down[0], timedelta(seconds=15))
    assert about(down[1], timedelta(seconds=30))
    assert about(refused[0], timedelta(minutes=5))
    assert all(span <= pace.LONGEST_PAUSE * 1.1 for span in down + refused)
    assert about(down[-1], pace.LONGEST_PAUSE)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (KeyRejected(401, "authentication_error", "secret", "names an account"), "API key (401)"),
        (RateLimited("429"), "no more requests"),
        (Nonsense("what?"), "cannot be used"),
        (Unavailable("503"), "cannot answer now"),
        (NoCredentials("No key is kept."), "No key is kept."),
    ],
)
def test_in_words(failure: Exception, words: str) -> None:
    """The reason is told in our words; the exchange's may name an account."""
    told = pace.in_words(failure)  # type: ignore[arg-type]

    assert words in told
    assert "secret" not in told
    assert "account" not in told
