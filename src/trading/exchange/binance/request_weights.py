"""What each request we make weighs. Sources: binance-spot-api-docs, rest-api.md, and for futures
the official client binance-sdk-derivatives-trading-usds-futures.

A cancel weighs nothing when it succeeds and 1 when it fails; here it counts as nothing, so that no
count ever holds one back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

UNKNOWN_WEIGHT = 20  # a request missing below must not pass for a light one

_BY_PATH: dict[tuple[str, str], int] = {
    ("get", "time"): 1,
    ("get", "ping"): 1,
    ("get", "exchangeInfo"): 20,
    ("get", "klines"): 2,
    ("get", "bookTicker"): 4,  # of all pairs
    ("get", "account"): 20,
    ("get", "order"): 4,
    ("delete", "order"): 0,
    ("get", "apiRestrictions"): 1,
}
_DEPTH_STEPS = ((100, 5), (500, 25), (1000, 50), (5000, 250))  # largest limit, weight

_FUTURES: dict[tuple[str, str], int] = {
    ("get", "time"): 1,
    ("get", "exchangeInfo"): 1,
    ("get", "klines"): 5,
    ("get", "account"): 5,
    ("get", "positionRisk"): 5,
    ("get", "userTrades"): 5,
    ("get", "dual"): 30,
    ("get", "order"): 1,
    ("delete", "order"): 0,
    ("get", "algoOrder"): 1,
    ("delete", "algoOrder"): 0,
    ("post", "leverage"): 1,
    ("post", "marginType"): 1,
    ("post", "listenKey"): 1,
    ("put", "listenKey"): 1,
}
_FUTURES_DEPTH_STEPS = ((50, 2), (100, 5), (500, 10), (1000, 20))

_ESSENTIAL = frozenset(
    {
        "order",
        "openOrders",
        "account",
        "myTrades",
        "time",
        "algoOrder",
        "openAlgoOrders",
        "positionRisk",
        "userTrades",
        "listenKey",
    }
)


def is_essential(uri: str) -> bool:
    """Whether nothing can be kept safe without this request."""
    return _endpoint(uri) in _ESSENTIAL


def weight_of(method: str, uri: str, parameters: Mapping[str, Any]) -> int:
    """Weight of a request by its parameters."""
    name = _endpoint(uri)
    if "/fapi/" in uri:
        return _futures_weight(method.lower(), name, parameters)
    if name == "openOrders":
        return 6 if parameters.get("symbol") else 80
    if name == "myTrades":
        return 5 if parameters.get("orderId") else 20
    if name == "depth":
        limit = int(parameters.get("limit") or 100)
        return next((weight for most, weight in _DEPTH_STEPS if limit <= most), UNKNOWN_WEIGHT)
    return _BY_PATH.get((method.lower(), name), UNKNOWN_WEIGHT)


def _futures_weight(method: str, name: str, parameters: Mapping[str, Any]) -> int:
    if name in ("openOrders", "openAlgoOrders"):
        return 1 if parameters.get("symbol") else 40
    if name == "depth":
        limit = int(parameters.get("limit") or 500)
        steps = _FUTURES_DEPTH_STEPS
        return next((weight for most, weight in steps if limit <= most), UNKNOWN_WEIGHT)
    return _FUTURES.get((method, name), UNKNOWN_WEIGHT)


def _endpoint(uri: str) -> str:
    """The last part of a request's path: ``order`` of ``https://host/api/v3/order``."""
    return urlsplit(uri).path.rsplit("/", 1)[-1]
