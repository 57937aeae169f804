"""The exchange's operations, one line each: who may call them, what pays, how old answers may be.

docs.kalshi.com/openapi.yaml, 3.34.0. What a call costs is known to `kalshi/costs.py`, which learns
it from the exchange.
"""

import re
from enum import Enum
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from kalshi_gateway.kalshi.budget import Bucket
from kalshi_gateway.kalshi.client import CLOSED

#: Where the exchange's own API lies, there and here, and the template of its route.
PREFIX = "/trade-api/v2"
ROUTE = PREFIX + "/{path:path}"

#: Seconds for which an answer may be given again. Prices, books and what one user has:
MOVING = 1.0
#: Series and milestones, which the exchange itself answers up to 15 s late (measured 2026-09).
CATALOGUE = 15.0
#: Fees, sports, weekly hours, targets; and what is settled and archived.
REFERENCE = ARCHIVED = 60.0

#: One part of a path as it is written: what needs no escape, and escapes.
PART = re.compile(rb"(?:[A-Za-z0-9._~:@!$&'()*,;=+-]|%[0-9A-Fa-f]{2}){1,200}")
#: What it may mean: no separator, nothing unseen, and no further escape, which somebody else on the
#: way might read once more.
MEANT = re.compile(r"[^/\\%?#\x00-\x20\x7f]{1,200}")
#: These would lead elsewhere.
DOTS = frozenset({".", ".."})


class Access(Enum):
    """Who may call an operation here."""

    PUBLIC = "public"  # everybody, as at the exchange
    PRIVATE = "private"  # a user reads what is theirs
    WRITE = "write"  # a user trades
    WITHHELD = "withheld"  # nobody: keys, money and members are for who holds the account


class Operation(NamedTuple):
    """One operation of the exchange; `answers` are failure statuses that carry an answer."""

    method: str
    path: str
    access: Access
    bucket: Bucket
    fresh_seconds: float
    answers: frozenset[int] = frozenset()


def find(method: str, raw_path: bytes) -> Operation | None:
    """The operation at a path below /trade-api/v2, by what its parts mean."""
    parts = tuple(map(_meant, raw_path.split(b"/")[1:]))
    if None in parts:
        return None
    for pattern, operation in _BY_LENGTH.get((method, len(parts)), ()):
        if all(known in ("{}", part) for known, part in zip(pattern, parts, strict=True)):
            return operation
    return None


def _meant(part: bytes) -> str | None:
    """A part of a path without its escapes; None if it would be read otherwise elsewhere."""
    if not PART.fullmatch(part):
        return None
    try:
        text = unquote_to_bytes(part).decode() if b"%" in part else part.decode()
    except UnicodeDecodeError:
        return None
    return text if MEANT.fullmatch(text) and text not in DOTS else None


def _public(path: str, fresh_seconds: float = MOVING) -> Operation:
    return Operation("GET", path, Access.PUBLIC, Bucket.READ, fresh_seconds)


def _private(path: str, bucket: Bucket = Bucket.READ) -> Operation:
    return Operation("GET", path, Access.PRIVATE, bucket, MOVING)


def _withheld(method: str, path: str) -> Operation:
    return Operation(method, path, Access.WITHHELD, Bucket.READ, 0.0)


def _write(method: str, path: str, bucket: Bucket = Bucket.WRITE) -> Operation:
    return Operation(method, path, Access.WRITE, bucket, 0.0)


