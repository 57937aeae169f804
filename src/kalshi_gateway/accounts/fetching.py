"""What the exchange says of one member now, and all that it has recorded since we asked last."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Protocol, TypeVar, get_args

import msgspec

from kalshi_gateway.kalshi import portfolio_wire as wire
from kalshi_gateway.kalshi.budget import Lane
from kalshi_gateway.kalshi.client import Kalshi, Page
from kalshi_gateway.kalshi.errors import KeyRejected, Nonsense, NotFound, Rejected
from kalshi_gateway.kalshi.reading import Shape, read
from kalshi_gateway.kalshi.wire import HistoricalCutoff

from . import records
from .stand import Placed, Stand
from .storing import NOT_BEGUN, Harvest, Progress, Source

S = TypeVar("S", bound=Shape)

#: What was read up to then is read once more by so much: rows appear late, and out of order.
OVERLAP = timedelta(minutes=5)
#: A list that is read to its end is noted down that often, if there was nothing new in it.
NOTED_EVERY = timedelta(minutes=15)
#: Pages of one list in one refresh; the next one goes on from there.
MOST_PAGES = 25
#: Resting orders that are gone are asked for by name, at 2 tokens each.
MOST_MISSING = 50
#: What positions are worth is told per subaccount, and only once a second (docs.kalshi.com,
#: GetBalance): a refresh has time for so many.
MOST_VALUED = 8
#: Payments change seldom; when the balance has moved they are read at once.
PAYMENTS_EVERY = timedelta(hours=1)

PAYMENTS = "payments"
#: The list of payments by which it shows whether a key may ask for them.
PAID_IN: Source = "deposits"
PAYMENT_LISTS: frozenset[str] = frozenset(get_args(Source))


class OtherReach(Exception):
    """The key shows more of the member than it did, or less: it was locked, or let go."""


class AnotherMember(Nonsense):
    """The exchange answered this key with what belongs to somebody else."""


class Ask(Protocol):
    """One page of a list: any of the client's methods that page."""

    def __call__(
        self, *, cursor: str | None, min_ts: datetime | None, lane: Lane
    ) -> Awaitable[Page]: ...


Take = Callable[[msgspec.Raw], None]
Flush = Callable[[Harvest], Awaitable[None]]


@dataclass(slots=True)
class Known:
    """What we have of a member before we ask."""

    member_id: str | None = None
    progress: Mapping[str, Progress] = field(default_factory=dict)
    #: Orders that rested when we asked last, and the markets they are in.
    resting: Mapping[str, str] = field(default_factory=dict)
    held: Stand | None = None


