"""What a position would bring now: the best bid for what is held."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

Side = Literal["yes", "no"]
MarkSource = Literal["bid", "last", "none"]

_NOTHING = Decimal(0)
_EVERYTHING = Decimal(1)


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """What the catalogue knows of a market somebody has traded in; unknown is None."""

    event_ticker: str | None = None
    category: str | None = None
    display_name: str | None = None
    close_time: datetime | None = None
    exchange_index: int | None = None
    yes_bid: Decimal | None = None
    yes_ask: Decimal | None = None
    last_price: Decimal | None = None


#: Of a market that the catalogue does not know.
NO_FACTS = MarketFacts()


class Mark(NamedTuple):
    """A price of the side that is held, and where it comes from."""

    price: Decimal | None
    source: MarkSource


NO_MARK = Mark(None, "none")


def mark(side: Side, facts: MarketFacts) -> Mark:
    """The best bid for this side; without one the last price, which says so; else nothing.

    There is one book: who bids for NO at 1 - p is who asks p for YES.
    """
    bid = facts.yes_bid if side == "yes" else _other(facts.yes_ask)
    if _is_quote(bid):
        return Mark(bid, "bid")
    last = facts.last_price if side == "yes" else _other(facts.last_price)
    return NO_MARK if last is None else Mark(last, "last")


def _other(price: Decimal | None) -> Decimal | None:
    """What the other side pays when this one pays `price`."""
    return None if price is None else _EVERYTHING - price


def _is_quote(price: Decimal | None) -> bool:
    # An empty side is sent as 0 or 1.
    return price is not None and _NOTHING < price < _EVERYTHING
