"""One pass over a recorded market: the whole core on a virtual clock, in this process.

The core's coroutines run on the loop of a thread; the driver hands it one group of simultaneous
ticks at a time and waits. Nothing moves in between, so a crew that runs on the driver's thread
sees the market stand still, and the same input gives the same trace.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from crews.replay.report import Trip
from crews.replay.trace import Trace, TracingClient
from trading.clock import VirtualClock, iso
from trading.events import BreakerChanged, EventBus, FillReceived, PositionChanged
from trading.exchange.in_process import InProcessVenue
from trading.model.breaker import BreakerSnapshot, BreakerStatus
from trading.model.market import Tick
from trading.model.order import OrderType, Side
from trading.node.assembly import Surroundings, assemble
from trading.node.config import NodeConfig
from trading.node.core import TradingCore
from trading.node.order_thread import SameLoop
from trading.risk.breaker_store import create_store
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.instruments import list_market
from trading.simulator.market_source import MarketSource
from trading.simulator.orders import NewOrder, SimOrder

T = TypeVar("T")
GUARD_INTERVAL_MS = 1_000
EQUITY_INTERVAL_MS = 60_000
ORDER_STEP_TIMEOUT_S = 60.0


class RecordingExchange(SimulatedExchange):
    """Counts at the exchange itself what arrives, and what the breaker said at that moment."""

    breaker_now: BreakerSnapshot | None = None
    orders_sent = 0
    entries_sent = 0
    entries_while_halted = 0

    def submit(self, account_id: str, order: NewOrder, *, test_only: bool = False) -> SimOrder:
        self.orders_sent += 1
        is_entry = order.side is Side.BUY and order.type in (
            OrderType.MARKET,
            OrderType.LIMIT,
            OrderType.LIMIT_MAKER,
        )
        if is_entry:
            self.entries_sent += 1
            if self.breaker_now is not None and not self.breaker_now.allows_entries:
                self.entries_while_halted += 1
        return super().submit(account_id, order, test_only=test_only)


@dataclass(slots=True)
class Tally:
    """What a pass counted."""

    ticks: int = 0
    fills: int = 0
    trades_closed: int = 0
    halted_ms: int = 0
    peak_equity: Decimal = Decimal(0)
    max_drawdown_pct: float = 0.0
    trips: list[Trip] = field(default_factory=list)


class World:
    """The core, its exchange and its clock for one pass. A context manager."""

    def __init__(self, config: NodeConfig, source: MarketSource, store: Path) -> None:
        """``store`` is made anew."""
        storage = config.storage.model_copy(update={"path": store})
        self._config = config.model_copy(update={"storage": storage})
        self._source = source
        self.clock = VirtualClock(source.start_ms)
        self.trace = Trace()
        self.tally = Tally()
        self._bus = EventBus()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="core", daemon=True)
        self._last_guard_ms = 0
        self._last_equity_ms = 0
        self._halted_since_ms: int | None = None

    def __enter__(self) -> Self:
        create_store(self._config.storage, self.clock)
        self._thread.start()
        self.run(self._build())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run one step on the core's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(ORDER_STEP_TIMEOUT_S)

    async def _build(self) -> None:
        listed, history = list_market(self._source)
        instruments = {instrument.symbol: instrument for instrument in listed}
        symbols = tuple(instruments)
        market = self._config.market.model_copy(update={"symbols": symbols})
        config = self._config.model_copy(update={"market": market})
        self.exchange = RecordingExchange(config.simulator, listed, self.clock)
        for symbol, bars in history.items():
            self.exchange.load_history(symbol, bars)
        self.venue = InProcessVenue(
            self.exchange, self.clock, balances=config.simulator.initial_balances
        )
        self.trace.listen(self._bus)
        self._bus.subscribe(FillReceived, self._on_fill)
        self._bus.subscribe(PositionChanged, self._on_position)
        self._bus.subscribe(BreakerChanged, self._on_breaker)
        await self.venue.client.connect()
        self.core = assemble(
            config,
            Surroundings(
                clock=self.clock,
                wait_clock=self.clock,
                bus=self._bus,
                client=self.venue.client,
                instruments=instruments,
                orders=SameLoop(),
                tick_gap_ms=self._source.tick_gap_ms,
                inline_records=True,
                record=None,
            ),
        )
        self.exchange.breaker_now = self.core.parts.breaker.snapshot
        for symbol, bars in history.items():
            self.core.parts.market.on_bar_history(symbol, bars)
        self.venue.feed.attach(symbols, _Listener(self.core))
        self.venue.user_stream.attach(self.core.parts.execution.on_report)
        await self.core.parts.execution.start()
        self.equity_start = (await self.core.portfolio()).equity
        self.tally.peak_equity = self.equity_start
        self.client = TracingClient(self.core, self._loop, timeout_s=ORDER_STEP_TIMEOUT_S)
        self.client.trace = self.trace

    def step(self, now_ms: int, ticks: Iterable[Tick]) -> None:
        """All ticks of one moment, then the timed duties."""
        self.run(self._step(now_ms, ticks))

    async def _step(self, now_ms: int, ticks: Iterable[Tick]) -> None:
        parts = self.core.parts
        self.clock.advance_to(now_ms)
        for tick in ticks:
            self.tally.ticks += 1
            self.venue.push_tick(tick)
            if parts.execution.has_pending_work:
                await parts.execution.settle()
        if now_ms - self._last_guard_ms >= GUARD_INTERVAL_MS:
            self._last_guard_ms = now_ms
            parts.guard.advance(now_ms)
            parts.spikes.advance()
            parts.hindsight.advance(now_ms)
            parts.performance.advance(now_ms)
        await parts.execution.advance(now_ms)
        if parts.execution.has_pending_work:
            await parts.execution.settle()
        if now_ms - self._last_equity_ms >= EQUITY_INTERVAL_MS:
            self._last_equity_ms = now_ms
            self._note_equity((await self.core.portfolio()).equity)

    def equity(self) -> Decimal:
        """Equity now, open positions at the last price."""
        return self.run(self.core.portfolio()).equity

    def _note_equity(self, equity: Decimal) -> None:
        tally = self.tally
        tally.peak_equity = max(tally.peak_equity, equity)
        drawdown = float((tally.peak_equity - equity) / tally.peak_equity * 100)
        tally.max_drawdown_pct = max(tally.max_drawdown_pct, drawdown)

    def _on_fill(self, _: FillReceived) -> None:
        self.tally.fills += 1

    def _on_position(self, event: PositionChanged) -> None:
        self.tally.trades_closed += event.closed

    def _on_breaker(self, event: BreakerChanged) -> None:
        self.exchange.breaker_now = event.current
        now_ms = self.clock.now_ms()
        if event.current.status is BreakerStatus.TRIGGERED:
            if event.current.epoch != event.previous.epoch:
                self._note_trip(event.current, now_ms)
            if self._halted_since_ms is None:
                self._halted_since_ms = now_ms
        elif self._halted_since_ms is not None:
            self.tally.halted_ms += now_ms - self._halted_since_ms
            self._halted_since_ms = None

    def _note_trip(self, snapshot: BreakerSnapshot, now_ms: int) -> None:
        info = self.core.parts.breaker.get_trigger_info() or {}
        self.tally.trips.append(
            Trip(
                at=iso(now_ms),
                reason=snapshot.reason,
                rule=info.get("rule"),
                actor=snapshot.actor.value,
                epoch=snapshot.epoch,
            )
        )

    async def _end(self) -> None:
        if self._halted_since_ms is not None:
            self.tally.halted_ms += self.clock.now_ms() - self._halted_since_ms
            self._halted_since_ms = None
        core = getattr(self, "core", None)
        if core is not None:
            await core.parts.execution.stop(cancel_entries=False)
            core.parts.performance.roll_up(self.clock.now_ms())
            core.parts.records.close()
            core.parts.breaker.close()


class _Listener:
    """Ticks of the in-process feed go to the market engine."""

    def __init__(self, core: TradingCore) -> None:
        self._market = core.parts.market

    def on_tick(self, tick: Tick) -> None:
        self._market.on_tick(tick)

    def on_feed_connected(self) -> None:
        """Nothing is lost here."""

    def on_feed_lost(self, reason: str) -> None:
        """Nothing is lost here."""
