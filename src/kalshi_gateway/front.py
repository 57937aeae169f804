"""The way of a hot answer: nothing but what it takes, before everything else.

What an answer given again has to pass on its way through the application (its id, checks, who is
calling, how often, what is counted) is done here at once, and the answer written as the bytes it
is. Whatever is out of the ordinary goes the long way, which ends in the same answer:
`tests/test_front.py` sends the same requests both ways.
"""

import time

from . import hot
from .answers import takes_gzip
from .auth import LOCAL, Caller
from .limits import LocalOnly
from .metrics import Metrics
from .rates import Headers, Rates, rate_key
from .requests import NOSNIFF, request_id
from .shelf import Shelf
from .tokens.token import Scope as TokenScope

#: Address and port of who called.
Client = tuple[str, int] | None

#: Who sends one of these wants more than what lies ready.
UNUSUAL = frozenset(
    {
        b"cache-control",
        b"content-length",
        b"expect",
        b"origin",
        b"transfer-encoding",
        b"upgrade",
        b"x-forwarded-for",
    }
)
#: Headers of no more bytes are within all limits.
SMALL = 8 * 1024

FIXED = b"%b: %b\r\nx-request-id: " % NOSNIFF
END = b"\r\n\r\n"


class Front:
    """Gives what `Hot` keeps, as long as it is fresh."""

    def __init__(self, metrics: Metrics, rates: Rates, local_only: LocalOnly | None) -> None:
        #: What `Hot` keeps.
        self.ready = Shelf(hot.MOST_BYTES)
        self.rates = rates
        self._answers = self.ready.answers
        self._metrics = metrics
        self._local_only = local_only

    def answer(self, url: bytes, headers: Headers, client: Client) -> tuple[bytes, bytes] | None:
        """Head and body, if nothing stands in the way; else nothing has happened."""
        path, _, query = url.partition(b"?")
        key = (path.decode("latin-1"), query)
        kept = self._answers.get(key)
        if kept is None or time.monotonic() - kept.answer.made_at >= hot.FRESH_SECONDS:
            return None
        began = time.perf_counter()
        said = dict(headers)
        if (
            len(said) != len(headers)
            or not said.keys().isdisjoint(UNUSUAL)
            or sum(map(len, said.values())) > SMALL
        ):
            return None
        caller = self._caller(said)
        if caller is None or not caller.has(TokenScope.READ):
            return None
        limits = b""
        if self.rates.on:
            allowance = self.rates.take(rate_key(caller, client))
            if allowance.refused:
                return None
            limits = self.rates.lines(allowance)
        form = kept.answer.form(
            said.get(b"if-none-match"), zipped=takes_gzip(said.get(b"accept-encoding", b""))
        )
        shown = request_id(said.get(b"x-request-id")).encode()
        self._answers.move_to_end(key)
        self._metrics.answered("GET", kept.route, form.status, time.perf_counter() - began)
        return b"".join((form.head, limits, FIXED, shown, END)), form.content

    def _caller(self, said: dict[bytes, bytes]) -> Caller | None:
        """Who is known to be let in; None: let somebody else look."""
        if self._local_only is not None:
            return LOCAL if self._local_only.knows(said.get(b"host", b"")) else None
        if self.rates.gatekeeper is None:
            return None
        return self.rates.gatekeeper.caller_at_once(said.get(b"authorization", b""))
