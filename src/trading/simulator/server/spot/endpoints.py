"""Every spot request, once: its REST path, its WebSocket API method, its weight and its handler."""

from __future__ import annotations

from trading.simulator.server.endpoints import KeyEndpoint, PublicEndpoint, constant, one_or_all
from trading.simulator.server.spot import market_data
from trading.simulator.server.spot.context import SpotContext

PUBLIC: tuple[PublicEndpoint[SpotContext], ...] = (
    PublicEndpoint("ping", "ping", constant(1), market_data.ping),
    PublicEndpoint("time", "time", constant(1), market_data.server_time),
    PublicEndpoint("exchangeInfo", "exchangeInfo", constant(20), market_data.pairs_and_limits),
    PublicEndpoint("depth", "depth", market_data.depth_weight, market_data.depth),
    PublicEndpoint("trades", "trades.recent", constant(25), market_data.trades),
    PublicEndpoint("historicalTrades", "trades.historical", constant(25), market_data.old_trades),
    PublicEndpoint("aggTrades", "trades.aggregate", constant(4), market_data.aggregate_trades),
    PublicEndpoint(
        "historicalBlockTrades", "blockTrades.historical", constant(25), market_data.no_block_trades
    ),
    PublicEndpoint("klines", "klines", constant(2), market_data.klines),
    PublicEndpoint("uiKlines", "uiKlines", constant(2), market_data.klines),
    PublicEndpoint("avgPrice", "avgPrice", constant(2), market_data.average_price),
    PublicEndpoint("ticker/price", "ticker.price", one_or_all(2, 4), market_data.ticker_price),
    PublicEndpoint("ticker/bookTicker", "ticker.book", one_or_all(2, 4), market_data.book_ticker),
    PublicEndpoint(
        "ticker/24hr", "ticker.24hr", market_data.day_ticker_weight, market_data.day_ticker
    ),
    PublicEndpoint(
        "ticker/tradingDay",
        "ticker.tradingDay",
        market_data.window_ticker_weight,
        market_data.trading_day_ticker,
    ),
    PublicEndpoint("ticker", "ticker", market_data.window_ticker_weight, market_data.window_ticker),
    PublicEndpoint("referencePrice", "referencePrice", constant(2), market_data.reference_price),
    PublicEndpoint("executionRules", "executionRules", constant(2), market_data.execution_rules),
)
ACCOUNT: tuple[KeyEndpoint[SpotContext], ...] = (
    KeyEndpoint("GET", "account", "account.status", constant(20), lambda c: c.account.account),
    KeyEndpoint(
        "GET",
        "account/commission",
        "account.commission",
        constant(20),
        lambda c: c.account.commission,
    ),
    KeyEndpoint(
        "GET",
        "rateLimit/order",
        "account.rateLimits.orders",
        constant(40),
        lambda c: c.account.order_counts,
    ),
    KeyEndpoint("GET", "myFilters", "myFilters", constant(40), lambda c: c.account.filters),
    KeyEndpoint("GET", "order", "order.status", constant(4), lambda c: c.account.order),
    KeyEndpoint(
        "GET", "openOrders", "openOrders.status", one_or_all(6, 80), lambda c: c.account.open_orders
    ),
    KeyEndpoint("GET", "allOrders", "allOrders", constant(20), lambda c: c.account.all_orders),
    KeyEndpoint(
        "GET",
        "myTrades",
        "myTrades",
        lambda params: 5 if "orderId" in params else 20,
        lambda c: c.account.my_trades,
    ),
    KeyEndpoint(
        "GET",
        "myPreventedMatches",
        "myPreventedMatches",
        lambda params: 2 if "preventedMatchId" in params else 20,
        lambda c: c.account.prevented_matches,
    ),
    KeyEndpoint(
        "GET", "myAllocations", "myAllocations", constant(20), lambda c: c.account.allocations
    ),
    KeyEndpoint(
        "GET", "order/amendments", "order.amendments", constant(4), lambda c: c.account.amendments
    ),
    KeyEndpoint("GET", "orderList", "orderList.status", constant(4), lambda c: c.lists.status),
    KeyEndpoint(
        "GET", "openOrderList", "openOrderLists.status", constant(6), lambda c: c.lists.open
    ),
    KeyEndpoint("GET", "allOrderList", "allOrderLists", constant(20), lambda c: c.lists.all),
    KeyEndpoint(
        "POST",
        "order/test",
        "order.test",
        lambda params: 20 if params.text("computeCommissionRates") == "true" else 1,
        lambda c: c.desk.test,
    ),
    KeyEndpoint(
        "POST",
        "sor/order/test",
        "sor.order.test",
        lambda params: 20 if params.text("computeCommissionRates") == "true" else 1,
        lambda c: c.desk.test_routed,
    ),
)
TRADE: tuple[KeyEndpoint[SpotContext], ...] = tuple(
    KeyEndpoint(method, path, ws_method, constant(weight), handler, True, good_weight)
    for method, path, ws_method, weight, good_weight, handler in (
        ("POST", "order", "order.place", 1, 0, lambda c: c.desk.place),
        ("DELETE", "order", "order.cancel", 1, 0, lambda c: c.desk.cancel),
        ("DELETE", "openOrders", "openOrders.cancelAll", 1, 0, lambda c: c.lists.cancel_all),
        ("POST", "order/cancelReplace", "order.cancelReplace", 1, 0, lambda c: c.replace.replace),
        (
            "PUT",
            "order/amend/keepPriority",
            "order.amend.keepPriority",
            4,
            4,
            lambda c: c.desk.amend,
        ),
        ("POST", "order/oco", "orderList.place", 1, 0, lambda c: c.lists.place_old_oco),
        ("POST", "orderList/oco", "orderList.place.oco", 1, 0, lambda c: c.lists.place_oco),
        ("POST", "orderList/oto", "orderList.place.oto", 1, 0, lambda c: c.lists.place_oto),
        ("POST", "orderList/otoco", "orderList.place.otoco", 1, 0, lambda c: c.lists.place_otoco),
        ("POST", "orderList/opo", "orderList.place.opo", 1, 0, lambda c: c.lists.place_opo),
        ("POST", "orderList/opoco", "orderList.place.opoco", 1, 0, lambda c: c.lists.place_opoco),
        ("POST", "sor/order", "sor.order.place", 1, 0, lambda c: c.desk.place_routed),
        ("DELETE", "orderList", "orderList.cancel", 1, 0, lambda c: c.lists.cancel),
    )
)
