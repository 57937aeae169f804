"""The exchange behind HTTP."""

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .budgets import COSTS, DEFAULT_COST
from .calls import Count, Handler, Operation, one
from .control import control_routes
from .exchange import Exchange
from .gate import OUTER_SEND, Gate
from .rest import (
    account,
    events,
    funds,
    groups,
    history,
    markets,
    orders,
    portfolio,
    positions,
    reference,
    series,
    trading,
)

PREFIX = "/trade-api/v2"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
READ = ("read",)
WRITE = ("write", "write::trade")
ONE_GROUP = "/portfolio/order_groups/{order_group_id}"
ONE_ORDER = COSTS["GET", "/portfolio/orders/:order_id"]
ONE_CANCEL = COSTS["DELETE", "/portfolio/events/orders/:order_id"]


def _get(path: str, action: str, handler: Handler) -> Operation:
    return Operation("GET", path, action, handler)


def _own(path: str, action: str, handler: Handler) -> Operation:
    return Operation("GET", path, action, handler, READ)


def _write(
    method: str,
    path: str,
    action: str,
    handler: Handler,
    cost: int = DEFAULT_COST,
    count: Count = one,
) -> Operation:
    return Operation(method, path, action, handler, WRITE, "write", cost, count)


PUBLIC = [
    _get("/markets", "GetMarkets", markets.page),
    _get("/markets/trades", "GetTrades", trading.trades),
    _get("/markets/orderbooks", "GetMarketOrderbooks", trading.orderbooks),
    _get("/markets/candlesticks", "BatchGetMarketCandlesticks", trading.batch_candles),
    _get("/markets/{ticker}", "GetMarket", markets.one),
    _get("/markets/{ticker}/orderbook", "GetMarketOrderbook", trading.orderbook),
    _get(
        "/series/{series_ticker}/markets/{ticker}/candlesticks",
        "GetMarketCandlesticks",
        trading.market_candles,
    ),
    _get(
        "/series/{series_ticker}/events/{ticker}/candlesticks",
        "GetMarketCandlesticksByEvent",
        trading.event_candles,
    ),
    _get("/historical/cutoff", "GetHistoricalCutoff", history.cutoff),
    _get("/historical/markets", "GetHistoricalMarkets", history.page),
    _get("/historical/markets/{ticker}", "GetHistoricalMarket", history.one),
    _get(
        "/historical/markets/{ticker}/candlesticks",
        "GetMarketCandlesticksHistorical",
        history.candles,
    ),
    _get("/historical/trades", "GetTradesHistorical", history.trades),
    _get("/events", "GetEvents", events.page),
    _get("/events/multivariate", "GetMultivariateEvents", events.multivariate),
    _get("/events/fee_changes", "GetEventFeeChanges", reference.event_fee_changes),
    _get("/events/{event_ticker}", "GetEvent", events.one),
    _get("/events/{event_ticker}/metadata", "GetEventMetadata", events.metadata),
    _get("/series", "GetSeriesList", series.every),
    _get("/series/fee_changes", "GetSeriesFeeChanges", reference.series_fee_changes),
    _get("/series/{series_ticker}", "GetSeries", series.one),
    _get("/exchange/status", "GetExchangeStatus", reference.status),
    _get("/exchange/schedule", "GetExchangeSchedule", reference.schedule),
    _get("/exchange/user_data_timestamp", "GetUserDataTimestamp", reference.user_data_timestamp),
    _get("/account/endpoint_costs", "GetAccountEndpointCosts", account.endpoint_costs),
    _get("/search/tags_by_categories", "GetTagsForSeriesCategories", reference.tags_by_categories),
    _get("/search/filters_by_sport", "GetFiltersForSports", reference.filters_by_sport),
    _get("/milestones", "GetMilestones", reference.milestones),
    _get("/milestones/{milestone_id}", "GetMilestone", reference.milestone),
    _get(
        "/multivariate_event_collections",
        "GetMultivariateEventCollections",
        reference.collections,
    ),
    _get(
        "/multivariate_event_collections/{collection_ticker}",
        "GetMultivariateEventCollection",
        reference.collection,
    ),
]
PRIVATE = [
    _own("/account/limits", "GetAccountApiLimits", account.limits),
    _own("/api_keys", "GetApiKeys", account.api_keys),
    Operation(
        "GET",
        "/portfolio/balance",
        "GetBalance",
        funds.balance,
        ("read", "read::portfolio_balance"),
        bucket="balance",
        cost=1,
    ),
    _own("/portfolio/positions", "GetPositions", positions.positions),
    _own("/portfolio/fills", "GetFills", portfolio.fills),
    _own("/portfolio/settlements", "GetSettlements", portfolio.settlements),
    _own("/portfolio/orders", "GetOrders", portfolio.orders),
    _own("/portfolio/orders/queue_positions", "GetOrderQueuePositions", orders.queue_positions),
    _own(
        "/portfolio/orders/{order_id}/queue_position",
        "GetOrderQueuePosition",
        orders.queue_position,
    ),
    Operation(
        "GET", "/portfolio/orders/{order_id}", "GetOrder", portfolio.order, READ, cost=ONE_ORDER
    ),
    _own("/historical/fills", "GetFillsHistorical", portfolio.archived_fills),
    _own("/historical/orders", "GetHistoricalOrders", portfolio.archived_orders),
    _own("/historical/positions", "GetHistoricalPositions", positions.archived_positions),
    _own("/portfolio/deposits", "GetDeposits", funds.deposits),
    _own("/portfolio/withdrawals", "GetWithdrawals", funds.withdrawals),
    _own("/portfolio/subaccounts/balances", "GetSubaccountBalances", funds.subaccount_balances),
    _own("/portfolio/subaccounts/transfers", "GetSubaccountTransfers", funds.subaccount_transfers),
    _own(
        "/portfolio/intra_exchange_instance_transfers",
        "GetIntraExchangeInstanceTransfers",
        funds.shard_transfers,
    ),
    _own(
        "/portfolio/intra_exchange_instance_transfers/{transfer_id}",
        "GetIntraExchangeInstanceTransfer",
        funds.shard_transfer,
    ),
    _own(
        "/portfolio/summary/total_resting_order_value",
        "GetPortfolioRestingOrderTotalValue",
        funds.institutions_only,
    ),
    _own(
        "/portfolio/target_balance_allocation",
        "GetTargetBalanceAllocation",
        funds.institutions_only,
    ),
    _write("POST", "/portfolio/events/orders", "CreateOrderV2", orders.create),
    _write("DELETE", "/portfolio/events/orders", "CancelAllOrders", orders.cancel_all, ONE_CANCEL),
    _write(
        "POST",
        "/portfolio/events/orders/batched",
        "BatchCreateOrdersV2",
        orders.create_batch,
        count=orders.items,
    ),
    _write(
        "DELETE",
        "/portfolio/events/orders/batched",
        "BatchCancelOrdersV2",
        orders.cancel_batch,
        ONE_CANCEL,
        orders.items,
    ),
    _write(
        "DELETE",
        "/portfolio/events/orders/{order_id}",
        "CancelOrderV2",
        orders.cancel,
        ONE_CANCEL,
    ),
    _write("POST", "/portfolio/events/orders/{order_id}/amend", "AmendOrderV2", orders.amend),
    _write(
        "POST", "/portfolio/events/orders/{order_id}/decrease", "DecreaseOrderV2", orders.decrease
    ),
    _own("/portfolio/order_groups", "GetOrderGroups", groups.page),
    _own(ONE_GROUP, "GetOrderGroup", groups.one),
    _write("POST", "/portfolio/order_groups/create", "CreateOrderGroup", groups.create),
    _write("DELETE", ONE_GROUP, "DeleteOrderGroup", groups.delete),
    _write("PUT", f"{ONE_GROUP}/reset", "ResetOrderGroup", groups.reset),
    _write("PUT", f"{ONE_GROUP}/trigger", "TriggerOrderGroup", groups.trigger),
    _write("PUT", f"{ONE_GROUP}/limit", "UpdateOrderGroupLimit", groups.limit),
    *(
        Operation(method, path, "LegacyOrder", account.legacy_order, WRITE, bucket="write")
        for method, path in (
            ("POST", "/portfolio/orders"),
            ("POST", "/portfolio/orders/batched"),
            ("DELETE", "/portfolio/orders/batched"),
            ("DELETE", "/portfolio/orders/{order_id}"),
            ("POST", "/portfolio/orders/{order_id}/amend"),
            ("POST", "/portfolio/orders/{order_id}/decrease"),
        )
    ),
]


def create_app(exchange: Exchange) -> ASGIApp:
    """The exchange as an ASGI app, under /trade-api/v2."""
    routes = [
        Route(PREFIX + operation.path, Gate(exchange, operation), methods=[operation.method])
        for operation in (*PUBLIC, *PRIVATE)
    ]
    app = Starlette(routes=[*control_routes(exchange), *routes, *_elsewhere(exchange)])

    async def outermost(scope: Scope, receive: Receive, send: Send) -> None:
        # Only the server's own `send` leads to the connection that a fault breaks.
        scope[OUTER_SEND] = send
        await app(scope, receive, send)

    return outermost


def _elsewhere(exchange: Exchange) -> list[Route]:
    """Everything else is unknown, by any method, and is counted and charged like the rest."""
    return [
        Route(
            "/{path:path}",
            Gate(exchange, Operation(method, "/unknown", "Unknown", account.unknown)),
            methods=[method],
        )
        for method in METHODS
    ]