OPERATIONS = (
    # account
    _private("/account/limits"),
    _withheld("POST", "/account/api_usage_level/upgrade"),
    _private("/account/api_usage_level/volume_progress"),
    _public("/account/endpoint_costs", REFERENCE),
    # api_keys
    # Of the real keys nobody here is to learn, and nobody to make one that cannot be ended here.
    _withheld("GET", "/api_keys"),
    _withheld("POST", "/api_keys"),
    _withheld("POST", "/api_keys/generate"),
    _withheld("DELETE", "/api_keys/{api_key}"),
    # communications
    _private("/communications/id"),
    _private("/communications/block-trade-proposals"),
    _write("POST", "/communications/block-trade-proposals", Bucket.READ),
    _write("POST", "/communications/block-trade-proposals/{block_trade_proposal_id}/accept"),
    _private("/communications/rfqs"),
    _write("POST", "/communications/rfqs", Bucket.READ),
    _private("/communications/rfqs/{rfq_id}"),
    _write("DELETE", "/communications/rfqs/{rfq_id}", Bucket.READ),
    _private("/communications/rfqs/{rfq_id}/quotes/{quote_id}"),
    _write("DELETE", "/communications/rfqs/{rfq_id}/quotes/{quote_id}"),
    _write("PUT", "/communications/rfqs/{rfq_id}/quotes/{quote_id}/accept"),
    _write("PUT", "/communications/rfqs/{rfq_id}/quotes/{quote_id}/confirm"),
    _private("/communications/rfq_batches"),
    _write("POST", "/communications/rfq_batches", Bucket.READ),
    _private("/communications/rfq_batches/{rfq_batch_id}"),
    _write("DELETE", "/communications/rfq_batches/{rfq_batch_id}", Bucket.READ),
    _private("/communications/rfq_batches/{rfq_batch_id}/best_quotes"),
    _write("PUT", "/communications/rfq_batches/{rfq_batch_id}/accept", Bucket.READ),
    _private("/communications/rfq_batches/{rfq_batch_id}/quotes"),
    _write("POST", "/communications/rfq_batches/{rfq_batch_id}/quotes", Bucket.READ),
    _write(
        "DELETE", "/communications/rfq_batches/{rfq_batch_id}/quotes/{batch_quote_id}", Bucket.READ
    ),
    _write(
        "PUT",
        "/communications/rfq_batches/{rfq_batch_id}/quotes/{batch_quote_id}/confirm",
        Bucket.READ,
    ),
    _private("/communications/quotes"),
    _write("POST", "/communications/quotes"),
    _private("/communications/quotes/{quote_id}"),
    _write("DELETE", "/communications/quotes/{quote_id}"),
    _write("PUT", "/communications/quotes/{quote_id}/accept"),
    _write("PUT", "/communications/quotes/{quote_id}/confirm"),
    # events
    _public("/events"),
    _public("/events/multivariate"),
    _public("/events/fee_changes", REFERENCE),
    _public("/events/{event_ticker}"),
    _public("/events/{event_ticker}/metadata", REFERENCE),
    # exchange
    _public("/exchange/status")._replace(answers=CLOSED),
    _public("/exchange/schedule", REFERENCE),
    _public("/exchange/user_data_timestamp"),
    # fcm
    _private("/fcm/fills"),
    _private("/fcm/orders"),
    _private("/fcm/subtraders"),
    _withheld("POST", "/fcm/subtraders"),
    _private("/fcm/subtraders/event_contract_daily_cap"),
    _withheld("PUT", "/fcm/subtraders/event_contract_daily_cap"),
    _withheld("DELETE", "/fcm/subtraders/event_contract_daily_cap"),
    _private("/fcm/subtraders/blocked_categories"),
    _withheld("PUT", "/fcm/subtraders/blocked_categories"),
    _private("/fcm/positions"),
    _withheld("POST", "/fcm/positions/transfers"),
    # historical
    _public("/historical/cutoff"),
    _public("/historical/markets/{ticker}/candlesticks", ARCHIVED),
    _private("/historical/fills"),
    _private("/historical/orders"),
    _private("/historical/positions"),
    _public("/historical/trades", ARCHIVED),
    _public("/historical/markets", ARCHIVED),
    _public("/historical/markets/{ticker}", ARCHIVED),
    # incentive_programs
    _public("/incentive_programs", CATALOGUE),
    # live_data
    _public("/live_data/milestone/{milestone_id}"),
    _public("/live_data/{type}/milestone/{milestone_id}"),
    _public("/live_data/batch"),
    _public("/live_data/milestone/{milestone_id}/game_stats"),
    _public("/live_data/events/{event_ticker}"),
    _public("/live_data/weather/{city}"),
    _public("/live_data/weather/{city}/calibrations"),
    # markets
    _public("/markets/trades"),
    _public("/markets/{ticker}/orderbook"),
    _public("/markets/orderbooks"),
    _public("/markets"),
    _public("/markets/{ticker}"),
    _public("/markets/candlesticks"),
    # milestones
    _public("/milestones/{milestone_id}", CATALOGUE),
    _public("/milestones", CATALOGUE),
    # multivariate_event_collections
    _public("/multivariate_event_collections/{collection_ticker}", CATALOGUE),
    _write("POST", "/multivariate_event_collections/{collection_ticker}", Bucket.READ),
    _public("/multivariate_event_collections", CATALOGUE),
    # portfolio
    _private("/portfolio/orders"),
    _private("/portfolio/orders/{order_id}"),
    _private("/portfolio/orders/queue_positions"),
    _private("/portfolio/orders/{order_id}/queue_position"),
    _write("POST", "/portfolio/events/orders"),
    _write("DELETE", "/portfolio/events/orders"),
    _write("POST", "/portfolio/events/orders/batched"),
    _write("DELETE", "/portfolio/events/orders/batched"),
    _write("DELETE", "/portfolio/events/orders/{order_id}"),
    _write("POST", "/portfolio/events/orders/{order_id}/amend"),
    _write("POST", "/portfolio/events/orders/{order_id}/decrease"),
    _private("/portfolio/order_groups"),
    _write("POST", "/portfolio/order_groups/create"),
    _private("/portfolio/order_groups/{order_group_id}"),
    _write("DELETE", "/portfolio/order_groups/{order_group_id}"),
    _write("PUT", "/portfolio/order_groups/{order_group_id}/reset"),
    _write("PUT", "/portfolio/order_groups/{order_group_id}/trigger"),
    _write("PUT", "/portfolio/order_groups/{order_group_id}/limit"),
    _private("/portfolio/balance", Bucket.BALANCE),
    _withheld("POST", "/portfolio/intra_exchange_instance_transfer"),
    _private("/portfolio/intra_exchange_instance_transfers"),
    _private("/portfolio/intra_exchange_instance_transfers/{transfer_id}"),
    _withheld("POST", "/portfolio/subaccounts"),
    _withheld("POST", "/portfolio/subaccounts/transfer"),
    _private("/portfolio/subaccounts/balances"),
    _private("/portfolio/subaccounts/transfers"),
    _withheld("PUT", "/portfolio/subaccounts/netting"),
    _private("/portfolio/subaccounts/netting"),
    _private("/portfolio/positions"),
    _private("/portfolio/settlements"),
    _private("/portfolio/deposits"),
    _private("/portfolio/withdrawals"),
    _private("/portfolio/summary/total_resting_order_value"),
    _private("/portfolio/fills"),
    _private("/portfolio/target_balance_allocation"),
    _withheld("POST", "/portfolio/target_balance_allocation"),
    # search
    _public("/search/tags_by_categories", REFERENCE),
    _public("/search/filters_by_sport", REFERENCE),
    # series
    _public("/series/fee_changes", REFERENCE),
    _public("/series/{series_ticker}/markets/{ticker}/candlesticks"),
    _public("/series/{series_ticker}", CATALOGUE),
    _public("/series", CATALOGUE),
    _public("/series/{series_ticker}/events/{ticker}/candlesticks"),
    _private("/series/{series_ticker}/events/{ticker}/forecast_percentile_history"),
    # structured_targets
    _public("/structured_targets", REFERENCE),
    _public("/structured_targets/{structured_target_id}", REFERENCE),
)


def _by_length() -> dict[tuple[str, int], list[tuple[tuple[str, ...], Operation]]]:
    """Operations by method and number of parts, exact paths before patterns."""
    table: dict[tuple[str, int], list[tuple[tuple[str, ...], Operation]]] = {}
    for operation in sorted(OPERATIONS, key=lambda operation: operation.path.count("{")):
        path = re.sub(r"\{[a-z_]+\}", "{}", operation.path)
        pattern = tuple(path.split("/")[1:])
        table.setdefault((operation.method, len(pattern)), []).append((pattern, operation))
    return table


_BY_LENGTH = _by_length()
