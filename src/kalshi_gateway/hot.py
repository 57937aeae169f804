"""Finished answers, given before routing: an ASGI layer.

An answer that was given a moment ago is given again. Older than a second it is still given, while
one request behind it makes it anew; older than that it is made first. When neither the database nor
the exchange can make it, the last one is given, marked stale, with the reason.
"""

import asyncio
import time
from collections import OrderedDict
from dataclasses import replace

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .answers import ANSWER, Answer, Asked
from .auth import LOCAL, Gatekeeper
from .errors import GatewayError
from .kalshi.errors import KalshiError
from .requests import ROUTE, Templates
from .tokens.token import Scope as TokenScope

log = structlog.get_logger(__name__)

#: Given again without a thought.
FRESH_SECONDS = 1.0
#: Given again while it is made anew.
RENEWED_SECONDS = 10.0
#: All answers together take no more memory than this.
MOST_BYTES = 64 * 1024 * 1024

PREFIX = "/kalshi/"

Key = tuple[str, bytes]


class Hot:
    """Keeps the answers of one application, the most recently asked for."""

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES) -> None:
        self.app = app
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Key, tuple[Answer, str]] = OrderedDict()
        self._bytes = 0
        self._renewing: dict[Key, asyncio.Task[None]] = {}
        self._templates = Templates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] != "GET"
            or not scope["path"].startswith(PREFIX)
        ):
            await self.app(scope, receive, send)
            return
        key = (scope["path"], scope["query_string"])
        kept = self._kept.get(key)
        if kept is None:
            await self._made(key, scope, receive, send)
            return
        asked = Asked.of(scope)
        if asked.directives is not None or not _may_read(scope, asked):
            await self._made(key, scope, receive, send)
            return
        answer, route = kept
        age = time.monotonic() - answer.made_at
        if age >= RENEWED_SECONDS:
            await self._made(key, scope, receive, send)
            return
        if age >= FRESH_SECONDS:
            self._renew(key, scope)
        self._kept.move_to_end(key)
        scope[ROUTE] = route
        await answer.send(asked, send)

    @property
    def is_hot(self) -> bool:
        """Whether there is anything to answer from."""
        return bool(self._kept)

    async def _made(self, key: Key, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer by its route; the last one instead, if that cannot be had now."""
        try:
            await self.app(scope, receive, send)
        except (GatewayError, KalshiError) as error:
            kept = self._kept.get(key)
            if kept is None or not _passing(error):
                raise
            asked = Asked.of(scope)
            await _let_in(scope, asked)
            answer, scope[ROUTE] = kept
            await _marked(answer, error).send(asked, send)
        else:
            self._keep(key, scope)

    def _keep(self, key: Key, scope: Scope) -> None:
        answer: Answer | None = scope.get(ANSWER)
        if answer is None or answer.came != "HIT" or answer.standing.as_of is None:
            return  # what nobody has read to the end yet will soon be known better
        self._drop(key)
        self._kept[key] = answer, self._templates.find(scope)
        self._bytes += answer.size
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept[0].size

    def _renew(self, key: Key, scope: Scope) -> None:
        """Make it anew behind the answer; one at a time for each."""
        if key not in self._renewing:
            task = asyncio.create_task(self._renewed(key, dict(scope)), name="renewed answer")
            self._renewing[key] = task
            task.add_done_callback(lambda _: self._renewing.pop(key, None))

    async def _renewed(self, key: Key, scope: Scope) -> None:
        try:
            await self.app(scope, _nothing_more, _into_the_void)
        except (GatewayError, KalshiError) as error:
            # The one we have goes on until it is too old; then the client hears of this.
            log.debug("answer not renewed", path=key[0], why=str(error))
        except Exception:
            log.exception("answer not renewed", path=key[0])
        else:
            self._keep(key, scope)


def _may_read(scope: Scope, asked: Asked) -> bool:
    """Whether the caller is known to be let in; who is not goes the long way, and hears why."""
    gatekeeper = _gatekeeper(scope)
    caller = LOCAL if gatekeeper is None else gatekeeper.caller_at_once(asked.authorization)
    return caller is not None and caller.has(TokenScope.READ)


async def _let_in(scope: Scope, asked: Asked) -> None:
    """Raise unless the caller may read; asks the database, or believes for a while without it."""
    gatekeeper = _gatekeeper(scope)
    if gatekeeper is not None:
        caller = await gatekeeper.caller(asked.authorization.decode("latin-1"))
        caller.require(TokenScope.READ)


def _gatekeeper(scope: Scope) -> Gatekeeper | None:
    found: Gatekeeper | None = scope["app"].state.resources.gatekeeper
    return found


def _passing(error: GatewayError | KalshiError) -> bool:
    """Whether it is us, or the exchange, who cannot answer, and not the question that is wrong."""
    if isinstance(error, GatewayError):
        return error.status >= 500
    return getattr(error, "status", 503) in (None, 429) or getattr(error, "status", 503) >= 500


def _marked(answer: Answer, error: Exception) -> Answer:
    why = f"this is the last known answer: {error}"
    standing = replace(
        answer.standing,
        overdue=True,
        warnings=(*answer.standing.warnings, why),
    )
    return answer.restated(standing)


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}


async def _into_the_void(_: Message) -> None:
    return
