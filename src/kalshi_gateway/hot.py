"""Finished answers, given before routing: an ASGI layer.

An answer that was given a moment ago is given again. Older than a second it is still given, while
one request behind it makes it anew; older than that it is made first. When neither the database nor
the exchange can make it, the last one is given, marked stale, with the reason.

Clients may set terms (`directives.py`): then the answer is given again if it meets them. Those who
ask the same at the same time, on the same terms, wait for one of them.

What is a user's own is given again only to who may speak for that user, for no longer than a change
of it takes to be heard of (`news.py`); it is never shared, and never given in place of another.
"""

import asyncio
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .answers import ANSWER, Answer, Asked
from .auth import LOCAL, Gatekeeper, may_read
from .directives import NO_TERMS, TERMS, NotCached, Terms, taken_apart
from .errors import GatewayError
from .kalshi.errors import KalshiError, KeyRejected
from .news import FRESH_FOR
from .requests import ROUTE, Templates
from .shelf import Kept, Key, Shelf
from .together import AWAITED, MAKES, Making, Together

log = structlog.get_logger(__name__)

#: Given again without a thought.
FRESH_SECONDS = 1.0
#: Given again while it is made anew.
RENEWED_SECONDS = 10.0
#: Of what is asked for anew each time, too, one is enough for all who ask at the same time: some of
#: many requests are read when the first of them has been answered already.
SAME_TIME_SECONDS = 0.2
#: All answers together take no more memory than this; momentary ones a part of it more.
MOST_BYTES = 64 * 1024 * 1024
PART_FOR_MOMENTARY = 4

PREFIX = "/kalshi/"
#: What lies here is one user's own: never shared, and of it only this is kept.
OWN = "/kalshi/users/"
KEPT_OF_OWN = frozenset({"account", "positions", "fills", "orders", "settlements", "history"})
#: It is given again while it is made anew for no longer than changes take to be heard of.
OWN_SECONDS = FRESH_FOR.total_seconds()

#: What a client is refused for who it is says nothing to those who ask the same.
PERSONAL = frozenset({401, 403, 429})


