"""When trading pauses next: the exchange's week is Eastern Time, its maintenance is UTC."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_gateway.exchange.schedule import (
    DAYS,
    EASTERN,
    Pause,
    ScheduleUnreadable,
    next_pause,
)
from kalshi_gateway.kalshi import wire

ALL_DAY = (("00:00", "00:00"),)
THURSDAY_GAP = (("00:00", "03:00"), ("05:00", "00:00"))
#: As the exchange has it (measured 2026-01 in production).
REAL_WEEK: dict[str, Any] = dict.fromkeys(DAYS, ALL_DAY) | {"thursday": THURSDAY_GAP}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def a_week(
    sessions: dict[str, Any], start: str | None = "2024-12-01", end: str | None = "2200-12-01"
) -> wire.WeeklySchedule:
    return wire.WeeklySchedule(
        start_time=utc(start) if start else None,
        end_time=utc(end) if end else None,
        **{
            day: tuple(wire.DailySchedule(open_time=o, close_time=c) for o, c in sessions[day])
            for day in sessions
        },
    )


def a_schedule(
    *weeks: wire.WeeklySchedule, maintenance: tuple[tuple[str, str], ...] = ()
) -> wire.Schedule:
    return wire.Schedule(
        standard_hours=weeks,
        maintenance_windows=tuple(
            wire.MaintenanceWindow(start_datetime=utc(start), end_datetime=utc(end))
            for start, end in maintenance
        ),
    )


REAL = a_schedule(a_week(REAL_WEEK))
ALWAYS = a_schedule(a_week(dict.fromkeys(DAYS, ALL_DAY)))


def pause(start: str, end: str | None) -> Pause:
    return Pause(utc(start), utc(end) if end else None)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        # in summer 03:00 Eastern is 07:00 UTC, in winter 08:00
        ("2026-06-15T12:00", pause("2026-06-18T07:00", "2026-06-18T09:00")),
        ("2026-01-15T12:00", pause("2026-01-22T08:00", "2026-01-22T10:00")),
        ("2026-06-18T06:59:59", pause("2026-06-18T07:00", "2026-06-18T09:00")),
        # under way
        ("2026-06-18T07:00", pause("2026-06-18T07:00", "2026-06-18T09:00")),
        ("2026-06-18T08:59:59", pause("2026-06-18T07:00", "2026-06-18T09:00")),
        # over
        ("2026-06-18T09:00", pause("2026-06-25T07:00", "2026-06-25T09:00")),
        # the clocks go forward on Sunday, 8 March 2026, and back on 1 November
        ("2026-03-05T12:00", pause("2026-03-12T07:00", "2026-03-12T09:00")),
        ("2026-03-05T07:30", pause("2026-03-05T08:00", "2026-03-05T10:00")),
        ("2026-03-08T06:59", pause("2026-03-12T07:00", "2026-03-12T09:00")),
        ("2026-03-08T07:01", pause("2026-03-12T07:00", "2026-03-12T09:00")),
        ("2026-10-29T12:00", pause("2026-11-05T08:00", "2026-11-05T10:00")),
        ("2026-11-01T05:30", pause("2026-11-05T08:00", "2026-11-05T10:00")),
        ("2026-11-01T06:30", pause("2026-11-05T08:00", "2026-11-05T10:00")),
    ],
)
def test_real_week(now: str, expected: Pause) -> None:
    """Every Thursday from three to five in the morning, in New York, trading pauses."""
    assert next_pause(REAL, utc(now)) == expected


@given(st.integers(0, 3 * 365 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes)))
def test_every_minute_of_three_years(since: timedelta) -> None:
    """Whenever it is asked, the pause is a Thursday's, at three in New York, and not over."""
    now = utc("2025-01-01") + since

    found = next_pause(REAL, now)

    assert found is not None
    assert found.ends_at is not None
    start, end = found.starts_at.astimezone(EASTERN), found.ends_at.astimezone(EASTERN)
    assert (start.strftime("%A %H:%M"), end.strftime("%A %H:%M")) == (
        "Thursday 03:00",
        "Thursday 05:00",
    )
    assert now < found.ends_at
    assert found.starts_at - now < timedelta(days=7)


def test_open_always() -> None:
    """An exchange that is open all day, every day, has no pause to come."""
    assert next_pause(ALWAYS, utc("2026-03-05T12:00")) is None


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-06-15T12:00", pause("2026-06-16T01:00", "2026-06-16T02:30")),
        ("2026-06-16T02:00", pause("2026-06-16T01:00", "2026-06-16T02:30")),
        ("2026-06-16T02:30", None),
    ],
)
def test_maintenance(now: str, expected: Pause | None) -> None:
    """Maintenance is a pause as well."""
    schedule = a_schedule(
        a_week(dict.fromkeys(DAYS, ALL_DAY)),
        maintenance=(("2026-06-16T01:00", "2026-06-16T02:30"),),
    )

    assert next_pause(schedule, utc(now)) == expected


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        # it begins before the weekly pause, and ends after it
        (
            (("2026-06-18T06:00", "2026-06-18T12:00"),),
            pause("2026-06-18T06:00", "2026-06-18T12:00"),
        ),
        # it ends where the weekly pause begins
        (
            (("2026-06-18T06:00", "2026-06-18T07:00"),),
            pause("2026-06-18T06:00", "2026-06-18T09:00"),
        ),
        # two that overlap
        (
            (("2026-06-16T01:00", "2026-06-16T03:00"), ("2026-06-16T02:00", "2026-06-16T04:00")),
            pause("2026-06-16T01:00", "2026-06-16T04:00"),
        ),
        # long over
        (
            (("2026-01-01T01:00", "2026-01-01T03:00"),),
            pause("2026-06-18T07:00", "2026-06-18T09:00"),
        ),
        # nonsense: it ends before it begins
        (
            (("2026-06-16T04:00", "2026-06-16T01:00"),),
            pause("2026-06-18T07:00", "2026-06-18T09:00"),
        ),
        # without an end in sight
        ((("2026-06-16T01:00", "2099-01-01T00:00"),), pause("2026-06-16T01:00", None)),
    ],
)
def test_maintenance_beside_the_weekly_pause(
    windows: tuple[tuple[str, str], ...], expected: Pause
) -> None:
    """Pauses that touch are one."""
    schedule = a_schedule(a_week(REAL_WEEK), maintenance=windows)

    assert next_pause(schedule, utc("2026-06-15T12:00")) == expected


