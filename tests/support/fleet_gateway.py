"""A gateway of a fleet in a process of its own: real breaker, gate and ``FleetHalt``, and senders
that send entries to a recorder as fast as they are let.

It obeys commands from its pipe and tells of every change of its breaker, with the time of the
kernel's real-time clock, whatever its own wall clock has been set to.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import socket
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import sqlite_utils  # noqa: F401 - making a store imports it; here once for all children
from fleet_mutants import MUTANTS, set_wall_clock

from trading.clock import SystemClock, VirtualClock
from trading.errors import (
    DecisionRejectedError,
    StaleEpochError,
    TradingHaltedError,
)
from trading.execution.gate import Gate, GateIntent
from trading.execution.journal import Journal
from trading.execution.shared_halt import SharedHalt
from trading.model.breaker import Actor, Quiet
from trading.model.metrics import MarketSnapshot, Metric
from trading.model.order import OrderPurpose
from trading.risk import redis_member
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_state import RecoveryInputs
from trading.risk.breaker_store import create_store
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.redis_config import RedisConfig
from trading.risk.redis_fleet import FleetHalt
from trading.risk.redis_lease import steady_ns
from trading.storage.config import StorageConfig
from trading.storage.database import open_database

SENDERS = 2
BETWEEN_ENTRIES_S = 0.001
"""Between two entries of one sender."""


@dataclass(frozen=True)
class Spec:
    """What one gateway is started with."""

    name: str
    store: Path
    redis_port: int
    recorder: tuple[str, int]
    lease_ms: int
    renew_interval_ms: int
    timeout_ms: int
    wire_ms: int
    unlisted_lease_ms: int
    mutant: str | None = None


def real_ns() -> int:
    """The kernel's real-time clock, which stamps what arrives at the recorder."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME)


