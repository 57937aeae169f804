"""The way of a hot answer: nothing but what it takes, before everything else.

What an answer given again has to pass on its way through the application (its id, checks, who is
calling, how often, what is counted) is done here at once, and the answer written as the bytes it
is. Whatever is out of the ordinary goes the long way, which ends in the same answer:
`tests/test_front.py` sends the same requests both ways.
"""

import asyncio
import time
from typing import Any

from starlette.types import Scope

from . import hot
from .answers import Ready, takes_gzip
from .auth import LOCAL, Caller, may_read
from .directives import taken_apart
from .doors import answers, operations
from .doors.headers import of_answers
from .doors.reads import Reads
from .keys.signature import KEY
from .limits import LocalOnly
from .metrics import Metrics
from .rates import Client, Headers, Rates, rate_key
from .requests import CAME_AT, NOSNIFF, request_id
from .shelf import Kept, Key, Shelf
from .together import AWAITED, MAKES, Making, Together

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

#: The exchange's own API.
DOOR = operations.PREFIX.encode()

#: In the ASGI scope: its token has been asked about, and whether an answer was awaited before that.
ASKED = "gateway.asked"

#: Somebody whom only the application can tell.
STRANGER = Caller("stranger", frozenset(), None)

FIXED = b"%b: %b\r\nx-request-id: " % NOSNIFF
END = b"\r\n\r\n"


