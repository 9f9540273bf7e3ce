"""What kind of failure an error is, decided in one place; and what a person may do about it."""

from __future__ import annotations

from enum import StrEnum

from trading.errors import (
    AuthenticationError,
    ClockSkewError,
    ConfigurationError,
    DecisionRejectedError,
    ExchangeConnectionError,
    ExchangeError,
    OrderNotFoundError,
    OrderRejectedError,
    RateLimitedError,
    RiskLimitError,
    UnknownOutcomeError,
)


class ErrorKind(StrEnum):
    """How a failure is met."""

    TRANSIENT = "transient"  # passes by itself: a read is repeated
    RATE = "rate"  # the venue asks for time: wait as long as it says
    AUTH = "auth"  # key, signature, permission or clock: a person's matter
    INVALID = "invalid"  # a definite no to what was asked: repeating it is useless
    UNKNOWN_OUTCOME = "unknown_outcome"  # an order that may exist: ask, never send again
    FATAL = "fatal"  # a defect or a broken set-up: nothing to be gained by going on


def classify(error: BaseException) -> ErrorKind:
    """The kind of ``error``. An error that is not ours, and not of a connection, is a defect."""
    if isinstance(error, UnknownOutcomeError):
        return ErrorKind.UNKNOWN_OUTCOME
    if isinstance(error, RateLimitedError):
        return ErrorKind.RATE
    if isinstance(error, (AuthenticationError, ClockSkewError)):
        return ErrorKind.AUTH
    if isinstance(
        error, (OrderNotFoundError, OrderRejectedError, DecisionRejectedError, RiskLimitError)
    ):
        return ErrorKind.INVALID
    if isinstance(error, (ExchangeConnectionError, TimeoutError, ConnectionError)):
        return ErrorKind.TRANSIENT
    if isinstance(error, ExchangeError):
        return ErrorKind.INVALID
    if isinstance(error, ConfigurationError):
        return ErrorKind.FATAL
    return ErrorKind.FATAL


def is_retryable(error: BaseException) -> bool:
    """Whether a read that failed so may be repeated soon. Never asked for an order."""
    return classify(error) is ErrorKind.TRANSIENT


_BY_CODE = {
    -1021: "the clock: let NTP set it, or raise exchange.recv_window_ms",
    -1022: "the signature: the secret does not belong to the key",
    -2014: "the key: it is not of the form this venue gives out; see `doctor`",
    -2015: "the key: its permissions or its list of IP addresses; see `doctor`",
    -1003: "fewer calls: longer execution.reconcile_interval_ms, or fewer programs on this address",
    -1015: "fewer orders: lower risk.max_orders_per_minute",
    -2010: "the balance: somebody else uses this account, or risk.cash_reserve_pct is too small",
    -1013: "the pair's filters have changed: restart, so that they are read anew",
}
_BY_KIND = {
    ErrorKind.TRANSIENT: "the way to the venue: network, DNS, proxy; other hosts of the venue in "
    "exchange.endpoints.fallback_rest_urls; status.binance.com",
    ErrorKind.RATE: "fewer calls, or an address that is shared with no other program",
    ErrorKind.AUTH: "the API key: see `doctor`",
    ErrorKind.INVALID: "the venue's message says what it does not take; if it repeats, report it",
    ErrorKind.UNKNOWN_OUTCOME: "nothing: it is asked for until it is known",
    ErrorKind.FATAL: "a defect: report it with the log",
}


def suggestion(kind: ErrorKind, code: int | None) -> str:
    """What a person may look at when errors of this kind repeat."""
    return _BY_CODE.get(code or 0, _BY_KIND[kind])
