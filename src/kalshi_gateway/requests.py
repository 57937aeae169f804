"""What every request passes before it is routed: its id, its limits, its line in the log."""

import asyncio
import re
import secrets
import time
from collections.abc import Iterable
from typing import Any

import structlog
from fastapi.routing import iter_route_contexts
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from . import limits, problems
from .errors import GatewayError
from .limits import Limits, LocalOnly
from .metrics import Metrics

log = structlog.get_logger(__name__)

#: In the ASGI scope: the request's id, the code of the problem it was answered with, and the
#: route's template where a layer answers before routing.
REQUEST_ID = "gateway.request_id"
PROBLEM = "gateway.problem"
ROUTE = "gateway.route"

#: An answer that takes longer is worth a line in the log.
SLOW_SECONDS = 1.0

#: With this extension a WebSocket is refused in so many words.
DENIAL = "websocket.http.response"

NO_ROUTE = "none"
NO_ANSWER = 499  # nginx's number for a request that was given up

SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

POLICY = b"content-security-policy"
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_CONTENT_POLICY = (POLICY, b"default-src 'none'; frame-ancestors 'none'")


class TimedOut(GatewayError):
    """The answer was not there within the time a request may take."""

    status = 504
    code = "timed_out"
    title = "Timed out"
    retryable = True


class Observed:
    """Gives each request its id, counts and times it, and writes its line in the log."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics
        self.templates = Templates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        tokens = bind_contextvars(request_id=request_id)
        try:
            if scope["type"] == "http":
                await self._answer(scope, receive, send, request_id)
            else:
                await self.app({**scope, REQUEST_ID: request_id}, receive, send)
        finally:
            reset_contextvars(**tokens)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        method = scope["method"]
        # Whatever answers GET answers HEAD, too: by the same answer without its body.
        inner = {**scope, REQUEST_ID: request_id, "method": "GET" if method == "HEAD" else method}
        status = NO_ANSWER

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": _headers(message, request_id)}
            elif method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        self.metrics.in_flight.inc()
        began = time.perf_counter()
        try:
            await self.app(inner, receive, observed_send)
        finally:
            seconds = time.perf_counter() - began
            self.metrics.in_flight.dec()
            route = inner.get(ROUTE) or self.templates.find(inner)
            self.metrics.answered(method, route, status, seconds)
            _log_line(method, route, status, seconds, inner.get(PROBLEM))


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


class Guarded:
    """Refuses what is too large, too slow or from elsewhere, and answers whatever goes wrong."""

    def __init__(self, app: ASGIApp, limits: Limits, local_only: LocalOnly | None = None) -> None:
        self.app = app
        self.limits = limits
        self.local_only = local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        call = Call(scope, receive, send, self.limits.body_bytes)
        try:
            limits.check_url(scope)
            limits.check_headers(scope)
            if self.local_only is not None:
                self.local_only.check(scope)
            if scope["type"] == "http":
                await self._in_time(call)
            else:
                await self.app(scope, call.receive, call.send)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            await call.fail(error)

    async def _in_time(self, call: "Call") -> None:
        limits.check_length(call.scope, self.limits.body_bytes)
        call.deadline = deadline = asyncio.timeout(self.limits.time.total_seconds())
        try:
            async with deadline:
                await self.app(call.scope, call.receive, call.send)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise TimedOut("This took too long and was given up.") from None


class Call:
    """One request and its answer: how much has come, and whether anything has left."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, body_bytes: int) -> None:
        self.scope = scope
        self.deadline: asyncio.Timeout | None = None
        self._receive = receive
        self._send = send
        self._room = body_bytes
        self._started = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._room -= len(message.get("body", b""))
            if self._room < 0:
                raise limits.body_too_large()
        return message

    async def send(self, message: Message) -> None:
        if not self._started:
            self._started = True
            if self.deadline is not None and not self.deadline.expired():
                # What has begun to answer may go on: a stream lasts as long as its reader.
                self.deadline.reschedule(None)
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        """Answer with the problem, unless part of another answer has left already."""
        known = problems.named(error, self.scope)
        if known.status == 500:
            log.error("request failed", exc_info=error)
        if self._started:
            raise error
        self.scope[PROBLEM] = known.code
        if self.scope["type"] == "websocket" and DENIAL not in self.scope.get("extensions", {}):
            await self._send({"type": "websocket.close", "code": 1008, "reason": known.code})
            return
        response = problems.answer(known, self.scope, self.scope[REQUEST_ID])
        await response(self.scope, self._receive, self._send)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and SANE_ID.fullmatch(value):
            return str(value, "ascii")
    return secrets.token_hex(8)


def _headers(message: Message, request_id: str) -> list[tuple[bytes, bytes]]:
    # A new list: the one in the message may belong to an answer that is sent to many.
    headers = [*message.get("headers", ()), *SECURITY_HEADERS]
    headers.append((b"x-request-id", request_id.encode()))
    if not any(name == POLICY for name, _ in headers):
        headers.append(NO_CONTENT_POLICY)
    return headers


def _log_line(method: str, route: str, status: int, seconds: float, problem: str | None) -> None:
    """One line per request; it takes a bad or a slow one to be worth reading."""
    if status >= 500:
        write = log.warning
    elif status >= 400 or seconds >= SLOW_SECONDS:
        write = log.info
    else:
        write = log.debug
    ms = round(seconds * 1000, 1)
    write("request", method=method, route=route, status=status, ms=ms, problem=problem)
