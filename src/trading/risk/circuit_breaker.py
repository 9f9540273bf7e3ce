"""The circuit breaker: one object that knows whether entries may be sent, and proves it durable.

What a trip does, in this order:

1. ``entries_blocked`` becomes true: a plain attribute, set without waiting for anything. While it
   is judged whether the market has crashed it is so already (``entry_hold``).
2. The trip barriers run (the gate waits, bounded, for sends in flight to reach the wire).
3. Every reader in this process and, by the shared record, in the workers sees TRIGGERED.
4. The new epoch is committed durably, with what was seen at the trip.
5. Subscribers are told, outside the lock.
6. The trip fences run: they wait, bounded, for processes that share the store, and for gateways on
   other machines, to stop sending. ``trigger`` returns.

Tightening is visible before it is durable, easing only after it is durable. One lock guards
transitions and the connection; no foreign code runs under it. When the store fails, the breaker is
TRIGGERED with the MANUAL latch in memory, and stores that as soon as the store works again.

Several processes may share a store: a transition is decided on the stored state, under SQLite's
write lock, and ``refresh`` adopts what others have stored.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from typing import Any

from trading.clock import Clock
from trading.errors import BreakerError, StoreError
from trading.model.breaker import (
    Actor,
    BreakerSnapshot,
    BreakerStatus,
    TripReceipt,
)
from trading.model.metrics import MarketSnapshot
from trading.model.once import Once
from trading.risk import breaker_rules as rules
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_duties import due_transition, is_calm
from trading.risk.breaker_listeners import ChangeListener, TripBarrier, TripFence
from trading.risk.breaker_recovery import soft_breach
from trading.risk.breaker_reports import BreakerReports
from trading.risk.breaker_state import BreakerState, RecoveryInputs, Transition
from trading.risk.breaker_store import BreakerStore
from trading.risk.shared_record import SharedRecordWriter
from trading.storage.config import StorageConfig
from trading.storage.send_fence import SendFence

logger = logging.getLogger(__name__)


class CircuitBreaker(BreakerReports):
    """Thread-safe; every method may be called from any thread, also from a change listener."""

    _calm_since_ms: int | None = None  # since when all metrics have allowed a warning to end

    @classmethod
    def open(
        cls,
        config: CircuitBreakerConfig,
        clock: Clock,
        storage: StorageConfig,
        *,
        record: SharedRecordWriter | None = None,
        check: bool = True,
    ) -> CircuitBreaker:
        """The breaker over the store at ``storage.path``.

        A missing or unreadable store gives a breaker that is TRIGGERED with the MANUAL latch, in
        memory; it never raises StoreError. ``check`` reads the whole file for damage first. A trip
        that ``record`` has of the last run, and the store has not, is taken up with the latch.
        """
        last_run = record.take_over(storage.path) if record is not None else None
        try:
            store = BreakerStore.open(storage, check=check)
            fence = SendFence(storage.path)
        except StoreError as error:
            logger.critical("the breaker has no store and halts: %s", error)
            return cls(
                config, clock, None, record=record, store_problem=str(error), last_run=last_run
            )
        return cls(config, clock, store, record=record, fence=fence, last_run=last_run)

    # Reading: no lock, no I/O.

    @property
    def snapshot(self) -> BreakerSnapshot:
        """The state at this moment; immutable, one attribute read."""
        return self._snapshot

    @property
    def entries_blocked(self) -> bool:
        """Whether no risk-increasing order may be sent; true from the first step of a trip on."""
        return self._block.blocked

    @property
    def entry_hold(self) -> AbstractContextManager[object]:
        """A context in which entries are blocked: for what may trip in a moment, or turn out well.

        Any number of callers may be in it at once.
        """
        return self._block if self._enforcing else nullcontext()

    @property
    def enforcing(self) -> bool:
        """False when switched off by configuration: trips are recorded and nothing is halted."""
        return self._enforcing

    def get_status(self) -> BreakerStatus:
        return self._snapshot.status

    def is_active(self) -> bool:
        """Whether the breaker halts or is still easing back."""
        return self._snapshot.is_active

    def is_safe(self) -> bool:
        """Whether the status is SAFE and no trip is under way. WARNING is not safe."""
        return self._snapshot.status is BreakerStatus.SAFE and not self._block.blocked

    @property
    def send_fence(self) -> SendFence | None:
        """Where this process's senders announce themselves; None without a store."""
        return self._fence

    # Tightening.

    def trigger(
        self,
        reason: str,
        details: dict[str, Any] | None = None,
        market_snapshot: MarketSnapshot | None = None,
        *,
        actor: Actor = Actor.RULE,
        rule: str | None = None,
        latch: bool = False,
        evidence: Callable[[], tuple[dict[str, Any], MarketSnapshot]] | None = None,
    ) -> TripReceipt:
        """Halt. Never refused and never raises for a failing store.

        After it returns no new risk-increasing order leaves through a gate that is registered
        with ``add_trip_listener``. Without a ``market_snapshot`` that of the last ``advance`` is
        recorded. ``evidence`` makes details and snapshot once entries are blocked; when it fails,
        the trip goes on without them. ``latch`` sets the MANUAL latch, as an operator's trip always
        does: for the daily-loss floor, unexplained differences and damaged stores.
        """
        now_ms = self._clock.now_ms()
        # Half a surrogate pair, as JSON may carry it, fits neither the store nor the record.
        reason = reason.encode(errors="replace").decode()
        rule = rule.encode(errors="replace").decode() if rule is not None else None
        if market_snapshot is None and self._facts is not None:
            market_snapshot = self._facts.market

        def make(
            state: BreakerState, in_flight: tuple[str, ...], errors: tuple[str, ...]
        ) -> Transition:
            known: dict[str, Any] = {}
            if in_flight:
                known["in_flight"] = list(in_flight)
            if errors:
                known["barrier_errors"] = list(errors)
            return rules.trip(
                state,
                self._config,
                now_ms,
                actor=actor,
                reason=reason,
                rule=rule,
                details=known,
                latch=latch,
            )

        seen = Once(lambda: _seen(evidence, details or {}, market_snapshot))
        run = self._run_trip if self._enforcing else self._record_trip
        receipt = run(make, seen)
        logger.warning("tripped by %s: %s (epoch %d)", rule or actor, reason, receipt.epoch)
        if receipt.unconfirmed:
            logger.critical("might still send: %s", ", ".join(receipt.unconfirmed))
        return receipt

    def set_warning(
        self,
        reason: str,
        details: dict[str, Any] | None = None,
        *,
        actor: Actor,
        market_snapshot: MarketSnapshot | None = None,
    ) -> BreakerSnapshot:
        """SAFE → WARNING; while the warning stands, it starts its easing time anew.

        Raises:
            IllegalTransitionError: while halted.
            StoreError: the store failed; the breaker has tripped.
        """
        now_ms = self._clock.now_ms()
        self._calm_since_ms = None
        return self._apply(
            lambda state: rules.warn(
                state,
                now_ms,
                actor=actor,
                reason=reason,
                details=details,
                market=market_snapshot,
            )
        )

    # Easing.

    def start_recovery(
        self, *, actor: Actor, reason: str, epoch: int | None = None
    ) -> BreakerSnapshot:
        """TRIGGERED → RECOVERING stage 0, judged by the facts of the last ``advance``.

        An operator must echo the current ``epoch``.

        Raises:
            IllegalTransitionError: not from here, not by this actor, or something blocks it.
            StaleEpochError: ``epoch`` is not the current one.
            StoreError: the store failed; the breaker has tripped.
        """
        now_ms = self._clock.now_ms()
        return self._apply(
            lambda state: rules.start_recovery(
                state, self._config, self._facts, now_ms, actor=actor, reason=reason, epoch=epoch
            )
        )

    def clear(
        self,
        capital_saved: Decimal | None = None,
        *,
        actor: Actor,
        reason: str,
        epoch: int,
        force: bool = False,
        false_alarm: bool = False,
    ) -> BreakerSnapshot:
        """Release the MANUAL latch (operator), finish a recovery (rule), or force SAFE (operator).

        ``capital_saved`` goes into the episode's row, and ``false_alarm`` marks it as a false trip.

        Raises:
            IllegalTransitionError: no such edge for this actor and state.
            StaleEpochError: ``epoch`` is not the current one.
            StoreError: the store failed; the breaker has tripped.
        """
        now_ms = self._clock.now_ms()
        event_id = self._state.event_id
        snapshot = self._apply(
            lambda state: rules.clear(
                state, self._config, now_ms, actor=actor, reason=reason, epoch=epoch, force=force
            )
        )
        if event_id is not None and (capital_saved is not None or false_alarm):
            self.update_event(event_id, capital_saved=capital_saved, false_trigger=false_alarm)
        return snapshot

    # Duties of the clock and of other processes.

    def advance(self, now_ms: int, facts: RecoveryInputs) -> BreakerSnapshot:
        """Apply every transition that time and ``facts`` make due; about once a second.

        WARNING on and off, TRIGGERED → RECOVERING, one recovery stage up, RECOVERING → TRIGGERED
        on a soft breach. Also reads what other processes stored, and stores a trip that the store
        refused before. Never raises for a failing store: that is a trip.
        """
        self._facts = facts
        self.beat(now_ms)
        self.refresh()
        self._store_pending_trip(now_ms)
        state = self._state
        if state.status is BreakerStatus.RECOVERING:
            breach = soft_breach(self._config, facts)
            if breach is not None:
                reason = f"recovery broken: {breach}"
                self.trigger(reason, market_snapshot=facts.market, rule="soft_breach")
                return self._snapshot
        if not is_calm(self._config, facts):
            self._calm_since_ms = None
        elif self._calm_since_ms is None:
            self._calm_since_ms = now_ms
        self._apply_due(now_ms, facts)
        return self._snapshot

    def _apply_due(self, now_ms: int, facts: RecoveryInputs) -> None:
        calm_since_ms = self._calm_since_ms

        def due(state: BreakerState) -> Transition | None:
            return due_transition(state, self._config, now_ms, facts, calm_since_ms)

        if due(self._state) is None:
            return
        try:
            self._apply(due)
        except StoreError:
            logger.exception("the store failed under a transition; the breaker holds")

    def beat(self, now_ms: int) -> None:
        """Tell the workers that the core is alive; call it several times within their time-out."""
        if self._record is not None:
            self._record.beat(now_ms)

    def refresh(self) -> bool:
        """Adopt what another process stored; True when the state changed.

        Costs one PRAGMA while nobody else writes. An adopted trip goes through the barriers like
        one of our own.
        """
        store = self._store
        if store is None or not self._enforcing:
            return False
        try:
            with self._lock:
                stored = store.load_if_changed(self._state.revision)
        except StoreError as error:
            self._trip_for_store(error)
            return True
        return stored is not None and self._adopt(stored)

    # Listeners.

    def add_trip_listener(self, before_commit: TripBarrier) -> None:
        """Have ``before_commit`` called by every trip after entries are blocked and before the
        commit. It waits, bounded, for sends in flight and returns their client order ids."""
        self._barriers = (*self._barriers, before_commit)

    def add_trip_fence(self, after_commit: TripFence) -> None:
        """Have ``after_commit(snapshot)`` called by every trip after its commit and before it
        returns. It waits, bounded, until others have stopped sending, and names those that it
        could not confirm; they are the receipt's ``unconfirmed``."""
        self._fences = (*self._fences, after_commit)

    def subscribe(self, listener: ChangeListener) -> None:
        """Have ``listener(previous, current)`` called after every stored change, in order.

        It is called outside the lock on the thread of whoever delivers, and may call back.
        """
        self._notifier.subscribe(listener)

    def close(self) -> None:
        """Close the store's connection and stop the heart of the shared record."""
        with self._lock:
            if self._store is not None:
                self._store.close()
            if self._fence is not None:
                self._fence.close()
            if self._record is not None:
                self._record.close()


_installed: CircuitBreaker | None = None
_install_lock = threading.Lock()


def install_circuit_breaker(breaker: CircuitBreaker | None) -> None:
    """Make ``breaker`` this process's breaker; None removes it (for tests)."""
    global _installed
    with _install_lock:
        _installed = breaker


def get_circuit_breaker_state() -> CircuitBreaker:
    """This process's breaker. Raises BreakerError before one is installed."""
    breaker = _installed
    if breaker is None:
        raise BreakerError("no circuit breaker is installed in this process")
    return breaker


def _seen(
    evidence: Callable[[], tuple[dict[str, Any], MarketSnapshot]] | None,
    details: dict[str, Any],
    market: MarketSnapshot | None,
) -> tuple[dict[str, Any], MarketSnapshot | None]:
    if evidence is None:
        return details, market
    try:
        return evidence()
    except Exception:  # whatever fails in describing a crash, the halt goes on
        logger.exception("what was seen at the trip could not be put together")
        return details, market
