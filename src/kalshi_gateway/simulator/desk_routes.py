"""The desk behind HTTP: what a test may do for members from another process."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from starlette.requests import Request

from . import refusals, times
from .accounts import Member
from .desk import SCOPES, KeyKind, amount
from .exchange import Exchange
from .ledger import BookSide
from .rows import PaymentStatus, PaymentType


class Asked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of a request."""


class Joining(Asked):
    """A new member; the answer holds his private key, this once."""

    name: str = ""
    user_id: str | None = None
    tier: str = "basic"
    deposit_cents: int = 0
    kind: KeyKind = "ed25519"
    scopes: tuple[str, ...] = SCOPES


class NewKey(Asked):
    """One more key."""

    name: str = ""
    kind: KeyKind = "ed25519"
    scopes: tuple[str, ...] = SCOPES
    subaccount: int | None = None


class Standing(Asked):
    """What the exchange thinks of a member."""

    tier: str | None = None
    attested_until: str | None = None


class Paying(Asked):
    """A deposit or a withdrawal."""

    amount_cents: int
    status: PaymentStatus = "applied"
    type: PaymentType = "ach"
    fee_cents: int = 0


class Finishing(Asked):
    """What has become of a payment."""

    status: PaymentStatus


class Moving(Asked):
    """A transfer between a member's subaccounts or shards."""

    amount_dollars: str
    from_subaccount: int = 0
    to_subaccount: int = 0
    from_shard: int = 0
    to_shard: int = 0


class Trading(Asked):
    """A trade, or an order that rests."""

    ticker: str
    side: BookSide
    price: str
    count: str
    subaccount: int = 0
    client_order_id: str | None = None


class Executing(Trading):
    """A trade, and with whom: another member's id, or nobody's for the crowd."""

    against: str | None = None
    taker: bool = True
    asked: str | None = None
    limit: str | None = None


class Hitting(Asked):
    """How much of a resting order is taken."""

    count: str


class Settling(Asked):
    """How a market ends."""

    result: Literal["yes", "no", "scalar", "void"]
    value_dollars: str | None = None


class Lagging(Asked):
    """How far reads lag: some kinds of them, or all."""

    milliseconds: int
    of: tuple[str, ...] = ()


class Crossing(Asked):
    """Whether post-only orders that cross are taken and cancelled, rather than refused."""

    cancels: bool


class Archiving(Asked):
    """What has ended before this moment belongs to the historical tier."""

    before: str


Body = dict[str, Any]
Action = Callable[[Request], Awaitable[Body]]


async def _read(request: Request, shape: type[Any]) -> Any:
    return msgspec.json.decode(await request.body() or b"{}", type=shape)


def desk_actions(exchange: Exchange) -> dict[tuple[str, str], Action]:
    """What can be asked of the desk, by method and path."""
    return {**_membership(exchange), **_money(exchange), **_market(exchange)}


def _membership(exchange: Exchange) -> dict[tuple[str, str], Action]:
    desk = exchange.desk

    async def everyone(request: Request) -> Body:
        rows = [{"user_id": m.user_id, "name": m.name, "tier": m.tier} for m in exchange.members]
        return {"members": rows}

    async def join(request: Request) -> Body:
        asked: Joining = await _read(request, Joining)
        joined = desk.join(**msgspec.structs.asdict(asked))
        return {
            "user_id": joined.member.user_id,
            "api_key_id": joined.key_id,
            "private_key": joined.private_pem,
        }

    async def truth(request: Request) -> Body:
        return desk.truth(_member(exchange, request))

    async def standing(request: Request) -> Body:
        member, asked = _member(exchange, request), await _read(request, Standing)
        if asked.tier is not None:
            desk.promote(member, asked.tier)
        if asked.attested_until is not None:
            member.attested_us = times.parse(asked.attested_until)
        return {"user_id": member.user_id, "tier": member.tier}

    async def new_key(request: Request) -> Body:
        member, asked = _member(exchange, request), await _read(request, NewKey)
        key_id, pem = exchange.keys.issue(
            asked.kind,
            scopes=asked.scopes,
            member=member,
            name=asked.name,
            subaccount=asked.subaccount,
        )
        return {"user_id": member.user_id, "api_key_id": key_id, "private_key": pem}

    async def revoke(request: Request) -> Body:
        member, key_id = _member(exchange, request), request.path_params["key_id"]
        key = exchange.keys.find(key_id)
        if key is None or key.member is not member:
            raise refusals.not_found()
        exchange.keys.revoke(key_id)
        return {"api_keys": [key.key_id for key in exchange.keys.of(member)]}

    return {
        ("GET", "/members"): everyone,
        ("POST", "/members"): join,
        ("GET", "/members/{user_id}"): truth,
        ("PATCH", "/members/{user_id}"): standing,
        ("POST", "/members/{user_id}/keys"): new_key,
        ("DELETE", "/members/{user_id}/keys/{key_id}"): revoke,
    }


