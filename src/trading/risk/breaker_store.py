"""The breaker's durable memory: its state row and its events, written in one transaction."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from pydantic_core import to_json

from trading.clock import Clock, iso
from trading.errors import StoreCorruptError, StoreError
from trading.model.breaker import Actor, BreakerStatus
from trading.model.metrics import MarketSnapshot
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_rows import BreakerRows
from trading.risk.breaker_state import BreakerState, EventKind, Transition, initial_state
from trading.storage.audit_anchor import AuditAnchor
from trading.storage.audit_chain import AuditHead
from trading.storage.audit_log import append_audit
from trading.storage.breaker_event_repository import (
    TRIP_KINDS,
    BreakerEventRow,
    EventFigures,
)
from trading.storage.config import StorageConfig
from trading.storage.database import (
    create_database,
    open_database,
    transaction,
    translated_errors,
)
from trading.storage.file_watch import FileWatch

# A core's other connections move the log into the store at SQLite's 1,000 pages, so that no trip
# has to.
_CHECKPOINT_PAGES = 4_000

Decide = Callable[[BreakerState | None], Transition | None]

_EVENT_STATUS = {
    BreakerStatus.TRIGGERED: "triggered",
    BreakerStatus.RECOVERING: "recovering",
    BreakerStatus.SAFE: "cleared",
    BreakerStatus.WARNING: "cleared",
}

_WRITE_STATE = """
INSERT INTO breaker_state (id, revision, status, epoch, latch, stage, causes, reason, actor,
    changed_at, changed_at_ms, triggered_at_ms, cooldown_until_ms, stage_entered_at_ms, llm_only,
    trip_times_ms, event_id, size_multiplier)
VALUES (1, :revision, :status, :epoch, :latch, :stage, :causes, :reason, :actor, :changed_at,
    :changed_at_ms, :triggered_at_ms, :cooldown_until_ms, :stage_entered_at_ms, :llm_only,
    :trip_times_ms, :event_id, :size_multiplier)
ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, status = excluded.status,
    epoch = excluded.epoch, latch = excluded.latch, stage = excluded.stage,
    causes = excluded.causes, reason = excluded.reason, actor = excluded.actor,
    changed_at = excluded.changed_at, changed_at_ms = excluded.changed_at_ms,
    triggered_at_ms = excluded.triggered_at_ms, cooldown_until_ms = excluded.cooldown_until_ms,
    stage_entered_at_ms = excluded.stage_entered_at_ms, llm_only = excluded.llm_only,
    trip_times_ms = excluded.trip_times_ms, event_id = excluded.event_id,
    size_multiplier = excluded.size_multiplier