class Hot:
    """Keeps the answers of one application, the most recently asked for."""

    def __init__(
        self, app: ASGIApp, ready: Shelf | None = None, together: Together | None = None
    ) -> None:
        """`ready` is where answers lie that may be given again, if others shall see it, too.

        So is `together` with those under way.
        """
        self.app = app
        self._ready = Shelf(MOST_BYTES) if ready is None else ready
        self._momentary = Shelf(self._ready.most_bytes // PART_FOR_MOMENTARY)
        self._kept = self._ready.answers
        self._together = Together() if together is None else together
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
            await self._not_at_hand(scope, receive, send)
            return
        asked = Asked.of(scope)
        if asked.directives is not None or not _may_read(scope, asked, kept.owner):
            await self._not_at_hand(scope, receive, send)
            return
        age = _age_seconds(kept)
        if age >= lasts_seconds(kept):
            await self._not_at_hand(scope, receive, send)
            return
        if age >= FRESH_SECONDS:
            self._renew(key, scope)
        self._kept.move_to_end(key)
        await _given(kept, asked, scope, send)

    async def _not_at_hand(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What cannot simply be given again: nothing is kept, or the client has terms."""
        asked = Asked.of(scope)
        if scope["path"].startswith(OWN):
            await self._own(scope, receive, send)
            return
        understood = taken_apart(scope["query_string"], asked.directives)
        if understood is None:
            await self.app(scope, receive, send)
            return
        query, terms = understood
        key = (scope["path"], query)
        if not _may_read(scope, asked):
            await self._made(key, terms, scope, receive, send)
            return
        kept = self._on_terms(key, terms)
        if kept is None:
            await self._shared(key, terms, scope, receive, send)
        else:
            await _given(kept, asked, scope, send)

    def _on_terms(self, key: Key, terms: Terms) -> Kept | None:
        """What is kept, if it can be given on these terms."""
        kept = self._kept.get(key)
        if kept is not None:
            if _age_seconds(kept) >= RENEWED_SECONDS:
                return None  # the database may know better
        else:
            kept = self._momentary.answers.get(key)
            if kept and terms == NO_TERMS and _age_seconds(kept) >= SAME_TIME_SECONDS:
                return None
        return kept if kept and terms.accepts(kept.answer.standing.as_of) else None

    async def _shared(
        self, key: Key, terms: Terms, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """The first who asks has it made; who asks the same meanwhile is given the same."""
        makes: Making | None = scope.get(MAKES)
        awaits: Making | None = scope.get(AWAITED) or self._together.find(key, terms)
        if awaits is None or awaits is makes:
            makes = makes or self._together.begin(key, terms)
            await self._made_for_all(makes, key, terms, scope, receive, send)
            return
        try:
            kept = await asyncio.shield(awaits.told)
        except (GatewayError, KalshiError):
            scope[ROUTE] = awaits.route
            raise
        if kept is None:
            await self._made(key, terms, scope, receive, send)
        else:
            await _given(kept, Asked.of(scope), scope, send)

    async def _made_for_all(
        self, making: Making, key: Key, terms: Terms, scope: Scope, receive: Receive, send: Send
    ) -> None:
        async def tell_and_send(message: Message) -> None:
            # Told at its first word: nobody waits for the last word of a stream.
            making.tell(self._answered(scope))
            await send(message)

        try:
            await self._made(key, terms, scope, receive, tell_and_send)
        except (GatewayError, KalshiError) as error:
            if getattr(error, "status", None) not in PERSONAL:
                making.fail(error, self._route(scope))
            raise
        finally:
            making.tell(None)

    async def _own(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is a user's own, by its route; kept unless it has changed meanwhile."""
        owner = _owner(scope["path"])
        if owner is None:
            await self.app(scope, receive, send)
            return
        with self._ready.reading(owner) as reading:
            await self.app(scope, receive, send)
            answer: Answer | None = scope.get(ANSWER)
            if answer is None or answer.came != "HIT" or scope.get(TERMS) != NO_TERMS:
                return
            key = (scope["path"], scope["query_string"])
            self._ready.put_own(key, answer, self._route(scope), reading)

    async def _made(
        self, key: Key, terms: Terms, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """The answer by its route; the last one instead, if that cannot be had now."""
        before = self._kept.get(key)
        try:
            await self.app(scope, receive, send)
        except (GatewayError, KalshiError) as error:
            kept = self._kept.get(key) or self._momentary.answers.get(key)
            if kept is None or not _passing(error) or _refused(kept, terms):
                raise
            asked = Asked.of(scope)
            if not _was_let_in(scope, asked):
                raise
            answer = _marked(kept.answer, error)
            scope[ANSWER] = answer
            await _given(Kept(answer, kept.route), asked, scope, send)
        else:
            self._keep(key, terms, scope, before)

    def _keep(self, key: Key, terms: Terms, scope: Scope, before: Kept | None) -> None:
        """Keep what was made, unless something newer has come since that was begun."""
        kept = self._answered(scope)
        if kept is None or kept.answer.standing.as_of is None:
            return  # what nobody has read to the end yet will soon be known better
        if scope.get(TERMS, NO_TERMS) != terms:
            return  # the route has understood more of the question than was understood here
        answer = kept.answer
        if answer.standing.overdue and terms != NO_TERMS:
            return  # to whoever has no terms it may be young
        if answer.momentary:
            last = self._momentary.answers.get(key)
            if last is None or not _older(answer, last.answer):
                self._momentary.put(key, _again(kept))
        elif answer.came != "HIT":
            now = self._kept.get(key)
            if now is None or not _older(answer, now.answer):
                self._ready.put(key, _again(kept))
        elif self._kept.get(key) is before:
            self._ready.put(key, kept)

    def _answered(self, scope: Scope) -> Kept | None:
        answer: Answer | None = scope.get(ANSWER)
        return None if answer is None else Kept(answer, self._route(scope))

    def _route(self, scope: Scope) -> str:
        route: str = scope.get(ROUTE) or self._templates.find(scope)
        return route

    def _renew(self, key: Key, scope: Scope) -> None:
        """Make it anew behind the answer; one at a time for each."""
        renewals = self._together.renewals
        if key not in renewals:
            task = asyncio.create_task(self._renewed(key, dict(scope)), name="renewed answer")
            renewals[key] = task
            task.add_done_callback(lambda _: renewals.pop(key, None))

    async def _renewed(self, key: Key, scope: Scope) -> None:
        before = self._kept.get(key)
        try:
            if scope["path"].startswith(OWN):
                await self._own(scope, _nothing_more, _into_the_void)
                return
            await self.app(scope, _nothing_more, _into_the_void)
        except (GatewayError, KalshiError) as error:
            # The one we have goes on until it is too old; then the client hears of this.
            log.debug("answer not renewed", path=key[0], why=str(error))
        except Exception:
            log.exception("answer not renewed", path=key[0])
        else:
            self._keep(key, NO_TERMS, scope, before)


def lasts_seconds(kept: Kept) -> float:
    """How old an answer may be given while it is made anew."""
    return RENEWED_SECONDS if kept.owner is None else OWN_SECONDS


def _age_seconds(kept: Kept) -> float:
    return time.monotonic() - kept.answer.made_at


async def _given(kept: Kept, asked: Asked, scope: Scope, send: Send) -> None:
    scope[ROUTE] = kept.route
    if MAKES in scope:
        scope[MAKES].tell(kept)
    await kept.answer.send(asked, send)


def _refused(kept: Kept, terms: Terms) -> bool:
    """Whether the client would rather have none than this one."""
    return terms.only_if_cached and not terms.accepts(kept.answer.standing.as_of)


def _again(kept: Kept) -> Kept:
    """What the exchange has just said, as it is given another time."""
    return Kept(kept.answer.restated(kept.answer.standing), kept.route)


def _older(answer: Answer, than: Answer) -> bool:
    as_of, other = answer.standing.as_of, than.standing.as_of
    return as_of is not None and other is not None and as_of < other


def _owner(path: str) -> str | None:
    """Whose own lies at that path, if it is kept."""
    owner, _, what = path.removeprefix(OWN).partition("/")
    # The front looks for paths as they were sent: only such are kept as are sent as they are.
    plain = path.isascii() and "%" not in path
    return owner if plain and what in KEPT_OF_OWN else None


def _may_read(scope: Scope, asked: Asked, owner: str | None = None) -> bool:
    """Whether the caller is known to be let in; who is not goes the long way, and hears why."""
    gatekeeper = _gatekeeper(scope)
    caller = LOCAL if gatekeeper is None else gatekeeper.caller_at_once(asked.authorization)
    return may_read(caller, owner)


def _was_let_in(scope: Scope, asked: Asked) -> bool:
    """Whether the caller may read as far as is known: what failed may be the one who could tell."""
    gatekeeper = _gatekeeper(scope)
    return gatekeeper is None or may_read(
        gatekeeper.caller_meanwhile(asked.authorization.decode("latin-1"))
    )


def _gatekeeper(scope: Scope) -> Gatekeeper | None:
    found: Gatekeeper | None = scope["app"].state.resources.gatekeeper
    return found


def _passing(error: GatewayError | KalshiError) -> bool:
    """Whether it is us, or the exchange, who cannot answer, and not the question that is wrong."""
    if isinstance(error, GatewayError):
        return error.status >= 500 and not isinstance(error, NotCached)
    if isinstance(error, KeyRejected):
        return True  # the service's own
    return getattr(error, "status", 503) in (None, 429) or getattr(error, "status", 503) >= 500


def _marked(answer: Answer, error: Exception) -> Answer:
    return answer.restated(answer.standing.late(f"this is the last known answer: {error}"))


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}


async def _into_the_void(_: Message) -> None:
    return