def _money(exchange: Exchange) -> dict[tuple[str, str], Action]:
    bank = exchange.ledger.bank

    async def deposit(request: Request) -> Body:
        member, asked = _member(exchange, request), await _read(request, Paying)
        return bank.deposit(
            member,
            asked.amount_cents,
            status=asked.status,
            by=asked.type,
            fee_cents=asked.fee_cents,
        ).row()

    async def withdraw(request: Request) -> Body:
        member, asked = _member(exchange, request), await _read(request, Paying)
        return bank.withdraw(
            member,
            asked.amount_cents,
            status=asked.status,
            by=asked.type,
            fee_cents=asked.fee_cents,
        ).row()

    async def finish(request: Request) -> Body:
        member, asked = _member(exchange, request), await _read(request, Finishing)
        payment_id = request.path_params["payment_id"]
        if payment_id not in member.payments:
            raise refusals.not_found()
        return bank.finish(member, payment_id, asked.status).row()

    async def subaccount(request: Request) -> Body:
        return {"subaccount_number": bank.open_subaccount(_member(exchange, request))}

    async def transfer(request: Request) -> Body:
        member, asked = _member(exchange, request), await _read(request, Moving)
        return bank.transfer(
            member,
            amount(asked.amount_dollars),
            from_subaccount=asked.from_subaccount,
            to_subaccount=asked.to_subaccount,
            from_shard=asked.from_shard,
            to_shard=asked.to_shard,
        ).row()

    return {
        ("POST", "/members/{user_id}/deposits"): deposit,
        ("POST", "/members/{user_id}/withdrawals"): withdraw,
        ("POST", "/members/{user_id}/payments/{payment_id}"): finish,
        ("POST", "/members/{user_id}/subaccounts"): subaccount,
        ("POST", "/members/{user_id}/transfers"): transfer,
    }


def _market(exchange: Exchange) -> dict[tuple[str, str], Action]:
    desk = exchange.desk

    async def trade(request: Request) -> Body:
        member, asked = _member(exchange, request), await _read(request, Executing)
        given = msgspec.structs.asdict(asked)
        if asked.against is not None:
            given["against"] = exchange.members.find(asked.against)
            if given["against"] in (None, member):
                raise refusals.not_found()
        return desk.trade(member, **given).row()

    async def rest(request: Request) -> Body:
        member, asked = _member(exchange, request), await _read(request, Trading)
        return desk.rest(member, **msgspec.structs.asdict(asked)).row()

    async def hit(request: Request) -> Body:
        member, asked = _member(exchange, request), await _read(request, Hitting)
        return desk.hit(member, request.path_params["order_id"], asked.count).row()

    async def cancel(request: Request) -> Body:
        member, order_id = _member(exchange, request), request.path_params["order_id"]
        return exchange.ledger.cancel(member, order_id).row()

    async def settle(request: Request) -> Body:
        asked: Settling = await _read(request, Settling)
        ticker = request.path_params["ticker"]
        entry = desk.settle(ticker, asked.result, asked.value_dollars)
        return {"market": msgspec.json.decode(entry.bytes())}

    async def lag(request: Request) -> Body:
        asked: Lagging = await _read(request, Lagging)
        exchange.lag.set(asked.milliseconds, *asked.of)
        return {"lag": exchange.lag.describe()}

    async def post_only(request: Request) -> Body:
        asked: Crossing = await _read(request, Crossing)
        exchange.matching.post_only_cancels = asked.cancels
        return {"cancels": asked.cancels}

    async def archive(request: Request) -> Body:
        asked: Archiving = await _read(request, Archiving)
        exchange.archive(times.parse(asked.before))
        return {"before": asked.before}

    return {
        ("POST", "/members/{user_id}/trades"): trade,
        ("POST", "/members/{user_id}/orders"): rest,
        ("POST", "/members/{user_id}/orders/{order_id}/fills"): hit,
        ("DELETE", "/members/{user_id}/orders/{order_id}"): cancel,
        ("POST", "/markets/{ticker}/settle"): settle,
        ("POST", "/lag"): lag,
        ("POST", "/post_only"): post_only,
        ("POST", "/archive"): archive,
    }


def _member(exchange: Exchange, request: Request) -> Member:
    member = exchange.members.find(request.path_params["user_id"])
    if member is None:
        raise refusals.not_found()
    return member