def test_closed_for_maintenance_all_the_time() -> None:
    """An exchange that is closed for all the time we can see is not one without a pause."""
    schedule = a_schedule(
        a_week(REAL_WEEK), maintenance=(("2026-06-01T00:00", "2099-01-01T00:00"),)
    )

    found = next_pause(schedule, utc("2026-06-15T12:00"))

    assert found is not None
    assert found.starts_at <= utc("2026-06-15T12:00")
    assert found.ends_at is None


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-06-15T12:00", pause("2026-06-16T07:00", "2026-06-16T12:00")),
        ("2026-06-16T07:30", pause("2026-06-16T07:00", "2026-06-16T12:00")),
        ("2026-06-16T12:00", pause("2026-06-17T07:00", "2026-06-17T12:00")),
    ],
)
def test_sessions_past_midnight(now: str, expected: Pause) -> None:
    """A session may end on the next day: from eight in the morning to three at night."""
    schedule = a_schedule(a_week(dict.fromkeys(DAYS, (("08:00", "03:00"),))))

    assert next_pause(schedule, utc(now)) == expected


def test_days_without_sessions() -> None:
    """A day without a session is a pause, and so is a weekend."""
    weekdays: dict[str, Any] = dict.fromkeys(DAYS, ()) | dict.fromkeys(DAYS[:5], ALL_DAY)

    found = next_pause(a_schedule(a_week(weekdays)), utc("2026-06-15T12:00"))

    assert found == pause("2026-06-20T04:00", "2026-06-22T04:00")


def test_pause_that_began_long_ago() -> None:
    """A pause under way began when trading ended, even if that is days ago."""
    weekdays: dict[str, Any] = dict.fromkeys(DAYS, ()) | dict.fromkeys(DAYS[:3], ALL_DAY)

    found = next_pause(a_schedule(a_week(weekdays)), utc("2026-06-21T12:00"))

    assert found == pause("2026-06-18T04:00", "2026-06-22T04:00")


def test_one_week_after_another() -> None:
    """A new week holds from its first moment and the old one to its last, and not a day longer."""
    gap_on_monday = dict.fromkeys(DAYS, ALL_DAY) | {"monday": THURSDAY_GAP}
    schedule = a_schedule(
        a_week(gap_on_monday, end="2026-06-16T04:00"),
        a_week(REAL_WEEK, start="2026-06-16T04:00"),
    )

    assert next_pause(schedule, utc("2026-06-15T00:00")) == pause(
        "2026-06-15T07:00", "2026-06-15T09:00"
    )
    assert next_pause(schedule, utc("2026-06-15T12:00")) == pause(
        "2026-06-18T07:00", "2026-06-18T09:00"
    )


def test_week_that_ends() -> None:
    """Beyond the last week that the exchange has announced nobody knows of any trading."""
    schedule = a_schedule(a_week(dict.fromkeys(DAYS, ALL_DAY), end="2026-06-17T04:00"))

    assert next_pause(schedule, utc("2026-06-15T12:00")) == pause("2026-06-17T04:00", None)


@pytest.mark.parametrize(("start", "end"), [(None, None), ("0001-01-01", "9999-12-31")])
def test_week_without_bounds(start: str | None, end: str | None) -> None:
    """A week that has no beginning and no end holds always."""
    schedule = a_schedule(a_week(REAL_WEEK, start=start, end=end))

    assert next_pause(schedule, utc("2026-06-15T12:00")) == pause(
        "2026-06-18T07:00", "2026-06-18T09:00"
    )


@pytest.mark.parametrize(
    "schedule",
    [
        wire.Schedule(),
        a_schedule(),
        a_schedule(a_week({})),
        a_schedule(a_week(REAL_WEEK | {"friday": (("soon", "25:00"),)})),
        a_schedule(a_week(REAL_WEEK | {"friday": (("", ""),)})),
    ],
)
def test_unknown(schedule: wire.Schedule) -> None:
    """Out of a schedule that says nothing, or nothing one can read, no pause is made up."""
    with pytest.raises(ScheduleUnreadable):
        next_pause(schedule, utc("2026-06-15T12:00"))


def test_never_open() -> None:
    """An exchange without a single session does not trade without end: it does not trade."""
    schedule = a_schedule(a_week(dict.fromkeys(DAYS, ())))

    assert next_pause(schedule, utc("2026-06-15T12:00")) == pause("2026-06-15T12:00", None)


def test_midnight_by_its_other_name() -> None:
    """24:00 is the end of the day, too."""
    schedule = a_schedule(a_week(REAL_WEEK | {"friday": (("00:00", "24:00"),)}))

    assert next_pause(schedule, utc("2026-06-18T12:00")) == pause(
        "2026-06-25T07:00", "2026-06-25T09:00"
    )
