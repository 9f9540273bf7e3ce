"""exchangeInfo: pairs, filters and rate limits in Binance's JSON."""

from __future__ import annotations

from collections.abc import Iterable

from trading.model.market import Instrument
from trading.model.order import OrderType
from trading.simulator.config import OrderFilterConfig
from trading.simulator.filters import max_market_quantity
from trading.simulator.orders import SelfTradeMode
from trading.simulator.server.limit_config import RateLimitConfig
from trading.simulator.server.wire import Json, num


def pair(instrument: Instrument, config: OrderFilterConfig) -> Json:
    return {
        "symbol": instrument.symbol,
        "status": status(instrument),
        "baseAsset": instrument.base_asset,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote_asset,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": sorted(order_type.value for order_type in OrderType),
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters(instrument, config),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": SelfTradeMode.EXPIRE_MAKER.value,
        "allowedSelfTradePreventionModes": [mode.value for mode in SelfTradeMode],
    }


def routes(instruments: Iterable[Instrument]) -> list[Json]:
    """Which pairs smart order routing chooses from, for each coin."""
    pairs: dict[str, list[str]] = {}
    for each in instruments:
        pairs.setdefault(each.base_asset, []).append(each.symbol)
    return [{"baseAsset": coin, "symbols": symbols} for coin, symbols in pairs.items()]


def status(instrument: Instrument) -> str:
    return "TRADING" if instrument.trading else "BREAK"


def filters(instrument: Instrument, config: OrderFilterConfig) -> list[Json]:
    """Every filter that an order on the pair has to pass."""
    up, down = str(config.price_multiplier_up), str(config.price_multiplier_down)
    shortest, longest = config.min_trailing_delta, config.max_trailing_delta
    rows: list[Json] = [
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
        {"filterType": "ICEBERG_PARTS", "limit": config.max_iceberg_parts},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": num(0),
            "maxQty": num(max_market_quantity(instrument, config)),
            "stepSize": num(0),
        },
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": shortest,
            "maxTrailingAboveDelta": longest,
            "minTrailingBelowDelta": shortest,
            "maxTrailingBelowDelta": longest,
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
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": config.max_order_lists},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": config.max_open_trigger_orders},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": config.max_amendments},
    ]
    if config.max_position is not None:
        rows.append({"filterType": "MAX_POSITION", "maxPosition": num(config.max_position)})
    return rows


def rate_limits(config: RateLimitConfig) -> list[Json]:
    rows = (
        ("REQUEST_WEIGHT", "MINUTE", 1, config.weight_per_minute),
        ("ORDERS", "SECOND", 10, config.orders_per_10s),
        ("ORDERS", "DAY", 1, config.orders_per_day),
        ("RAW_REQUESTS", "MINUTE", 5, config.requests_per_5min),
    )
    keys = ("rateLimitType", "interval", "intervalNum", "limit")
    return [dict(zip(keys, row, strict=True)) for row in rows]
