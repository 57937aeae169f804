"""When trading pauses next, read off the exchange's weekly schedule."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import Field

from kalshi_gateway.kalshi import wire
from kalshi_gateway.units import Moment, moment

EASTERN = ZoneInfo("America/New_York")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

#: A weekly schedule repeats, so the next pause lies within two weeks, or there is none.
HORIZON_DAYS = 15


@dataclass(frozen=True, slots=True)
class Pause:
    """A time without trading."""

    starts_at: Moment
    ends_at: Annotated[Moment | None, Field(description="null: not within two weeks.")]


class Span(NamedTuple):
    start: datetime
    end: datetime


def next_pause(schedule: wire.Schedule, now: datetime) -> Pause | None:
    """The pause under way, or the one to come; None where trading goes on without end."""
    today = now.astimezone(EASTERN).date()
    days = [today + timedelta(days=n) for n in range(-1, HORIZON_DAYS)]
    last = datetime.combine(days[-1], time(), EASTERN) + timedelta(days=1)
    spans = _without(_joined(span for day in days for span in _sessions(schedule, day)), schedule)
    if not spans:
        return None
    for before, after in zip(spans, [*spans[1:], None], strict=True):
        if now < before.start:
            return Pause(_utc(now), _utc(before.start))
        if now < (after.start if after else last) and before.end < last:
            return Pause(_utc(before.end), _utc(after.start) if after else None)
    return None


def _sessions(schedule: wire.Schedule, day: date) -> Iterator[Span]:
    midnight = datetime.combine(day, time(), EASTERN)
    for week in schedule.standard_hours or ():
        if (week.start_time and midnight < week.start_time - timedelta(days=1)) or (
            week.end_time and midnight >= week.end_time
        ):
            continue
        for session in getattr(week, DAYS[day.weekday()]) or ():
            opens, closes = (
                time.fromisoformat(session.open_time),
                time.fromisoformat(session.close_time),
            )
            # Midnight as a closing time is the end of the day; 00:00 to 00:00 is all of it.
            closing_day = day if closes > time() else day + timedelta(days=1)
            yield Span(
                datetime.combine(day, opens, EASTERN),
                datetime.combine(closing_day, closes, EASTERN),
            )


def _joined(sessions: Iterator[Span]) -> list[Span]:
    """Sessions that touch are one."""
    spans: list[Span] = []
    for span in sorted(sessions):
        if spans and span.start <= spans[-1].end:
            spans[-1] = Span(spans[-1].start, max(spans[-1].end, span.end))
        else:
            spans.append(span)
    return spans


def _without(spans: list[Span], schedule: wire.Schedule) -> list[Span]:
    """The spans less the maintenance windows."""
    for window in schedule.maintenance_windows or ():
        start, end = window.start_datetime, window.end_datetime
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


def _utc(at: datetime) -> datetime:
    found = moment(at)
    assert found is not None  # noqa: S101 - within two weeks of now
    return found
