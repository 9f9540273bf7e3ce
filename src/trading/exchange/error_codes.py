"""What the venue's error numbers mean for us.

Binance's numbers are also spoken by the embedded exchange, so the real adapter, the paper venue
and the in-process venue share this table. Sources of the codes: binance-spot-api-docs, errors.md;
for USD-M futures the error codes of their documentation.
"""

from __future__ import annotations

from trading.errors import (
    AuthenticationError,
    ClockSkewError,
    ExchangeConnectionError,
    ExchangeError,
    OrderNotFoundError,
    OrderRejectedError,
    RateLimitedError,
    UnknownOutcomeError,
)

DEFAULT_RETRY_AFTER_S = 60.0  # limits are counted in windows of one minute

RATE_LIMIT_CODES = frozenset({-1003, -1015, -1034})
CLOCK_CODES = frozenset({-1021, -5028})
AUTHENTICATION_CODES = frozenset({-1002, -1022, -2014, -2015})
NOT_FOUND_CODES = frozenset({-2011, -2013, -2026})
# The venue itself says that it does not know, or that its inside broke while it worked on it.
UNKNOWN_STATE_CODES = frozenset({-1000, -1001, -1006, -1007, -1008})
DUPLICATE_ORDER = "Duplicate order sent."
DUPLICATE_CODES = frozenset({-4116})  # futures; spot says it in words


def error_for_code(
    code: int,
    message: str,
    *,
    is_order: bool,
    status: int = 400,
    retry_after_s: float | None = None,
) -> ExchangeError:
    """The error for an answer with the venue's own ``code`` (0: it gave none).

    ``is_order`` says that the request was a new order, for which every answer that does not
    clearly refuse is an unknown outcome. A duplicate client order id is one too: an order of that
    id exists.
    """
    text = f"{message} ({code})" if code else message
    if status in (403, 418, 429) or code in RATE_LIMIT_CODES:
        wait_s = DEFAULT_RETRY_AFTER_S if retry_after_s is None else retry_after_s
        return RateLimitedError(text, retry_after_s=wait_s, code=code or None)
    if status >= 500 or status == 408 or code in UNKNOWN_STATE_CODES:
        return _no_answer(text, code, is_order=is_order)
    if code in CLOCK_CODES:
        return ClockSkewError(text, code=code)
    if status == 401 or code in AUTHENTICATION_CODES:
        return AuthenticationError(text, code=code or None)
    if is_order:
        if code == 0 or code in DUPLICATE_CODES or DUPLICATE_ORDER in message:
            return UnknownOutcomeError(text, code=code or None)
        return OrderRejectedError(text, code=code)
    if code in NOT_FOUND_CODES:
        return OrderNotFoundError(text, code=code)
    return ExchangeError(text, code=code or None)


def _no_answer(text: str, code: int, *, is_order: bool) -> ExchangeError:
    kind = UnknownOutcomeError if is_order else ExchangeConnectionError
    return kind(text, code=code or None)
