"""Moments as the simulator keeps them: whole microseconds since 1970, which also reach year 1."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
#: The last second that has a date wherever it is told.
LAST_SECOND = (datetime(9999, 12, 30, tzinfo=UTC) - EPOCH) // timedelta(seconds=1)


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(us: int) -> datetime:
    """The aware UTC datetime of a number of microseconds."""
    return EPOCH + timedelta(microseconds=us)


def rfc3339(us: int) -> str:
    """RFC 3339 in UTC, without trailing zeros in the fraction, as the exchange writes it."""
    text = moment(us).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"


def parse(text: str) -> int:
    """Microseconds of an RFC 3339 text; one without an offset is none."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"a moment without an offset: {text!r}")
    return micros(found)
