"""What one member has at the exchange: one typed method per REST operation.

An omitted `subaccount` means all of them for orders, fills and settlements, and the primary one
for balance and positions (docs.kalshi.com/getting_started/subaccounts).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from . import portfolio_wire as wire
from .budget import Bucket, Lane
from .calls import Answer, Caller, Instant, Operation, Page, Reply, decoded, member

SettlementStatus = Literal["unsettled", "settled", "all"]

MOST_ROWS = 1000
#: Deposits, withdrawals and transfers between shards come in smaller pages.
MOST_PAYMENTS = 500


@dataclass(frozen=True)
class PositionsPage:
    """Positions verbatim, by market and by event; each row is a view of the whole answer."""

    markets: Sequence[msgspec.Raw]
    events: Sequence[msgspec.Raw]
    cursor: str | None
    asked_at: datetime


class _Cursor(msgspec.Struct):
    cursor: str | None = None


class Portfolio(Caller):
    """What the account whose key signs may ask about itself."""

    async def balance(
        self,
        *,
        subaccount: int | None = None,
        exchange_index: int | None = None,
        lane: Lane = Lane.ACCOUNT,
        deadline: timedelta | None = None,
    ) -> Answer[wire.Balance]:
        """Money free to use, of all shards unless one is named; paid from a bucket of its own."""
        operation = Operation("/portfolio/balance", bucket=Bucket.BALANCE)
        params = {"subaccount": subaccount, "exchange_index": exchange_index}
        return await self._one(operation, wire.Balance, None, lane, deadline, params=params)

    async def positions_page(
        self,
        *,
        cursor: str | None = None,
        ticker: str | None = None,
        event_ticker: str | None = None,
        settlement_status: SettlementStatus | None = None,
        count_filter: Iterable[str] | None = None,
        subaccount: int | None = None,
        exchange_index: int | None = None,
        limit: int = MOST_ROWS,
        lane: Lane = Lane.ACCOUNT,
        deadline: timedelta | None = None,
    ) -> PositionsPage:
        """Some positions, unsettled ones unless asked otherwise; a cursor keeps to its status."""
        params = {
            "cursor": cursor,
            "ticker": ticker,
            "event_ticker": event_ticker,
            "settlement_status": settlement_status,
            "count_filter": count_filter,
            "subaccount": subaccount,
            "exchange_index": exchange_index,
            "limit": limit,
        }
        return await self._positions("/portfolio/positions", params, lane, deadline)

    async def fills_page(
        self,
        *,
        cursor: str | None = None,
        ticker: str | None = None,
        order_id: str | None = None,
        min_ts: Instant | None = None,
        max_ts: Instant | None = None,
        subaccount: int | None = None,
        exchange_index: int | None = None,
        limit: int = MOST_ROWS,
        lane: Lane = Lane.ACCOUNT,
        deadline: timedelta | None = None,
    ) -> Page:
        """Some fills of the live tier, newest first."""
        params = {
            "cursor": cursor,
            "ticker": ticker,
            "order_id": order_id,
            "min_ts": min_ts,
            "max_ts": max_ts,
            "subaccount": subaccount,
            "exchange_index": exchange_index,
            "limit": limit,
        }
        return await self._page(Operation("/portfolio/fills"), "fills", params, lane, deadline)

    async def historical_fills_page(
        self,
        *,
        cursor: str | None = None,
        ticker: str | None = None,
        min_ts: Instant | None = None,
        max_ts: Instant | None = None,
        subaccount: int | None = None,
        limit: int = MOST_ROWS,
        lane: Lane = Lane.ACCOUNT,
        deadline: timedelta | None = None,
    ) -> Page:
        """Some fills older than the cutoff; near it, both tiers may have them."""
        params = _past(cursor, ticker, min_ts, max_ts, subaccount, limit)
        return await self._page(Operation("/historical/fills"), "fills", params, lane, deadline)

    async def orders_page(
        self,
        *,
        cursor: str | None = None,
        status: str | None = None,
        ticker: str | None = None,
        event_tickers: Iterable[str] | None = None,
        min_ts: Instant | None = None,
        max_ts: Instant | None = None,
        subaccount: int | None = None,
        exchange_index: int | None = None,
        limit: int = MOST_ROWS,
        lane: Lane = Lane.ACCOUNT,
        deadline: timedelta | None = None,
    ) -> Page:
        """Some orders: all that rest, and those ended since the cutoff."""
        params = {
            "cursor": cursor,
            "status": status,
            "ticker": ticker,
            "event_ticker": event_tickers,
            "min_ts": min_ts,
            "max_ts": max_ts,
            "subaccount": subaccount,
            "exchange_index": exchange_index,
            "limit": limit,
        }
        return await self._page(Operation("/portfolio/orders"), "orders", params, lane, deadline)

    async def historical_orders_page(
        self,
        *,
        cursor: str | None = None,
        ticker: str | None = None,
        min_ts: Instant | None = None,
        max_ts: Instant | None = None,
        subaccount: int | None = None,
        limit: int = MOST_ROWS,
        lane: Lane = Lane.ACCOUNT,
        deadline: timedelta | None = None,
    ) -> Page:
        """Some orders ended before the cutoff."""
        params = _past(cursor, ticker, min_ts, max_ts, subaccount, limit)
        return await self._page(Operation("/historical/orders"), "orders", params, lane, deadline)

    async def order(
        self, order_id: str, *, lane: Lane = Lane.ACCOUNT, deadline: timedelta | None = None
    ) -> Answer[wire.Order]:
        """One order; right after a write it may still be as it was before."""
        operation = Operation("/portfolio/orders/{order_id}")
        return await self._one(operation, wire.Order, "order", lane, deadline, order_id)

    async def settlements_page(
        self,
        *,
        cursor: str | None = None,
        ticker: str | None = None,
        event_ticker: str | None = None,
        min_ts: Instant | None = None,
        max_ts: Instant | None = None,
        subaccount: int | None = None,
        limit: int = MOST_ROWS,
        lane: Lane = Lane.ACCOUNT,
        deadline: timedelta | None = None,
    ) -> Page:
        """Some settlements of the live tier; once archived they are gone in this shape."""
        params = {
            "cursor": cursor,
            "ticker": ticker,
            "event_ticker": event_ticker,
            "min_ts": min_ts,
            "max_ts": max_ts,
            "subaccount": subaccount,
            "limit": limit,
        }
        operation = Operation("/portfolio/settlements")
        return await self._page(operation, "settlements", params, lane, deadline)

    # Money that comes, goes and moves

    async def deposits_page(
        self,
        *,
        cursor: str | None = None,
        limit: int = MOST_PAYMENTS,
        lane: Lane = Lane.ACCOUNT,
        deadline: timedelta | None = None,
    ) -> Page:
        """Some deposits (`portfolio_wire.Payment`)."""
        return await self._payments(
            "/portfolio/deposits", "deposits", cursor, limit, lane, deadline
        )

    async def withdrawals_page(
        self,
        *,
        cursor: str | None = None,
        limit: int = MOST_PAYMENTS,
        lane: Lane = Lane.ACCOUNT,
        deadline: timedelta | None = None,
    ) -> Page:
        """Some withdrawals (`portfolio_wire.Payment`)."""
        path = "/portfolio/withdrawals"
        return await self._payments(path, "withdrawals", cursor, limit, lane, deadline)

    async def subaccount_transfers_page(
        self,
        *,
        cursor: str | None = None,
        limit: int = MOST_ROWS,
        lane: Lane = Lane.ACCOUNT,
        deadline: timedelta | None = None,
    ) -> Page:
        """Some transfers between subaccounts."""
        path = "/portfolio/subaccounts/transfers"
        return await self._payments(path, "transfers", cursor, limit, lane, deadline)

    async def shard_transfers_page(
        self,
        *,
        cursor: str | None = None,
        limit: int = MOST_PAYMENTS,
        lane: Lane = Lane.ACCOUNT,
        deadline: timedelta | None = None,
    ) -> Page:
        """Some transfers between shards."""
        path = "/portfolio/intra_exchange_instance_transfers"
        return await self._payments(path, "transfers", cursor, limit, lane, deadline)

    async def subaccount_balances(
        self, *, lane: Lane = Lane.ACCOUNT, deadline: timedelta | None = None
    ) -> Page:
        """What each subaccount has on each shard, in one answer."""
        operation = Operation("/portfolio/subaccounts/balances")
        return await self._page(operation, "subaccount_balances", {}, lane, deadline)

    # The account itself

    async def user_data_timestamp(
        self, *, lane: Lane = Lane.ACCOUNT, deadline: timedelta | None = None
    ) -> Answer[wire.UserDataTimestamp]:
        """Up to when the exchange's answers about members are current."""
        operation = Operation("/exchange/user_data_timestamp")
        return await self._one(operation, wire.UserDataTimestamp, None, lane, deadline)

    async def api_keys(
        self, *, lane: Lane = Lane.ACCOUNT, deadline: timedelta | None = None
    ) -> Answer[wire.ApiKeys]:
        """The member's keys with their scopes; nothing secret is in them."""
        return await self._one(Operation("/api_keys"), wire.ApiKeys, None, lane, deadline)

    async def _payments(
        self,
        path: str,
        name: str,
        cursor: str | None,
        limit: int,
        lane: Lane,
        deadline: timedelta | None,
    ) -> Page:
        params = {"cursor": cursor, "limit": limit}
        return await self._page(Operation(path), name, params, lane, deadline)

    async def _positions(
        self, path: str, params: dict[str, Any], lane: Lane, deadline: timedelta | None
    ) -> PositionsPage:
        def parse(reply: Reply) -> PositionsPage:
            return PositionsPage(
                markets=decoded(member(reply, "market_positions"), list[msgspec.Raw]),
                events=decoded(member(reply, "event_positions"), list[msgspec.Raw]),
                cursor=decoded(reply.body, _Cursor).cursor or None,
                asked_at=reply.asked_at,
            )

        return await self._read(Operation(path), path, params, parse, lane, deadline)


def _past(
    cursor: str | None,
    ticker: str | None,
    min_ts: Instant | None,
    max_ts: Instant | None,
    subaccount: int | None,
    limit: int,
) -> dict[str, Any]:
    return {
        "cursor": cursor,
        "ticker": ticker,
        "min_ts": min_ts,
        "max_ts": max_ts,
        "subaccount": subaccount,
        "limit": limit,
    }
