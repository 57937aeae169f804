"""Writes: each written down, sent once over the user's own line, and answered as it was answered.

What was not sent is said not to have been. What was sent and not answered may have been done, and
nobody here asks again: the client is told that its outcome is unknown.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from typing import NamedTuple

import structlog

from kalshi_gateway import news
from kalshi_gateway.accounts.clients import Line, Lines
from kalshi_gateway.accounts.refresh import Refresher
from kalshi_gateway.audit import repository as audit
from kalshi_gateway.audit.entry import Author, Entry, Outcome
from kalshi_gateway.auth import TokenEnded
from kalshi_gateway.credentials.vault import Vault
from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.budget import Lane
from kalshi_gateway.kalshi.calls import Operation as Call
from kalshi_gateway.kalshi.calls import Reply
from kalshi_gateway.kalshi.errors import KalshiError, NotSent, Refusal, TurnMissed
from kalshi_gateway.keys import repository as keys
from kalshi_gateway.keys.signature import Flaw
from kalshi_gateway.tokens import repository as tokens

from . import refusals
from .reads import Reads
from .routing import DECREASE, TRIGGER, Routing, Write, is_object, orders_in

Details = Mapping[str, str | int | bool | None]

log = structlog.get_logger(__name__)

#: Of a body so much is kept in the audit log as it was; its digest is of all of it.
MOST_WRITTEN_DOWN = 2_000

NOT_JSON = "the body is not a JSON object"
MISSED = "the account's budget did not allow it in time; nothing was sent"
UNSENT = "the exchange cannot be reached; nothing was sent"
UNKNOWN = "the exchange has not answered, and may have done it: the outcome is unknown"


class Writes:
    """Sends what users write, if it may be written at all."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        lines: Lines,
        reads: Reads,
        refresher: Refresher,
        *,
        enabled: bool,
    ) -> None:
        self.enabled = enabled
        self._database = database
        self._vault = vault
        self._lines = lines
        self._reads = reads
        self._refresher = refresher
        self._routing = Routing()
        self._under_way: set[asyncio.Task[Reply | Refusal]] = set()

    async def send(
        self, user_id: str, write: Write, author: Author, signature_sha256: bytes | None
    ) -> Reply | Refusal:
        """The exchange's answer to this user's write, or why there is none.

        Raises before anything has left where the write cannot be written down, or signed.
        """
        if write.body and not is_object(write.body):
            return refusals.flat(400, "bad_request", NOT_JSON)
        signer = await self._vault.open(user_id)
        line = self._lines.line(user_id, signer, own=signer is self._vault.own_signer(user_id))
        entry = Entry("exchange.write", author, user_id, _target(write), "begun", _details(write))
        # Whoever gives up waiting does not call back what has left: it goes on, and is noted.
        written = self._written(line, write, entry, signature_sha256)
        task = asyncio.create_task(written, name="write")
        self._under_way.add(task)
        task.add_done_callback(self._done)
        answer = await asyncio.shield(task)
        if isinstance(answer, Reply):
            self._lines.learn_soon(line)
        return answer

    async def refuse(
        self, user_id: str | None, write: Write, author: Author, refusal: Refusal
    ) -> None:
        """Write down that somebody we know asked for what they may not do; its body unread."""
        said: Details = {"query": write.query.decode("ascii"), **_told(refusal)}
        entry = Entry("exchange.write", author, user_id, _target(write), "refused", said)
        await self._record(entry)

    async def settled(self) -> None:
        """Wait for what is under way; each ends by its own deadline."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    def _done(self, task: asyncio.Task[Reply | Refusal]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # seen, even if the client has gone

    async def _written(
        self, line: Line, write: Write, entry: Entry, signature_sha256: bytes | None
    ) -> Reply | Refusal:
        begun = await self._begin(entry, signature_sha256)
        if isinstance(begun, Refusal):
            return begun
        user_id = str(entry.user_id)
        try:
            ended = await self._sent(line, user_id, write)
        except Exception as error:
            await self._note(entry, begun, "unknown", {"told": type(error).__name__})
            raise
        finally:
            # What was asked for before this shows the time before it.
            self._reads.forget(user_id)
        await self._note(entry, begun, ended.outcome, _told(ended.answer))
        return ended.answer

    async def _begin(self, entry: Entry, signature_sha256: bytes | None) -> int | Refusal:
        """The number of the line that says what is about to be sent, or why nothing is.

        Of requests with one signature, in whatever processes, one commits; and none does whose key
        or token was ended meanwhile: its body may have taken long to come.
        """
        shown = entry.author.token_id
        async with self._database.begin() as conn:
            if signature_sha256 is None:
                if shown is not None and not await tokens.holds(conn, shown):
                    raise TokenEnded
            elif shown is None or not await keys.holds(conn, shown):
                return refusals.FLAWS[Flaw.KEY_UNKNOWN]
            elif not await keys.spend(conn, signature_sha256):
                return refusals.FLAWS[Flaw.SIGNATURE_SPENT]
            return (await audit.record(conn, entry)).seq

    async def _sent(self, line: Line, user_id: str, write: Write) -> "Ended":
        operation = write.operation
        call = Call(operation.path, operation.bucket, method=operation.method)
        cost = line.kalshi.budget.cost(operation.method, operation.path) * orders_in(write)
        try:
            routed = await self._routing.completed(line.kalshi, user_id, write)
            reply = await line.kalshi.once(
                call,
                routed.target,
                cost=cost,
                lane=Lane.CANCEL if _takes_back(write) else Lane.ORDER,
                headers=routed.headers,
                body=routed.body,
            )
        except KalshiError as error:
            return _ended(error)
        self._routing.learn(user_id, write, reply.body)
        return Ended(reply, "done")

    async def _note(self, entry: Entry, begun: int, outcome: Outcome, details: Details) -> None:
        """Tell of it, and write down what came of it; it has happened, so nothing may hide it."""
        user_id = str(entry.user_id)
        ended = replace(entry, outcome=outcome, details={"begun": begun, **details})
        parts = {
            "news": partial(self._tell, user_id),
            "audit log": partial(self._record, ended),
            # This also waits until all processes have heard.
            "account": partial(self._refresher.invalidate, user_id),
        }
        for part, note in parts.items():
            try:
                await note()
            except Exception:
                log.exception(
                    "outcome of a write not noted", part=part, begun=begun, outcome=outcome
                )

    async def _tell(self, user_id: str) -> None:
        async with self._database.begin() as conn:
            await news.tell(conn, "user", user_id)

    async def _record(self, entry: Entry) -> None:
        async with self._database.begin() as conn:
            await audit.record(conn, entry)


class Ended(NamedTuple):
    """What the client is told of a write, and what has come of it."""

    answer: Reply | Refusal
    outcome: Outcome


def _takes_back(write: Write) -> bool:
    """Whether it takes money off the table, which goes before all else."""
    return write.operation.method == "DELETE" or write.kind in (DECREASE, TRIGGER)


def _ended(error: KalshiError) -> Ended:
    """Why it was not done, or may not have been; the exchange's own refusals as they are."""
    refusal = error.refusal
    if refusal is not None:
        return Ended(refusal, "refused" if _is_refused(refusal.status) else "unknown")
    log.warning("write not answered", why=type(error).__name__)
    if isinstance(error, TurnMissed):
        return Ended(refusals.enveloped(429, "too_many_requests", details=MISSED), "refused")
    if isinstance(error, NotSent):
        return Ended(refusals.enveloped(503, "service_unavailable", details=UNSENT), "refused")
    return Ended(refusals.enveloped(504, "gateway_timeout", details=UNKNOWN), "unknown")


def _is_refused(status: int) -> bool:
    """Whether the exchange has not done it: who was led elsewhere, or timed out, does not know."""
    return 400 <= status < 500 and status != HTTPStatus.REQUEST_TIMEOUT


def _target(write: Write) -> str:
    return f"{write.operation.method} {write.path.decode('ascii')}"


def _details(write: Write) -> Details:
    return {
        "query": write.query.decode("ascii"),
        "body": write.body[:MOST_WRITTEN_DOWN].decode(errors="replace"),
        "body_sha256": sha256(write.body).hexdigest(),
    }


def _told(answer: Reply | Refusal) -> Details:
    """What is kept of an answer: its beginning, which names the order."""
    told = answer.body[:MOST_WRITTEN_DOWN].decode(errors="replace")
    return {"status": answer.status, "told": told}
