"""Every futures request, once: REST path, WebSocket API method, weight, handler."""

from __future__ import annotations

from trading.simulator.server.endpoints import (
    KeyEndpoint,
    PublicEndpoint,
    constant,
    one_or_all,
)
from trading.simulator.server.params import Params
from trading.simulator.server.usdm import klines, market_data, statistics
from trading.simulator.server.usdm.context import UsdmContext

ONE = constant(1)
NOTHING = constant(0)


def _forced_weight(params: Params) -> int:
    return 20 if "symbol" in params else 50


WEIGHED: tuple[PublicEndpoint[UsdmContext], ...] = tuple(
    PublicEndpoint(f"fapi/{path}", ws_method, weight, answer)
    for path, ws_method, weight, answer in (
        ("v1/ping", "ping", ONE, market_data.ping),
        ("v1/time", "time", ONE, market_data.server_time),
        ("v1/exchangeInfo", "", ONE, market_data.contracts_and_limits),
        ("v1/depth", "depth", market_data.depth_weight, market_data.depth),
        ("v1/rpiDepth", "", constant(20), market_data.depth),
        ("v1/trades", "", constant(5), market_data.trades),
        ("v1/historicalTrades", "", constant(200), market_data.old_trades),
        ("v1/aggTrades", "", constant(20), market_data.aggregate_trades),
        ("v1/klines", "", klines.weight, klines.klines),
        ("v1/continuousKlines", "", klines.weight, klines.continuous),
        ("v1/indexPriceKlines", "", klines.weight, klines.index_prices),
        ("v1/markPriceKlines", "", klines.weight, klines.mark_prices),
        ("v1/premiumIndexKlines", "", klines.weight, klines.premiums),
        ("v1/premiumIndex", "", one_or_all(1, 10), market_data.premium_index),
        ("v1/ticker/24hr", "", one_or_all(1, 40), market_data.day_ticker),
        ("v1/ticker/price", "", one_or_all(1, 2), market_data.ticker_price),
        ("v2/ticker/price", "ticker.price", one_or_all(1, 2), market_data.ticker_price),
        ("v1/ticker/bookTicker", "ticker.book", one_or_all(2, 5), market_data.book_ticker),
        ("v1/openInterest", "", ONE, market_data.open_interest),
        ("v1/constituents", "", constant(2), market_data.constituents),
        ("v1/indexInfo", "", ONE, market_data.nothing_listed),
        ("v1/symbolAdlRisk", "", ONE, market_data.deleveraging_risk),
        ("v1/insuranceBalance", "", ONE, market_data.insurance_balance),
    )
)
PUBLIC: tuple[PublicEndpoint[UsdmContext], ...] = (
    *WEIGHED,
    PublicEndpoint("fapi/v1/fundingRate", "", NOTHING, market_data.funding_rates, "funding"),
    PublicEndpoint("fapi/v1/fundingInfo", "", NOTHING, market_data.funding_info, "funding"),
    *(
        PublicEndpoint(f"futures/data/{path}", "", NOTHING, answer, "data")
        for path, answer in (
            ("openInterestHist", statistics.open_interest),
            ("topLongShortPositionRatio", statistics.long_short_ratio),
            ("topLongShortAccountRatio", statistics.long_short_ratio),
            ("globalLongShortAccountRatio", statistics.long_short_ratio),
            ("takerlongshortRatio", statistics.taker_volume),
            ("basis", statistics.basis),
            ("delivery-price", market_data.nothing_listed),
        )
    ),
)
READS: tuple[KeyEndpoint[UsdmContext], ...] = tuple(
    KeyEndpoint("GET", f"fapi/{path}", ws_method, weight, handler)
    for path, ws_method, weight, handler in (
        ("v2/account", "account.status", constant(5), lambda c: c.account.account_v2),
        ("v3/account", "v2/account.status", constant(5), lambda c: c.account.account_v3),
        ("v2/balance", "account.balance", constant(5), lambda c: c.account.balances),
        ("v3/balance", "v2/account.balance", constant(5), lambda c: c.account.balances),
        ("v2/positionRisk", "account.position", constant(5), lambda c: c.account.risk_v2),
        ("v3/positionRisk", "v2/account.position", constant(5), lambda c: c.account.risk_v3),
        ("v1/accountConfig", "", constant(5), lambda c: c.account.account_config),
        ("v1/symbolConfig", "", constant(5), lambda c: c.account.symbol_config),
        ("v1/leverageBracket", "", ONE, lambda c: c.account.brackets),
        ("v1/commissionRate", "", constant(20), lambda c: c.account.commission),
        ("v1/rateLimit/order", "", ONE, lambda c: c.account.order_limits),
        ("v1/positionSide/dual", "", constant(30), lambda c: c.account.position_mode),
        ("v1/multiAssetsMargin", "", constant(30), lambda c: c.account.asset_mode),
        ("v1/feeBurn", "", constant(30), lambda c: c.account.fee_burn),
        ("v1/apiTradingStatus", "", one_or_all(1, 10), lambda c: c.account.trading_status),
        ("v1/adlQuantile", "", constant(5), lambda c: c.account.adl_quantile),
        ("v1/positionMargin/history", "", ONE, lambda c: c.account.margin_history),
        ("v1/order", "order.status", ONE, lambda c: c.orders.query),
        ("v1/openOrder", "", ONE, lambda c: c.orders.query_open),
        ("v1/openOrders", "", one_or_all(1, 40), lambda c: c.orders.open_orders),
        ("v1/allOrders", "", constant(5), lambda c: c.history.orders),
        ("v1/orderAmendment", "", ONE, lambda c: c.history.modifications),
        ("v1/userTrades", "", constant(5), lambda c: c.history.trades),
        ("v1/income", "", constant(30), lambda c: c.history.income),
        ("v1/forceOrders", "", _forced_weight, lambda c: c.history.forced_orders),
        ("v1/algoOrder", "", ONE, lambda c: c.algos.query),
        ("v1/openAlgoOrders", "", one_or_all(1, 40), lambda c: c.algos.open),
        ("v1/allAlgoOrders", "", constant(5), lambda c: c.algos.all),
    )
)
SETTINGS: tuple[KeyEndpoint[UsdmContext], ...] = tuple(
    KeyEndpoint("POST", f"fapi/{path}", "", ONE, handler)
    for path, handler in (
        ("v1/leverage", lambda c: c.account.change_leverage),
        ("v1/marginType", lambda c: c.account.change_margin_type),
        ("v1/positionMargin", lambda c: c.account.change_position_margin),
        ("v1/positionSide/dual", lambda c: c.account.change_position_mode),
        ("v1/multiAssetsMargin", lambda c: c.account.change_asset_mode),
        ("v1/order/test", lambda c: c.orders.test),
    )
)
TRADE: tuple[KeyEndpoint[UsdmContext], ...] = tuple(
    KeyEndpoint(method, f"fapi/v1/{path}", ws_method, constant(weight), handler, True, weight)
    for method, path, ws_method, weight, handler in (
        ("POST", "order", "order.place", 0, lambda c: c.orders.place),
        ("PUT", "order", "order.modify", 0, lambda c: c.orders.modify),
        ("DELETE", "order", "order.cancel", 1, lambda c: c.orders.cancel),
        ("POST", "batchOrders", "", 5, lambda c: c.orders.place_many),
        ("PUT", "batchOrders", "", 5, lambda c: c.orders.modify_many),
        ("DELETE", "batchOrders", "", 1, lambda c: c.orders.cancel_many),
        ("DELETE", "allOpenOrders", "", 1, lambda c: c.orders.cancel_all),
        ("POST", "countdownCancelAll", "", 10, lambda c: c.orders.countdown),
        ("POST", "algoOrder", "algoOrder.place", 0, lambda c: c.algos.place),
        ("DELETE", "algoOrder", "algoOrder.cancel", 1, lambda c: c.algos.cancel),
        ("DELETE", "algoOpenOrders", "", 1, lambda c: c.algos.cancel_all),
    )
)
LISTEN_KEYS: tuple[KeyEndpoint[UsdmContext], ...] = tuple(
    KeyEndpoint(method, "fapi/v1/listenKey", ws_method, ONE, handler, is_signed=False)
    for method, ws_method, handler in (
        ("POST", "userDataStream.start", lambda c: c.listen_keys.start),
        ("PUT", "userDataStream.ping", lambda c: c.listen_keys.keep_alive),
        ("DELETE", "userDataStream.stop", lambda c: c.listen_keys.close),
    )
)
KEYED = (*READS, *SETTINGS, *TRADE, *LISTEN_KEYS)
