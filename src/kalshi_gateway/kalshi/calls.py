"""One call to the exchange, from its turn in the budget to its parsed answer."""

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, Self, TypeVar

import httpx
import msgspec

from . import wire
from .breaker import Breaker, Breakers
from .budget import Bucket, Budget, Lane
from .clock import ExchangeClock
from .drift import Drift
from .errors import (
    BreakerOpen,
    DeadlineExceeded,
    KalshiError,
    KeyRejected,
    Nonsense,
    NotFound,
    NotSent,
    RateLimited,
    TurnMissed,
    Unavailable,
    from_response,
    is_html,
)
from .flights import Flights
from .reading import Shape
from .retries import Retries, RetryAllowance
from .signing import Signer

T = TypeVar("T")
S = TypeVar("S", bound=Shape)

DEADLINE = timedelta(seconds=10)
#: A write whose turn has not come by then is not sent at all.
TURN = timedelta(seconds=5)
LARGEST_BODY = 64 * 2**20
# What described the body on its way, and no longer does.
IN_TRANSIT = frozenset({"content-encoding", "content-length", "transfer-encoding"})
# Those who share a call end it themselves; one who joined late gets this much more to hear of it.
GRACE_S = 0.25
# An answer awaited for less says nothing about the exchange, only about our hurry.
PATIENCE_S = 1.0
# Timers of uvloop go off up to this much early.
TICK_S = 0.01
# Failures before a single byte was on its way.
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout)
# A read that follows one's own write must not be answered by an older one.
NEVER_SHARED = frozenset({Lane.CANCEL, Lane.ORDER})

Instant = int | datetime
Param = str | int | bool | datetime | Iterable[str] | None
Observe = Callable[[str, str, float], None]
Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Operation:
    """One operation of the exchange; `answers` are failure statuses that carry an answer."""

    path: str
    bucket: Bucket = Bucket.READ
    answers: frozenset[int] = frozenset()
    method: str = "GET"


class Request(NamedTuple):
    """What is sent: the target byte for byte, if it was given so; else the URL's own."""

    url: httpx.URL
    target: bytes | None = None
    headers: Headers = ()
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """A whole body, and when the attempt that brought it was sent."""

    body: bytes
    asked_at: datetime
    status: int = 200
    media_type: str = "application/json"


@dataclass(frozen=True)
class Page:
    """Rows verbatim, so that they can be compared before they are read.

    Each row is a view of the whole answer: copy what is kept (`bytes(row)`).
    """

    rows: Sequence[msgspec.Raw]
    cursor: str | None
    asked_at: datetime


@dataclass(frozen=True)
class Answer(Generic[T]):
    """One object, its verbatim row, and when it was asked for."""

    value: T
    raw: msgspec.Raw
    asked_at: datetime