class Member:
    """One member's side of the exchange, read over one line."""

    def __init__(
        self,
        kalshi: Kalshi,
        known: Known,
        flush: Flush,
        *,
        current_at: datetime | None,
        cutoff: HistoricalCutoff | None,
        lane: Lane,
    ) -> None:
        self.harvest = Harvest()
        self.member_id = known.member_id
        self.unfinished: list[str] = []
        #: What the key may not ask for.
        self.withheld: set[str] = set()
        self._kalshi = kalshi
        self._known = known
        self._flush = flush
        self._current_at = current_at
        self._cutoff = cutoff
        self._lane = lane
        self._seen_orders: set[str] = set()

    async def read(self) -> Stand:
        """Balance and positions, and whatever is new in the member's lists.

        Raises `OtherReach` before any list is read: what they do not show any more would be taken
        for gone, and then for read.
        """
        subaccounts = await self._subaccounts()
        positions = await self._positions([of.number for of in subaccounts])
        balance = await self._balance(subaccounts, positions)
        await self._check_reach(balance)
        payments = self._payments(balance)
        await together(
            self._fills(),
            self._orders(),
            *(self._settlements(of.number) for of in subaccounts),
            *payments,
        )
        if payments:
            self.harvest.progress[PAYMENTS] = Progress(self._current_at)
        return Stand(balance, tuple(positions), self._current_at, tuple(sorted(self.withheld)))

    # What is held now

    async def _subaccounts(self) -> list["_Subaccount"]:
        try:
            page = await self._kalshi.subaccount_balances(lane=self._lane)
        except KeyRejected as error:
            self._withheld("subaccounts", error)
            return [_Subaccount(0)]
        found: dict[int, _Subaccount] = {}
        endpoint = "/portfolio/subaccounts/balances"
        for raw in page.rows:
            row = self._row(wire.SubaccountBalance, raw, endpoint)
            if row is not None:
                of = found.setdefault(row.subaccount_number, _Subaccount(row.subaccount_number))
                of.shards[row.exchange_index] = row.balance
        return [found[number] for number in sorted(found)] or [_Subaccount(0)]

    async def _balance(
        self, subaccounts: Sequence["_Subaccount"], positions: Iterable[Placed]
    ) -> wire.Balance:
        """All subaccounts together; what holds nothing is worth nothing, and is not asked about.

        Where too many hold something, what that is worth stays unknown.
        """
        if len(subaccounts) == 1:
            return await self._told(subaccounts[0])
        holding = {placed.subaccount for placed in positions if placed.row.position_fp}
        asked = holding if len(holding) <= MOST_VALUED else set[int]()
        return _added(
            [
                await self._told(of) if of.number in asked else of.as_balance(of.number in holding)
                for of in subaccounts
            ]
        )

    async def _told(self, of: "_Subaccount") -> wire.Balance:
        answer = await self._kalshi.balance(subaccount=of.number or None, lane=self._lane)
        return answer.value

    async def _check_reach(self, balance: wire.Balance) -> None:
        """Raise `OtherReach` if the key was narrowed or widened since what we have was read."""
        held = self._known.held
        # Whoever is locked to a subaccount is not told the shards of its money
        # (docs.kalshi.com/getting_started/subaccounts); what else they may be left out for is
        # found out by asking.
        if held is None or _tells_shards(balance) == _tells_shards(held.balance):
            return
        showed_all = PAID_IN not in held.withheld
        if await shows_all(self._kalshi, self._lane) != showed_all:
            raise OtherReach

    async def _positions(self, subaccounts: Iterable[int]) -> list[Placed]:
        found: list[Placed] = []
        for number in subaccounts:
            cursor: str | None = None
            while True:
                page = await self._kalshi.positions_page(
                    cursor=cursor, subaccount=number or None, lane=self._lane
                )
                for raw in page.markets:
                    row = self._row(wire.MarketPosition, raw, "/portfolio/positions")
                    if row is not None:
                        self.harvest.tickers.add(row.ticker)
                        found.append(Placed(number, row))
                if page.cursor is None:
                    break
                cursor = _onward(page.cursor, cursor)
        return found

    # What has been recorded

    async def _fills(self) -> None:
        def take(raw: msgspec.Raw) -> None:
            row = self._row(wire.Fill, raw, "/portfolio/fills")
            if row is not None:
                self.harvest.fill(row)

        archive_until = None if self._cutoff is None else self._cutoff.trades_created_ts
        await self._both_tiers(
            "fills",
            self._kalshi.fills_page,
            self._kalshi.historical_fills_page,
            archive_until,
            take,
        )

    async def _orders(self) -> None:
        archive_until = None if self._cutoff is None else self._cutoff.orders_updated_ts
        await self._both_tiers(
            "orders",
            self._kalshi.orders_page,
            self._kalshi.historical_orders_page,
            archive_until,
            self._take_order,
        )
        cursor: str | None = None
        while True:
            page = await self._kalshi.orders_page(status="resting", cursor=cursor, lane=self._lane)
            for raw in page.rows:
                self._take_order(raw)
            if page.cursor is None:
                break
            cursor = _onward(page.cursor, cursor)
        gone = [known for known in self._known.resting if known not in self._seen_orders]
        for order_id in gone[:MOST_MISSING]:
            await self._what_became_of(order_id)

    async def _what_became_of(self, order_id: str) -> None:
        """Ask for an order that rested, and is in no list any more."""
        try:
            answer = await self._kalshi.order(order_id, lane=self._lane)
        except KeyRejected as error:
            self._withheld("orders of other subaccounts", error)
        except NotFound:
            ticker = self._known.resting[order_id]
            page = await self._kalshi.historical_orders_page(ticker=ticker, lane=self._lane)
            for raw in page.rows:
                self._take_order(raw)
        else:
            self._take(answer.value)

    def _take_order(self, raw: msgspec.Raw) -> None:
        row = self._row(wire.Order, raw, "/portfolio/orders")
        if row is not None:
            self._take(row)

    def _take(self, row: wire.Order) -> None:
        if row.user_id:
            if self.member_id not in (None, row.user_id):
                raise AnotherMember("orders of another member came")
            self.member_id = row.user_id
        self._seen_orders.add(row.order_id)
        self.harvest.order(row)

    async def _settlements(self, subaccount: int) -> None:
        def take(raw: msgspec.Raw) -> None:
            row = self._row(wire.Settlement, raw, "/portfolio/settlements")
            if row is not None:
                self.harvest.settlement(row, bytes(raw), subaccount)

        ask = partial(self._kalshi.settlements_page, subaccount=subaccount)
        await self._walk(f"settlements:{subaccount}", ask, take)

    def _payments(self, balance: wire.Balance) -> list[Coroutine[Any, Any, None]]:
        """The lists of money that moved, where there is reason to look."""
        held, since = self._known.held, self._known.progress.get(PAYMENTS, NOT_BEGUN).since
        recently = (
            since is not None
            and self._current_at is not None
            and self._current_at - since < PAYMENTS_EVERY
        )
        if recently and held is not None and held.same_money(balance):
            self.withheld |= PAYMENT_LISTS.intersection(held.withheld)
            return []
        payments: list[tuple[Source, Any, type[Shape], Callable[[Any], records.Transfer]]] = [
            ("deposits", self._kalshi.deposits_page, wire.Payment, records.deposit),
            ("withdrawals", self._kalshi.withdrawals_page, wire.Payment, records.withdrawal),
            (
                "subaccounts",
                self._kalshi.subaccount_transfers_page,
                wire.SubaccountTransfer,
                records.subaccount_transfer,
            ),
            (
                "shards",
                self._kalshi.shard_transfers_page,
                wire.ShardTransfer,
                records.shard_transfer,
            ),
        ]
        return [self._transfers(*one) for one in payments]

    async def _transfers(
        self,
        source: Source,
        ask: Callable[..., Awaitable[Page]],
        kind: type[S],
        made: Callable[[S], records.Transfer],
    ) -> None:
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            try:
                page = await ask(cursor=cursor, lane=self._lane)
            except KeyRejected as error:
                self._withheld(source, error)
                return
            for raw in page.rows:
                row = self._row(kind, raw, f"/portfolio/{source}")
                if row is not None:
                    self.harvest.transfer(source, made(row))
            if page.cursor is None:
                return
            cursor = _onward(page.cursor, cursor)

    # How lists are read

    async def _both_tiers(
        self,
        scope: str,
        live: Ask,
        archive: Ask,
        archive_until: datetime | None,
        take: Take,
    ) -> None:
        """The live tier, then the archive where it may hold something that we have not.

        In this order, lest what moves over meanwhile is in neither; and the live walk counts as
        done only when the archive's is.
        """
        old = f"{scope}:archive"
        since = self._known.progress.get(scope, NOT_BEGUN).since
        archived = self._known.progress.get(old, NOT_BEGUN)
        owed = archived.since is None or archived.cursor is not None or since is None
        owed = owed or archive_until is None or since is None or since < archive_until
        done = await self._walk(scope, live, take)
        if not owed:
            return
        before = self.harvest.progress.pop(scope, None)
        if await self._walk(old, archive, take, since=since) and done and before is not None:
            self.harvest.progress[scope] = before

    async def _walk(
        self, scope: str, ask: Ask, take: Take, *, since: datetime | None = None
    ) -> bool:
        """Read a list on from where we stopped; whether its end was reached."""
        step = self._known.progress.get(scope, NOT_BEGUN)
        until = step.until if step.cursor else self._current_at
        start = step.since or since
        min_ts = None if start is None else start - OVERLAP
        cursor, paged = step.cursor, step.cursor is not None
        for _ in range(MOST_PAGES):
            try:
                page = await ask(cursor=cursor, min_ts=min_ts, lane=self._lane)
            except Rejected as error:
                if isinstance(error, KeyRejected) or cursor is None or cursor != step.cursor:
                    raise
                cursor, until = None, self._current_at  # kept too long: from the beginning
                continue
            for raw in page.rows:
                take(raw)
            if page.cursor is None:
                self._finish(scope, step, until, noted=paged)
                return True
            cursor, paged = _onward(page.cursor, cursor), True
            self.harvest.progress[scope] = Progress(step.since, cursor, until)
            await self._flush(self.harvest.taken())
        self.unfinished.append(scope)
        return False

    def _finish(self, scope: str, step: Progress, until: datetime | None, *, noted: bool) -> None:
        """Note how far the list is complete, if that is worth a write."""
        since = until or step.since
        if noted or since is None or step.since is None or since - step.since >= NOTED_EVERY:
            self.harvest.progress[scope] = Progress(since)

    def _row(self, kind: type[S], raw: msgspec.Raw, endpoint: str) -> S | None:
        row = read(kind, raw, endpoint=endpoint, drift=self._kalshi.drift)
        if row is None:
            self.harvest.set_aside += 1
        return row

    def _withheld(self, what: str, error: KeyRejected) -> None:
        """A key may be good, and not for this: one that is locked to a subaccount, say."""
        if error.status != 403:
            raise error
        self.withheld.add(what)


