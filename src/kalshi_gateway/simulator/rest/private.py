"""What all private reads share: who asks, for which subaccount, and how pages are cut."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

from kalshi_gateway.simulator import refusals
from kalshi_gateway.simulator.accounts import MOST_SUBACCOUNTS, Member
from kalshi_gateway.simulator.calls import Answer, Call, joined
from kalshi_gateway.simulator.shelves import Place, cursor
from kalshi_gateway.simulator.signatures import Key
from kalshi_gateway.simulator.spoiling import half

T = TypeVar("T")


def key_of(call: Call) -> Key:
    """The key a private request was signed with."""
    if call.key is None:
        raise refusals.signature_missing()
    return call.key


def member_of(call: Call) -> Member:
    """The member who asks."""
    return key_of(call).member


def whole_member(call: Call) -> Member:
    """The member who asks, for what a key of one subaccount may not see."""
    key = key_of(call)
    if key.subaccount is not None:
        raise refusals.restricted()
    return key.member


def subaccount_of(call: Call, default: int | None) -> int | None:
    """The subaccount asked for, else the default, which is all of them where it is None."""
    return allowed_subaccount(call, call.integer("subaccount"), default)


def allowed_subaccount(call: Call, asked: int | None, default: int | None) -> int | None:
    """The subaccount that a request names, else its key's, else the default."""
    own = key_of(call).subaccount
    if asked is not None and asked < 0:
        raise call.unvalidated("subaccount", "gte")
    if asked is not None and asked >= MOST_SUBACCOUNTS:
        raise call.unvalidated("subaccount", "lte")
    if own is None:
        return default if asked is None else asked
    if asked not in (None, own):
        raise refusals.restricted()
    return own


def shard_of(call: Call) -> int | None:
    """The shard asked for; None for all."""
    asked = call.integer("exchange_index")
    if asked is not None and asked < 0:
        raise call.unvalidated("exchange_index", "gte")
    return asked


def refuse_paused(call: Call, *shards: int) -> None:
    """Refuse any write while the exchange is paused on a shard that it is for."""
    known = call.exchange.reference.shards
    if any(index in known and not known[index].exchange_active for index in shards):
        raise refusals.enveloped(409, "exchange_is_paused")


def tickers_of(call: Call, name: str, most: int = 100) -> frozenset[str] | None:
    """A comma-separated list of tickers of limited length."""
    names = call.names(name)
    if names is not None and len(names) > most:
        raise refusals.invalid(f"at most {most} of {name}")
    return None if names is None else frozenset(names)


def moments_of(call: Call) -> Callable[[int], bool]:
    """Whether a moment lies within `min_ts` and `max_ts`."""
    first, last = call.integer("min_ts"), call.integer("max_ts")

    def within(us: int) -> bool:
        if first is not None and us < first * 1_000_000:
            return False
        return last is None or us <= last * 1_000_000

    return within


def listed(
    call: Call,
    name: str,
    rows: Iterable[T],
    place: Callable[[T], Place],
    sent: Callable[[T], bytes],
    limit: int,
) -> Answer:
    """A page of rows that already begin behind the request's cursor."""
    chosen, onward = page(call, rows, place, limit)
    return Answer(joined(name, [sent(row) for row in chosen], cursor=b'"%s"' % onward.encode()))


def page(
    call: Call, rows: Iterable[T], place: Callable[[T], Place], limit: int
) -> tuple[list[T], str]:
    """The first rows, and the cursor behind them; empty where nothing follows."""
    chosen = list(islice(rows, limit + 1))
    more = len(chosen) > limit
    chosen = chosen[:limit]
    if call.halved and len(chosen) > 1:
        chosen, more = chosen[: half(len(chosen))], True
    return chosen, cursor(place(chosen[-1])) if more else ""
