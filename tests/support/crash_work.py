"""Work over one store for a process that will be killed: the breaker's and the journal's at once.

Each step is announced before it is begun and acknowledged only after it has returned.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from trading.clock import VirtualClock
from trading.errors import DecisionRejectedError, TradingHaltedError
from trading.execution import journal as journal_module
from trading.execution.journal import Journal, client_order_id, intent_hash
from trading.model.breaker import Actor, BreakerSnapshot, BreakerStatus, Latch, Quiet
from trading.model.metrics import MarketSnapshot, Metric
from trading.model.order import (
    Fill,
    OrderPurpose,
    OrderRequest,
    OrderStatus,
    OrderType,
    Position,
    Side,
    TimeInForce,
)
from trading.risk import breaker_store as breaker_store_module
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.breaker_state import RecoveryInputs
from trading.risk.circuit_breaker import CircuitBreaker
from trading.storage.config import StorageConfig
from trading.storage.database import open_database, translated_errors
from trading.storage.file_watch import FileWatch
from trading.storage.order_repository import OrderRecord
from trading.storage.position_repository import PositionRow

Say = Callable[..., None]
MINUTE_MS = 60_000
VENUE = "sim"
SYMBOL = "BTCUSDT"


def state_of(breaker: CircuitBreaker) -> dict[str, Any]:
    """What is compared after a restart."""
    full = breaker.get_full_state()
    return {key: full[key] for key in ("revision", "status", "epoch", "latch", "stage")}


def calm_facts(now_ms: int, epoch: int) -> RecoveryInputs:
    """Facts under which nothing stands in the way of a recovery."""
    metric = Metric(name="btc_drawdown_1h", value=1.5, hard_limit=15, soft_limit=9)
    market = MarketSnapshot(time_ms=now_ms, metrics=(metric,), prices={SYMBOL: 50_000.0})
    return RecoveryInputs(
        market=market,
        further_fall_30m_pct=0,
        btc_regained_share=1,
        flat_minutes=60,
        volume_share_of_normal=1,
        unknown_orders=0,
        reconciled=True,
        quiet=Quiet(epoch=epoch),
        healthy=True,
    )


class BreakerWork:
    """Trips, warnings, recoveries and clears, each from the state that it finds."""

    def __init__(
        self, breaker: CircuitBreaker, clock: VirtualClock, rng: random.Random, say: Say
    ) -> None:
        self._breaker = breaker
        self._clock = clock
        self._rng = rng
        self._say = say

    def step(self) -> None:
        snapshot = self._breaker.snapshot
        name = self._rng.choice(_STEPS[snapshot.status])
        if name == "release" and snapshot.latch is Latch.NONE:
            name = "clear"
        self._say(will=name)
        getattr(self, name)(snapshot)
        self._say(did=name, state=state_of(self._breaker))

    def trip(self, snapshot: BreakerSnapshot) -> None:
        receipt = self._breaker.trigger("fall", {"n": 1}, actor=self._rng.choice(list(Actor)))
        assert receipt.epoch == snapshot.epoch + 1

    def warn(self, snapshot: BreakerSnapshot) -> None:
        self._breaker.set_warning("early sign", actor=Actor.LLM)

    def release(self, snapshot: BreakerSnapshot) -> None:
        self._breaker.clear(actor=Actor.OPERATOR, reason="looked", epoch=snapshot.epoch)

    def clear(self, snapshot: BreakerSnapshot) -> None:
        self._breaker.clear(actor=Actor.OPERATOR, reason="go", epoch=snapshot.epoch, force=True)

    def advance(self, snapshot: BreakerSnapshot) -> None:
        """Whatever the passing of time makes due: a warning's end, a recovery, its next stage."""
        now_ms = self._clock.now_ms() + 10 * MINUTE_MS
        if snapshot.status is BreakerStatus.TRIGGERED:
            now_ms = max(now_ms, snapshot.cooldown_until_ms or 0)
        self._clock.advance_to(now_ms)
        self._breaker.advance(now_ms, calm_facts(now_ms, snapshot.epoch))


_STEPS = {
    BreakerStatus.SAFE: ("trip", "trip", "warn"),
    BreakerStatus.WARNING: ("trip", "advance", "clear"),
    BreakerStatus.TRIGGERED: ("trip", "advance", "release", "release", "clear"),
    BreakerStatus.RECOVERING: ("advance", "advance", "advance", "trip", "clear"),
}


