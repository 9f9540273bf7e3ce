"""The market engine: one call per trade, everything the core knows about prices."""

from __future__ import annotations

from collections.abc import Iterable

from trading.clock import Clock
from trading.events import EventBus
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.market.recovery import RecoveryFacts
from trading.model.market import Bar, Tick
from trading.model.metrics import MarketSnapshot, SymbolStats


class MarketEngine:
    """Windows, detectors and health of all watched pairs. Synchronous, one thread.

    Publishes ``SpikeDetected`` and ``CrashDetected`` on the bus from within ``on_tick`` and
    ``advance``.
    """

    def __init__(
        self,
        market: MarketConfig,
        spikes: SpikeDetectionConfig,
        crash: CrashDetectionConfig,
        clock: Clock,
        bus: EventBus,
        *,
        tick_gap_ms: int = 0,
    ) -> None: ...

    def on_tick(self, tick: Tick) -> None:
        """Take one trade. Trades of pairs that are not watched are ignored."""
        raise NotImplementedError

    def on_bar_history(self, symbol: str, bars: Iterable[Bar]) -> None:
        """Backfill one-minute bars, before or after the first ticks; minutes with ticks win."""
        raise NotImplementedError

    def advance(self, now_ms: int) -> MarketSnapshot:
        """Once a second of market time: health, index, breadth, volume spikes, snapshot."""
        raise NotImplementedError

    def snapshot(self) -> MarketSnapshot:
        """Metrics as of now."""
        raise NotImplementedError

    def symbol_stats(self, symbol: str) -> SymbolStats:
        """Raises MarketDataError for a pair that is not watched or has no trade yet."""
        raise NotImplementedError

    def last_price(self, symbol: str) -> float | None:
        raise NotImplementedError

    def bars(self, symbol: str, limit: int = 60) -> tuple[Bar, ...]:
        """The last one-minute bars, oldest first; the last one may still be open."""
        raise NotImplementedError

    def recovery_facts(self) -> RecoveryFacts:
        raise NotImplementedError

    def max_fall_last(self, minutes: int) -> float:
        """Largest fall of BTC or ETH within the last ``minutes``, in %."""
        raise NotImplementedError

    @property
    def active_breaches(self) -> tuple[str, ...]:
        """Names of the rules whose hard limit is breached and not yet re-armed."""
        raise NotImplementedError

    @property
    def feed_age_ms(self) -> int | None:
        """Market time since the last trade of any pair; None before the first."""
        raise NotImplementedError
