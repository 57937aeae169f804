"""On which market an order is, which cancels must say and clients leave out.

Without it the exchange looks on its first shard alone, and answers 404 for an order on another
(docs.kalshi.com/getting_started/exchange_sharding, 2026-08).
"""

import asyncio
from collections import Counter, OrderedDict
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from kalshi_gateway.kalshi.budget import Lane
from kalshi_gateway.kalshi.calls import Headers
from kalshi_gateway.kalshi.calls import Operation as Call
from kalshi_gateway.kalshi.client import Kalshi
from kalshi_gateway.kalshi.errors import KalshiError

from . import operations
from .operations import Operation

ORDERS = "/portfolio/events/orders"
CREATE, CREATE_BATCH = ("POST", ORDERS), ("POST", f"{ORDERS}/batched")
CANCEL, CANCEL_BATCH = ("DELETE", f"{ORDERS}/{{order_id}}"), ("DELETE", f"{ORDERS}/batched")
DECREASE = ("POST", f"{ORDERS}/{{order_id}}/decrease")
#: It cancels all orders of its group.
TRIGGER = ("PUT", "/portfolio/order_groups/{order_group_id}/trigger")

ONE_ORDER = Call("/portfolio/orders/{order_id}")
#: A cancel is in a hurry; if the order is not found by then it goes as it came.
PATIENCE = timedelta(seconds=2)
#: Of one batch so many are asked for at once.
MOST_AT_ONCE = 50
#: Orders whose market is remembered.
MOST_ORDERS = 20_000

TICKER, SHARD = "market_ticker", "exchange_index"
#: The exchange's word for: wherever the ticker leads.
BY_TICKER = -1


class Write(NamedTuple):
    """A write as a client asked for it; `path` lies below /trade-api/v2."""

    operation: Operation
    path: bytes
    query: bytes
    headers: Headers
    body: bytes

    @property
    def kind(self) -> tuple[str, str]:
        return self.operation.method, self.operation.path

    @property
    def target(self) -> str:
        return (self.path + b"?" + self.query if self.query else self.path).decode("ascii")


class Routing:
    """Remembers where orders are that were placed here, and asks the exchange of others."""

    def __init__(self) -> None:
        self._tickers: OrderedDict[tuple[str, str], str] = OrderedDict()

    def learn(self, user_id: str, write: Write, answer: bytes) -> None:
        """Remember the orders that a create has made."""
        if write.kind == CREATE:
            self._remember(user_id, _member(answer, "order_id"), _member(write.body, "ticker"))
        elif write.kind == CREATE_BATCH:
            tickers = _by_client_id(write.body)
            for made in _orders(answer):
                ticker = tickers.get(_member(made, "client_order_id") or "")
                self._remember(user_id, _member(made, "order_id"), ticker)

    async def completed(self, kalshi: Kalshi, user_id: str, write: Write) -> Write:
        """The same write, with the market of its order where the client has not said it."""
        if write.kind == CANCEL:
            said = dict(parse_qsl(write.query.decode("ascii"), keep_blank_values=True))
            if _is_routed(said.get(TICKER), said.get(SHARD)):
                return write
            ticker = await self._ticker(kalshi, user_id, _order_id(write))
            return write if ticker is None else _with_query(write, ticker)
        if write.kind == DECREASE:
            if not write.body or _says(write.body):
                return write
            ticker = await self._ticker(kalshi, user_id, _order_id(write))
            return write if ticker is None else write._replace(body=_with(write.body, ticker))
        if write.kind == CANCEL_BATCH:
            return await self._batch(kalshi, user_id, write)
        return write

    async def _batch(self, kalshi: Kalshi, user_id: str, write: Write) -> Write:
        orders = _orders(write.body)
        lost = [_member(order, "order_id") or "" for order in orders if not _says(bytes(order))]
        if not lost:
            return write
        tickers = await self._found(kalshi, user_id, lost)
        routed = []
        for order in orders:
            ticker = tickers.get(_member(order, "order_id") or "")
            said = bytes(order)
            routed.append(said if ticker is None or _says(said) else _with(said, ticker))
        members = msgspec.json.decode(write.body, type=dict[str, msgspec.Raw])
        members["orders"] = msgspec.Raw(b"[" + b",".join(routed) + b"]")
        return write._replace(body=msgspec.json.encode(members))

    async def _found(self, kalshi: Kalshi, user_id: str, lost: list[str]) -> dict[str, str | None]:
        """The markets of these orders, as far as they are known or can be had in time."""
        known = {one: self._tickers.get((user_id, one)) for one in lost}
        unknown = [one for one, ticker in known.items() if ticker is None]
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + PATIENCE.total_seconds()
        for first in range(0, len(unknown), MOST_AT_ONCE):
            left = timedelta(seconds=ends_at - loop.time())
            if left <= timedelta(0):
                break
            some = unknown[first : first + MOST_AT_ONCE]
            asked = (self._ticker(kalshi, user_id, one, left) for one in some)
            known.update(zip(some, await asyncio.gather(*asked), strict=True))
        return known

    async def _ticker(
        self, kalshi: Kalshi, user_id: str, order_id: str, patience: timedelta = PATIENCE
    ) -> str | None:
        known = self._tickers.get((user_id, order_id))
        if known is not None or not order_id:
            return known
        target = f"/portfolio/orders/{quote(order_id, safe='')}"
        # In a body an id is whatever a client writes, also what would lead elsewhere as a path.
        asked = operations.find("GET", target.encode())
        if asked is None or asked.path != ONE_ORDER.path:
            return None
        try:
            reply = await kalshi.verbatim(ONE_ORDER, target, lane=Lane.CANCEL, deadline=patience)
        except KalshiError:
            return None  # let the exchange say itself what it makes of the cancel
        ticker = _member(_part(reply.body, "order"), "ticker")
        self._remember(user_id, order_id, ticker)
        return ticker

    def _remember(self, user_id: str, order_id: str | None, ticker: str | None) -> None:
        if not order_id or not ticker:
            return
        self._tickers[user_id, order_id] = ticker
        while len(self._tickers) > MOST_ORDERS:
            self._tickers.popitem(last=False)