class JournalWork:
    """Entries, their outcomes and fills; refused while the breaker halts."""

    def __init__(
        self, journal: Journal, breaker: CircuitBreaker, rng: random.Random, say: Say, name: str
    ) -> None:
        self._journal = journal
        self._breaker = breaker
        self._rng = rng
        self._say = say
        self._name = name
        self._open: list[OrderRecord] = []
        self._number = 0

    def step(self) -> None:
        choice = self._rng.choice(("entry", "entry", "answer", "fill"))
        if choice == "entry" or not self._open:
            self._entry()
        elif choice == "answer":
            self._answer(self._rng.randrange(len(self._open)))
        else:
            self._fill(self._open.pop(self._rng.randrange(len(self._open))))

    def _entry(self) -> None:
        self._number += 1
        record = entry(f"{self._name}-{self._number}", self._breaker.snapshot.epoch)
        self._say(order=record.id, will="PENDING")
        try:
            self._journal.open_entry(record)
        except (TradingHaltedError, DecisionRejectedError):
            self._say(order=record.id, refused=True)
            return
        self._say(order=record.id, did="PENDING")
        self._open.append(record)

    def _answer(self, index: int) -> None:
        status = self._rng.choice((OrderStatus.NEW, OrderStatus.UNKNOWN, OrderStatus.REJECTED))
        record = replace(self._open[index], status=status, reason="answered")
        self._say(order=record.id, will=status)
        self._journal.write("an answer", partial(self._journal.orders.update, record))
        self._say(order=record.id, did=status)
        if status.is_final:
            self._open.pop(index)
        else:
            self._open[index] = record

    def _fill(self, record: OrderRecord) -> None:
        filled = replace(
            record,
            status=OrderStatus.FILLED,
            filled_quantity=record.request.quantity,
            filled_notional=Decimal(500),
        )
        self._say(order=record.id, will="FILLED")
        self._journal.write(
            "a fill",
            partial(self._journal.orders.update, filled),
            partial(self._journal.fills.add, fill_of(record)),
            partial(self._journal.positions.save, position_of(record), record.created_at_ms),
        )
        self._say(order=record.id, did="FILLED")


def entry(name: str, epoch: int) -> OrderRecord:
    """A journalled intent named ``name``."""
    digest = intent_hash({"name": name})
    # One position a symbol and millisecond: the number of the entry makes its moment.
    at_ms = 1_700_000_000_000 + int(digest[:12], 16) % 10**12
    return OrderRecord(
        request=OrderRequest(
            client_order_id=client_order_id(digest),
            symbol=SYMBOL,
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Decimal("0.01"),
            limit_price=Decimal(50_000),
            time_in_force=TimeInForce.GTC,
            purpose=OrderPurpose.ENTRY,
        ),
        intent_hash=digest,
        epoch=epoch,
        created_at_ms=at_ms,
        updated_at_ms=at_ms,
        reserved_notional=Decimal(500),
    )


def fill_of(record: OrderRecord) -> Fill:
    return Fill(
        trade_id=f"t-{record.id}",
        client_order_id=record.id,
        symbol=record.symbol,
        side=Side.BUY,
        price=Decimal(50_000),
        quantity=record.request.quantity,
        fee=Decimal("0.1"),
        fee_asset="USDT",
        is_maker=False,
        time_ms=record.created_at_ms,
    )


def position_of(record: OrderRecord) -> PositionRow:
    quantity = record.request.quantity
    position = Position(
        symbol=record.symbol,
        quantity=quantity,
        average_entry_price=Decimal(50_000),
        opened_at_ms=record.created_at_ms,
    )
    return PositionRow(record.id, position, quantity, Decimal(500), Decimal(0), Decimal(0))


class AnswersBeforeTheCommit:
    """The mutant: a transaction returns before its COMMIT, which comes some milliseconds later."""

    BEHIND_S = 0.005

    def __init__(self) -> None:
        self._waiting: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    @contextmanager
    def transaction(self, connection: sqlite3.Connection, what: str) -> Iterator[Any]:
        with self._lock, translated_errors(what):
            if self._waiting is not None:
                time.sleep(self.BEHIND_S)
                self._waiting.execute("COMMIT")
                self._waiting = None
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            self._waiting = connection

    def install(self) -> None:
        for module in (breaker_store_module, journal_module):
            module.transaction = self.transaction  # type: ignore[attr-defined]
        # A look at the files would miss what was not written.
        FileWatch.require_whole = lambda self: None  # type: ignore[method-assign]


def main(task: dict[str, Any], say: Say) -> None:
    """Work until killed. ``task``: store, seed, now_ms, and whether to be the mutant."""
    if task["answers_early"]:
        AnswersBeforeTheCommit().install()
    storage = StorageConfig(path=Path(task["store"]))
    clock = VirtualClock(task["now_ms"])
    breaker = CircuitBreaker.open(CircuitBreakerConfig(), clock, storage)
    journal = Journal(open_database(storage), VENUE, on_failure=lambda _: None)
    seed = task["seed"]
    say(ready=True, state=state_of(breaker))
    orders = JournalWork(journal, breaker, random.Random(seed + 1), say, str(seed))
    threading.Thread(target=_for_ever, args=(orders.step,), daemon=True).start()
    _for_ever(BreakerWork(breaker, clock, random.Random(seed), say).step)


def _for_ever(step: Callable[[], None]) -> None:
    while True:
        step()
