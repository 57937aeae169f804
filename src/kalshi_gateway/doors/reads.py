"""Answers of the exchange as they came: asked for once for all who want the same, and kept."""

import asyncio
import gzip
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import NamedTuple

from kalshi_gateway.accounts.clients import Lines
from kalshi_gateway.answers import GZIP_LEVEL, Form
from kalshi_gateway.credentials.vault import Vault
from kalshi_gateway.directives import NO_TERMS, NotCached, Terms
from kalshi_gateway.freshness import Came, came_by
from kalshi_gateway.kalshi.calls import Headers, Reply
from kalshi_gateway.kalshi.calls import Operation as Call
from kalshi_gateway.kalshi.client import Kalshi
from kalshi_gateway.kalshi.errors import KalshiError, Rejected
from kalshi_gateway.kalshi.flights import Flights

from .operations import MOVING, Operation
from .strangers import Strangers

#: All answers together take no more memory than this, and none more than half of it.
MOST_BYTES = 64 * 1024 * 1024
#: Compressing more than this, or giving it another form, would hold up all others.
LARGE = 256 * 1024
#: What an answer takes besides its body, that compressed, and what was asked, roughly.
OVERHEAD_BYTES = 1_000

#: However old.
ANY_AGE = inf

Rendering = Callable[[bytes], bytes]
#: Whose answer it is, to what, in which form and language.
Key = tuple[Hashable, str, Rendering, Headers]

#: How often a user's things have changed, and all users' may have.
Changes = tuple[int, int]
UNCHANGED: Changes = (0, 0)


def as_it_came(body: bytes) -> bytes:
    """A body in the exchange's own form."""
    return body


@dataclass(frozen=True, slots=True)
class Wish:
    """For how long an answer is young, and may be stale if none newer can be had; its form."""

    fresh_seconds: float
    stale_seconds: float = 0.0
    terms: Terms = NO_TERMS
    form: Rendering = as_it_came
    headers: Headers = ()


class Kept:
    """An answer, when it was asked for, for how long it is young, and what had changed by then."""

    __slots__ = (
        "_zipped",
        "as_of",
        "asked_at",
        "body",
        "changes",
        "form",
        "fresh_seconds",
        "status",
    )

    def __init__(
        self,
        reply: Reply,
        body: bytes,
        asked_at: float,
        wish: Wish,
        changes: Changes = UNCHANGED,
    ) -> None:
        self.status = reply.status
        self.body = body
        self.as_of = reply.asked_at
        self.asked_at = asked_at  # monotonic
        self.fresh_seconds = wish.fresh_seconds
        self.changes = changes
        #: As it was given last, for who is given the same within a second.
        self.form: Form | None = None
        self._zipped: asyncio.Future[bytes] | None = None

    @property
    def age_seconds(self) -> float:
        """Since it was asked for."""
        return time.monotonic() - self.asked_at

    def zipped_at_once(self) -> bytes | None:
        """The body compressed, if somebody has had it done."""
        done = self._zipped is not None and self._zipped.done()
        return self._zipped.result() if self._zipped and done else None

    async def zipped(self) -> bytes:
        """The body compressed, once for all who take it so; a large one beside the loop."""
        if self._zipped is None:
            loop = asyncio.get_running_loop()
            if len(self.body) < LARGE:
                self._zipped = loop.create_future()
                self._zipped.set_result(_zip(self.body))
            else:
                self._zipped = loop.run_in_executor(None, _zip, self.body)
        return await asyncio.shield(self._zipped)


class Given(NamedTuple):
    """An answer, and how we came by it."""

    kept: Kept
    came: Came

    @property
    def body(self) -> bytes:
        return self.kept.body

    @property
    def age_seconds(self) -> float:
        """Since the exchange said it, which it may have kept for a while itself."""
        return max(0.0, (datetime.now(UTC) - self.kept.as_of).total_seconds())


