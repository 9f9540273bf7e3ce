"""Keeps track of failures and recoveries, by dependency."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from trading.exchange.error_kinds import ErrorKind, classify, suggestion
from trading.model.recovery import DependencyHealth, ErrorPattern, RecoveryStatus

WORTH_A_SUGGESTION = 3  # errors alike


class ServiceBreaker:
    """Stops calling what keeps failing: after ``threshold`` failures in a row it refuses for
    ``pause_s``, then lets one call try, and pauses twice as long (at most ``max_pause_s``) when
    that fails, too. Not the market-crash breaker: this one knows nothing of trading."""

    def __init__(
        self,
        *,
        threshold: int,
        pause_s: float,
        max_pause_s: float,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threshold = threshold
        self._first_pause_s = self._pause_s = pause_s
        self._max_pause_s = max_pause_s
        self._now_s = now_s
        self._failures = 0
        self._until_s = 0.0

    @property
    def is_failing(self) -> bool:
        return self._failures >= self._threshold

    @property
    def wait_s(self) -> float:
        """How long no call is to be made; 0 when one may."""
        return max(self._until_s - self._now_s(), 0.0) if self.is_failing else 0.0

    def begin_try(self) -> None:
        """A call is made; while failing, no other is until it is over or the pause has passed."""
        if self.is_failing:
            self._until_s = self._now_s() + self._pause_s

    def succeeded(self) -> None:
        self._failures, self._pause_s, self._until_s = 0, self._first_pause_s, 0.0

    def failed(self) -> None:
        self._failures += 1
        if self._failures > self._threshold:
            self._pause_s = min(self._pause_s * 2, self._max_pause_s)
        self._until_s = self._now_s() + self._pause_s


@dataclass(slots=True)
class _Tally:
    breaker: ServiceBreaker
    calls: int = 0
    failures: int = 0
    last_error: str = ""


@dataclass(slots=True)
class _Pattern:
    count: int = 0
    last_message: str = ""
    last_at_ms: int = 0


@dataclass(slots=True)
class _Rate:
    recovered: int = 0
    given_up: int = 0
    patterns: dict[tuple[str, ErrorKind, int | None], _Pattern] = field(default_factory=dict)


class RecoveryLog:
    """What failed, what recovered by itself, and what keeps failing. Thread-safe."""

    def __init__(
        self, now_ms: Callable[[], int], make_breaker: Callable[[], ServiceBreaker]
    ) -> None:
        self._now_ms = now_ms
        self._make_breaker = make_breaker
        self._lock = threading.Lock()
        self._services: dict[str, _Tally] = {}
        self._rate = _Rate()

    def breaker(self, service: str) -> ServiceBreaker:
        with self._lock:
            return self._tally(service).breaker

    def succeeded(self, service: str, *, after_failures: int = 0) -> None:
        """A call has come to its end; it may have failed a few times on the way."""
        with self._lock:
            tally = self._tally(service)
            tally.calls += 1
            tally.breaker.succeeded()
            self._rate.recovered += after_failures > 0

    def failed(self, service: str, error: BaseException) -> None:
        """An attempt failed; another may follow."""
        kind = classify(error)
        with self._lock:
            tally = self._tally(service)
            tally.failures += 1
            tally.last_error = str(error)
            if kind in (ErrorKind.TRANSIENT, ErrorKind.UNKNOWN_OUTCOME):
                tally.breaker.failed()
            else:
                tally.breaker.succeeded()  # it answered, whatever it said
            code = getattr(error, "code", None)
            pattern = self._rate.patterns.setdefault((service, kind, code), _Pattern())
            pattern.count += 1
            pattern.last_message = str(error)
            pattern.last_at_ms = self._now_ms()

    def gave_up(self, service: str, error: BaseException) -> None:
        """A call has failed for good, however often it was tried."""
        with self._lock:
            self._tally(service).calls += 1
            self._rate.given_up += classify(error) is ErrorKind.TRANSIENT

    def objection(self) -> str | None:
        """Why no entry should be made just now; None when everything answers."""
        with self._lock:
            failing = [name for name, tally in self._services.items() if tally.breaker.is_failing]
        return f"not answering: {', '.join(sorted(failing))}" if failing else None

    def status(self) -> RecoveryStatus:
        """All figures, and suggestions for errors that repeat."""
        with self._lock:
            rate = self._rate
            ended = rate.recovered + rate.given_up
            return RecoveryStatus(
                recovered=rate.recovered,
                given_up=rate.given_up,
                recovery_rate=rate.recovered / ended if ended else None,
                services=tuple(
                    DependencyHealth(
                        name=name,
                        ok=not tally.breaker.is_failing,
                        calls=tally.calls,
                        failures=tally.failures,
                        last_error=tally.last_error,
                    )
                    for name, tally in sorted(self._services.items())
                ),
                patterns=tuple(
                    ErrorPattern(
                        service=service,
                        kind=kind.value,
                        code=code,
                        count=pattern.count,
                        last_at_ms=pattern.last_at_ms,
                        last_message=pattern.last_message,
                        suggestion=suggestion(kind, code),
                    )
                    for (service, kind, code), pattern in sorted(
                        rate.patterns.items(), key=lambda item: -item[1].count
                    )
                    if pattern.count >= WORTH_A_SUGGESTION
                ),
            )

    def _tally(self, service: str) -> _Tally:
        tally = self._services.get(service)
        if tally is None:
            tally = self._services[service] = _Tally(self._make_breaker())
        return tally
