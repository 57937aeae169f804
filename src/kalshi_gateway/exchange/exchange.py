"""Exchange: whether it is open, shard by shard, and when it pauses next."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from kalshi_gateway.directives import NO_TERMS, NotCached, Terms
from kalshi_gateway.freshness import Kept, Meta, Standing, Told
from kalshi_gateway.kalshi import wire
from kalshi_gateway.kalshi.client import Kalshi
from kalshi_gateway.kalshi.errors import KalshiError
from kalshi_gateway.units import Moment, moment

from .schedule import DAYS, Pause, ScheduleUnreadable, next_pause

STATUS_FRESH_FOR = timedelta(seconds=5)
SCHEDULE_FRESH_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of the exchange: each market trades on one of them."""

    exchange_index: int
    description: str | None
    exchange_active: bool | None
    trading_active: bool | None
    transfers_active: Annotated[bool | None, Field(description="Money can move between shards.")]


@dataclass(frozen=True, slots=True)
class Session:
    """From when to when one can trade, Eastern Time; 00:00 to 00:00 is the whole day."""

    day: str
    opens: str
    closes: str


@dataclass(frozen=True, slots=True)
class Window:
    """A time of maintenance."""

    starts_at: Moment | None
    ends_at: Moment | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """The exchange as a whole."""

    exchange_active: Annotated[bool, Field(description="Of shard 0; see `shards` for each.")]
    trading_active: bool
    resumes_at: Annotated[Moment | None, Field(description="The exchange's own estimate.")]
    shards: tuple[Shard, ...]
    schedule: tuple[Session, ...]
    maintenance_windows: tuple[Window, ...]
    next_pause: Pause | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeDetail(Exchange):
    """The exchange as a whole, and how old that is."""

    meta: Meta


class ExchangeWatch:
    """The exchange's state, asked for at most every few seconds."""

    def __init__(self, kalshi: Kalshi) -> None:
        self._kalshi = kalshi
        self._status = Kept(self._ask_status, STATUS_FRESH_FOR)
        self._schedule = Kept(self._ask_schedule, SCHEDULE_FRESH_FOR)

    async def exchange(self, terms: Terms = NO_TERMS) -> Told[Exchange]:
        """Status and schedule together; the status says how old they are."""
        status, standing, came = await self._status.get(terms)
        schedule, schedule_standing, schedule_came = await self._known_schedule(terms)
        now = datetime.now(UTC)
        pause, unreadable = _pause(schedule, now)
        told = Exchange(
            exchange_active=status.exchange_active,
            trading_active=status.trading_active,
            resumes_at=moment(status.exchange_estimated_resume_time),
            shards=tuple(
                Shard(
                    shard.exchange_index,
                    shard.description,
                    shard.exchange_active,
                    shard.trading_active,
                    shard.intra_exchange_transfers_active,
                )
                for shard in status.exchange_index_statuses or ()
            ),
            schedule=tuple(_sessions(schedule, now)),
            maintenance_windows=tuple(
                Window(moment(window.start_datetime), moment(window.end_datetime))
                for window in schedule.maintenance_windows or ()
            ),
            next_pause=pause,
        )
        together = Standing(
            as_of=standing.as_of,
            fresh_for_seconds=standing.fresh_for_seconds * 2,
            complete=not unreadable,
            warnings=standing.warnings + schedule_standing.warnings + unreadable,
            overdue=standing.overdue or schedule_standing.overdue,
        )
        if came == "HIT":
            came = schedule_came
        return Told(told, together, "HIT" if together.overdue else came)

    async def _known_schedule(self, terms: Terms) -> Told[wire.Schedule]:
        """The schedule, however old: terms say how old the status may be.

        One that nobody has ever heard is as good as one that cannot be read.
        """
        ageless = Terms(anew=terms.anew, only_if_cached=terms.only_if_cached)
        try:
            return await self._schedule.get(ageless)
        except (KalshiError, NotCached):
            return Told(wire.Schedule(), Standing(None, 0), "HIT")

    async def _ask_status(self) -> tuple[wire.ExchangeStatus, datetime]:
        answer = await self._kalshi.exchange_status()
        return answer.value, answer.asked_at

    async def _ask_schedule(self) -> tuple[wire.Schedule, datetime]:
        answer = await self._kalshi.exchange_schedule()
        return answer.value, answer.asked_at


def _pause(schedule: wire.Schedule, now: datetime) -> tuple[Pause | None, tuple[str, ...]]:
    """The next pause; and a warning where none is known, which is not the same as none to come."""
    try:
        return next_pause(schedule, now), ()
    except ScheduleUnreadable:
        return None, ("the exchange's schedule could not be read",)


def _sessions(schedule: wire.Schedule, now: datetime) -> list[Session]:
    """The week that holds now."""
    weeks = [
        week
        for week in schedule.standard_hours or ()
        if (week.start_time is None or week.start_time <= now)
        and (week.end_time is None or now < week.end_time)
    ]
    return [
        Session(day, session.open_time, session.close_time)
        for week in weeks[:1]
        for day in DAYS
        for session in getattr(week, day) or ()
    ]
