"""The market engine: one call per trade, everything the core knows about prices."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from trading.clock import MINUTE_MS, Clock
from trading.errors import MarketDataError
from trading.events import CrashDetected, EventBus, SpikeDetected
from trading.market.backfill import merge_history
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.market.crash_detector import Breach, CrashDetector
from trading.market.market_index import MarketIndex
from trading.market.recovery import RecoveryFacts, measure_recovery
from trading.market.spike_detector import SpikeDetector
from trading.market.symbol_state import SymbolState
from trading.market.windows import FOUR_HOURS, ONE_HOUR, SPANS_MS, WINDOW_MINUTES
from trading.model.market import Bar, Tick
from trading.model.metrics import MarketSnapshot, SymbolStats
from trading.model.spike import Spike

_INFINITY = float("inf")
# A pair that has just spiked trades many times a minute, however quiet it is otherwise.
ENTRY_PRICE_MAX_AGE_MS = 60_000
log = logging.getLogger(__name__)


class MarketEngine:
    """Windows, detectors and health of all watched pairs. Synchronous, one thread.

    Publishes ``SpikeDetected`` and ``CrashDetected`` on the bus from within ``on_tick`` and
    ``advance``. ``tick_gap_ms`` is the pause between trades that is normal for the source; it is
    added to the time after which data counts as stale.
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
    ) -> None:
        self._market = market
        self._crash_config = crash
        self._clock = clock
        self._bus = bus
        self._stale_after_ms = crash.stale_after_ms + tick_gap_ms
        self._entry_price_max_age_ms = ENTRY_PRICE_MAX_AGE_MS + tick_gap_ms
        self._states = {
            symbol: SymbolState(symbol, crash, market.baseline_minutes) for symbol in market.symbols
        }
        self._btc = self._states[market.btc_symbol]
        self._eth = self._states[market.eth_symbol]
        self._crash = CrashDetector(crash, self._btc, self._eth)
        self._spikes = SpikeDetector(spikes, market.symbols)
        self._index = MarketIndex(market, crash.market_index)
        self._index_needs_history = False
        self._prices: dict[str, float] = {}
        self._started_ms = clock.now_ms()
        self._last_tick_ms: int | None = None
        self._swept_minute = -1
        self._facts: tuple[tuple[int, int, int], RecoveryFacts] | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        return self._market.symbols

    @property
    def active_breaches(self) -> tuple[str, ...]:
        """Names of the rules whose hard limit is breached and not yet re-armed."""
        return self._crash.active

    @property
    def feed_age_ms(self) -> int | None:
        """Market time since the last trade of any pair; None before the first."""
        if self._last_tick_ms is None:
            return None
        return max(0, self._clock.now_ms() - self._last_tick_ms)

    def on_tick(self, tick: Tick) -> None:
        """Take one trade. Trades of pairs that are not watched are ignored."""
        symbol, price, quantity, time_ms, _ = tick
        state = self._states.get(symbol)
        if state is None:
            return
        now_ms = self._clock.now_ms()
        if not (
            0.0 < price < _INFINITY
            and 0.0 <= quantity < _INFINITY
            and time_ms <= now_ms + self._crash_config.max_future_ms
        ):
            log.warning("impossible trade: %s", tick)
            state.filter.note_bad(now_ms)
            return
        sieve = state.filter
        last = state.windows.last_price
        if state.tick_count and (abs(price - last) > sieve.jump_fraction * last or sieve.pending):
            last_ms = state.windows.last_time_ms
            for trade in sieve.judge(last, last_ms, time_ms, price, quantity):
                self._accept(state, *trade, now_ms)
            return
        self._accept(state, time_ms, price, quantity, now_ms)

    def on_bar_history(self, symbol: str, bars: Iterable[Bar]) -> None:
        """Backfill one-minute bars, before or after the first ticks; minutes with ticks win.

        Raises MarketDataError for other than one-minute bars. Bars of pairs that are not watched
        are ignored.
        """
        state = self._states.get(symbol)
        if state is None:
            return
        merge_history(state, bars, self._clock.now_ms())
        state.guard_until_ms = 0  # the windows hold other highs and lows now
        if state.has_price:
            self._prices[symbol] = state.windows.last_price
            self._index_needs_history = True

    def advance(self, now_ms: int) -> MarketSnapshot:
        """Once a second of market time: health, index, breadth, volume spikes, snapshot."""
        if self._index_needs_history:
            self._index_needs_history = False
            longest = WINDOW_MINUTES[FOUR_HOURS]
            self._index.rebuild(
                {symbol: state.bars.last(longest) for symbol, state in self._states.items()}, now_ms
            )
        # Windows of pairs that do not trade only shrink: looking once a minute is enough for them.
        minute = now_ms // MINUTE_MS
        sweep_all = minute != self._swept_minute
        self._swept_minute = minute
        fall_pct = self._crash_config.breadth.fall_pct
        traded: dict[str, float] = {}
        spikes: list[Spike] = []
        falling = tracked = 0
        for state in self._states.values():
            if not state.tick_count:
                continue
            windows = state.windows
            if state.is_dirty or sweep_all:
                windows.expire(now_ms)
                state.is_falling = windows.drawdown_pct(ONE_HOUR) >= fall_pct
            if state.is_dirty:
                state.is_dirty = False
                traded[state.symbol] = windows.last_price
                spike = self._spikes.on_volume(state, windows.last_time_ms, now_ms)
                if spike:
                    spikes.append(spike)
            if (
                windows.is_ready(ONE_HOUR)
                and now_ms - windows.last_time_ms < SPANS_MS[ONE_HOUR]
                and not state.filter.is_insane(now_ms)
            ):
                tracked += 1
                falling += state.is_falling
        self._index.update(now_ms, traded)
        self._btc_and_eth_expire(now_ms)
        active = self._crash.active
        breaches = self._crash.on_market(
            self._index.drawdown_pct, self._index.is_ready, falling, tracked, now_ms
        )
        if self._crash.active != active:  # a rule armed again looks from the next trade on
            self._btc.guard_until_ms = self._eth.guard_until_ms = 0
        snapshot = self._snapshot(now_ms)
        self._publish_crashes(breaches, snapshot)
        for spike in spikes:
            self._bus.publish(SpikeDetected(spike))
        return snapshot

    def snapshot(self) -> MarketSnapshot:
        """Metrics as of now; index and breadth as of the last ``advance``."""
        now_ms = self._clock.now_ms()
        self._btc_and_eth_expire(now_ms)
        return self._snapshot(now_ms)

    def symbol_stats(self, symbol: str) -> SymbolStats:
        """Raises MarketDataError for a pair that is not watched or has no trade yet."""
        state = self._states.get(symbol)
        if state is None:
            raise MarketDataError(f"{symbol} is not watched; market.symbols names the pairs")
        if not state.has_price:
            raise MarketDataError(f"{symbol} has not traded yet")
        return state.stats(self._clock.now_ms())

    def last_price(self, symbol: str) -> float | None:
        """The pair's last accepted trade price; None before the first."""
        return self._prices.get(symbol)

    def entry_price(self, symbol: str) -> float | None:
        """The last price while it is recent enough to enter by. From any thread.

        Health is judged by BTC and ETH; this is for the pair whose own trades have stopped.
        """
        state = self._states.get(symbol)
        if state is None or not state.has_price:
            return None
        age_ms = self._clock.now_ms() - state.windows.last_time_ms
        return self.last_price(symbol) if age_ms <= self._entry_price_max_age_ms else None

    def bars(self, symbol: str, limit: int = 60) -> tuple[Bar, ...]:
        """The last one-minute bars, oldest first; the last one may still be open."""
        state = self._states.get(symbol)
        return state.bars.last(limit) if state else ()

    def recovery_facts(self) -> RecoveryFacts:
        """The market's side of the recovery conditions, as of now."""
        now_ms = self._clock.now_ms()
        # They move with trades and minutes; asking every second must not cost more than that.
        key = (self._btc.tick_count, self._eth.tick_count, now_ms // MINUTE_MS)
        if self._facts is None or self._facts[0] != key:
            facts = measure_recovery(self._btc.bars, self._eth.bars)
            self._facts = (key, facts)
        return self._facts[1]

    def _accept(
        self, state: SymbolState, time_ms: int, price: float, quantity: float, now_ms: int
    ) -> None:
        windows = state.windows
        windows.add(time_ms, price, quantity)
        state.bars.add(windows.last_time_ms, price, quantity)
        state.tick_count += 1
        self._prices[state.symbol] = price
        self._last_tick_ms = time_ms
        state.is_dirty = True
        if price < state.guard_low or price > state.guard_high or time_ms >= state.guard_until_ms:
            self._examine(state, time_ms, price, now_ms)

    def _examine(self, state: SymbolState, time_ms: int, price: float, now_ms: int) -> None:
        """Look for a crash and a spike at this trade, and set the guard prices anew."""
        windows = state.windows
        windows.expire(time_ms)
        leader = self._crash.leader_of(state)
        trip_price = self._crash.trip_price(leader) if leader else 0.0
        if leader and price <= trip_price:
            breaches = self._crash.on_leader_trade(leader, time_ms)
            if breaches:
                self._publish_crashes(breaches, self._snapshot(now_ms))
            trip_price = self._crash.trip_price(leader)
        down, up = self._spikes.trigger_prices(state, time_ms)
        if price <= down or price >= up:
            spike = self._spikes.on_price(state, time_ms, now_ms)
            if spike:
                down, up = self._spikes.trigger_prices(state, time_ms)
                self._bus.publish(SpikeDetected(spike))
        # A price at a threshold must be looked at, one at a known extreme need not.
        just_above = 1.0 + 1e-12
        low, high = self._spikes.known_extremes(state, time_ms)
        state.guard_low = max(low, trip_price * just_above, down * just_above)
        state.guard_high = min(high, up / just_above)
        state.guard_until_ms = self._spikes.quiet_until(state, time_ms)

    def _publish_crashes(self, breaches: list[Breach], snapshot: MarketSnapshot) -> None:
        for breach in breaches:
            self._bus.publish(CrashDetected(breach.rule, breach.reason, snapshot))

    def _btc_and_eth_expire(self, now_ms: int) -> None:
        for state in (self._btc, self._eth):
            if state.has_price:
                state.windows.expire(now_ms)

    def _snapshot(self, now_ms: int) -> MarketSnapshot:
        falling, tracked = self._crash.breadth
        problem = self._problem(now_ms)
        age_ms = None if self._last_tick_ms is None else max(0, now_ms - self._last_tick_ms)
        # Our own figures: building without validation keeps the way to a trip short.
        return MarketSnapshot.model_construct(
            time_ms=now_ms,
            metrics=self._crash.metrics(),
            prices=dict(self._prices),
            breadth_falling=falling,
            breadth_tracked=tracked,
            feed_age_ms=age_ms,
            healthy=not problem,
            problem=problem,
        )

    def _problem(self, now_ms: int) -> str:
        """Why the market data cannot be trusted; empty when it can."""
        for state in (self._btc, self._eth):
            since_ms = state.windows.last_time_ms if state.has_price else self._started_ms
            age_ms = now_ms - since_ms
            if age_ms > self._stale_after_ms:
                return (
                    f"stale: no trade of {state.symbol} for {age_ms / 1000:.0f} s,"
                    f" limit {self._stale_after_ms / 1000:g} s"
                )
            if -age_ms > self._crash_config.max_future_ms:
                # Until it has caught up, silence could not be told from trading.
                return f"the clock went back by {-age_ms / 1000:.0f} s, or the venue's is ahead"
            if state.filter.is_insane(now_ms):
                return f"insane: too many impossible trades of {state.symbol} within a minute"
        return ""
