"""When trading pauses next, read off the exchange's weekly schedule."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import Field

from kalshi_gateway.kalshi import wire
from kalshi_gateway.units import Moment, moment

EASTERN = ZoneInfo("America/New_York")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

#: A weekly schedule repeats, so the next pause lies within two weeks, or there is none; and the
#: one under way began within one.
HORIZON_DAYS = 15
LOOK_BACK_DAYS = 8


@dataclass(frozen=True, slots=True)
class Pause:
    """A time without trading."""

    starts_at: Moment
    ends_at: Annotated[Moment | None, Field(description="null: not within two weeks.")]


class Span(NamedTuple):
    """From when to when, in UTC: two moments of one zone are compared by what its clocks show."""

    start: datetime
    end: datetime


class ScheduleUnreadable(Exception):
    """The exchange's week says nothing, or something we cannot read."""


def next_pause(schedule: wire.Schedule, now: datetime) -> Pause | None:
    """The pause under way, or the one to come; None where trading goes on without end.

    One under way that began longer ago than can be seen is said to begin now.
    """
    if not schedule.standard_hours:
        raise ScheduleUnreadable
    today = now.astimezone(EASTERN).date()
    days = [today + timedelta(days=number) for number in range(-LOOK_BACK_DAYS, HORIZON_DAYS)]
    sessions = _joined(
        span for week in schedule.standard_hours for day in days for span in _sessions(week, day)
    )
    spans = _without(sessions, schedule.maintenance_windows or ())
    began = [span for span in spans if span.start <= now]
    to_come = [span for span in spans if span.start > now]
    stops_at = began[-1].end if began else now
    if stops_at >= _at(days[-1] + timedelta(days=1), time()):
        return None
    return Pause(_told(stops_at), _told(to_come[0].start) if to_come else None)


def _sessions(week: wire.WeeklySchedule, day: date) -> Iterator[Span]:
    """When one can trade on this day, as far as this week holds then."""
    sessions: Sequence[wire.DailySchedule] | None = getattr(week, DAYS[day.weekday()])
    if sessions is None:
        raise ScheduleUnreadable
    for session in sessions:
        opens, closes = _clock(session.open_time), _clock(session.close_time)
        # Midnight as a closing time is the end of the day; 00:00 to 00:00 is all of it.
        closing_day = day if closes > opens else day + timedelta(days=1)
        start, end = _at(day, opens), _at(closing_day, closes)
        if week.start_time is not None:
            start = max(start, week.start_time)
        if week.end_time is not None:
            end = min(end, week.end_time)
        if start < end:
            yield Span(start, end)


def _clock(text: str) -> time:
    try:
        return time.fromisoformat("00:00" if text == "24:00" else text)
    except ValueError:
        raise ScheduleUnreadable from None


def _at(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, EASTERN).astimezone(UTC)


def _joined(sessions: Iterable[Span]) -> list[Span]:
    """Sessions that touch are one."""
    spans: list[Span] = []
    for span in sorted(sessions):
        if spans and span.start <= spans[-1].end:
            spans[-1] = Span(spans[-1].start, max(spans[-1].end, span.end))
        else:
            spans.append(span)
    return spans


def _without(spans: list[Span], windows: Sequence[wire.MaintenanceWindow]) -> list[Span]:
    """The spans less the maintenance windows."""
    for window in windows:
        start, end = window.start_datetime, window.end_datetime
        if start >= end:
            continue
        spans = [
            part
            for span in spans
            for part in (
                Span(span.start, min(span.end, start)),
                Span(max(span.start, end), span.end),
            )
            if part.start < part.end
        ]
    return spans


def _told(at: datetime) -> datetime:
    found = moment(at)
    assert found is not None  # noqa: S101 - within two weeks of now
    return found
