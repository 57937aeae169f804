"""What every request passes before it is routed: its id, its checks, its line in the log."""

import asyncio
import random
import re
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, cast

import structlog
from fastapi.routing import iter_route_contexts
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import STRUCTLOG_KEY_PREFIX

from . import limits, problems
from .answers import cache_result
from .errors import GatewayError
from .keys.verifier import METHOD
from .limits import Limits, LocalOnly
from .metrics import Metrics
from .rates import Headers, Rates, TooManyRequests, rate_key
from .together import MAKES

log = structlog.get_logger(__name__)

#: In the ASGI scope: when the request came, if it was kept waiting before it came here; its id, the
#: code of the problem it was answered with, and the route's template where a layer answers before
#: routing.
CAME_AT = "gateway.came_at"
REQUEST_ID = "gateway.request_id"
PROBLEM = "gateway.problem"
ROUTE = "gateway.route"

#: An answer that takes longer is worth a line in the log.
SLOW_SECONDS = 1.0

#: How often, within the time a request may take, those that take longer are looked for.
LOOKS = 20

#: With this extension a WebSocket is refused in so many words.
DENIAL = "websocket.http.response"

#: Who watches over us is not counted, and not refused.
UNCOUNTED = frozenset({"/healthz", "/readyz", "/metrics"})

NO_ROUTE = "none"
NO_ANSWER = 499  # nginx's number for a request that was given up

SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

NOSNIFF = (b"x-content-type-options", b"nosniff")

#: What structlog writes on every line. Set here directly, which costs a tenth of its own way.
_request_id: ContextVar[str] = ContextVar(f"{STRUCTLOG_KEY_PREFIX}request_id")


class TimedOut(GatewayError):
    """The answer was not there within the time a request may take."""

    status = 504
    code = "timed_out"
    title = "Timed out"
    retryable = True


class Entrance:
    """Gives each request its id, checks it, counts and times it, and answers whatever goes wrong.

    All in one layer: each further one around every request costs as much as this whole one does.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        rates: Rates,
        *,
        local_only: LocalOnly | None = None,
        with_cors: Callable[[ASGIApp], ASGIApp] | None = None,
        log_all: bool = False,
    ) -> None:
        self.app = app
        self.metrics = metrics
        self.rates = rates
        self.local_only = local_only
        self.with_cors = with_cors
        self.log_all = log_all
        self.templates = Templates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        call = Call(scope, receive, send)
        token = _request_id.set(call.request_id)
        try:
            if scope["type"] == "http":
                await self._observed(call)
            else:
                await self._answered(call)
        finally:
            _request_id.reset(token)

    async def _observed(self, call: "Call") -> None:
        self.metrics.in_flight += 1
        began = call.scope.get(CAME_AT) or time.perf_counter()
        try:
            await self._answered(call)
        finally:
            if MAKES in call.scope:
                # Wherever this request has ended, nobody waits for it any longer.
                call.scope[MAKES].tell(None)
            seconds = time.perf_counter() - began
            self.metrics.in_flight -= 1
            route = call.scope.get(ROUTE) or self.templates.find(call.scope)
            self.metrics.answered(call.method, route, call.status, seconds, call.cache)
            if self.log_all or call.status >= 400 or seconds >= SLOW_SECONDS:
                _log_line(call, route, seconds)

    async def _answered(self, call: "Call") -> None:
        scope = call.scope
        try:
            limits.check_url(scope)
            limits.check_headers(scope)
            if self.local_only is not None:
                self.local_only.check(scope)
            if self.rates.on and scope["path"] not in UNCOUNTED:
                self._count(call)
            await self.app(scope, call.receive, call.send)
        except ClientDisconnect:
            pass  # before all of the body had come: there is nobody to be answered
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            await self._fail(call, error)

    def _count(self, call: "Call") -> None:
        caller = self.rates.caller(call.scope)
        allowance = self.rates.take(rate_key(caller, call.scope.get("client")))
        call.limits = self.rates.headers(allowance)
        if allowance.refused:
            raise TooManyRequests(self.rates.quota)

    async def _fail(self, call: "Call", error: Exception) -> None:
        """Answer with the problem, unless part of another answer has left already."""
        scope = call.scope
        known = problems.named(error, scope)
        if known.status == 500:
            log.error("request failed", exc_info=error)
        if call.started:
            raise error
        scope[PROBLEM] = known.code
        if scope["type"] == "websocket" and DENIAL not in scope.get("extensions", {}):
            await call.send({"type": "websocket.close", "code": 1008, "reason": known.code})
            return
        answer: ASGIApp = problems.answer(known, scope, call.request_id)
        if self.with_cors is not None and call.method != "OPTIONS":
            answer = self.with_cors(answer)
        await answer(scope, call.receive, call.send)


class Call:
    """One request and what has been answered so far."""

    __slots__ = (
        "_send",
        "cache",
        "limits",
        "method",
        "receive",
        "request_id",
        "scope",
        "started",
        "status",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.request_id = request_id(dict(scope["headers"]).get(b"x-request-id"))
        self.method: str = scope.get("method", "")
        if self.method == "HEAD":
            # Whatever answers GET answers HEAD, too: by the same answer without its body. The
            # server looks into its own scope to see what was asked, so that stays as it is.
            scope = {**scope, "method": "GET", METHOD: "HEAD"}
        scope[REQUEST_ID] = self.request_id
        self.scope = scope
        self.receive = receive
        self.status = NO_ANSWER
        self.started = False
        self.cache = b""
        #: What is said of how much more the caller may send.
        self.limits: Headers = []
        self._send = send

    async def send(self, message: Message) -> None:
        self.started = True
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.cache = cache_result(message.get("headers", ()))
            # A new list: the one in the message may belong to an answer that is sent to many.
            named = (b"x-request-id", self.request_id.encode())
            headers = [*message.get("headers", ()), *self.limits, NOSNIFF, named]
            message = {**message, "headers": headers}
        elif self.method == "HEAD":
            message = {**message, "body": b""}
        await self._send(message)


class Templates:
    """The template of the route a request took, for labels: paths themselves are endless."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def find(self, scope: Scope) -> str:
        # FastAPI leaves its own routes in the scope, Starlette only the function behind one.
        route = scope.get("route") or scope.get("endpoint")
        if route is None:
            return NO_ROUTE
        if id(route) not in self._known:
            self._learn(scope["app"].routes)
        return self._known.get(id(route), NO_ROUTE)

    def _learn(self, routes: Iterable[Any]) -> None:
        for route in iter_route_contexts(list(routes)):
            template = route.path or NO_ROUTE
            for key in (route.original_route, route.endpoint, getattr(route, "app", None)):
                self._known.setdefault(id(key), template)