"""


def create_store(config: StorageConfig, clock: Clock) -> bool:
    """Create an empty store whose breaker is SAFE; False when there is one already.

    The head record of a store that was there before goes into the new one's audit log.
    """
    state = initial_state(clock.now_ms())
    anchor = AuditAnchor(config.path)
    heads: list[AuditHead] = []

    def seed(connection: sqlite3.Connection) -> None:
        _write_state(connection, state, CircuitBreakerConfig())
        payload = {"head_record_before": _noted_before(anchor)}
        heads.append(append_audit(connection, "store", "created", payload, state.changed_at_ms))

    created = create_database(config, seed)
    if created:
        anchor.write(heads[-1])
    return created


class BreakerStore(BreakerRows):
    """One connection, used under the breaker's lock.

    A file that was deleted, replaced or cut under the connection takes writes that nobody will
    ever read again, so the store and its write-ahead log are looked at before every use.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Raises StoreError when the files of the store cannot be watched."""
        super().__init__(connection)
        self._files = FileWatch(connection, path)
        self._data_version = -1

    @classmethod
    def open(cls, config: StorageConfig, *, check: bool = True) -> BreakerStore:
        """Open the existing store durably and make sure that it takes a trip.

        ``check`` reads the whole file for damage. Raises StoreError and its subclasses.
        """
        connection = open_database(config, durable=True, check=check)
        try:
            # SQLite leaves out an UPDATE that changes nothing. These reach the log, whose first
            # bytes, and whose name in the folder, cost fsyncs of their own: no trip pays for them.
            with transaction(connection, f"writing to the store {config.path}"):
                connection.execute("UPDATE breaker_state SET revision = revision + 1")
                connection.execute("UPDATE breaker_state SET revision = revision - 1")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            store = cls(connection, config.path)
            store.rehearse_trip()
            return store
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        self._connection.close()
        self._files.close()

    def rehearse_trip(self) -> None:
        """Write all that a trip writes, and take it back.

        Whatever refuses it does so now, and the first real one finds its statements compiled, which
        takes longer than its commit. Raises StoreError.
        """
        before = initial_state(0)
        after = replace(before, status=BreakerStatus.TRIGGERED, epoch=1)
        trip = Transition("trip", before, after, Actor.SYSTEM, "rehearsal", 0)
        what = "rehearsing a trip"
        with suppress(_TakenBackError), transaction(self._connection, what):
            with suppress(StoreCorruptError):
                self._read_state()
            _write_state(self._connection, self._write_event(trip).after, CircuitBreakerConfig())
            raise _TakenBackError

    def load_if_changed(self, revision: int) -> BreakerState | None:
        """The stored state when another connection stored a revision other than ``revision``.

        Costs one PRAGMA while nobody else writes. Raises like ``load``.
        """
        self._files.require_whole()
        with translated_errors("reading the breaker state", self._connection):
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._data_version:
            return None
        state = self.load()
        self._data_version = version
        return state if state.revision != revision else None

    def apply(self, decide: Decide, config: CircuitBreakerConfig) -> Transition | None:
        """Read the state, let ``decide`` make a transition of it, and store both in one go.

        ``decide`` gets None where the row is missing or unreadable. What it raises passes through
        and nothing is stored; None stores nothing. Raises StoreError when SQLite refuses.
        """
        self._files.require_whole()
        with transaction(self._connection, "storing the breaker state"):
            try:
                stored = self._read_state()
            except StoreCorruptError:
                stored = None
            transition = decide(stored)
            if transition is None:
                return None
            revision = stored.revision if stored is not None else transition.before.revision
            after = replace(transition.after, revision=revision + 1)
            written = self._write_event(_as_stored(replace(transition, after=after), stored))
            transition = replace(transition, after=written.after)
            _write_state(self._connection, transition.after, config)
        self._files.require_whole()  # from here on the log must have it
        return transition

    def record(self, transition: Transition) -> Transition:
        """Store only the event, for a breaker that is switched off."""
        with transaction(self._connection, "recording a breaker event"):
            return self._write_event(transition)

    def update_event(self, event_id: int, **figures: Unpack[EventFigures]) -> None:
        """Fill in what became known after a transition; see ``BreakerEventRepository.update``."""
        with transaction(self._connection, "updating a breaker event"):
            self.events.update(event_id, **figures)

    def note_quiescent(self, event_id: int, epoch: int, now_ms: int) -> int:
        """See ``BreakerEventRepository.note_quiescent``."""
        with transaction(self._connection, "noting that a trip came to rest"):
            return self.events.note_quiescent(event_id, epoch, now_ms)

    def _write_event(self, transition: Transition) -> Transition:
        episode_id = transition.before.event_id
        if transition.kind in TRIP_KINDS and episode_id is None:
            transition = replace(transition, kind="trip")
        elif transition.kind == "trip":
            episode_id = None
        event_id = self.events.insert(_event_row(transition, episode_id))
        if transition.kind == "trip":
            return replace(transition, after=replace(transition.after, event_id=event_id))
        if episode_id is None:
            return transition
        if transition.kind == "recovery":
            self.events.mark_recovering(episode_id, transition.now_ms, transition.conditions)
        elif transition.kind == "relapse":
            self.events.mark_triggered(episode_id)
        elif transition.kind == "clear":
            override = bool(transition.details.get("override"))
            note = f"override by operator: {transition.reason}" if override else ""
            self.events.mark_cleared(episode_id, transition.now_ms, note)
        return transition


class _TakenBackError(Exception):
    """Ends a transaction that was never meant to stay."""


def _noted_before(anchor: AuditAnchor) -> str | None:
    try:
        return str(anchor.read() or "") or None
    except StoreError as error:
        return str(error)


def _as_stored(transition: Transition, stored: BreakerState | None) -> Transition:
    """A trip as it follows from the stored state: trips that memory alone held left no row."""
    if stored is None or transition.kind not in TRIP_KINDS:
        return transition
    kind: EventKind = "trip"
    if stored.status is BreakerStatus.TRIGGERED:
        kind = "retrip"
    elif stored.status is BreakerStatus.RECOVERING:
        kind = "relapse"
    after = replace(transition.after, event_id=stored.event_id)
    return replace(transition, kind=kind, before=stored, after=after)


def _write_state(
    connection: sqlite3.Connection, state: BreakerState, config: CircuitBreakerConfig
) -> None:
    connection.execute(
        _WRITE_STATE,
        {
            "revision": state.revision,
            "status": state.status.value,
            "epoch": state.epoch,
            "latch": state.latch.value,
            "stage": state.stage,
            "causes": json.dumps(state.causes),
            "reason": state.reason,
            "actor": state.actor.value,
            "changed_at": iso(state.changed_at_ms),
            "changed_at_ms": state.changed_at_ms,
            "triggered_at_ms": state.triggered_at_ms,
            "cooldown_until_ms": state.cooldown_until_ms,
            "stage_entered_at_ms": state.stage_entered_at_ms,
            "llm_only": int(state.llm_only),
            "trip_times_ms": json.dumps(state.trip_times_ms),
            "event_id": state.event_id,
            "size_multiplier": state.size_multiplier(config),
        },
    )


def _event_row(transition: Transition, episode_id: int | None) -> BreakerEventRow:
    market = transition.market
    details = transition.details
    return BreakerEventRow(
        time_ms=transition.now_ms,
        kind=transition.kind,
        epoch=transition.after.epoch,
        from_status=transition.before.status.value,
        to_status=transition.after.status.value,
        actor=transition.actor.value,
        reason=transition.reason,
        trigger_type=transition.actor.value if transition.kind in TRIP_KINDS else transition.kind,
        status=_EVENT_STATUS[transition.after.status],
        rule=transition.rule,
        episode_id=episode_id,
        btc_price=_price(market, "BTC"),
        eth_price=_price(market, "ETH"),
        btc_drop_pct=_largest(market, "btc_drawdown"),
        eth_drop_pct=_largest(market, "eth_drawdown"),
        market_cap_drop_pct=_largest(market, "market_index"),
        liquidations_1h=_number(details.get("liquidations_1h_usd")),
        fear_greed_index=_index(details.get("fear_greed_index")),
        details=details,
        # Not by way of a dictionary: with hundreds of prices a halt would wait for that.
        market_snapshot=to_json(market).decode() if market is not None else None,
    )


def _number(value: object) -> float | None:
    """A finite number for a column of its own; whatever else was claimed stays in the details."""
    if not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _index(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value <= 100 else None


def _price(market: MarketSnapshot | None, asset: str) -> float | None:
    if market is None:
        return None
    # The shortest name: BTCUSDT, and not BTCDOMUSDT.
    pair = min((name for name in market.prices if name.startswith(asset)), key=len, default=None)
    return None if pair is None else market.prices[pair]


def _largest(market: MarketSnapshot | None, prefix: str) -> float | None:
    if market is None:
        return None
    values = [m.value for m in market.metrics if m.ready and m.name.startswith(prefix)]
    return max(values, default=None)