class Gateway:
    """The child's end."""

    def __init__(self, spec: Spec, pipe: Connection) -> None:
        self._spec = spec
        self._pipe = pipe
        self._pipe_lock = threading.Lock()
        self._clock = VirtualClock(SystemClock().now_ms())  # market time: moves when told to
        storage = StorageConfig(path=spec.store)
        create_store(storage, self._clock)
        self._breaker = CircuitBreaker.open(
            CircuitBreakerConfig(max_trips_24h=100), self._clock, storage, check=False
        )
        config = RedisConfig(
            port=spec.redis_port,
            instance=spec.name,
            lease_ms=spec.lease_ms,
            renew_interval_ms=spec.renew_interval_ms,
            timeout_ms=spec.timeout_ms,
        )
        self._fleet = FleetHalt(config, self._breaker, storage, self._clock, wire_ms=spec.wire_ms)
        journal = Journal(open_database(storage, check=False), "venue", on_failure=lambda _: None)
        self._gate = Gate(
            entries_blocked=lambda: self._breaker.entries_blocked,
            epoch=lambda: self._breaker.snapshot.epoch,
            now_ms=self._clock.now_ms,
            data_fresh=lambda: True,
            positions_trusted=lambda _: True,
            elsewhere=SharedHalt(journal, self._breaker.send_fence, self._fleet.clearance),
        )
        self._breaker.add_trip_listener(lambda: self._gate.close_and_wait(5_000))
        self._stop_in_hand_at_ms: int | None = None
        self._numbers = itertools.count()

    def run(self) -> None:
        self._fleet.connect()
        threading.Thread(target=self._tell_changes, daemon=True).start()
        for _ in range(SENDERS):
            threading.Thread(target=self._send_on, daemon=True).start()
        self._say(ready=True)
        while True:
            try:
                command, arguments = self._pipe.recv()
            except EOFError:
                return
            self._say(done=command, **getattr(self, f"do_{command}")(**arguments))

    # Commands. -------------------------------------------------------------------------------

    def do_trip(self, reason: str) -> dict[str, Any]:
        began_ns = real_ns()
        receipt = self._breaker.trigger(reason, actor=Actor.RULE)
        returned_ns = real_ns()
        return {
            "returned_ns": returned_ns,
            "took_ms": (returned_ns - began_ns) / 1e6,
            "in_flight": receipt.in_flight,
            "unconfirmed": receipt.unconfirmed,
        }

    def do_clear(self) -> dict[str, Any]:
        """An operator's forced clear, where there is something to clear."""
        snapshot = self._breaker.snapshot
        if snapshot.is_active:
            with contextlib.suppress(StaleEpochError):  # a further trip came first
                self._breaker.clear(
                    actor=Actor.OPERATOR, reason="test", epoch=snapshot.epoch, force=True
                )
        return {}

    def do_state(self) -> dict[str, Any]:
        snapshot = self._breaker.snapshot
        return {
            "status": snapshot.status.value,
            "reason": snapshot.reason,
            "epoch": snapshot.epoch,
            "clearance": self._fleet.clearance(),
            "halted_elsewhere": self._fleet.halted_elsewhere(),
        }

    def do_let_market_time_pass(self, minutes: float) -> dict[str, Any]:
        """The guard's round in a calm market, at its beginning and at its end."""
        self._advance()
        self._clock.advance_to(self._clock.now_ms() + int(minutes * 60_000))
        self._advance()
        return {"status": self._breaker.snapshot.status.value}

    def do_set_wall_clock(self, step_s: float) -> dict[str, Any]:
        set_wall_clock(step_s)
        return {}

    def do_stop_in_hand(self, before_lease_end_ms: int) -> dict[str, Any]:
        """Stop with a signed and permitted entry in hand, that near the end of the lease."""
        self._stop_in_hand_at_ms = before_lease_end_ms
        return {}

    def do_leave(self) -> dict[str, Any]:
        self._fleet.stop()
        return {}

    # Inside. ---------------------------------------------------------------------------------

    def _advance(self) -> None:
        market = MarketSnapshot(
            time_ms=self._clock.now_ms(),
            metrics=(Metric(name="btc_drawdown_1h", value=1, hard_limit=15, soft_limit=9),),
            prices={"BTCUSDT": 50_000.0},
        )
        facts = RecoveryInputs(
            market=market,
            further_fall_30m_pct=0.0,
            btc_regained_share=1.0,
            flat_minutes=60.0,
            volume_share_of_normal=1.0,
            unknown_orders=0,
            reconciled=True,
            quiet=Quiet(epoch=self._breaker.snapshot.epoch),
            healthy=True,
            halted_elsewhere=self._fleet.halted_elsewhere(),
        )
        self._breaker.advance(self._clock.now_ms(), facts)

    def _send_on(self) -> None:
        wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        wire.connect(self._spec.recorder)
        while True:
            self._send(wire, f"{self._spec.name}-{next(self._numbers)}")
            time.sleep(BETWEEN_ENTRIES_S)

    def _send(self, wire: socket.socket, name: str) -> None:
        epoch = self._breaker.snapshot.epoch
        try:
            permit = self._gate.enter(GateIntent(name, "BTCUSDT", OrderPurpose.ENTRY, epoch))
        except (TradingHaltedError, DecisionRejectedError):
            return
        try:
            signed = f"{name}@{real_ns()}"
            permit.leave()
            self._maybe_stop()
            wire.send(signed.encode())
            permit.away()
        except TradingHaltedError:
            pass
        finally:
            permit.done()

    def _maybe_stop(self) -> None:
        """Between the last check and the wire: the worst moment there is."""
        before_ms = self._stop_in_hand_at_ms
        if before_ms is None:
            return
        left_ms = (self._fleet._member.fresh_until_ns - steady_ns()) / 1e6
        if left_ms <= before_ms:
            self._stop_in_hand_at_ms = None
            # To this thread: the process stops before the call returns, not soon after.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    def _tell_changes(self) -> None:
        status = None
        while True:
            snapshot = self._breaker.snapshot
            if snapshot.status is not status:
                status = snapshot.status
                self._say(changed=status.value, reason=snapshot.reason, at_ns=real_ns())
            time.sleep(0.002)

    def _say(self, **message: Any) -> None:
        with self._pipe_lock:
            self._pipe.send(message)


def main(spec: Spec, pipe: Connection) -> None:
    """The child process."""
    logging.disable()
    redis_member.MAX_LEASE_MS = spec.unlisted_lease_ms
    if spec.mutant:
        MUTANTS[spec.mutant]()
    Gateway(spec, pipe).run()
    os._exit(0)
