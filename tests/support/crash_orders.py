"""One entry on its way to a served exchange, stopped at a named point, to be killed there."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from calm_market import calm
from spikes import rising_spike
from zygote import stop_here

from trading.clock import SystemClock
from trading.events import EventBus
from trading.exchange.binance.adapter import BinanceClient
from trading.exchange.config import ExchangeConfig
from trading.exchange.credentials import ApiCredentials
from trading.execution.config import ExecutionConfig
from trading.execution.desk import OrderDesk
from trading.execution.gate import SendPermit
from trading.execution.journal import Journal
from trading.execution.protector import Protector
from trading.execution.service import ExecutionService
from trading.model.decision import TradeProposal
from trading.model.market import Instrument
from trading.model.order import OrderPurpose, OrderReport, Side
from trading.model.spike import Spike
from trading.risk.breaker_config import CircuitBreakerConfig
from trading.risk.circuit_breaker import CircuitBreaker
from trading.risk.risk_config import RiskConfig
from trading.storage.config import StorageConfig

PRICE = 10_000.0
SYMBOL = "BTCUSDT"
GRACE_MS = 1_000  # after which two "not found" answers are a rejection
Stop = Callable[..., Any]


class OrderPath:
    """A breaker and an order path over one store, against one exchange."""

    def __init__(
        self,
        store: Path,
        exchange: ExchangeConfig,
        credentials: ApiCredentials,
        instrument: Instrument,
    ) -> None:
        clock = SystemClock()
        storage = StorageConfig(path=store)
        self.breaker = CircuitBreaker.open(CircuitBreakerConfig(), clock, storage)
        self.client = BinanceClient(exchange, credentials, clock)
        self.service = ExecutionService(
            client=self.client,
            breaker=self.breaker,
            breaker_config=CircuitBreakerConfig(),
            clock=clock,
            bus=EventBus(),
            risk=RiskConfig(),
            execution=ExecutionConfig(
                not_found_grace_ms=GRACE_MS, unknown_query_interval_ms=50, stop_retry_ms=50
            ),
            storage=storage,
            price=lambda symbol: PRICE if symbol == SYMBOL else None,
            instruments={SYMBOL: instrument},
            data_fresh=lambda: True,
            conditions=calm,
        )

    async def __aenter__(self) -> OrderPath:
        await self.client.connect()
        await self.service.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.service.stop(cancel_entries=False)
        await self.client.close()
        self.breaker.close()


def spike() -> Spike:
    """The one that is entered."""
    return rising_spike("spk-1", SYMBOL, SystemClock().now_ms(), PRICE)


def proposal(epoch: int) -> TradeProposal:
    """What a crew proposes for the spike, again and again."""
    now_ms = SystemClock().now_ms()
    return TradeProposal(
        spike_id="spk-1",
        symbol=SYMBOL,
        notional=Decimal(100),
        stop_loss_pct=2.0,
        take_profit_pct=4.0,
        confidence=0.9,
        epoch=epoch,
        decided_at_ms=now_ms,
        deadline_ms=now_ms + 30_000,
        reasoning="",
    )


# The points. Statements are traced by SQLite before they run.


def before_the_row(path: OrderPath, stop: Stop) -> None:
    trace(path, stop, "INSERT INTO orders")


def before_the_row_is_committed(path: OrderPath, stop: Stop) -> None:
    trace(path, stop, "INSERT INTO orders", "COMMIT")


def committed_before_the_gate(path: OrderPath, stop: Stop) -> None:
    OrderDesk.send = stop  # type: ignore[method-assign]


def admitted_before_the_wire(path: OrderPath, stop: Stop) -> None:
    on_wire(OrderPurpose.ENTRY, stop)


def on_the_wire(path: OrderPath, stop: Stop) -> None:
    SendPermit.away = stop  # type: ignore[method-assign]


def answered_before_the_outcome(path: OrderPath, stop: Stop) -> None:
    answered(Side.BUY, stop)


def between_outcome_and_position(path: OrderPath, stop: Stop) -> None:
    trace(path, stop, "UPDATE orders", "INSERT INTO positions")


def before_the_outcome_is_committed(path: OrderPath, stop: Stop) -> None:
    trace(path, stop, "INSERT INTO positions", "COMMIT")


def filled_before_its_stop(path: OrderPath, stop: Stop) -> None:
    Protector.ensure = stop  # type: ignore[method-assign]


def stop_before_the_wire(path: OrderPath, stop: Stop) -> None:
    on_wire(OrderPurpose.PROTECTIVE_STOP, stop)


def stop_answered_before_the_outcome(path: OrderPath, stop: Stop) -> None:
    answered(Side.SELL, stop)


def after_the_answer(path: OrderPath, stop: Stop) -> None:
    """Nothing on the way: the child stops there anyway."""


def trace(path: OrderPath, stop: Stop, *statements: str) -> None:
    """Stop before the last of ``statements``, once the others have come, in that order."""
    waiting = list(statements)

    def seen(sql: str) -> None:
        if sql.lstrip().startswith(waiting[0]):
            if len(waiting) == 1:
                stop()
            waiting.pop(0)

    connection: sqlite3.Connection = path.service._parts.journal._connection
    connection.set_trace_callback(seen)


def on_wire(purpose: OrderPurpose, stop: Stop) -> None:
    pass_on = SendPermit.on_wire

    def maybe_stop(permit: SendPermit) -> None:
        if permit.intent.purpose is purpose:
            stop()
        pass_on(permit)

    SendPermit.on_wire = maybe_stop  # type: ignore[method-assign]


def answered(side: Side, stop: Stop) -> None:
    absorb = OrderDesk.absorb

    def maybe_stop(desk: OrderDesk, report: OrderReport) -> Any:
        return stop() if report.side is side else absorb(desk, report)

    OrderDesk.absorb = maybe_stop  # type: ignore[method-assign]


def main(task: dict[str, Any], say: Callable[..., None]) -> None:
    """``task``: store, exchange, key, secret, instrument, point, and whether to be the mutant."""
    if task["journals_afterwards"]:
        # The mutant keeps an order in memory until it is answered.
        Journal.open_entry = lambda *_: None  # type: ignore[method-assign]
    asyncio.run(_enter(task, say))


async def _enter(task: dict[str, Any], say: Callable[..., None]) -> None:
    path = OrderPath(
        Path(task["store"]),
        ExchangeConfig.model_validate(task["exchange"]),
        ApiCredentials.model_validate({"key": task["key"], "secret": task["secret"]}),
        Instrument.model_validate(task["instrument"]),
    )
    async with path:

        def stop(*_: object) -> None:
            stop_here(say, task["point"])

        globals()[task["point"]](path, stop)
        result = await path.service.propose(proposal(path.breaker.snapshot.epoch))
        say(did=result.outcome, reason=result.reason)
        stop()
