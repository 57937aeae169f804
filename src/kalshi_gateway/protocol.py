"""HTTP as uvicorn speaks it, but nothing endless before the body, and problems for all answers."""

import asyncio
import secrets
from http import HTTPStatus
from typing import Any, Protocol, cast, runtime_checkable

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from . import problems
from .answers import Ready
from .errors import GatewayError, Malformed
from .limits import HEADER_BYTES, URL_BYTES, HeadersTooLarge
from .rates import Client

#: Bodies up to this size are written together with their head.
SMALL_BODY = 16 * 1024

#: More than URL and headers may have together: with their line ends they are a bit longer.
HEAD_BYTES = 2 * (URL_BYTES + HEADER_BYTES)

#: So long whoever still sends may take to read that nobody listens.
LINGER_SECONDS = 2.0


class Front(Protocol):
    """Answers without asking the application."""

    def answer(
        self, url: bytes, headers: list[tuple[bytes, bytes]], client: Client
    ) -> Ready | None:
        """The answer to a GET without a body, if it lies ready."""

    def waits_for(self, scope: Scope) -> asyncio.Future[Any] | None:
        """What shall have happened before the application is asked; None: let it be asked now."""

    def waited(self, scope: Scope, *, can_answer: bool) -> Ready | None:
        """The answer that came of waiting, if it may be given; None: then it is asked again."""


@runtime_checkable
class Fronted(Protocol):
    """An application some of whose answers need not be asked of it."""

    front: Front


class HeadTimedOut(GatewayError):
    """URL and headers did not come within the time there is for them."""

    status = 408
    code = "head_timed_out"
    title = "Headers timed out"
    retryable = True


class CarefulProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which by itself keeps whatever comes before the body, without end.

    What is refused here has not become a request yet, so no application sees it.
    """

    #: So long a request's head may take to come, and the first one after a connection is made.
    head_seconds = 10.0

    _head_bytes = 0
    _in_head = False
    _refused = False
    _refusal: GatewayError | None = None  # what waits for its turn
    _timer: asyncio.TimerHandle | None = None
    _front: Front | None = None
    _answered = False

    def __init__(self, config: uvicorn.Config, *rest: Any, **named: Any) -> None:
        super().__init__(config, *rest, **named)
        if isinstance(config.app, Fronted):
            self._front = config.app.front

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self._timer = self.loop.call_later(self.head_seconds, self._give_up)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return  # Closing at once would reset the connection, and the answer be lost.
        super().data_received(data)
        if not self._in_head:
            self._head_bytes = 0
            return
        # Rarely does a head come in pieces, so only then is there a timer for it.
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self._give_up)
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES and not self._refused:
            self._refuse(HeadersTooLarge("URL and headers are larger than any sensible request's."))

    def on_message_begin(self) -> None:
        self._in_head = True
        self._answered = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        if self._front is None or not self._answer_at_once(self._front):
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._answered:
            super().on_message_complete()

    def _answer_at_once(self, front: Front) -> bool:
        """Write what lies ready, if anything does, and nobody is being answered.

        A request that becomes a task and a dozen objects first costs twice as much.
        """
        if (
            self.parser.get_method() != b"GET"
            or self.parser.get_http_version() != "1.1"
            or not self.parser.should_keep_alive()
            or not (self.cycle is None or self.cycle.response_complete)
            or self.flow.write_paused
        ):
            return False
        ready = front.answer(self.url, self.headers, self.client)
        if ready is None:
            return False
        self._answered = True
        self._write(ready)
        self.on_response_complete()
        return True

    def _write(self, ready: Ready) -> None:
        head, body = ready
        if len(body) <= SMALL_BODY:
            self.transport.write(head + body)
        else:
            self.transport.writelines(ready)  # in one system call, and without a copy

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Ask the application, unless another request is about to bring the same answer."""
        # What was answered at once took the connection for idle; this came in the same piece.
        self._unset_keepalive_if_required()
        front, scope = self._front, cast("Scope", cycle.scope)
        awaited = None if front is None else front.waits_for(scope)
        if front is None or awaited is None:
            super()._start_asgi_task(cycle, app)
        else:
            awaited.add_done_callback(lambda _: self._go_on(front, cycle, app))

    def _go_on(self, front: Front, cycle: RequestResponseCycle, app: Any) -> None:
        """Write what was waited for; if that cannot be done, ask after all."""
        can_answer = (
            cycle.keep_alive
            and not cycle.disconnected
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )
        ready = front.waited(cast("Scope", cycle.scope), can_answer=can_answer)
        if ready is None:
            self._start_asgi_task(cycle, app)
            return
        self._write(ready)
        cycle.response_complete = True
        cycle.on_response()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        self._refuse(Malformed("This is not a request that HTTP/1.1 allows."))

    def _give_up(self) -> None:
        self._timer = None
        if self._in_head:
            self._refuse(HeadTimedOut("The head of the request took too long to come."))
        else:
            self.transport.close()  # nothing was asked

    def on_response_complete(self) -> None:
        is_last = not self.pipeline
        super().on_response_complete()
        if is_last and self._refusal is not None and not self.transport.is_closing():
            self._write_refusal(self._refusal)

    def _refuse(self, error: GatewayError) -> None:
        """Say so in its turn: what came before it is answered first, whatever follows it never."""
        self._refused = True
        self._stop_timer()
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._write_refusal(error)
        elif not cycle.more_body:
            self._refusal = error
        elif self.pipeline:  # its body is refused, and it has not begun
            self.pipeline.popleft()
            self._refusal = error
        else:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
            else:
                self._write_refusal(error)

    def _write_refusal(self, error: GatewayError) -> None:
        self.transport.write(_written(error))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _written(error: GatewayError) -> bytes:
    """The whole answer as it goes over the wire."""
    request_id = secrets.token_hex(8)
    response = problems.answer(error, {"path": ""}, request_id)
    headers = [
        *response.raw_headers,
        (b"x-request-id", request_id.encode()),
        (b"connection", b"close"),
    ]
    return (
        b"HTTP/1.1 %d %s\r\n" % (error.status, HTTPStatus(error.status).phrase.encode())
        + b"".join(b"%s: %s\r\n" % header for header in headers)
        + b"\r\n"
        + bytes(response.body)
    )