class Bounded:
    """Gives up on what brings too much or takes too long.

    A timer for each request would cost more than everything else here together, so one look now
    and then finds those whose time is over.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app = app
        self.limits = limits
        self._seconds = limits.time.total_seconds()
        self._running: set[Running] = set()
        self._looking = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limits.check_length(scope, self.limits.body_bytes)
        running = Running(receive, send, self.limits.body_bytes, time.monotonic() + self._seconds)
        self._running.add(running)
        if not self._looking:
            self._look_later()
        try:
            await self.app(scope, running.receive, running.send)
        except asyncio.CancelledError:
            if running.overdue and running.task.uncancel() == 0:
                raise TimedOut("This took too long and was given up.") from None
            raise
        finally:
            self._running.discard(running)

    def _look(self) -> None:
        now = time.monotonic()
        for running in self._running:
            running.give_up_after(now)
        self._looking = False
        if self._running:
            self._look_later()

    def _look_later(self) -> None:
        self._looking = True
        asyncio.get_running_loop().call_later(self._seconds / LOOKS, self._look)


class Running:
    """A request under way: what it may still bring, and until when it must begin to answer."""

    __slots__ = ("_due", "_receive", "_room", "_send", "_started", "overdue", "task")

    def __init__(self, receive: Receive, send: Send, body_bytes: int, due: float) -> None:
        self.task = cast("asyncio.Task[None]", asyncio.current_task())
        self.overdue = False
        self._receive = receive
        self._send = send
        self._room = body_bytes
        self._due = due
        self._started = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._room -= len(message.get("body", b""))
        if self._room < 0:
            raise limits.body_too_large()
        return message

    async def send(self, message: Message) -> None:
        # What has begun to answer may go on: a stream lasts as long as its reader.
        self._started = True
        await self._send(message)

    def give_up_after(self, now: float) -> None:
        """Cancel the request if it is overdue; once."""
        if now >= self._due and not self._started and not self.overdue:
            self.overdue = True
            self.task.cancel()


def request_id(shown: bytes | None) -> str:
    """The id that the client shows, if it is one, or another."""
    if shown is not None and SANE_ID.fullmatch(shown):
        return str(shown, "ascii")
    return f"{random.getrandbits(64):016x}"


def _log_line(call: Call, route: str, seconds: float) -> None:
    """One line per request; by default only for those that went wrong or took long."""
    if call.status >= 500:
        write = log.warning
    elif call.status >= 400 or seconds >= SLOW_SECONDS:
        write = log.info
    else:
        write = log.debug
    write(
        "request",
        method=call.method,
        route=route,
        status=call.status,
        ms=round(seconds * 1000, 1),
        problem=call.scope.get(PROBLEM),
    )
