"""Every error this project raises.

::

    SpikeguardError
    ├── ConfigurationError            a setting is wrong; stops the start, before any network
    ├── StoreError                    the SQLite store cannot be trusted
    │   ├── StoreMissingError         no store where one is expected
    │   ├── StoreCorruptError         unreadable, truncated or of an unknown schema
    │   └── RecordNotFoundError       the store has no such row
    ├── FleetError                    Redis, which carries the gateways' shared halt, fails
    ├── MarketDataError               data is missing, stale or contradictory: unsafe
    ├── NewsSourceError               a source of news failed; carries retry_after_s or None
    ├── BreakerError
    │   ├── TradingHaltedError        the breaker forbids this action now
    │   ├── IllegalTransitionError    the state machine has no such edge for this actor
    │   └── StaleEpochError           the caller's epoch is not the current one
    ├── DecisionRejectedError         a proposal failed validation
    ├── RiskLimitError                a limit refuses; names rule, limit and value
    ├── ExchangeError
    │   ├── ExchangeConnectionError   not sent, or a read failed: safe to repeat a read
    │   ├── RateLimitedError          carries retry_after_s
    │   ├── ClockSkewError            the venue refuses our timestamps
    │   ├── AuthenticationError       key, signature or permission
    │   ├── OrderRejectedError        definite: the order does not exist
    │   ├── OrderNotFoundError        the venue does not know the order (yet)
    │   └── UnknownOutcomeError       sent, and nobody can say what became of it
    ├── ControlApiError
    │   ├── CoreNotRunningError       nobody listens on the control socket
    │   └── CoreTimeoutError          the core did not answer in time
    └── CrewError                     a crew could not be built or run
        ├── ModelError                a language model did not answer, or not in any usable form
        └── BudgetExhaustedError      tokens or money for models are used up

Errors of third-party libraries are translated into these at one boundary each (the adapter for
python-binance, the client for the control API, ``agents.llm`` for model providers).
"""

from __future__ import annotations


class SpikeguardError(Exception):
    """Base of all errors raised on purpose by this project."""


class ConfigurationError(SpikeguardError):
    """A setting is wrong. The message names the file, the key, the value and what is allowed."""


class StoreError(SpikeguardError):
    """The store cannot be used."""


class StoreMissingError(StoreError):
    """There is no store at the configured path."""


class StoreCorruptError(StoreError):
    """The store exists and cannot be read as ours."""


class RecordNotFoundError(StoreError):
    """The store has nothing of what was asked for."""


class FleetError(SpikeguardError):
    """The halt that gateways share through Redis cannot be read or told."""


class MarketDataError(SpikeguardError):
    """Market data is missing, stale or contradictory."""


class WindowNotFoundError(MarketDataError):
    """A folder of recorded data has no window of the name that was asked for."""


class NewsSourceError(SpikeguardError):
    """A source of news gave no usable answer. The message holds neither its address nor its key.

    ``retry_after_s`` is how long the source itself wants to be left alone; None if it did not say.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BreakerError(SpikeguardError):
    """The circuit breaker refuses."""


class TradingHaltedError(BreakerError):
    """The breaker forbids this action in its current state."""


class IllegalTransitionError(BreakerError):
    """The state machine has no such transition for this actor."""


class StaleEpochError(BreakerError):
    """The caller acted on an epoch that is no longer the current one."""


class DecisionRejectedError(SpikeguardError):
    """A trade proposal failed validation; ``rule`` names the check, ``limit`` and ``value`` what
    it compared, where there is anything to compare."""

    def __init__(
        self, rule: str, message: str, *, limit: str | None = None, value: str | None = None
    ) -> None:
        super().__init__(f"{rule}: {message}")
        self.rule = rule
        self.limit = limit
        self.value = value


class RiskLimitError(SpikeguardError):
    """A risk limit refuses an order; carries the rule, its limit and the offending value."""

    def __init__(self, rule: str, *, limit: str, value: str, message: str = "") -> None:
        text = f"{rule}: {value} is beyond the limit of {limit}"
        super().__init__(f"{text} ({message})" if message else text)
        self.rule = rule
        self.limit = limit
        self.value = value


class ExchangeError(SpikeguardError):
    """The venue, or the way to it, failed. ``code`` is the venue's own number where it gave one."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class ExchangeConnectionError(ExchangeError):
    """No connection, or it broke while reading. Never raised for an order that may have left."""


class RateLimitedError(ExchangeError):
    """The venue asks us to wait ``retry_after_s`` seconds."""

    def __init__(self, message: str, *, retry_after_s: float, code: int | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class ClockSkewError(ExchangeError):
    """Our clock and the venue's differ by more than the receive window allows."""


class AuthenticationError(ExchangeError):
    """Key, signature or permission refused."""


class OrderRejectedError(ExchangeError):
    """The venue refused the order for good: nothing rests, nothing was filled."""


class OrderNotFoundError(ExchangeError):
    """The venue does not know this order. Right after a send this is not a rejection."""


class UnknownOutcomeError(ExchangeError):
    """The order may or may not have executed. Resolve by query, never by sending again."""


class ControlApiError(SpikeguardError):
    """The control API answered with an error; ``status_code`` is its HTTP status."""

    def __init__(self, message: str, *, status_code: int | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code


class CoreNotRunningError(ControlApiError):
    """No core process listens on the control socket."""


class CoreTimeoutError(ControlApiError):
    """The core process did not answer in time."""


class CrewError(SpikeguardError):
    """A crew could not be built or run."""


class ModelError(CrewError):
    """A language model did not answer. ``retryable``: asking again may help."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class BudgetExhaustedError(CrewError):
    """A budget for language models is used up; the message names which."""
