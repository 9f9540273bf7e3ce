"""How our errors cross the control API: a status and a body, and back into the same class."""

from __future__ import annotations

from typing import Any

from trading import errors
from trading.errors import ControlApiError, SpikeguardError

# The first class that fits decides, so subclasses stand before their bases.
_STATUS: tuple[tuple[type[SpikeguardError], int], ...] = (
    (errors.TradingHaltedError, 423),
    (errors.StaleEpochError, 409),
    (errors.IllegalTransitionError, 409),
    (errors.DecisionRejectedError, 422),
    (errors.RiskLimitError, 422),
    (errors.OrderNotFoundError, 404),
    (errors.MarketDataError, 424),
    (errors.RateLimitedError, 429),
    (errors.ExchangeError, 502),
    (errors.StoreError, 500),
    (SpikeguardError, 500),
)


def to_wire(error: SpikeguardError) -> tuple[int, dict[str, Any]]:
    """HTTP status and JSON body for ``error``."""
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    body: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
    for attribute in ("rule", "limit", "value", "retry_after_s", "code"):
        if (value := getattr(error, attribute, None)) is not None:
            body[attribute] = value
    return status, body


def from_wire(status: int, body: dict[str, Any]) -> SpikeguardError:
    """The error that ``to_wire`` described; ``ControlApiError`` where the class is not known."""
    name, message = str(body.get("error", "")), str(body.get("message", body))
    kind = getattr(errors, name, None)
    if kind is errors.RiskLimitError:
        return _rebuilt(
            errors.RiskLimitError(
                str(body.get("rule")), limit=str(body.get("limit")), value=str(body.get("value"))
            ),
            message,
        )
    if kind is errors.DecisionRejectedError:
        return _rebuilt(errors.DecisionRejectedError(str(body.get("rule")), ""), message)
    if kind is errors.RateLimitedError:
        return errors.RateLimitedError(message, retry_after_s=float(body.get("retry_after_s", 1)))
    if isinstance(kind, type) and issubclass(kind, SpikeguardError):
        return kind(message)
    return ControlApiError(message, status_code=status)


def _rebuilt(error: SpikeguardError, message: str) -> SpikeguardError:
    """The original text, which already names the rule."""
    error.args = (message,)
    return error
