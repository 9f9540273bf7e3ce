"""exchangeInfo: pairs, filters and rate limits in Binance's JSON."""

from __future__ import annotations

from trading.model.market import Instrument
from trading.model.order import OrderType
from trading.simulator.config import OrderFilterConfig
from trading.simulator.server.config import RateLimitConfig
from trading.simulator.server.order_wire import STP_MODE, Json, num


def pair(instrument: Instrument, filters: OrderFilterConfig) -> Json:
    return {
        "symbol": instrument.symbol,
        "status": "TRADING" if instrument.trading else "BREAK",
        "baseAsset": instrument.base_asset,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote_asset,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": sorted(order_type.value for order_type in OrderType),
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(instrument, filters),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": STP_MODE,
        "allowedSelfTradePreventionModes": [STP_MODE],
    }


def _filters(instrument: Instrument, config: OrderFilterConfig) -> list[Json]:
    up, down = str(config.price_multiplier_up), str(config.price_multiplier_down)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": num(instrument.tick_size),
            "maxPrice": num(0),
            "tickSize": num(instrument.tick_size),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": num(instrument.min_quantity),
            "maxQty": num(instrument.max_quantity),
            "stepSize": num(instrument.step_size),
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": up,
            "bidMultiplierDown": down,
            "askMultiplierUp": up,
            "askMultiplierDown": down,
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": num(instrument.min_notional),
            "applyMinToMarket": True,
            "maxNotional": num(config.max_notional),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": config.max_open_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": config.max_open_trigger_orders},
    ]


def rate_limits(config: RateLimitConfig) -> list[Json]:
    rows = (
        ("REQUEST_WEIGHT", "MINUTE", 1, config.weight_per_minute),
        ("ORDERS", "SECOND", 10, config.orders_per_10s),
        ("ORDERS", "DAY", 1, config.orders_per_day),
    )
    keys = ("rateLimitType", "interval", "intervalNum", "limit")
    return [dict(zip(keys, row, strict=True)) for row in rows]
