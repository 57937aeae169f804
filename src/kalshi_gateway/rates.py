"""How many requests a token or a key may send, or an address that shows none."""

from collections.abc import Hashable
from time import monotonic_ns
from typing import NamedTuple

from starlette.types import Scope

from .answers import Asked
from .auth import Caller, Gatekeeper
from .errors import GatewayError
from .keys.verifier import Verifier

Headers = list[tuple[bytes, bytes]]
#: Address and port of who called.
Client = tuple[str, int] | None

#: Who has sent nothing for this long may send all of these seconds' requests at once.
WINDOW_SECONDS = 2

SECOND = 1_000_000_000  # in nanoseconds, in which all is counted
WINDOW = WINDOW_SECONDS * SECOND

#: Where requests may be signed with virtual keys.
SIGNED = "/trade-api/"

#: Callers remembered; those whose window has passed are forgotten when there are more.
MOST_CALLERS = 10_000


class TooManyRequests(GatewayError):
    """The caller sends more than this gateway takes from one."""

    status = 429
    code = "too_many_requests"
    title = "Too many requests"
    retryable = True

    def __init__(self, quota: int) -> None:
        super().__init__(
            f"One caller may send {quota} requests in {WINDOW_SECONDS} seconds.",
            retry_after_seconds=1,
        )


class Allowance(NamedTuple):
    """What a caller may still send, and in how many seconds all of it again."""

    remaining: int
    reset_seconds: int
    refused: bool = False


class Rates:
    """Counts the requests of each caller by the time at which all of them will have been earned.

    A token counts for itself, wherever it comes from, and so does a virtual key whose signature
    holds; everybody else by address. So a token that is none cannot use up what others have, nor
    get more by being another one each time.
    """

    def __init__(self, per_second: int) -> None:
        self.on = per_second > 0
        #: Knows tokens, once the application is open.
        self.gatekeeper: Gatekeeper | None = None
        #: Knows virtual keys, likewise.
        self.verifier: Verifier | None = None
        self.quota = per_second * WINDOW_SECONDS
        self._ns_each = SECOND // per_second if per_second else 0
        self._earned_at: dict[Hashable, int] = {}
        policy = f'"requests";q={self.quota};w={WINDOW_SECONDS}'
        self._fixed: Headers = [
            (b"ratelimit-policy", policy.encode()),
            (b"x-ratelimit-limit", str(self.quota).encode()),
        ]
        # Hot answers are written as bytes: one line, with room for two numbers, twice.
        self._lines = (
            b"".join(b"%b: %b\r\n" % header for header in self._fixed)
            + b'ratelimit: "requests";r=%d;t=%d\r\n'
            + b"x-ratelimit-remaining: %d\r\nx-ratelimit-reset: %d\r\n"
        )

    def __len__(self) -> int:
        """How many callers are remembered."""
        return len(self._earned_at)

    def caller(self, scope: Scope) -> Caller | None:
        """Whose request this is, as far as that is known without asking."""
        shown = Asked.of(scope).authorization
        if self.gatekeeper is not None and shown:
            return self.gatekeeper.caller_at_once(shown)
        if self.verifier is not None and scope["path"].startswith(SIGNED):
            return self.verifier.caller_at_once(scope)
        return None

    def take(self, caller: Hashable) -> Allowance:
        """One more request of this caller's, unless it is refused."""
        now = monotonic_ns()
        earned_at = max(self._earned_at.get(caller, 0), now) + self._ns_each
        left = now + WINDOW - earned_at
        if left < 0:
            return Allowance(0, WINDOW_SECONDS, refused=True)
        if len(self._earned_at) >= MOST_CALLERS and caller not in self._earned_at:
            self._earned_at = {who: at for who, at in self._earned_at.items() if at > now}
        self._earned_at[caller] = earned_at
        return Allowance(left // self._ns_each, -((now - earned_at) // SECOND))

    def headers(self, allowance: Allowance) -> Headers:
        """What is said of it: draft-ietf-httpapi-ratelimit-headers, and the older X- names."""
        remaining, reset = allowance.remaining, allowance.reset_seconds
        return [
            *self._fixed,
            (b"ratelimit", b'"requests";r=%d;t=%d' % (remaining, reset)),
            (b"x-ratelimit-remaining", b"%d" % remaining),
            (b"x-ratelimit-reset", b"%d" % reset),
        ]

    def lines(self, allowance: Allowance) -> bytes:
        """The same as it goes over the wire."""
        remaining, reset = allowance.remaining, allowance.reset_seconds
        return self._lines % (remaining, reset, remaining, reset)


def rate_key(caller: Caller | None, client: Client) -> Hashable:
    """Whose request this is: a token's, or an address's."""
    if caller is not None and caller.token_id is not None:
        return caller.token_id.int  # a UUID itself is hashed ten times as slowly
    return client and client[0]
