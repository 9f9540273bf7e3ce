"""A market engine with a clock in the test's hands."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from trading.clock import VirtualClock
from trading.events import CrashDetected, EventBus, SpikeDetected
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.market.engine import MarketEngine
from trading.model.market import Bar, Tick
from trading.model.metrics import MarketSnapshot
from trading.model.spike import Spike

START_MS = 1_700_000_040_000  # on a minute


class Rig:
    """Feeds an engine trade by trade and keeps what it publishes."""

    def __init__(
        self,
        market: MarketConfig,
        spikes: SpikeDetectionConfig | None = None,
        crash: CrashDetectionConfig | None = None,
    ) -> None:
        self.start_ms = START_MS
        self.clock = VirtualClock(START_MS)
        bus = EventBus()
        self.engine = MarketEngine(
            market,
            spikes or SpikeDetectionConfig(),
            crash or CrashDetectionConfig(),
            self.clock,
            bus,
        )
        self.crashes: list[CrashDetected] = []
        self.spikes: list[Spike] = []
        bus.subscribe(CrashDetected, self.crashes.append)
        bus.subscribe(SpikeDetected, lambda event: self.spikes.append(event.spike))

    @property
    def rules(self) -> list[str]:
        return [crash.rule for crash in self.crashes]

    def trade(self, symbol: str, price: float, after_ms: int = 100, quantity: float = 1.0) -> None:
        self.clock.advance_to(self.clock.now_ms() + after_ms)
        self.engine.on_tick(Tick(symbol, price, quantity, self.clock.now_ms()))

    def second(self) -> MarketSnapshot:
        self.clock.advance_to(self.clock.now_ms() + 1000)
        return self.engine.advance(self.clock.now_ms())

    def calm(
        self,
        prices: dict[str, float],
        minutes: int = 300,
        volume: float = 60.0,
        wobble: float = 2e-4,
    ) -> None:
        """History that ends at these prices, with a little movement so that deviations exist."""
        for symbol, price in prices.items():
            self.engine.on_bar_history(
                symbol, calm_bars(symbol, price, self.start_ms, minutes, volume, wobble)
            )


def calm_bars(
    symbol: str, price: float, end_ms: int, minutes: int, volume: float, wobble: float
) -> Iterable[Bar]:
    for index in range(minutes, 0, -1):
        low, high = price * (1 - wobble), price * (1 + wobble)
        opened, closed = (low, high) if index % 2 else (high, low)
        yield Bar(symbol, end_ms - index * 60_000, 60_000, opened, high, low, closed, volume)


@pytest.fixture
def make_rig() -> Callable[..., Rig]:
    """Rigs over the named pairs, BTC and ETH by default."""

    def make(
        symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"),
        spikes: SpikeDetectionConfig | None = None,
        crash: CrashDetectionConfig | None = None,
    ) -> Rig:
        return Rig(MarketConfig(symbols=symbols), spikes, crash)

    return make
