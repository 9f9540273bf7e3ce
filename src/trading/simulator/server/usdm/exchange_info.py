"""exchangeInfo, brackets and limits of futures in Binance's JSON."""

from __future__ import annotations

from trading.model.order import OrderType
from trading.simulator.futures.contracts import Contract
from trading.simulator.futures.filters import MAX_OPEN_ORDERS, PERCENT_DOWN, PERCENT_UP
from trading.simulator.futures.orders import ConditionalType, FuturesTimeInForce
from trading.simulator.futures_config import FuturesConfig
from trading.simulator.server.limit_config import UsdmRateLimitConfig
from trading.simulator.server.wire import Json

FIRST_LISTED_MS = 1_569_398_400_000  # BTCUSDT, on the real venue
NEVER_DELIVERED_MS = 4_133_404_800_000
TRIGGER_PROTECT = "0.0500"
MARKET_TAKE_BOUND = "0.05"


def contract_row(contract: Contract, config: FuturesConfig) -> Json:
    pair = contract.instrument
    return {
        "symbol": contract.symbol,
        "pair": contract.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": NEVER_DELIVERED_MS,
        "onboardDate": FIRST_LISTED_MS,
        "status": "TRADING" if pair.trading else "BREAK",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": pair.base_asset,
        "quoteAsset": pair.quote_asset,
        "marginAsset": contract.margin_asset,
        "pricePrecision": contract.price_decimals,
        "quantityPrecision": contract.quantity_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": TRIGGER_PROTECT,
        "liquidationFee": f"{config.liquidation_fee_rate:.6f}",
        "marketTakeBound": MARKET_TAKE_BOUND,
        "maxMoveOrderLimit": 10000,
        "filters": filters(contract),
        "orderTypes": [
            OrderType.LIMIT.value,
            OrderType.MARKET.value,
            *(kind.value for kind in ConditionalType),
        ],
        "timeInForce": [each.value for each in FuturesTimeInForce],
        "permissionSets": [],
    }


def filters(contract: Contract) -> list[Json]:
    pair = contract.instrument
    price, quantity = contract.price_text, contract.quantity_text
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": price(pair.tick_size),
            "maxPrice": price(pair.tick_size * 10**8),
            "tickSize": f"{pair.tick_size:f}",
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": quantity(pair.min_quantity),
            "maxQty": quantity(pair.max_quantity),
            "stepSize": f"{pair.step_size:f}",
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": quantity(pair.min_quantity),
            "maxQty": quantity(contract.max_market_quantity),
            "stepSize": f"{pair.step_size:f}",
        },
        {"filterType": "MAX_NUM_ORDERS", "limit": MAX_OPEN_ORDERS},
        {"filterType": "MIN_NOTIONAL", "notional": f"{pair.min_notional:f}"},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": f"{PERCENT_UP:.4f}",
            "multiplierDown": f"{PERCENT_DOWN:.4f}",
            "multiplierDecimal": "4",
        },
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ]


def rate_limits(config: UsdmRateLimitConfig) -> list[Json]:
    weight = {
        "rateLimitType": "REQUEST_WEIGHT",
        "interval": "MINUTE",
        "intervalNum": 1,
        "limit": config.weight_per_minute,
    }
    return [weight, *order_limits(config)]


def order_limits(config: UsdmRateLimitConfig) -> list[Json]:
    return [
        {
            "rateLimitType": "ORDERS",
            "interval": limit.interval,
            "intervalNum": limit.number,
            "limit": limit.most,
        }
        for limit in config.order_limits
    ]


def brackets(contract: Contract) -> Json:
    """Element of leverageBracket: numbers, not strings."""
    return {
        "symbol": contract.symbol,
        "notionalCoef": 1.0,
        "brackets": [
            {
                "bracket": each.number,
                "initialLeverage": each.leverage,
                "notionalCap": int(each.cap),
                "notionalFloor": int(each.floor),
                "maintMarginRatio": float(each.rate),
                "cum": float(each.deducted),
            }
            for each in contract.brackets
        ],
    }
