"""One account brought up to date, once at a time in all processes together."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog

from kalshi_gateway.credentials.vault import Vault
from kalshi_gateway.db import Database, DatabaseUnavailable, Driver
from kalshi_gateway.directives import NO_TERMS, Terms
from kalshi_gateway.errors import GatewayError, Unavailable
from kalshi_gateway.freshness import Kept, Standing
from kalshi_gateway.kalshi.budget import Lane
from kalshi_gateway.kalshi.client import Kalshi
from kalshi_gateway.kalshi.errors import DeadlineExceeded, KalshiError
from kalshi_gateway.kalshi.signing import Signer
from kalshi_gateway.kalshi.wire import HistoricalCutoff
from kalshi_gateway.markets.lookup import Lookup, MarketNotFound
from kalshi_gateway.markets.standing import Progress
from kalshi_gateway.news import Roll
from kalshi_gateway.units import to_json

from . import facts, fetching, pace, repository, storing, valuing
from .account import Account
from .clients import Line, Lines
from .fetching import Known, Member
from .outage import Outage
from .repository import Cached, Finished, NotOurs
from .stand import Stand
from .storing import Harvest

log = structlog.get_logger(__name__)

#: A refresh that takes longer has gone wrong; another process may then begin.
DEADLINE = timedelta(seconds=60)
LEASE = timedelta(seconds=90)
#: Whoever waits for an account is told after this time; the refresh goes on.
PATIENCE = timedelta(seconds=20)
#: Refreshes that are waited for, at a time; the loop has its own number.
AT_ONCE = 48
#: How often another process's refresh of the same account is looked at.
LOOK_AGAIN_SECONDS = 0.1
#: One timestamp of the exchange serves all accounts for so long, one set of cutoffs, too.
CURRENT_FOR = timedelta(seconds=1)
ANEW = Terms(anew=True)
CUTOFF_FOR = timedelta(hours=1)
#: After a change the exchange's reads lag behind: so often it is asked how far they are.
CATCHING_UP_SECONDS = 0.25
MOST_CATCHING_UP = 12
#: Markets that the catalogue does not have are asked for by name, so many in one refresh.
MOST_LOOKED_UP = 25
#: Those that the exchange does not have, either, are not asked for again for so long.
GONE_FOR = timedelta(hours=6)
MOST_GONE = 50_000
#: What an account is worth is noted when it changes, and this often.
SNAPSHOT_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Turn:
    """One refresh under way: whose, by which claim, signed with what."""

    user_id: str
    claim: UUID
    key: str
    own: bool
    cached: Cached
    line: Line
    lane: Lane


class Refresher:
    """Brings accounts up to date, each over its user's own line."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        lines: Lines,
        kalshi: Kalshi,
        lookup: Lookup,
        progress: Progress,
        roll: Roll,
        every: timedelta,
    ) -> None:
        """`kalshi` is the service's own line, for what concerns all accounts alike."""
        self.database = database
        self.vault = vault
        self.every = every
        self.outage = Outage()
        self._lines = lines
        self._kalshi = kalshi
        self._lookup = lookup
        self._progress = progress
        self._roll = roll
        self._flights: dict[str, asyncio.Task[Cached]] = {}
        self.under_way: set[asyncio.Task[Cached]] = set()
        self._gone: dict[str, float] = {}
        self._waited_for = asyncio.Semaphore(AT_ONCE)
        self._current: Kept[datetime] = Kept(self._ask_current, CURRENT_FOR)
        self._cutoff: Kept[HistoricalCutoff] = Kept(self._ask_cutoff, CUTOFF_FOR)

    async def refresh(self, user_id: str) -> Cached:
        """The account as the exchange tells it now; those who ask meanwhile share the answer.

        Whoever gives up leaves alone: the refresh goes on. Whoever is told is told nothing older
        from then on, by any process.
        """
        task = self._flight(user_id, Lane.WAITING)
        done, _ = await asyncio.wait({task}, timeout=PATIENCE.total_seconds())
        if not done:
            raise DeadlineExceeded("the account was not read in time")
        cached = task.result()
        await self._roll.all_have_heard()
        return cached

    async def refresh_since(self, user_id: str, epoch: int) -> Cached:
        """The same, begun after what raised the epoch to this."""
        cached = await self.refresh(user_id)
        return cached if cached.known_epoch >= epoch else await self.refresh(user_id)

    def refresh_soon(self, user_id: str) -> None:
        """Let it be refreshed behind the answer that is given now."""
        _ = self._flight(user_id, Lane.ACCOUNT)

    def refresh_claimed(self, user_id: str, claim: UUID) -> asyncio.Task[Cached] | None:
        """Refresh what was claimed already; None if it is being refreshed, by another claim."""
        if user_id in self._flights:
            return None
        return self._begin(user_id, self._refresh(user_id, Lane.ACCOUNT, claim))

    async def invalidate(self, user_id: str) -> None:
        """Something has changed at the exchange: no fetch begun before now will do."""
        async with self.database.driver() as conn:
            await repository.invalidate(conn, user_id)
        self._flights.pop(user_id, None)
        await self._roll.all_have_heard()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Refresher"]:
        """Refreshes that nobody waits for end with the block."""
        try:
            yield self
        finally:
            under_way = set(self.under_way)
            for task in under_way:
                task.cancel()
            if under_way:
                await asyncio.wait(under_way)

    def key_of(self, signer: Signer) -> str:
        """How the key is named by which an account is known."""
        return repository.named(self.vault.environment, signer.key.key_id, signer.key.fingerprint)

    # Flights

    def _flight(self, user_id: str, lane: Lane) -> asyncio.Task[Cached]:
        flight = self._flights.get(user_id)
        return flight or self._begin(user_id, self._in_turn(user_id, lane))

    def _begin(self, user_id: str, refresh: Coroutine[Any, Any, Cached]) -> asyncio.Task[Cached]:
        task = asyncio.create_task(refresh, name="account")
        self._flights[user_id] = task
        self.under_way.add(task)
        task.add_done_callback(lambda _: self._landed(user_id, task))
        return task

    def _landed(self, user_id: str, task: asyncio.Task[Cached]) -> None:
        self.under_way.discard(task)
        if self._flights.get(user_id) is task:
            del self._flights[user_id]
        if not task.cancelled():
            task.exception()  # seen, even if nobody waited for it

    async def _in_turn(self, user_id: str, lane: Lane) -> Cached:
        async with self._waited_for:
            return await self._refresh(user_id, lane, uuid4())

    # One refresh

    async def _refresh(self, user_id: str, lane: Lane, claim: UUID) -> Cached:
        """Claim, fetch, save; what went wrong is written down, and raised."""
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                with self.outage.guard(user_id):
                    return await self._claim_and_fetch(user_id, lane, claim)
        except TimeoutError:
            failure: KalshiError | GatewayError = DeadlineExceeded("it was not read in time")
        except (KalshiError, GatewayError) as error:
            failure = error
        except Exception:
            log.exception("account not read", user=user_id)
            failure = GatewayError("Something went wrong in the gateway; its log says what.")
        except BaseException:
            await asyncio.shield(self._let_go(user_id, claim))
            raise
        await self._note_failure(user_id, claim, failure)
        raise failure

    async def _claim_and_fetch(self, user_id: str, lane: Lane, claim: UUID) -> Cached:
        async with self.database.driver() as conn:
            before, _ = await repository.find(conn, user_id)
        signer = await self.vault.open(user_id)
        cached = await self._claimed(user_id, claim, before)
        if cached is None:
            return await self._found(user_id)
        own = self.vault.own_signer(user_id) is not None
        turn = Turn(
            user_id=user_id,
            claim=claim,
            key=self.key_of(signer),
            own=own,
            cached=cached,
            line=self._lines.line(user_id, signer, own=own),
            lane=lane,
        )
        try:
            return await self._fetch(turn)
        except NotOurs as error:
            self.vault.forget(user_id)
            await self.vault.open(user_id)  # a deleted key is told as such
            raise Unavailable(f"This refresh was overtaken: {error}.") from error

    async def _claimed(self, user_id: str, claim: UUID, before: Cached | None) -> Cached | None:
        """Our claim; None if another process has done since `before` what we would do."""
        refreshes, epoch = (0, 0) if before is None else (before.refreshes, before.epoch)
        while True:
            async with self.database.driver() as conn:
                cached = await repository.claim(conn, user_id, claim, LEASE)
                if cached is not None:
                    if cached.refreshes == refreshes or cached.known_epoch < epoch:
                        return cached
                    await repository.let_go(conn, user_id, claim)
                    return None
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _fetch(self, turn: Turn) -> Cached:
        if not turn.own:
            await turn.line.learn(turn.lane)
        current_at, caught_up = await self._caught_up(turn)
        same_key = turn.cached.signed_with == turn.key
        in_background = turn.lane is Lane.ACCOUNT  # who waits is told what the exchange says now
        if in_background and same_key and self._nothing_newer(turn.cached, current_at):
            async with self.database.driver() as conn:
                due_in = await self._due_in(conn, turn.user_id)
                await repository.confirm(conn, turn.user_id, turn.claim, due_in=due_in)
            return await self._found(turn.user_id)
        ledger_id = turn.cached.ledger_id if same_key else None
        if ledger_id is None:
            ledger_id = await self._ledger_of(turn)
        member = await self._member(turn, ledger_id, current_at)
        began_at = datetime.now(UTC)
        try:
            stand = await member.read()
        except fetching.OtherReach:
            ledger_id = await self._ledger_of(turn)
            member = await self._member(turn, ledger_id, current_at)
            stand = await member.read()
        await self._look_up(ledger_id, member.harvest.tickers)
        as_of = began_at - self._behind(turn, began_at, current_at)
        epoch = turn.cached.epoch if caught_up else turn.cached.known_epoch
        # Before the transaction: whoever holds a connection must not wait for another.
        walked = await self._progress.markets(facts.PRICED)
        await self._save(turn, ledger_id, member, stand, as_of, epoch, walked)
        return await self._found(turn.user_id)

    async def _member(self, turn: Turn, ledger_id: UUID, current_at: datetime | None) -> Member:
        """The user's side of the exchange, to be read on from where the ledger ends."""

        async def flush(harvest: Harvest) -> None:
            async with self.database.driver() as conn, conn.transaction():
                await self._hold(conn, turn)
                if await storing.save(conn, ledger_id, harvest):
                    await repository.note_rows(conn, turn.user_id)

        return Member(
            turn.line.kalshi,
            await self._known(turn, ledger_id),
            flush,
            current_at=current_at,
            cutoff=await self._cutoffs(),
            lane=turn.lane,
        )

    async def _found(self, user_id: str) -> Cached:
        async with self.database.driver() as conn:
            cached, _ = await repository.find(conn, user_id)
        if cached is None:
            raise Unavailable("The account was forgotten while it was read.")
        return cached

    # Before the fetch

    async def _caught_up(self, turn: Turn) -> tuple[datetime | None, bool]:
        """Up to when the exchange's answers are current, and whether that is after the change."""
        # Whoever waits may know of something that is younger than a second.
        current_at = await self._current_at(ANEW if turn.lane is Lane.WAITING else NO_TERMS)
        changed_at = turn.cached.changed_at
        if changed_at is None or turn.cached.epoch == turn.cached.known_epoch:
            return current_at, True
        changed_at += turn.line.kalshi.skew or timedelta()
        for _ in range(MOST_CATCHING_UP):
            if current_at is None or current_at >= changed_at:
                return current_at, True
            await asyncio.sleep(CATCHING_UP_SECONDS)
            current_at = await self._current_at(ANEW)
        return current_at, current_at is None or current_at >= changed_at

    def _nothing_newer(self, cached: Cached, current_at: datetime | None) -> bool:
        """Whether the exchange has published nothing about anybody since we read this account."""
        if current_at is None or cached.rows is None or cached.known_epoch < cached.epoch:
            return False
        known = Stand.from_text(cached.rows).current_at
        return known is not None and current_at <= known

    async def _ledger_of(self, turn: Turn) -> UUID:
        """The ledger of the member behind a key that we have not read with before, or not so.

        A key that shows only a part of the member gets one of its own, without a name: in the
        member's, what it does not show would be taken for gone, and then for read.
        """
        member_id = None
        if await fetching.shows_all(turn.line.kalshi, turn.lane):
            member_id = await fetching.member_id_of(turn.line.kalshi, turn.lane)
        async with self.database.driver() as conn, conn.transaction():
            await self._hold(conn, turn)
            ledger_id = await repository.ledger_of(conn, turn.user_id, member_id)
            await repository.use(conn, turn.user_id, ledger_id)
        return ledger_id

    async def _known(self, turn: Turn, ledger_id: UUID) -> Known:
        async with self.database.driver() as conn:
            rows = None if turn.cached.ledger_id != ledger_id else turn.cached.rows
            return Known(
                member_id=await repository.member_of(conn, ledger_id),
                progress=await storing.progress_of(conn, ledger_id),
                resting=await storing.resting(conn, ledger_id),
                held=None if rows is None else Stand.from_text(rows),
            )

    async def _current_at(self, terms: Terms) -> datetime | None:
        """Up to when answers about members are current; None if the exchange does not say."""
        try:
            told = await self._current.get(terms)
        except KalshiError as error:
            log.debug("exchange's timestamp not read", why=str(error))
            return None
        return None if told.standing.overdue else told.value

    async def _cutoffs(self) -> HistoricalCutoff | None:
        try:
            return (await self._cutoff.get()).value
        except KalshiError as error:
            log.debug("exchange's cutoffs not read", why=str(error))
            return None

    async def _ask_current(self) -> tuple[datetime, datetime]:
        answer = await self._kalshi.user_data_timestamp(lane=Lane.WAITING)
        return answer.value.as_of_time, answer.asked_at

    async def _ask_cutoff(self) -> tuple[HistoricalCutoff, datetime]:
        answer = await self._kalshi.historical_cutoff(lane=Lane.WAITING)
        return answer.value, answer.asked_at

    def _behind(self, turn: Turn, began_at: datetime, current_at: datetime | None) -> timedelta:
        """How far what was read lags behind the time it was asked for, by one clock."""
        if current_at is None:
            return timedelta()
        theirs = began_at + (turn.line.kalshi.skew or timedelta())
        return max(timedelta(), theirs - current_at)

    # After the fetch

    async def _look_up(self, ledger_id: UUID, tickers: set[str]) -> None:
        """Have the catalogue know the markets that were traded; what it cannot get stays bare.

        Those of this refresh before older ones, for which there was no time so far.
        """
        async with self.database.driver() as conn:
            unknown = await facts.unknown(conn, ledger_id, tickers)
        for ticker in [t for t in unknown if not self._is_gone(t)][:MOST_LOOKED_UP]:
            try:
                await self._lookup.market(ticker)
            except MarketNotFound:
                if len(self._gone) >= MOST_GONE:
                    self._gone.clear()
                self._gone[ticker] = time.monotonic()
            except KalshiError as error:
                log.debug("traded market not looked up", why=str(error))
                return

    def _is_gone(self, ticker: str) -> bool:
        """Whether the exchange has said lately that there is no such market."""
        asked_at = self._gone.get(ticker)
        return asked_at is not None and time.monotonic() - asked_at < GONE_FOR.total_seconds()

    async def _save(
        self,
        turn: Turn,
        ledger_id: UUID,
        member: Member,
        stand: Stand,
        as_of: datetime,
        epoch: int,
        walked: Standing,
    ) -> None:
        """Everything that was read, in one transaction: all of it is there, or nothing."""
        harvest, warnings = member.harvest, _warnings(member)
        async with self.database.driver() as conn, conn.transaction():
            await self._hold(conn, turn)
            changed = await storing.save(conn, ledger_id, harvest)
            changed |= await storing.value_settlements(conn, ledger_id)
            if member.member_id is not None and not member.withheld:
                await repository.name_member(conn, ledger_id, member.member_id)
            tickers = {placed.row.ticker for placed in stand.positions}
            known = await facts.of(conn, tickers, walked_at=walked.as_of)
            books = await (await valuing.recorded(conn, ledger_id, tickers)).replayed()
            account = valuing.account_of(turn.user_id, stand, books, known.markets)
            await storing.snapshot(
                conn, ledger_id, as_of, account.balance, account.portfolio_value, SNAPSHOT_EVERY
            )
            finished = Finished(
                body=to_json(account).decode(),
                rows=stand.to_text(),
                as_of=as_of,
                complete=not warnings,
                warnings=(*warnings, *_old_prices(account, known, walked)),
                known_epoch=epoch,
            )
            due_in = await self._due_in(conn, turn.user_id)
            await repository.finish(
                conn,
                turn.user_id,
                turn.key,
                finished,
                due_in=timedelta() if member.unfinished else due_in,
                changed=changed,
            )

    async def _hold(self, conn: Driver, turn: Turn) -> None:
        await repository.hold(conn, turn.user_id, turn.claim, turn.key, stored=not turn.own)

    async def _due_in(self, conn: Driver, user_id: str) -> timedelta:
        _, unwatched = await repository.state_of(conn, user_id)
        return pace.interval(self.every, unwatched)

    async def _note_failure(
        self, user_id: str, claim: UUID, failure: KalshiError | GatewayError
    ) -> None:
        """Write down why an account could not be read; what is known of it stays as it is."""
        log.info("account not refreshed", user=user_id, why=pace.in_words(failure))
        if isinstance(failure, DatabaseUnavailable):
            await self._let_go(user_id, claim)  # or else the claim ends by itself
            return
        try:
            async with self.database.driver() as conn:
                failures, _ = await repository.state_of(conn, user_id)
                await repository.fail(
                    conn,
                    user_id,
                    claim,
                    pace.in_words(failure),
                    due_in=pace.pause(failure, failures),
                )
        except DatabaseUnavailable:
            log.warning("failed refresh not noted", user=user_id)

    async def _let_go(self, user_id: str, claim: UUID) -> None:
        try:
            async with self.database.driver() as conn:
                await repository.let_go(conn, user_id, claim)
        except DatabaseUnavailable:
            log.warning("failed refresh not noted", user=user_id)


def _old_prices(account: Account, known: facts.Known, walked: Standing) -> tuple[str, ...]:
    """That marks are older than the prices in a list of markets would be without being stale."""
    marked = [held.ticker for held in account.positions if held.mark_price is not None]
    oldest = known.oldest_price(marked)
    if oldest is None or not replace(walked, as_of=oldest).meta().stale:
        return ()
    return (f"marks are of prices that were read at {oldest:%Y-%m-%dT%H:%M:%SZ}",)


def _warnings(member: Member) -> tuple[str, ...]:
    """What a reader of the account should know."""
    found = []
    if member.harvest.set_aside:
        found.append(f"{member.harvest.set_aside} rows could not be read and are left out")
    if member.unfinished:
        found.append("the history is still being read: realized_pnl may be unknown")
    if member.withheld:
        found.append(f"the key may not ask for {', '.join(sorted(member.withheld))}")
    return tuple(found)
