"""The market engine by its definitions: streams of trades, and a look at all of them each time.

Streams are random and adversarial: equal times, late trades, plateaus, impossible values, gaps of
hours, jumps that the filter holds back, prices of a hundred-millionth and of billions, and readers
after every trade, at any moment or never.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from trading.clock import VirtualClock
from trading.events import CrashDetected, EventBus, SpikeDetected
from trading.market.config import (
    BreadthConfig,
    CrashDetectionConfig,
    MarketConfig,
    SpikeDetectionConfig,
)
from trading.market.engine import MarketEngine
from trading.market.tick_filter import TickFilter
from trading.market.windows import ONE_HOUR, READY_AFTER_MS, SPANS_MS, WINDOW_NAMES
from trading.model.market import Tick

START_MS = 1_700_000_040_000
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
FIRST_PRICES = dict(zip(SYMBOLS, (100.0, 3.7e9, 1.3e-8), strict=True))
CRASH = CrashDetectionConfig(breadth=BreadthConfig(fall_pct=2.0, share=0.6, min_pairs=2))
SPIKES = SpikeDetectionConfig(
    min_confidence=0.0,
    min_z_score=0.0,
    cooldown_s=60,
    min_notional_usd=0.0,
    price_min_volume_multiple=1.0,
    volume_multiple=3.0,
    volume_min_move_share=0.5,
)

# Every condition of a spike may be the one that is wanting.
CHOOSY = SPIKES.model_copy(
    update={
        "min_confidence": 0.55,
        "min_z_score": 3.0,
        "min_notional_usd": 1_500.0,
        "price_min_volume_multiple": 2.0,
    }
)

# symbol, pause before it in ms, lateness in ms, move in ‰ of the last price, quantity
EVENTS = st.lists(
    st.tuples(
        st.integers(0, len(SYMBOLS) - 1),
        st.one_of(
            st.integers(0, 2_000),
            st.sampled_from([0, 0, 0, 1, 60_000, 300_000, 3_600_000, 14_400_000, 90_000_000]),
        ),
        st.one_of(st.just(0), st.just(0), st.integers(0, 70_000)),
        st.one_of(
            st.integers(-30, 30).map(float),
            st.sampled_from([0.0, 0.0, -150.0, 180.0, math.nan, -1000.0, math.inf, -2000.0]),
        ),
        st.one_of(st.floats(0.0, 50.0), st.sampled_from([0.0, 1e6, math.nan, -1.0, math.inf])),
    ),
    min_size=1,
    max_size=60,
)
Event = tuple[int, int, int, float, float]


class Reference:
    """One pair by the definitions: a list of its accepted trades, and a filter of its own."""

    def __init__(self) -> None:
        self.filter = TickFilter(CRASH)
        self.trades: list[tuple[int, float, float]] = []

    def take(self, time_ms: int, price: float, quantity: float, now_ms: int) -> None:
        if not (0 < price < math.inf and 0 <= quantity < math.inf):
            self.filter.note_bad(now_ms)
            return
        accepted = [(time_ms, price, quantity)]
        if self.trades:
            last_ms, last, _ = self.trades[-1]
            accepted = self.filter.judge(last, last_ms, time_ms, price, quantity)
        for at_ms, *rest in accepted:
            latest_ms = self.trades[-1][0] if self.trades else at_ms
            self.trades.append((max(at_ms, latest_ms), *rest))

    def window(self, span_ms: int, now_ms: int) -> dict[str, float]:
        inside = [trade for trade in self.trades if trade[0] > now_ms - span_ms]
        prices = [price for _, price, _ in inside or self.trades[-1:]]
        high, last = max(prices), prices[-1]
        return {
            "high": high,
            "low": min(prices),
            "return_pct": (last / prices[0] - 1.0) * 100.0,
            "drawdown_pct": (high - last) / high * 100.0,
            "volume": math.fsum(quantity for _, _, quantity in inside),
        }

    def is_falling(self, now_ms: int) -> bool:
        return self.window(SPANS_MS[ONE_HOUR], now_ms)["drawdown_pct"] >= CRASH.breadth.fall_pct

    def is_tracked(self, now_ms: int) -> bool:
        last_ms = self.trades[-1][0]
        return (
            last_ms - self.trades[0][0] >= READY_AFTER_MS[ONE_HOUR]
            and now_ms - last_ms < SPANS_MS[ONE_HOUR]
            and not self.filter.is_insane(now_ms)
        )


def make_engine(
    spikes: SpikeDetectionConfig = SPIKES,
) -> tuple[MarketEngine, VirtualClock, list[str]]:
    clock, bus, seen = VirtualClock(START_MS), EventBus(), []
    bus.subscribe(SpikeDetected, lambda event: seen.append(f"{event.spike.id} {clock.now_ms()}"))
    bus.subscribe(CrashDetected, lambda event: seen.append(f"{event.rule} {clock.now_ms()}"))
    engine = MarketEngine(MarketConfig(symbols=SYMBOLS), spikes, CRASH, clock, bus)
    return engine, clock, seen


def ticks(events: list[Event], clock: VirtualClock) -> Iterator[Tick]:
    """The trades that the events describe, with the clock at the moment of each."""
    prices = dict(FIRST_PRICES)
    for which, pause_ms, late_ms, move, quantity in events:
        symbol = SYMBOLS[which]
        clock.advance_to(clock.now_ms() + pause_ms)
        price = prices[symbol] * (1.0 + move / 1000.0)
        if 0 < price < math.inf and abs(move) <= 30:  # far jumps are one-off: bad or refuted
            prices[symbol] = price
        yield Tick(symbol, price, quantity, clock.now_ms() - late_ms)


def check_windows(events: list[Event], reads: list[bool]) -> None:
    """Compare every figure of every window at the moments in ``reads``, and at the end."""
    engine, clock, _ = make_engine()
    references = {symbol: Reference() for symbol in SYMBOLS}
    for number, tick in enumerate(ticks(events, clock)):
        engine.on_tick(tick)
        references[tick.symbol].take(tick.time_ms, tick.price, tick.quantity, clock.now_ms())
        if number < len(reads) and reads[number]:
            _compare_windows(engine, references, clock.now_ms())
    _compare_windows(engine, references, clock.now_ms())


def _compare_windows(engine: MarketEngine, references: dict[str, Reference], now_ms: int) -> None:
    for symbol, reference in references.items():
        if not reference.trades:
            assert engine.last_price(symbol) is None
            continue
        assert engine.last_price(symbol) == reference.trades[-1][1]
        stats = engine.symbol_stats(symbol)
        for name, span_ms in zip(WINDOW_NAMES, SPANS_MS, strict=True):
            window, expected = stats.windows[name], reference.window(span_ms, now_ms)
            assert (window.high, window.low) == (expected["high"], expected["low"])
            assert window.return_pct == expected["return_pct"]
            assert window.drawdown_pct == expected["drawdown_pct"]
            assert window.volume == pytest.approx(expected["volume"], rel=1e-6, abs=1e-3)


def check_breadth(events: list[Event], every: int) -> None:
    engine, clock, _ = make_engine()
    references = {symbol: Reference() for symbol in SYMBOLS}
    # An hour known, so that pairs count: a trade each, and one forty minutes later.
    calm = [(which, pause, 0, 0.0, 1.0) for pause in (0, 2_400_000) for which in range(3)]
    for number, tick in enumerate(ticks([*calm, *events], clock)):
        engine.on_tick(tick)
        references[tick.symbol].take(tick.time_ms, tick.price, tick.quantity, clock.now_ms())
        if number % every == 0:
            now_ms = clock.now_ms()
            snapshot = engine.advance(now_ms)
            tracked = [one for one in references.values() if one.trades and one.is_tracked(now_ms)]
            assert snapshot.breadth_tracked == len(tracked)
            # Pairs that do not trade are looked at once a minute: until then a fall may stand on.
            traded = tick.symbol
            state = engine._states[traded]
            if references[traded].trades:
                assert state.is_falling == references[traded].is_falling(now_ms)