class Front:
    """Gives what `Hot` keeps, as long as it is fresh or made anew, or is about to have made."""

    def __init__(self, metrics: Metrics, rates: Rates, local_only: LocalOnly | None) -> None:
        #: What `Hot` keeps, and what it has made.
        self.ready = Shelf(hot.MOST_BYTES)
        self.together = Together()
        self.rates = rates
        #: What the exchange's own door keeps, once the application is open.
        self.reads: Reads | None = None
        self._answers = self.ready.answers
        self._metrics = metrics
        self._local_only = local_only

    def answer(self, url: bytes, headers: Headers, client: Client) -> Ready | None:
        """Head and body, if nothing stands in the way; else nothing has happened."""
        path, _, query = url.partition(b"?")
        key = (path.decode("latin-1"), query)
        kept = self._answers.get(key)
        if kept is None:
            return self._public(url, headers, client)
        if not self._is_young(key, kept):
            return None
        began = time.perf_counter()
        said = _ordinary(headers)
        if said is None:
            return None
        ready = self._given(kept, said, client, began)
        if ready is not None:
            self._answers.move_to_end(key)
        return ready

    def _public(self, url: bytes, headers: Headers, client: Client) -> Ready | None:
        """What everybody may read of the exchange's own API, if the door keeps it."""
        if self.reads is None or not url.startswith(DOOR):
            return None
        began = time.perf_counter()
        said = _ordinary(headers)
        if said is None:
            return None
        target = url[len(DOOR) :].decode("latin-1")
        kept = self.reads.lying(target, of_answers(headers))
        if kept is None:
            return None
        takes = takes_gzip(said.get(b"accept-encoding", b""))
        form = answers.ready(kept, zipped=takes)
        if form is None:
            return None
        caller = self._guest(url, headers, said)
        if caller is STRANGER:
            return None
        limits = self._limits(caller, client)
        if limits is None:
            return None
        shown = request_id(said.get(b"x-request-id")).encode()
        seconds = time.perf_counter() - began
        self._metrics.answered("GET", operations.ROUTE, form.status, seconds, form.cache)
        return b"".join((form.head, limits, FIXED, shown, END)), form.content

    def _guest(self, url: bytes, headers: Headers, said: dict[bytes, bytes]) -> Caller | None:
        """Who asks at the door, if anybody in particular; STRANGER: let somebody else look."""
        if self._local_only is not None:
            known = KEY not in said and self._local_only.knows(said.get(b"host", b""))
            return LOCAL if known else STRANGER
        if b"authorization" in said:
            return self._caller(said) or STRANGER
        if KEY not in said:
            return None
        if self.rates.verifier is None:
            return STRANGER
        path = url.partition(b"?")[0]
        scope = {"headers": headers, "method": "GET", "raw_path": path}
        return self.rates.verifier.caller_at_once(scope) or STRANGER

    def waits_for(self, scope: Scope) -> asyncio.Future[Any] | None:
        """What an ordinary question waits for, if it has not done so yet.

        That is an answer that another request has made, or a word about its token. What waits for
        nothing has made the answer for all who ask the same meanwhile.
        """
        path = scope["path"]
        if scope["method"] != "GET" or not path.startswith(hot.PREFIX) or path.startswith(hot.OWN):
            return None
        said, understood = _ordinary(scope["headers"]), taken_apart(scope["query_string"], None)
        if said is None or understood is None:
            return None
        if not may_read(self._caller(said)):
            # Once before it waits for an answer; and once after, since that may have taken long.
            told = self._token_asked(said) if scope.get(ASKED) != (AWAITED in scope) else None
            scope[ASKED] = AWAITED in scope
        elif AWAITED in scope:
            return None
        else:
            query, terms = understood
            making = self.together.find((path, query), terms)
            if making is None:
                scope[MAKES] = self.together.begin((path, query), terms)
                return None
            scope[AWAITED] = making
            told = making.told
        if told is not None:
            scope.setdefault(CAME_AT, time.perf_counter())
            self._metrics.in_flight += 1
        return told

    def waited(self, scope: Scope, *, can_answer: bool) -> Ready | None:
        """Head and body of what was waited for, if nothing stands in the way."""
        self._metrics.in_flight -= 1
        making: Making | None = scope.get(AWAITED)
        if not can_answer or making is None or making.told.exception() is not None:
            return None
        kept, said = making.told.result(), _ordinary(scope["headers"])
        if kept is None or said is None:
            return None
        return self._given(kept, said, scope["client"], scope[CAME_AT])

    def _is_young(self, key: Key, kept: Kept) -> bool:
        age = time.monotonic() - kept.answer.made_at
        if age < hot.FRESH_SECONDS:
            return True
        return age < hot.lasts_seconds(kept) and key in self.together.renewals

    def _given(
        self, kept: Kept, said: dict[bytes, bytes], client: Client, began: float
    ) -> Ready | None:
        """This answer, to a caller who may have it; counted."""
        caller = self._caller(said)
        if not may_read(caller, kept.owner):
            return None
        limits = self._limits(caller, client)
        if limits is None:
            return None
        form = kept.answer.form(
            said.get(b"if-none-match"), zipped=takes_gzip(said.get(b"accept-encoding", b""))
        )
        shown = request_id(said.get(b"x-request-id")).encode()
        seconds = time.perf_counter() - began
        self._metrics.answered("GET", kept.route, form.status, seconds, form.cache)
        return b"".join((form.head, limits, FIXED, shown, END)), form.content

    def _limits(self, caller: Caller | None, client: Client) -> bytes | None:
        """What is said of how much more this caller may send; None if nothing more."""
        if not self.rates.on:
            return b""
        allowance = self.rates.take(rate_key(caller, client))
        return None if allowance.refused else self.rates.lines(allowance)

    def _caller(self, said: dict[bytes, bytes]) -> Caller | None:
        """Who is known to be let in; None: let somebody else look."""
        if self._local_only is not None:
            return LOCAL if self._local_only.knows(said.get(b"host", b"")) else None
        if self.rates.gatekeeper is None:
            return None
        return self.rates.gatekeeper.caller_at_once(said.get(b"authorization", b""))

    def _token_asked(self, said: dict[bytes, bytes]) -> asyncio.Future[Any] | None:
        if self.rates.gatekeeper is None:
            return None
        return self.rates.gatekeeper.asking(said.get(b"authorization", b""))


def _ordinary(headers: Headers) -> dict[bytes, bytes] | None:
    """The headers by name; None where they want more than what lies ready."""
    said = dict(headers)
    if (
        len(said) != len(headers)
        or not said.keys().isdisjoint(UNUSUAL)
        or sum(map(len, said.values())) > SMALL
    ):
        return None
    return said