class Reads:
    """Reads of everybody, over the service's line, and of each user, over their own.

    What one user is answered is kept under that user and that key, and given to nobody else.
    """

    def __init__(
        self, kalshi: Kalshi, vault: Vault, lines: Lines, most_bytes: int = MOST_BYTES
    ) -> None:
        self._kalshi = kalshi
        self._strangers = Strangers(kalshi)
        self._vault = vault
        self._lines = lines
        self._most_bytes = most_bytes
        self._taken_bytes = 0
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._flights = Flights()
        #: What was asked for before the last change is given only where nothing newer can be had.
        self._changes: Counter[str | None] = Counter()
        #: Whether it would hear of a change to what users have.
        self.hears = False

    async def public(self, operation: Operation, target: str, wish: Wish) -> Given:
        """What everybody may read; raises what asking raised where nothing kept will do."""
        return await self._get(self._kalshi, None, operation, target, wish)

    async def for_strangers(self, operation: Operation, target: str, wish: Wish) -> Given:
        """The same for who does not say who they are."""
        return await self._get(self._strangers, None, operation, target, wish)

    def lying(self, target: str, headers: Headers) -> Kept | None:
        """What everybody may read, if it is kept and young, in the exchange's own form."""
        key = (None, target, as_it_came, headers)
        kept = self._kept.get(key)
        if kept is None or kept.age_seconds > kept.fresh_seconds:
            return None
        self._kept.move_to_end(key)
        return kept

    async def private(self, user_id: str, operation: Operation, target: str, wish: Wish) -> Given:
        """What a user may read; `NoCredentials` without a key of theirs."""
        signer = await self._vault.open(user_id)
        own = signer is self._vault.own_signer(user_id)
        line = self._lines.line(user_id, signer, own=own)
        changes = (self._changes[user_id], self._changes[None])
        owner = (user_id, signer.key.key_id)
        given = await self._get(line.kalshi, owner, operation, target, wish, changes)
        self._lines.learn_soon(line)  # but not from an exchange that has just refused
        return given

    def forget(self, name: str | None) -> None:
        """This user has written, or their things have changed; None: perhaps everybody's.

        What was asked for before now is no longer given as what there is.
        """
        self._changes[name] += 1

    async def _get(
        self,
        line: Kalshi | Strangers,
        owner: Hashable,
        operation: Operation,
        target: str,
        wish: Wish,
        changes: Changes = UNCHANGED,
    ) -> Given:
        key = (owner, target, wish.form, wish.headers)
        kept = self._kept.get(key)
        # For long is kept only what we hear changes of.
        deaf = owner is not None and not self.hears
        fresh_seconds = min(wish.fresh_seconds, MOVING) if deaf else wish.fresh_seconds
        if kept and kept.changes == changes and _will_do(kept, wish.terms, fresh_seconds):
            self._kept.move_to_end(key)
            return Given(kept, "HIT")
        wish.terms.allow_asking()

        async def ask() -> Kept:
            asked_at = time.monotonic()
            call = Call(operation.path, operation.bucket, operation.answers)
            reply = await line.verbatim(call, target, headers=wish.headers)
            fresh = Kept(reply, await _in_form(wish, reply.body), asked_at, wish, changes)
            self._keep(key, fresh)
            return fresh

        try:
            fresh = await self._flights.share((line, key, changes), ask)
        except KalshiError as error:
            if kept is None or isinstance(error, Rejected) or not _may_be_stale(kept, wish):
                raise
            return Given(kept, "STALE")
        return Given(fresh, came_by(wish.terms, known=kept is not None))

    def _keep(self, key: Key, fresh: Kept) -> None:
        before = self._kept.get(key)
        if before is not None and before.asked_at > fresh.asked_at:
            return  # it took so long that another has overtaken it
        self._drop(key)
        size = _size(key, fresh)
        if size > self._most_bytes // 2:
            return
        self._kept[key] = fresh
        self._taken_bytes += size
        while self._taken_bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._taken_bytes -= _size(key, kept)


async def _in_form(wish: Wish, body: bytes) -> bytes:
    """A body in the form that is wanted; a large one is given it beside the loop."""
    if wish.form is as_it_came or len(body) < LARGE:
        return wish.form(body)
    return await asyncio.to_thread(wish.form, body)


def _will_do(kept: Kept, terms: Terms, fresh_seconds: float) -> bool:
    if not terms.accepts(kept.as_of):
        if terms.only_if_cached:
            raise NotCached
        return False
    return terms.only_if_cached or kept.age_seconds <= fresh_seconds


def _may_be_stale(kept: Kept, wish: Wish) -> bool:
    """Whether it may be given where nothing newer can be had."""
    stale_seconds = kept.age_seconds - kept.fresh_seconds
    return wish.stale_seconds > 0 and stale_seconds <= wish.stale_seconds


def _size(key: Key, kept: Kept) -> int:
    _, target, _, headers = key
    asked = len(target) + sum(len(name) + len(value) for name, value in headers)
    return len(kept.body) + len(kept.body) // 4 + asked + OVERHEAD_BYTES


def _zip(body: bytes) -> bytes:
    return gzip.compress(body, GZIP_LEVEL, mtime=0)