def orders_in(write: Write) -> int:
    """How many orders a write is about; the exchange is paid for each."""
    if write.kind in (CREATE_BATCH, CANCEL_BATCH):
        return max(1, len(_orders(write.body)))
    return 1


def _by_client_id(body: bytes) -> dict[str, str | None]:
    """The markets of a batch by what the client calls its orders; without names that are none."""
    asked = [
        (_member(order, "client_order_id") or "", _member(order, "ticker"))
        for order in _orders(body)
    ]
    count = Counter(name for name, _ in asked)
    return {name: ticker for name, ticker in asked if name and count[name] == 1}


def _order_id(write: Write) -> str:
    """The id in the path, which is its fourth part."""
    return unquote(write.path.split(b"/")[4].decode("ascii"))


def _is_routed(ticker: Any, shard: Any) -> bool:
    """Whether either is said; what is said wrongly is for the exchange to refuse."""
    return ticker is not None or (shard is not None and str(shard) != str(BY_TICKER))


def _says(body: bytes) -> bool:
    """Whether a body names market or shard."""
    said = _read(body)
    return _is_routed(said.get(TICKER), said.get(SHARD))


def _with_query(write: Write, ticker: str) -> Write:
    said = f"{TICKER}={quote(ticker, safe='')}".encode()
    return write._replace(query=write.query + b"&" + said if write.query else said)


def _with(body: bytes, ticker: str) -> bytes:
    """A JSON object with the market behind all else, where it counts; the rest to the letter."""
    rest = body.rstrip()[:-1]
    comma = b"" if rest.strip() == b"{" else b","
    return b'%s%s"%s":%s}' % (rest, comma, TICKER.encode(), msgspec.json.encode(ticker))


def _orders(body: bytes) -> list[msgspec.Raw]:
    try:
        found = msgspec.json.decode(_part(body, "orders"), type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return []
    return found


def _part(body: bytes, name: str) -> bytes:
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b"null"
    return bytes(members.get(name, b"null"))


def _member(body: bytes | msgspec.Raw, name: str) -> str | None:
    said = _read(body).get(name)
    return said if isinstance(said, str) else None


def _read(body: bytes | msgspec.Raw) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def is_object(body: bytes) -> bool:
    """Whether a body is a JSON object."""
    try:
        msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
