"""The one place where errors of python-binance and aiohttp become ours."""

from __future__ import annotations

from typing import Any

import aiohttp
from binance.exceptions import BinanceAPIException, BinanceRequestException
from pydantic import ValidationError

from trading.errors import (
    ExchangeConnectionError,
    ExchangeError,
    SpikeguardError,
    UnknownOutcomeError,
)
from trading.exchange.error_codes import error_for_code

# What reading a malformed answer raises.
MALFORMED = (KeyError, IndexError, TypeError, ValueError, ArithmeticError, ValidationError)


def translate(error: BaseException, *, is_order: bool = False, sent: bool = False) -> Exception:
    """The error of ours that ``error`` stands for.

    Args:
        error: what a call of the client, or reading its answer, raised.
        is_order: the call was a new order, whose outcome must never be guessed.
        sent: the order's bytes were handed to the socket.
    """
    if isinstance(error, SpikeguardError):
        return error
    if isinstance(error, BinanceAPIException):
        return error_for_code(
            error.code if isinstance(error.code, int) else 0,
            str(error.message) if error.code else f"HTTP {error.status_code}",
            is_order=is_order,
            status=error.status_code,
            retry_after_s=_retry_after_s(error.response),
        )
    text = f"{type(error).__name__}: {error}"
    if is_order and sent:
        return UnknownOutcomeError(f"the order left and its answer did not arrive ({text})")
    if isinstance(error, (TimeoutError, aiohttp.ClientError, OSError)):
        return ExchangeConnectionError(text)
    if isinstance(error, (BinanceRequestException, *MALFORMED)):
        return ExchangeConnectionError(f"unreadable answer of the venue ({text})")
    return ExchangeError(text)


def _retry_after_s(response: Any) -> float | None:
    headers = getattr(response, "headers", None) or {}
    try:
        return float(headers.get("Retry-After", ""))
    except ValueError:
        return None