async def shows_all(kalshi: Kalshi, lane: Lane) -> bool:
    """Whether a key shows the whole member; one of a single subaccount may not ask for payments."""
    try:
        await kalshi.deposits_page(limit=1, lane=lane)
    except KeyRejected as error:
        if error.status != 403:
            raise
        return False
    return True


async def member_id_of(kalshi: Kalshi, lane: Lane) -> str | None:
    """Who the exchange says the owner of the key is; None if he never placed an order."""
    for ask in (kalshi.orders_page, kalshi.historical_orders_page):
        page = await ask(limit=1, lane=lane)
        for raw in page.rows:
            row = read(wire.Order, raw, endpoint="/portfolio/orders", drift=kalshi.drift)
            if row is not None and row.user_id:
                return row.user_id
    return None


async def together(*calls: Coroutine[Any, Any, None]) -> None:
    """All of them at once; the first that fails ends the others, and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(call)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


@dataclass(slots=True)
class _Subaccount:
    number: int
    shards: dict[int | None, Decimal] = field(default_factory=dict)

    def as_balance(self, holds: bool) -> wire.Balance:
        """Its money; what it is worth is unknown if it holds anything."""
        return wire.Balance(
            balance_dollars=sum(self.shards.values(), Decimal(0)),
            portfolio_value=None if holds else 0,
            balance_breakdown=tuple(
                wire.IndexedBalance(exchange_index=index, balance=amount)
                for index, amount in self.shards.items()
                if index is not None
            ),
        )


def _tells_shards(balance: wire.Balance) -> bool:
    return balance.balance_breakdown is not None


def _added(parts: Sequence[wire.Balance]) -> wire.Balance:
    """Several subaccounts' money as one; one unknown part makes the sum unknown."""
    worths = [part.portfolio_value for part in parts]
    shards: dict[int, Decimal] = {}
    for part in parts:
        for shard in part.balance_breakdown or ():
            known = shards.get(shard.exchange_index, Decimal(0))
            shards[shard.exchange_index] = known + shard.balance
    return wire.Balance(
        balance_dollars=sum((part.balance_dollars for part in parts), Decimal(0)),
        portfolio_value=None
        if None in worths
        else sum(worth for worth in worths if worth is not None),
        balance_breakdown=tuple(
            wire.IndexedBalance(exchange_index=index, balance=amount)
            for index, amount in sorted(shards.items())
        ),
    )


def _onward(cursor: str, before: str | None) -> str:
    if cursor == before:
        raise Nonsense("a cursor that leads nowhere")
    return cursor
