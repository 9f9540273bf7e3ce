"""A gateway in a process of its own, for races between processes that share a store.

``gateway_process.py STORE HOST PORT NAME MODE`` journals entries and sends them to the recorder at
HOST:PORT, one after the other, until its standard input ends. MODE: ``sound``; ``unfenced`` (the
mutant: the journal's transaction alone obeys the others); ``held-before-fence`` and
``held-in-fence`` stop once, just there, until a line arrives on standard input.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from wire_recorder import Wire

from trading.clock import SystemClock
from trading.errors import DecisionRejectedError, StoreError, TradingHaltedError
from trading.execution.gate import Gate, GateIntent
from trading.execution.journal import Journal, client_order_id, intent_hash
from trading.execution.shared_halt import SharedHalt, always_clear
from trading.model.order import (
    OrderPurpose,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig
from trading.storage.database import open_database
from trading.storage.order_repository import OrderRecord

REFRESH_S = 0.005
GAPS_S = (0.0, 0.000_5, 0.002, 0.005)
NOW_MS = 1_760_000_000_000


class Unfenced:
    """Asks nobody at the wire."""

    def enter(self, epoch: int) -> None:
        pass

    def leave(self) -> None:
        pass


class Gateway:
    def __init__(self, storage: StorageConfig, wire: Wire, name: str, mode: str) -> None:
        self.breaker = CircuitBreaker.open(
            CircuitBreakerConfig(), SystemClock(), storage, check=False
        )
        self.name, self.mode, self.wire = name, mode, wire
        self.journal = Journal(
            open_database(storage, check=False), f"venue-{name}", on_failure=lambda _: None
        )
        shared = SharedHalt(self.journal, self.breaker.send_fence, always_clear)
        self.gate = Gate(
            entries_blocked=lambda: self.breaker.entries_blocked,
            epoch=lambda: self.breaker.snapshot.epoch,
            now_ms=lambda: NOW_MS,
            data_fresh=lambda: True,
            positions_trusted=lambda _: True,
            elsewhere=Unfenced() if mode == "unfenced" else shared,
        )
        self.breaker.add_trip_listener(lambda: self.gate.close_and_wait(5_000))

    def entry(self, number: int) -> OrderRecord:
        digest = intent_hash({"name": self.name, "number": str(number)})
        return OrderRecord(
            request=OrderRequest(
                client_order_id=client_order_id(digest),
                symbol="BTCUSDT",
                side=Side.BUY,
                type=OrderType.LIMIT,
                quantity=Decimal("0.001"),
                limit_price=Decimal(10_000),
                time_in_force=TimeInForce.GTC,
                purpose=OrderPurpose.ENTRY,
            ),
            intent_hash=digest,
            epoch=self.breaker.snapshot.epoch,
            created_at_ms=NOW_MS,
            updated_at_ms=NOW_MS,
        )

    def send(self, number: int) -> None:
        record = self.entry(number)
        self.journal.open_entry(record)
        permit = self.gate.enter(GateIntent(record.id, record.symbol, record.purpose, record.epoch))
        try:
            time.sleep(GAPS_S[number % len(GAPS_S)])
            self.hold("held-before-fence", record.id)
            permit.leave()
            self.hold("held-in-fence", record.id)
            self.wire.send(record.id)
            permit.away()
        finally:
            permit.done()
            done = replace(record, status=OrderStatus.CANCELED)
            self.journal.write("done", lambda: self.journal.orders.update(done))

    def hold(self, where: str, order_id: str) -> None:
        if self.mode == where:
            self.mode = "sound"
            say(f"held {order_id}")
            sys.stdin.readline()

    def keep_up(self) -> None:
        while True:
            self.breaker.refresh()
            time.sleep(REFRESH_S)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    store, host, port, name, mode = sys.argv[1:]
    storage = StorageConfig(path=Path(store))
    gateway = Gateway(storage, Wire((host, int(port))), name, mode)
    threading.Thread(target=gateway.keep_up, daemon=True).start()
    say("ready")
    sys.stdin.readline()
    if mode.startswith("held"):
        try:
            gateway.send(0)
        except TradingHaltedError as error:
            say(f"refused {error}")
        else:
            say("sent")
        return
    over = threading.Event()

    def until_the_end() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=until_the_end, daemon=True).start()
    for number in itertools.count():
        if over.is_set():
            return
        try:
            gateway.send(number)
        except (TradingHaltedError, DecisionRejectedError, StoreError):
            time.sleep(0.001)


if __name__ == "__main__":
    main()
