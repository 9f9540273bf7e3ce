"""One transition of the breaker, stopped at a named point on its way, to be killed there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from crash_work import AnswersBeforeTheCommit, state_of
from zygote import stop_here

from trading.clock import SystemClock
from trading.model.breaker import Actor
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.shared_record import SharedRecordWriter
from trading.storage.config import StorageConfig

Stop = Callable[..., Any]


def before_the_flag(breaker: CircuitBreaker, stop: Stop) -> None:
    breaker._block.begin_trip = stop  # type: ignore[method-assign]


def before_the_barrier(breaker: CircuitBreaker, stop: Stop) -> None:
    breaker.add_trip_listener(stop)


def after_the_barrier(breaker: CircuitBreaker, stop: Stop) -> None:
    breaker._commit_trip_locked = stop  # type: ignore[method-assign]


def before_the_event(breaker: CircuitBreaker, stop: Stop) -> None:
    _before_statement(breaker, "INSERT INTO circuit_breaker_events", stop)


def between_event_and_state(breaker: CircuitBreaker, stop: Stop) -> None:
    _before_statement(breaker, "INSERT INTO breaker_state", stop)


def before_the_commit(breaker: CircuitBreaker, stop: Stop) -> None:
    _before_statement(breaker, "COMMIT", stop)


def after_the_commit_before_the_record(breaker: CircuitBreaker, stop: Stop) -> None:
    store = breaker._store
    assert store is not None
    apply = store.apply

    def apply_and_stop(*arguments: Any) -> Any:
        apply(*arguments)
        stop()

    store.apply = apply_and_stop  # type: ignore[method-assign]


def before_the_fence_of_others(breaker: CircuitBreaker, stop: Stop) -> None:
    breaker.add_trip_fence(stop)


def before_the_answer(breaker: CircuitBreaker, stop: Stop) -> None:
    breaker.subscribe(stop)


def after_the_answer(breaker: CircuitBreaker, stop: Stop) -> None:
    """Nothing on the way: ``main`` stops there anyway."""


def main(task: dict[str, Any], say: Callable[..., None]) -> None:
    """``task``: store, record, act ("trip" or "clear"), point, and whether to be the mutant."""
    if task["answers_early"]:
        AnswersBeforeTheCommit().install()
    breaker = CircuitBreaker.open(
        CircuitBreakerConfig(),
        SystemClock(),
        StorageConfig(path=Path(task["store"])),
        record=SharedRecordWriter(Path(task["record"])),
    )
    breaker.beat(0)

    def stop(*_: object) -> None:
        stop_here(say, task["point"])

    globals()[task["point"]](breaker, stop)
    if task["act"] == "trip":
        breaker.trigger("fall")
    else:
        epoch = breaker.snapshot.epoch
        breaker.clear(actor=Actor.OPERATOR, reason="go", epoch=epoch, force=True)
    say(did=task["act"], state=state_of(breaker))
    stop()


def _before_statement(breaker: CircuitBreaker, start: str, stop: Stop) -> None:
    """SQLite traces a statement before it runs it."""
    assert breaker._store is not None
    breaker._store._connection.set_trace_callback(
        lambda sql: stop() if sql.lstrip().startswith(start) else None
    )
