"""A failing exchange is left alone, one probe at a time."""

import asyncio
from contextlib import suppress

import pytest

from kalshi_gateway.kalshi.breaker import OLD_AFTER, Breaker, Breakers
from kalshi_gateway.kalshi.errors import (
    BreakerOpen,
    KalshiError,
    Nonsense,
    NotFound,
    RateLimited,
    Unavailable,
)
from kalshi_gateway.kalshi.signing import ForeignHost


class FakeClock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> Breaker:
    return Breaker(failures=3, now=clock)


def call(breaker: Breaker, outcome: BaseException | None = None) -> None:
    """One call that ends so."""
    with breaker.guard():
        if outcome is not None:
            raise outcome


def state(breaker: Breaker) -> str:
    return breaker.state


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Unavailable):
            call(breaker, Unavailable("down"))


def test_it_opens_after_failures_in_a_row(breaker: Breaker) -> None:
    """The third failure in a row opens it; the next call is not made and told when to come back."""
    fail(breaker, 3)

    with pytest.raises(BreakerOpen) as refusal:
        call(breaker)

    assert state(breaker) == "open"
    assert refusal.value.retry_after_s is not None
    assert 0.8 <= refusal.value.retry_after_s <= 1.2


@pytest.mark.parametrize(
    "answer",
    [NotFound(404), RateLimited("429"), Nonsense("?"), Unavailable("?", status=414), None],
)
def test_an_answer_of_any_kind_counts_as_life(breaker: Breaker, answer: KalshiError | None) -> None:
    """A refusal between failures shows that the exchange is there."""
    fail(breaker, 2)
    with suppress(KalshiError):
        call(breaker, answer)

    fail(breaker, 2)

    assert state(breaker) == "closed"


@pytest.mark.parametrize("status", [None, 200, 408, 425, 500, 503])
def test_what_says_nothing_of_the_call_is_a_failure(breaker: Breaker, status: int | None) -> None:
    """Silence, a page instead of data and whatever may pass count as failures."""
    for _ in range(3):
        with pytest.raises(Unavailable):
            call(breaker, Unavailable("down", status=status))

    assert state(breaker) == "open"


def test_one_probe_at_a_time(breaker: Breaker, clock: FakeClock) -> None:
    """Once the pause is over one call goes out; others wait for what it finds."""
    fail(breaker, 3)
    clock.time += 2

    with breaker.guard():
        assert state(breaker) == "half_open"
        with pytest.raises(BreakerOpen):
            call(breaker)

    assert state(breaker) == "closed"
    call(breaker)


def test_pauses_double_up_to_a_limit(clock: FakeClock) -> None:
    """Each failed probe doubles the pause, up to the longest; a success forgets them all."""
    breaker = Breaker(failures=1, now=clock)
    pauses = []
    for _ in range(10):
        fail(breaker, 1)
        with pytest.raises(BreakerOpen) as refusal:
            call(breaker)
        pauses.append(refusal.value.retry_after_s or 0)
        clock.time += pauses[-1]

    call(breaker)
    fail(breaker, 1)

    for pause, ideal in zip(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60], strict=True):
        assert 0.8 * ideal <= pause <= 1.2 * ideal
    with pytest.raises(BreakerOpen) as refusal:
        call(breaker)
    assert (refusal.value.retry_after_s or 0) <= 1.2


@pytest.mark.parametrize("end", [asyncio.CancelledError(), ForeignHost("x"), RuntimeError()])
def test_a_probe_given_up_lets_the_next_one_go(
    breaker: Breaker, clock: FakeClock, end: BaseException
) -> None:
    """A probe that never got an answer tells nothing, and blocks nobody."""
    fail(breaker, 3)
    clock.time += 2

    with pytest.raises(type(end)):
        call(breaker, end)

    assert state(breaker) == "half_open"
    call(breaker)
    assert state(breaker) == "closed"


def test_stragglers_do_not_lengthen_the_pause(breaker: Breaker, clock: FakeClock) -> None:
    """Calls that left before it opened and fail after it change nothing."""
    late = breaker.guard()
    late.__enter__()
    fail(breaker, 3)
    clock.time += 0.7
    error = Unavailable("late")
    assert not late.__exit__(type(error), error, None)

    clock.time += 0.5
    call(breaker)

    assert state(breaker) == "closed"


# Operation by operation

BOOK, MARKETS = ("GET", "/markets/{ticker}/orderbook"), ("GET", "/markets")


@pytest.fixture
def breakers(clock: FakeClock) -> Breakers:
    return Breakers(failures=3, now=clock)


def test_each_operation_is_judged_by_itself(breakers: Breakers) -> None:
    """What fails at one operation refuses that alone, and what passes at another mends nothing."""
    fail(breakers.of(*MARKETS), 3)

    call(breakers.of(*BOOK))

    with pytest.raises(BreakerOpen):
        call(breakers.of(*MARKETS))


def test_the_worst_is_shown(breakers: Breakers, clock: FakeClock) -> None:
    """All together are as open as the one that fares worst, and have failed as often as it."""
    assert (breakers.state, breakers.failed_in_a_row) == ("closed", 0)
    fail(breakers.of(*MARKETS), 3)
    fail(breakers.of(*BOOK), 1)
    assert (breakers.state, breakers.failed_in_a_row) == ("open", 3)

    clock.time += 2
    assert breakers.state == "half_open"
    call(breakers.of(*MARKETS))

    assert (breakers.state, breakers.failed_in_a_row) == ("closed", 1)


def test_what_nobody_asks_for_any_more_is_not_shown(breakers: Breakers, clock: FakeClock) -> None:
    """An operation that failed, and was not asked for again, does not look like an outage."""
    fail(breakers.of(*MARKETS), 3)
    clock.time += OLD_AFTER.total_seconds() - 1
    fail(breakers.of(*BOOK), 1)
    assert (breakers.state, breakers.failed_in_a_row) == ("half_open", 3)

    clock.time += 2

    assert (breakers.state, breakers.failed_in_a_row) == ("closed", 1)


def test_a_probe_that_fails_is_shown_again(breakers: Breakers, clock: FakeClock) -> None:
    """An operation that is asked for after a long time, and still fails, is shown."""
    fail(breakers.of(*MARKETS), 3)
    clock.time += 2 * OLD_AFTER.total_seconds()

    fail(breakers.of(*MARKETS), 1)

    assert (breakers.state, breakers.failed_in_a_row) == ("open", 4)
