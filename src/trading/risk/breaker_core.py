"""The breaker's engine room: committing transitions, publishing them, surviving a failing store."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from trading.clock import Clock
from trading.errors import StoreCorruptError, StoreError
from trading.model.breaker import Actor, BreakerSnapshot, BreakerStatus, Latch, TripReceipt
from trading.model.metrics import MarketSnapshot
from trading.risk import breaker_rules as rules
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_listeners import (
    ChangeNotifier,
    EntryBlock,
    TripBarrier,
    TripFence,
    run_barriers,
    run_fences,
)
from trading.risk.breaker_restore import STORE_RULE, restore, without_store
from trading.risk.breaker_state import (
    BreakerState,
    RecoveryInputs,
    Transition,
    initial_state,
)
from trading.risk.breaker_store import BreakerStore
from trading.risk.shared_record import SharedRecordWriter
from trading.storage.send_fence import SendFence

logger = logging.getLogger(__name__)

RETRY_STORE_AFTER_MS = 5_000

Trip = Callable[[BreakerState, tuple[str, ...], tuple[str, ...]], Transition]
"""Makes the trip from a state, the orders in flight and the errors of failed barriers."""
Seen = Callable[[], tuple[dict[str, Any], MarketSnapshot | None]]
"""What was seen at the trip: details and market. Asked when all readers see the halt already."""
Rule = Callable[[BreakerState], Transition | None]


class BreakerCore:
    """State, lock and store of the breaker; its public face is ``CircuitBreaker``.

    Methods named ``…_locked`` expect the lock to be held.
    """

    def __init__(
        self,
        config: CircuitBreakerConfig,
        clock: Clock,
        store: BreakerStore | None,
        *,
        record: SharedRecordWriter | None = None,
        fence: SendFence | None = None,
        store_problem: str = "there is no store",
        last_run: BreakerSnapshot | None = None,
    ) -> None:
        """``store`` None means that there is none to be trusted: TRIGGERED and MANUAL.

        ``fence`` is that of the store: it makes a trip wait for other processes that send.
        ``last_run`` is what the last run on this store had in force, by another witness than the
        store: a trip that only the witness knows goes on.
        """
        self._config = config
        self._clock = clock
        self._store = store
        self._store_problem = store_problem
        self._record = record
        self._enforcing = config.enabled
        self._lock = threading.Lock()
        self._block = EntryBlock()
        self._notifier = ChangeNotifier()
        self._barriers: tuple[TripBarrier, ...] = ()
        self._fence = fence
        self._fences: tuple[TripFence, ...] = () if fence is None else (self._fence_store,)
        self._facts: RecoveryInputs | None = None  # of the last advance
        self._pending_trip: Transition | None = None  # in force, and not stored yet
        self._retry_store_at_ms = 0
        self._store_error = ""
        self._state = initial_state(clock.now_ms())
        self._snapshot = self._state.snapshot(config)
        with self._lock:
            if self._enforcing:
                self._restore_locked(last_run)
            else:
                self._switch_off_locked()

    def _restore_locked(self, last_run: BreakerSnapshot | None) -> None:
        """Start from the stored state; TRIGGERED and MANUAL where there is none."""
        now_ms = self._clock.now_ms()
        if self._store is None:
            self._publish_locked(without_store(last_run, self._store_problem, now_ms))
            return
        state, self._pending_trip = restore(self._store, last_run, self._config, now_ms)
        self._publish_locked(state)
        if self._pending_trip is None:
            return
        logger.critical("starting halted: %s", state.reason)
        try:
            self._flush_pending_locked()
        except StoreError:
            logger.exception("the halt at the start could not be stored")

    def _switch_off_locked(self) -> None:
        """Follow the state machine for the record, and publish SAFE whatever it says."""
        logger.critical("the circuit breaker is OFF by configuration: nothing will halt trading")
        if self._store is not None:
            try:
                self._state = replace(self._state, epoch=self._store.load().epoch)
            except StoreError as error:
                logger.critical("the breaker is off and its store unreadable: %s", error)
        self._show_locked(self._state.snapshot(self._config))

    def _run_trip(self, make: Trip, seen: Seen) -> TripReceipt:
        """Block entries, run the barriers, publish, commit with what was seen, run the fences.

        A store that fails leaves the trip in force in memory, with the MANUAL latch.
        """
        self._block.begin_trip()
        if self._fence is not None:
            self._fence.begin_trip()
        try:
            in_flight, errors = run_barriers(self._barriers)
            with self._lock:
                transition = self._commit_trip_locked(
                    lambda state: make(state, in_flight, errors), seen
                )
                snapshot = self._snapshot
            self._notifier.deliver()  # the sweep of open entries need not wait for the fences
            unconfirmed = run_fences(self._fences, snapshot)
        finally:
            if self._fence is not None:
                self._fence.end_trip()
            self._block.end_trip()
        return TripReceipt(
            epoch=transition.after.epoch,
            newly_triggered=transition.before.status is not BreakerStatus.TRIGGERED,
            in_flight=in_flight,
            unconfirmed=unconfirmed,
        )

    def _fence_store(self, _: BreakerSnapshot) -> tuple[str, ...]:
        """Wait for other processes on this store; what they have in flight when it takes long."""
        assert self._fence is not None
        if self._fence.wait_for_others(self._config.foreign_fence_timeout_ms):
            return ()
        try:
            with self._lock:
                pending = self._require_store().pending_entries()
        except StoreError as error:
            logger.error("orders on their way elsewhere cannot be listed: %s", error)
            pending = ()
        return pending or ("a process on the same store that does not answer",)

    def _commit_trip_locked(
        self, make: Callable[[BreakerState], Transition], seen: Seen
    ) -> Transition:
        previous, own = self._snapshot, self._state
        transition = make(own)
        self._publish_locked(transition.after)
        transition = _with_evidence(transition, seen)
        try:
            store = self._require_store()
            stored = store.apply(
                lambda row: _with_evidence(make(self._base(row, own)), seen), self._config
            )
        except StoreError as error:
            logger.critical("a trip could not be stored; it holds in memory: %s", error)
            transition = _held_in_memory(transition, error)
            self._pending_trip = transition
        except Exception as error:  # the evidence, not the store: the trip goes without it
            logger.exception("a trip could not be stored as it is; it holds in memory")
            bare = replace(transition, details={}, market=None, rule=None)
            transition = _held_in_memory(bare, error)
            self._pending_trip = transition
        else:
            transition = stored if stored is not None else transition
            self._pending_trip = None
        self._publish_locked(transition.after)
        self._notifier.enqueue(previous, self._snapshot)
        return transition

    def _trip_for_store(self, error: StoreError) -> None:
        """A failing store is a trip with the MANUAL latch, once."""
        state = self._state
        if state.status is BreakerStatus.TRIGGERED and state.latch is Latch.MANUAL:
            if str(error) != self._store_error:  # it is asked several times a second
                logger.error("the store failed while the breaker is latched: %s", error)
            self._store_error = str(error)
            return
        now_ms = self._clock.now_ms()
        self._run_trip(
            lambda base, _in_flight, _errors: rules.trip(
                base,
                self._config,
                now_ms,
                actor=Actor.SYSTEM,
                reason=f"store lost: {error}",
                rule=STORE_RULE,
                latch=True,
            ),
            lambda: ({}, None),
        )

    def _record_trip(self, make: Trip, seen: Seen) -> TripReceipt:
        """A trip of a breaker that is switched off: recorded, nothing else."""
        with self._lock:
            transition = self._record_locked(_with_evidence(make(self._state, (), ()), seen))
        return TripReceipt(
            epoch=transition.after.epoch,
            newly_triggered=transition.before.status is not BreakerStatus.TRIGGERED,
        )

    def _record_locked(self, transition: Transition) -> Transition:
        details = {**transition.details, "enforced": False}
        transition = replace(transition, details=details)
        if self._store is not None:
            try:
                transition = self._store.record(transition)
            except StoreError:
                logger.exception("an event of the switched-off breaker could not be recorded")
        self._state = transition.after
        return transition

    def _apply(self, rule: Rule) -> BreakerSnapshot:
        """Store and publish the transition that ``rule`` makes of the stored state, if any.

        What ``rule`` raises passes through and changes nothing; a StoreError trips first.
        """
        try:
            with self._lock:
                self._apply_locked(rule)
        except StoreError as error:
            self._trip_for_store(error)
            raise
        self._notifier.deliver()
        return self._snapshot

    def _apply_locked(self, rule: Rule) -> None:
        if not self._enforcing:
            transition = rule(self._state)
            if transition is not None:
                self._record_locked(transition)
            return
        self._flush_pending_locked()
        previous, own = self._snapshot, self._state

        def decide(row: BreakerState | None) -> Transition | None:
            if row is None:
                raise StoreCorruptError("the breaker's state vanished from the store")
            return rule(self._base(row, own))

        transition = self._require_store().apply(decide, self._config)
        if transition is not None:
            self._publish_locked(transition.after)
            self._notifier.enqueue(previous, self._snapshot)

    def _flush_pending_locked(self) -> None:
        """Store the trip that could not be stored before. Raises StoreError when it still fails."""
        pending = self._pending_trip
        if pending is None:
            return

        def decide(row: BreakerState | None) -> Transition:
            if row is None:
                return pending
            epoch = max(pending.after.epoch, row.epoch + 1)
            return replace(pending, before=row, after=replace(pending.after, epoch=epoch))

        previous = self._snapshot
        stored = self._require_store().apply(decide, self._config)
        self._pending_trip = None
        if stored is not None:
            self._publish_locked(stored.after)
            self._notifier.enqueue(previous, self._snapshot)

    def _store_pending_trip(self, now_ms: int) -> None:
        """Try again, every few seconds, to store a trip that only memory holds."""
        if self._pending_trip is None or now_ms < self._retry_store_at_ms:
            return
        try:
            with self._lock:
                self._flush_pending_locked()
        except StoreError as error:
            self._retry_store_at_ms = now_ms + RETRY_STORE_AFTER_MS
            logger.error("the store still fails: %s", error)
        else:
            self._notifier.deliver()

    def _adopt(self, stored: BreakerState) -> bool:
        """Make another process's newer state ours; a halt goes through the barriers first."""
        halts = stored.size_multiplier(self._config) <= 0
        if halts:
            self._block.begin_trip()
        try:
            if halts:
                run_barriers(self._barriers)
            with self._lock:
                newer = self._pending_trip is None and stored.revision > self._state.revision
                if newer:
                    previous = self._snapshot
                    self._publish_locked(stored)
                    self._notifier.enqueue(previous, self._snapshot)
        finally:
            if halts:
                self._block.end_trip()
        self._notifier.deliver()
        return newer

    def _base(self, row: BreakerState | None, own: BreakerState) -> BreakerState:
        """The state to decide on: the stored one, unless ours is a trip that it lacks."""
        if row is None:
            return replace(own, latch=Latch.MANUAL)
        if self._pending_trip is not None:
            return replace(own, epoch=max(own.epoch, row.epoch), revision=row.revision)
        return row

    def _require_store(self) -> BreakerStore:
        if self._store is None:
            raise StoreError(self._store_problem)
        return self._store

    def _publish_locked(self, state: BreakerState) -> None:
        self._state = state
        self._show_locked(state.snapshot(self._config))

    def _show_locked(self, snapshot: BreakerSnapshot) -> None:
        """Make ``snapshot`` what this process and the workers read."""
        self._snapshot = snapshot
        self._block.publish(not snapshot.allows_entries)
        if self._record is not None:
            self._record.write(snapshot)


def _with_evidence(transition: Transition, seen: Seen) -> Transition:
    details, market = seen()
    return replace(transition, details={**details, **transition.details}, market=market)


def _held_in_memory(transition: Transition, error: Exception) -> Transition:
    cause = f"store: {error}"
    after = transition.after
    causes = after.causes if cause in after.causes else (*after.causes, cause)
    return replace(transition, after=replace(after, latch=Latch.MANUAL, causes=causes))