class Caller:
    """Asks within an account's budget, signs, repeats reads that failed, shares identical ones.

    `http` comes from `http_client` and is closed by whoever made it. Several accounts may share
    it, the drift, the breakers and, through their signers, one clock. `observe` is told of each
    attempt: operation, outcome, seconds.
    """

    def __init__(
        self,
        base_url: str,
        http: httpx.AsyncClient,
        *,
        signer: Signer | None = None,
        budget: Budget | None = None,
        drift: Drift | None = None,
        breakers: Breakers | None = None,
        retries: Retries | None = None,
        observe: Observe | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._path = httpx.URL(self.base_url).path
        self.budget = budget or Budget()
        self.drift = drift or Drift()
        self.breakers = breakers or Breakers()
        self.clock = signer.clock if signer else ExchangeClock()
        self.observe = observe
        self._http = http
        self._signer = signer
        self._retries = retries or Retries()
        self._allowance = RetryAllowance(self._retries.share)
        self._flights = Flights()
        #: Of what is passed on others choose what is asked: its failures are not held against ours.
        self._passed_on = Breakers()

    @property
    def skew(self) -> timedelta | None:
        """How far the exchange's clock is ahead of ours, once it has answered."""
        return self.clock.skew

    def beside(self) -> Self:
        """The same account and budget, but what fails here stops nobody there."""
        return type(self)(
            self.base_url,
            self._http,
            signer=self._signer,
            budget=self.budget,
            drift=self.drift,
            retries=self._retries,
            observe=self.observe,
        )

    async def verbatim(
        self,
        operation: Operation,
        target: str,
        *,
        lane: Lane = Lane.WAITING,
        deadline: timedelta | None = None,
        headers: Headers = (),
    ) -> Reply:
        """The answer to a path and its query as they stand, unread; errors carry the refusal.

        It is shared with nobody: who passes on answers knows which of them are too old. What fails
        stops nothing but the same operation, passed on like this.
        """
        request = self._request(target, headers)
        ends_at = asyncio.get_running_loop().time() + (deadline or DEADLINE).total_seconds()
        breaker = self._passed_on.of(operation.method, operation.path)
        return await self._send(operation, request, lane, ends_at, breaker)

    async def once(
        self,
        operation: Operation,
        target: str,
        *,
        cost: int,
        lane: Lane = Lane.ORDER,
        headers: Headers = (),
        body: bytes = b"",
    ) -> Reply:
        """The answer to a write, sent once and never again; errors carry the refusal.

        `NotSent` says that nothing left; any other error without a refusal leaves open what the
        exchange has done.
        """
        request = self._request(target, headers, body)
        loop = asyncio.get_running_loop()
        # A bucket may hold more than we know; whether it pays for this is for the exchange to say.
        cost = min(cost, self.budget.capacity(operation.bucket))
        # A cancel is tried, however often the exchange has failed.
        breaker: Breaker | None = None
        if lane is not Lane.CANCEL:
            breaker = self._passed_on.of(operation.method, operation.path)
            breaker.check()
        turn_by = loop.time() + TURN.total_seconds()
        try:
            await self._wait_for_turn(operation, cost, lane, turn_by, None)
        except DeadlineExceeded as error:
            raise TurnMissed(str(error)) from error
        try:
            ends_at = loop.time() + DEADLINE.total_seconds()
            return await self._attempt(operation, request, ends_at, breaker)
        except RateLimited:
            self.budget.refused(operation.bucket)
            raise
        finally:
            # Who reads after a write shares no read that began before it.
            self._flights.forget_all()

    async def _page(
        self,
        operation: Operation,
        name: str,
        params: dict[str, Any],
        lane: Lane,
        deadline: timedelta | None,
        path: str | None = None,
    ) -> Page:
        def parse(reply: Reply) -> Page:
            parts = decoded(reply.body, dict[str, msgspec.Raw])
            if name not in parts:
                raise Nonsense(f"{operation.path}: an answer without {name}")
            rows = decoded(parts[name], list[msgspec.Raw])
            return Page(rows, _cursor(parts.get("cursor")), reply.asked_at)

        return await self._read(operation, path or operation.path, params, parse, lane, deadline)

    async def _one(
        self,
        operation: Operation,
        kind: type[S],
        name: str | None,
        lane: Lane,
        deadline: timedelta | None,
        ticker: str | None = None,
        params: dict[str, Any] | None = None,
    ) -> Answer[S]:
        def parse(reply: Reply) -> Answer[S]:
            raw = msgspec.Raw(reply.body) if name is None else member(reply, name)
            value = wire.read(kind, raw, endpoint=operation.path, drift=self.drift)
            if value is None:
                raise Nonsense(f"{operation.path}: not a {kind.__name__}")
            return Answer(value, raw, reply.asked_at)

        path = operation.path
        if ticker is not None:
            path = re.sub(r"\{[a-z_]+\}", lambda _: segment(ticker), path)
        return await self._read(operation, path, params or {}, parse, lane, deadline)

    async def _read(
        self,
        operation: Operation,
        path: str,
        params: dict[str, Any],
        parse: Callable[[Reply], T],
        lane: Lane,
        deadline: timedelta | None,
    ) -> T:
        """The parsed answer; identical reads at the same time share one."""
        request = Request(httpx.URL(self.base_url + path, params=_query(params)))
        return await self._shared(operation, request, parse, lane, deadline)

    def _request(self, target: str, headers: Headers, body: bytes = b"") -> Request:
        """What is sent for a path and its query, which lead nowhere but to the exchange."""
        url = httpx.URL(self.base_url + target)
        exact = (self._path + target).encode("ascii")
        return Request(url, exact, headers, body)

    async def _shared(
        self,
        operation: Operation,
        request: Request,
        parse: Callable[[Reply], T],
        lane: Lane,
        deadline: timedelta | None,
    ) -> T:
        breaker = self.breakers.of(operation.method, operation.path)
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + (deadline or DEADLINE).total_seconds()

        async def call() -> T:
            return parse(await self._send(operation, request, lane, ends_at, breaker))

        if lane in NEVER_SHARED:
            return await call()
        while True:
            try:
                async with asyncio.timeout_at(ends_at + GRACE_S):
                    return await self._flights.share((operation.method, request, lane), call)
            except TimeoutError as error:
                raise DeadlineExceeded(f"{operation.path}: no time left") from error
            except DeadlineExceeded:
                # It may have been the deadline of one who was in more of a hurry.
                if loop.time() >= ends_at - TICK_S:
                    raise

    async def _send(
        self, operation: Operation, request: Request, lane: Lane, ends_at: float, breaker: Breaker
    ) -> Reply:
        """The one loop: wait for our turn, sign, send, name the failure, pause, again."""
        loop = asyncio.get_running_loop()
        cost = self.budget.cost(operation.method, operation.path)
        self._allowance.earn()
        failure: KalshiError | None = None
        attempt = 0
        while True:
            attempt += 1
            breaker.check()
            await self._wait_for_turn(operation, cost, lane, ends_at, failure)
            try:
                return await self._attempt(operation, request, ends_at, breaker)
            except (Unavailable, RateLimited, KeyRejected) as error:
                failure = error
            if loop.time() >= ends_at - TICK_S:
                raise DeadlineExceeded(f"{operation.path}: no answer in time") from failure
            pause_s = self._pause_before_another(operation, failure, attempt)
            if pause_s is None or loop.time() + pause_s >= ends_at:
                raise failure
            await asyncio.sleep(pause_s)

    async def _wait_for_turn(
        self,
        operation: Operation,
        cost: int,
        lane: Lane,
        ends_at: float,
        failure: KalshiError | None,
    ) -> None:
        try:
            async with asyncio.timeout_at(ends_at):
                await self.budget.spend(cost, operation.bucket, lane)
        except TimeoutError:
            raise DeadlineExceeded(f"{operation.path}: its turn did not come") from failure

    def _pause_before_another(
        self, operation: Operation, failure: KalshiError, attempt: int
    ) -> float | None:
        """Seconds until the next attempt; None if there is to be none."""
        if isinstance(failure, RateLimited):
            self.budget.refused(operation.bucket)  # which makes the next turn wait
        if isinstance(failure, BreakerOpen) or attempt >= self._retries.attempts:
            return None
        if isinstance(failure, KeyRejected):
            return 0.0 if self._clock_was_off(failure, attempt) else None
        if isinstance(failure, RateLimited):
            return failure.retry_after_s or 0.0
        if isinstance(failure, Unavailable) and not failure.blames_call and self._allowance.take():
            return max(failure.retry_after_s or 0.0, self._retries.pause_s(attempt))
        return None

    def _clock_was_off(self, failure: KeyRejected, attempt: int) -> bool:
        """Whether the refusal was about our clock, which we have set right since."""
        return failure.code == "header_timestamp_expired" and attempt == 1

    async def _attempt(
        self, operation: Operation, request: Request, ends_at: float, breaker: Breaker | None
    ) -> Reply:
        """One request, its outcome named, counted and remembered by the breaker, if it has one."""
        with nullcontext() if breaker is None else breaker.guard():
            started = time.perf_counter()
            outcome = "cancelled"
            try:
                reply = await self._exchange(operation, request, ends_at)
                outcome = "ok"
            except KalshiError as error:
                outcome = type(error).__name__
                raise
            finally:
                if self.observe is not None:
                    self.observe(operation.path, outcome, time.perf_counter() - started)
            return reply

    async def _exchange(self, operation: Operation, asked: Request, ends_at: float) -> Reply:
        request = self._http.build_request(
            operation.method,
            asked.url,
            headers=asked.headers,
            content=asked.body,
            extensions={} if asked.target is None else {"target": asked.target},
        )
        sent_at = datetime.now(UTC)
        started = time.perf_counter()
        try:
            async with asyncio.timeout_at(ends_at):
                streamed = await self._http.send(request, auth=self._signer, stream=True)
                round_trip_s = time.perf_counter() - started
                try:
                    response = await _whole(streamed)
                finally:
                    await streamed.aclose()
        except TimeoutError:
            waited_s = time.perf_counter() - started
            if waited_s < PATIENCE_S:
                raise DeadlineExceeded(f"{operation.path}: no answer in time") from None
            raise Unavailable(f"no answer within {waited_s:.1f} s") from None
        except UNSENT as error:
            raise NotSent(f"the exchange cannot be reached: {type(error).__name__}") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Unavailable(f"the exchange cannot be reached: {type(error).__name__}") from error
        self._learn_time(response, sent_at, round_trip_s)
        return _reply(operation, response, sent_at)

    def _learn_time(self, response: httpx.Response, sent_at: datetime, round_trip_s: float) -> None:
        if response.status_code == 401 and b"header_timestamp_expired" in response.content:
            self.clock.forget()
        self.clock.learn(response, sent_at, round_trip_s)


async def _whole(response: httpx.Response) -> httpx.Response:
    """The answer with its body in memory, up to a size no answer of the exchange has."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise Nonsense(f"an answer of more than {LARGEST_BODY} bytes")
    headers = [(name, value) for name, value in response.headers.items() if name not in IN_TRANSIT]
    return httpx.Response(response.status_code, headers=headers, content=bytes(body))


def _reply(operation: Operation, response: httpx.Response, sent_at: datetime) -> Reply:
    status = response.status_code
    answered = response.is_success or (status in operation.answers and _is_object(response))
    if not answered:
        raise from_response(response)
    if is_html(response):
        raise Unavailable(f"{status} with a page instead of data", status=status)
    media_type = response.headers.get("content-type", "application/json")
    as_of = sent_at - _age(response)
    return Reply(response.content, as_of, response.status_code, media_type)


def _is_object(response: httpx.Response) -> bool:
    return response.content.lstrip()[:1] == b"{" and b'"error"' not in response.content


def _age(response: httpx.Response) -> timedelta:
    """How long the answer has lain in a cache on the way (up to 15 s for market lists)."""
    said = response.headers.get("age", "")
    return timedelta(seconds=int(said[:6])) if said.isascii() and said.isdigit() else timedelta()


def decoded(body: bytes | msgspec.Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    raise Nonsense("an answer that is not what its operation gives")


def member(reply: Reply, name: str) -> msgspec.Raw:
    """One part of an answer's envelope, verbatim."""
    member = decoded(reply.body, dict[str, msgspec.Raw]).get(name)
    if member is None:
        raise Nonsense(f"an answer without {name}")
    return member


def _cursor(raw: msgspec.Raw | None) -> str | None:
    """Where the next page starts; None after the last, which the wire says in three ways."""
    said: Any = decoded(raw, Any) if raw is not None else None
    return said if isinstance(said, str) and said else None


def segment(ticker: str) -> str:
    """A ticker as part of a path; nothing that could lead elsewhere is one."""
    if not re.fullmatch(r"[A-Za-z0-9._\-]{1,200}", ticker) or not ticker.strip("."):
        raise NotFound(404, "not_found", "no ticker looks like that")
    return ticker


def _query(params: dict[str, Any]) -> dict[str, str]:
    """Query parameters as the exchange writes them; None is left out."""
    return {name: _written(value) for name, value in params.items() if value is not None}


def _written(value: Param) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return str(int(value.timestamp()))
    if isinstance(value, str | int):
        return str(value)
    listed = ",".join(value or ())
    if not listed:
        raise ValueError("an empty list would ask for everything")
    return listed
