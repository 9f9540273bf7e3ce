"""Errors as they travel: HTTP status, Binance code and message."""

from __future__ import annotations

from typing import Any

from trading.errors import ExchangeError
from trading.simulator.orders import ExchangeRejection


class WireError(ExchangeError):
    """An answer that refuses. ``retry_after_s`` becomes the Retry-After header."""

    code: int

    def __init__(
        self,
        code: int,
        message: str,
        *,
        status: int = 400,
        retry_after_s: int | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.code = code
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s
        self.data = data

    @classmethod
    def of(cls, rejection: ExchangeRejection) -> WireError:
        """The engine's rejection as an answer."""
        status = 401 if rejection.code in (-2014, -2015) else 400
        return cls(rejection.code, rejection.message, status=status)

    def body(self) -> dict[str, object]:
        body: dict[str, object] = {"code": self.code, "msg": self.message}
        return body if self.data is None else body | {"data": self.data}


def mandatory(name: str) -> WireError:
    message = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return WireError(-1102, message)


def not_required(name: str) -> WireError:
    return WireError(-1106, f"Parameter '{name}' sent when not required.")


def bad_combination() -> WireError:
    """Parameters that exclude each other, or that need each other."""
    return WireError(-1128, "Combination of optional parameters invalid.")


def neither_sent(name: str, other: str) -> WireError:
    return WireError(-1102, f"Param '{name}' or '{other}' must be sent, but both were empty/null!")


def invalid_data(name: str) -> str:
    """Message of -1130."""
    return f"Data sent for parameter '{name}' is not valid."


def key_refused() -> WireError:
    return WireError(-2015, "Invalid API-key, IP, or permissions for action.", status=401)
