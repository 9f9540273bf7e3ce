"""What each request we make weighs. Source: binance-spot-api-docs, rest-api.md.

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
    ("get", "account"): 20,
    ("get", "order"): 4,
    ("delete", "order"): 0,
    ("get", "apiRestrictions"): 1,
}
_DEPTH_STEPS = ((100, 5), (500, 25), (1000, 50), (5000, 250))  # largest limit, weight

_ESSENTIAL = frozenset({"order", "openOrders", "account", "myTrades", "time"})


def is_essential(uri: str) -> bool:
    """Whether nothing can be kept safe without this request."""
    return _endpoint(uri) in _ESSENTIAL


def weight_of(method: str, uri: str, parameters: Mapping[str, Any]) -> int:
    """Weight of a request by its parameters."""
    name = _endpoint(uri)
    if name == "openOrders":
        return 6 if parameters.get("symbol") else 80
    if name == "myTrades":
        return 5 if parameters.get("orderId") else 20
    if name == "depth":
        limit = int(parameters.get("limit") or 100)
        return next((weight for most, weight in _DEPTH_STEPS if limit <= most), UNKNOWN_WEIGHT)
    return _BY_PATH.get((method.lower(), name), UNKNOWN_WEIGHT)


def _endpoint(uri: str) -> str:
    """The last part of a request's path: ``order`` of ``https://host/api/v3/order``."""
    return urlsplit(uri).path.rsplit("/", 1)[-1]
