"""The exchange's time, told from the dates of its answers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
from hypothesis import given
from hypothesis import strategies as st

from kalshi_gateway.kalshi.clock import ExchangeClock

NOW = datetime(2026, 10, 6, 12, 0, 0, 400_000, tzinfo=UTC)


def answer(at: datetime, **headers: str) -> httpx.Response:
    """An answer that the exchange wrote at this time of its own."""
    date = format_datetime(at.replace(microsecond=0), usegmt=True)
    return httpx.Response(200, headers={"Date": date, **headers})


def clock() -> ExchangeClock:
    return ExchangeClock(lambda: NOW.timestamp())


def test_nothing_is_known_before_the_first_answer() -> None:
    """Before any answer the skew is unknown and our own time is used."""
    assert clock().skew is None
    assert clock().timestamp_ms() == round(NOW.timestamp() * 1000)


@given(
    skew_s=st.floats(-300, 300),
    trips=st.lists(st.floats(0.001, 1.0), min_size=1, max_size=20),
    offsets=st.lists(st.floats(0, 60), min_size=20, max_size=20),
)
def test_skew_is_measured_to_about_a_second(
    skew_s: float, trips: list[float], offsets: list[float]
) -> None:
    """Whole seconds and half a round trip are all that the measure is off by."""
    told = clock()

    for trip_s, offset_s in zip(trips, offsets, strict=False):
        sent_at = NOW + timedelta(seconds=offset_s)
        written_at = sent_at + timedelta(seconds=trip_s / 2 + skew_s)
        told.learn(answer(written_at), sent_at, trip_s)

    assert told.skew is not None
    assert abs(told.skew.total_seconds() - skew_s) <= 0.51


def test_small_differences_are_left_alone() -> None:
    """Up to a second, the resolution of the header, our own clock is good enough."""
    told = clock()

    told.learn(answer(NOW + timedelta(seconds=0.5)), NOW, 0.0)

    assert told.timestamp_ms() == round(NOW.timestamp() * 1000)


def test_a_clock_that_is_off_is_corrected() -> None:
    """A laptop half a minute behind signs with the exchange's time."""
    told = clock()

    for _ in range(3):
        told.learn(answer(NOW + timedelta(seconds=30)), NOW, 0.0)

    assert abs(told.timestamp_ms() / 1000 - NOW.timestamp() - 30) <= 0.5


def test_one_odd_answer_does_not_move_it() -> None:
    """The median of recent answers is not moved by one of them."""
    told = clock()
    for _ in range(4):
        told.learn(answer(NOW), NOW, 0.0)

    told.learn(answer(NOW + timedelta(hours=1)), NOW, 0.0)

    assert told.skew is not None
    assert abs(told.skew) < timedelta(seconds=1)


def test_useless_dates_are_passed_over() -> None:
    """A cached, a slow, a garbled and a missing date tell nothing."""
    told = clock()

    told.learn(answer(NOW - timedelta(seconds=15), Age="15"), NOW, 0.0)
    told.learn(answer(NOW), NOW, 20.0)
    told.learn(httpx.Response(200, headers={"Date": "yesterday"}), NOW, 0.0)
    told.learn(httpx.Response(200), NOW, 0.0)

    assert told.skew is None


def test_after_forgetting_the_next_answer_counts_alone() -> None:
    """When our clock was set, what was measured before is void."""
    told = clock()
    for _ in range(9):
        told.learn(answer(NOW), NOW, 0.0)

    told.forget()
    told.learn(answer(NOW + timedelta(hours=2)), NOW, 0.0)

    assert told.skew is not None
    assert told.skew > timedelta(hours=1, minutes=59)
