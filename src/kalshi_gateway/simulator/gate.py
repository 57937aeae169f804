"""The way every request goes: counted, hit by faults, identified, charged, answered, dated."""

import asyncio
import socket
import struct
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime

import httpx
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from . import budgets, refusals, spoiling, times
from .calls import Answer, Call, Operation
from .exchange import Exchange
from .faults import Fault
from .signatures import Key

# SO_LINGER on with zero seconds: closing sends RST instead of FIN.
ABORTIVELY = struct.pack("ii", 1, 0)
OUTER_SEND = "kalshi_gateway.simulator.send"


class Gate:
    """An operation behind everything the exchange does before and after it."""

    def __init__(self, exchange: Exchange, operation: Operation) -> None:
        self.exchange = exchange
        self.operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange, name = self.exchange, self.operation.name
        exchange.counters.requests[name] += 1
        faults = exchange.faults.take(name, scope["path"], exchange.clock.elapsed())
        by_kind: dict[str, Fault] = {fault.kind: fault for fault in faults}
        for kind in by_kind:
            exchange.counters.faults[kind] += 1
        if "latency" in by_kind:
            await asyncio.sleep(by_kind["latency"].seconds)
        if "hang" in by_kind:
            return await self._hang(scope, receive)
        if "reset" in by_kind:
            return await _reset(scope, receive)
        skew = timedelta(seconds=by_kind["clock"].seconds if "clock" in by_kind else 0)
        body = await Request(scope, receive).body()
        answer = self._instead(faults) or await self._answer(scope, body, skew, by_kind)
        exchange.counters.statuses[answer.status] += 1
        date = exchange.clock.now() + skew
        headers = [
            (b"content-type", answer.media.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            (b"date", format_datetime(date, usegmt=True).encode()),
        ]
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        await send(start)
        if "truncate" in by_kind:
            part = answer.body[: len(answer.body) // 2]
            await send({"type": "http.response.body", "body": part, "more_body": True})
            return await _cut(scope, receive)
        return await send({"type": "http.response.body", "body": answer.body})

    async def _answer(
        self, scope: Scope, body: bytes, skew: timedelta, faults: dict[str, Fault]
    ) -> Answer:
        exchange, operation = self.exchange, self.operation
        now_us = times.micros(exchange.clock.now() + skew)
        # Nobody reads or meets what has expired, however long ago the exchange last moved.
        exchange.ledger.expire()
        try:
            key = self._identify(scope, now_us)
            cost = operation.cost * operation.count(body)
            self._charge(key, scope, cost)
            call = Call(
                exchange,
                operation,
                scope.get("path_params", {}),
                QueryParams(scope["query_string"]),
                key,
                now_us,
                halved="half_page" in faults,
                body=body,
            )
            answer = await operation.handler(call)
            return replace(answer, body=spoiling.spoiled(answer.body, faults.values()))
        except refusals.Refused as refused:
            return Answer(refused.body, refused.status)

    def _instead(self, faults: Iterable[Fault]) -> Answer | None:
        """What a fault answers in the exchange's place."""
        for fault in faults:
            if fault.kind == "html":
                return Answer(spoiling.HTML, fault.status, "text/html")
            if fault.kind == "empty":
                return Answer(b"", fault.status)
            if fault.kind == "status" and fault.body is not None:
                return Answer(fault.body.encode(), fault.status)
            if fault.kind == "status":
                limited = budgets.TOO_MANY[self.exchange.limits.refusal]
                refused = limited() if fault.status == 429 else refusals.usual(fault.status)
                return Answer(refused.body, fault.status)
        return None

    async def _hang(self, scope: Scope, receive: Receive) -> None:
        """Say nothing until the caller gives up, or the exchange lets go of him."""
        hanging = self.exchange.faults.hanging
        released = asyncio.get_running_loop().create_future()
        gone = asyncio.create_task(_gone(receive))
        hanging.add(released)
        try:
            await asyncio.wait({released, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hanging.discard(released)
            gone.cancel()
        if not gone.done():
            await _reset(scope, receive)

    def _identify(self, scope: Scope, now_us: int) -> Key | None:
        """Whose request it is; signing is optional where everyone may read."""
        headers = Headers(scope=scope)
        scopes = self.operation.scopes
        if not scopes and "kalshi-access-key" not in headers:
            return None
        path = scope.get("raw_path") or scope["path"].encode()
        text = path.partition(b"?")[0].decode()
        key = self.exchange.keys.verify(scope["method"], text, headers, now_us // 1000)
        if scopes and not any(key.allows(scope_name) for scope_name in scopes):
            raise refusals.permission_denied()
        return key

    def _charge(self, key: Key | None, scope: Scope, cost: int) -> None:
        exchange, operation = self.exchange, self.operation
        member = None if key is None else key.member
        address = scope["client"][0] if scope.get("client") else ""
        try:
            exchange.limits.charge(
                member, address, operation.bucket, cost, exchange.clock.elapsed()
            )
        except refusals.Refused:
            exchange.counters.refused += 1
            raise
        exchange.counters.tokens[operation.bucket] += cost


async def _gone(receive: Receive) -> None:
    """Wait until the connection is no more."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _reset(scope: Scope, receive: Receive) -> None:
    """Break the connection: for real on a server, as httpx would tell it inside a process."""
    transport = _transport(scope)
    if transport is None:
        raise httpx.ReadError("connection reset by the exchange")
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORTIVELY)
    transport.abort()
    # The server must have noticed before we return, or it would apologise for us.
    await _gone(receive)


async def _cut(scope: Scope, receive: Receive) -> None:
    """End the connection after what was sent so far."""
    transport = _transport(scope)
    if transport is None:
        raise httpx.RemoteProtocolError("peer closed connection in the middle of the body")
    transport.close()
    await _gone(receive)


def _transport(scope: Scope) -> asyncio.Transport | None:
    """The server's own end of the connection; None where there is no server."""
    cycle = getattr(scope.get(OUTER_SEND), "__self__", None)
    transport: asyncio.Transport | None = getattr(cycle, "transport", None)
    return transport if hasattr(transport, "abort") else None
