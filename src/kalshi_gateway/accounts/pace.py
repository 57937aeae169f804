"""When an account is read again: soon while it is watched, later while nobody looks or it fails."""

import random
from datetime import timedelta

from kalshi_gateway.errors import GatewayError
from kalshi_gateway.kalshi import errors
from kalshi_gateway.kalshi.errors import KalshiError

#: Who was asked for within this time is read more often than the setting says, who was not for
#: the other, less often.
WATCHED = timedelta(minutes=10)
IDLE = timedelta(days=1)
OFTENER, LESS_OFTEN = 0.2, 3.0

#: The pauses after the first failure, which double up to the longest.
SHORTEST_PAUSE = timedelta(seconds=15)
SHORTEST_PAUSE_WITHOUT_KEY = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=1)

_chance = random.Random()


def interval(every: timedelta, unwatched: timedelta | None) -> timedelta:
    """How long after a good refresh the next one is due; `unwatched` is None: never asked for."""
    if unwatched is None or unwatched > IDLE:
        return _jittered(every * LESS_OFTEN)
    return _jittered(every * OFTENER if unwatched < WATCHED else every)


def pause(failure: Exception, failures: int) -> timedelta:
    """How long after a failed refresh, the last of so many in a row, another one is tried."""
    hopeless = isinstance(failure, errors.KeyRejected | GatewayError)
    shortest = SHORTEST_PAUSE_WITHOUT_KEY if hopeless else SHORTEST_PAUSE
    return _jittered(min(LONGEST_PAUSE, shortest * 2 ** min(failures, 10)))


def in_words(failure: KalshiError | GatewayError) -> str:
    """Why an account could not be read; the exchange's own words may name it, and are left out."""
    match failure:
        case GatewayError():
            return failure.detail
        case errors.KeyRejected():
            return f"the exchange does not accept the API key ({failure.status})"
        case errors.Rejected():
            return f"the exchange refused to tell ({failure.status})"
        case errors.RateLimited():
            return "the exchange allows no more requests for the moment"
        case errors.Nonsense():
            return "the exchange answered something that cannot be used"
        case _:
            return "the exchange cannot answer now"


def _jittered(span: timedelta) -> timedelta:
    """Accounts that came together are not to come together for ever."""
    return span * _chance.uniform(0.9, 1.1)
