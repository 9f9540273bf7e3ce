"""The breaker of a store that no running core holds: the same commands as on a running one."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from crews.config import AppConfig
from trading.api.schemas import (
    NOT_ENFORCED,
    BreakerView,
    ClearCommand,
    CommandResult,
    RecoverCommand,
    TripCommand,
    WarnCommand,
)
from trading.clock import SystemClock
from trading.errors import StoreError, StoreMissingError
from trading.model.breaker import BreakerStatus
from trading.node.instance import InstanceLock, RuntimePaths
from trading.risk.breaker_recovery import recovery_blockers
from trading.risk.breaker_restore import STORE_RULE, restore, without_store
from trading.risk.breaker_rows import BreakerRows
from trading.risk.breaker_state import initial_state
from trading.risk.breaker_store import BreakerStore
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.shared_record import SharedRecordWriter, last_state
from trading.storage.database import open_read_only


def stored_view(config: AppConfig) -> BreakerView:
    """The breaker as the next core would find it. Changes neither the store nor the record.

    Raises:
        StoreMissingError: there is no store at the configured path.
    """
    _require_store(config)
    breaker, now_ms = config.circuit_breaker, SystemClock().now_ms()
    paths = RuntimePaths(Path(config.api.runtime_directory))
    last_run = None
    if not InstanceLock(paths).is_held():
        last_run = last_state(paths.breaker_record, config.storage.path)
    quiescent_at_ms = None
    try:
        with closing(open_read_only(config.storage)) as connection:
            rows = BreakerRows(connection)
            if not breaker.enabled:
                state = replace(initial_state(now_ms), epoch=rows.load().epoch)
            else:
                state, _ = restore(rows, last_run, breaker, now_ms)
            if state.event_id is not None:
                quiescent_at_ms = rows.quiescent_at_ms(state.event_id)
    except StoreError as error:
        state = without_store(last_run, str(error), now_ms)
    halted = state.status is BreakerStatus.TRIGGERED
    return BreakerView(
        snapshot=state.snapshot(breaker),
        blockers=recovery_blockers(state, breaker, None, now_ms) if halted else (),
        quiescent_at_ms=quiescent_at_ms,
        running=False,
    )


class StoredBreaker:
    """Opens the store, and the record of the last core; closes both on leaving the context.

    The record may show a halt that the store never took, and keeps one that it does not take now.

    Args:
        config: names the store and the runtime directory.
        halt_anyway: for a trip, which the record can keep alone. Any other command is refused
            before it touches the record: a store that could not be opened must not leave a halt.

    Raises:
        StoreMissingError: there is none at the configured path.
        StoreError: it cannot be written, and ``halt_anyway`` is not set.
    """

    def __init__(self, config: AppConfig, *, halt_anyway: bool = False) -> None:
        _require_store(config)
        if not halt_anyway:
            BreakerStore.open(config.storage, check=False).close()
        self._record = _record(RuntimePaths(Path(config.api.runtime_directory)))
        self._others_untold = config.redis.enabled
        self._breaker = CircuitBreaker.open(
            config.circuit_breaker, SystemClock(), config.storage, record=self._record, check=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._breaker.close()

    def breaker(self) -> BreakerView:
        return BreakerView(snapshot=self._breaker.snapshot, running=False)

    def trip(self, command: TripCommand) -> CommandResult:
        self._breaker.trigger(
            command.reason, command.details, actor=command.actor, rule=command.rule
        )
        if not self._breaker.enforcing:
            return self._result(NOT_ENFORCED, applied=False)
        if not self._breaker.is_stored:
            what_now = (
                "it is kept in the runtime directory: the next core there halts, and needs an "
                "operator"
                if self._record is not None
                else "nothing halts the next core: mend the store and trip again"
            )
            said = [c for c in self._breaker.snapshot.causes if c.startswith(f"{STORE_RULE}: ")]
            raise StoreError(f"the trip could not be stored ({'; '.join(said)}); {what_now}")
        if self._others_untold:
            return self._result(
                "halted in the store; gateways on other machines are not told while no core runs "
                "here",
                applied=True,
            )
        return self._result("halted in the store", applied=True)

    def warn(self, command: WarnCommand) -> CommandResult:
        before = self._breaker.snapshot.status
        after = self._breaker.set_warning(command.reason, command.details, actor=command.actor)
        changed = after.status is not before
        message = "WARNING set in the store" if changed else "a warning stands already"
        return self._result(message, applied=changed)

    def recover(self, command: RecoverCommand) -> CommandResult:
        self._breaker.start_recovery(
            actor=command.actor, reason=command.reason, epoch=command.epoch
        )
        return self._result("recovery started at stage 0 in the store", applied=True)

    def clear(self, command: ClearCommand) -> CommandResult:
        self._breaker.clear(
            actor=command.actor,
            reason=command.reason,
            epoch=command.epoch,
            force=command.force,
            false_alarm=command.false_alarm,
        )
        what = "cleared" if command.force else "latch released"
        return self._result(f"{what} in the store", applied=True)

    def _result(self, message: str, *, applied: bool) -> CommandResult:
        return CommandResult(applied=applied, message=message, snapshot=self._breaker.snapshot)


def _require_store(config: AppConfig) -> None:
    if not config.storage.path.exists():
        raise StoreMissingError(
            f"no core is running and there is no store at {config.storage.path}; "
            "`python -m crews.run init` creates one"
        )


def _record(paths: RuntimePaths) -> SharedRecordWriter | None:
    """The last core's record; None while a core holds it, or where none can be kept."""
    if InstanceLock(paths).is_held():
        return None
    try:
        return SharedRecordWriter(paths.breaker_record)
    except StoreError:
        return None
