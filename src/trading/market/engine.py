"""The market engine: one call per trade, everything the core knows about prices."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

from trading.clock import MINUTE_MS, Clock
from trading.errors import MarketDataError
from trading.events import CrashDetected, EventBus, SpikeDetected
from trading.market.backfill import merge_history
from trading.market.breadth import BreadthWatch
from trading.market.columns import pack_trade
from trading.market.config import CrashDetectionConfig, MarketConfig, SpikeDetectionConfig
from trading.market.crash_detector import INDEX_RULES, Breach, CrashDetector, MarketView
from trading.market.crash_signals import CrashSignals
from trading.market.examination import Examination
from trading.market.guards import slide_price_guard
from trading.market.health import MarketHealth
from trading.market.market_index import MarketIndex
from trading.market.pair_figures import PairFigures
from trading.market.recovery import RecoveryFacts, measure_recovery
from trading.market.spike_report import SpikeReporter
from trading.market.spike_signals import SpikeSignals
from trading.market.sweep import PairSweep
from trading.market.symbol_state import SymbolState
from trading.market.volume_collapse import times_below_usual
from trading.market.windows import FOUR_HOURS, WINDOW_MINUTES
from trading.model.market import Bar, Tick
from trading.model.metrics import MarketSnapshot, PumpView, SymbolStats
from trading.model.once import Once
from trading.model.signals import BookTop, FundingRate, FuturesPrice, Headline, Liquidation
from trading.model.spike import Spike

_INFINITY = float("inf")
# A pair that has just spiked trades many times a minute, however quiet it is otherwise.
ENTRY_PRICE_MAX_AGE_MS = 60_000
log = logging.getLogger(__name__)


class MarketEngine:
    """Windows, detectors and health of all watched pairs. Synchronous, one thread.

    Publishes ``SpikeDetected`` and ``CrashDetected`` on the bus from within ``on_tick`` and
    ``advance``. ``tick_gap_ms`` is the pause between trades that is normal for the source; it is
    added to the time after which data counts as stale. While a trade is looked at that may prove
    a crash, the engine is in ``hold``.
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
        hold: AbstractContextManager[object] | None = None,
    ) -> None:
        self._hold = hold or nullcontext()
        self._market = market
        self._crash_config = crash
        self._clock = clock
        self._bus = bus
        self._entry_price_max_age_ms = ENTRY_PRICE_MAX_AGE_MS + tick_gap_ms
        self._figures = PairFigures(len(market.symbols))
        self._states = {
            symbol: SymbolState(symbol, crash, market.baseline_minutes, self._figures, number)
            for number, symbol in enumerate(market.symbols)
        }
        self._btc = self._states[market.btc_symbol]
        self._eth = self._states[market.eth_symbol]
        leaders = {market.btc_symbol: "btc", market.eth_symbol: "eth"}
        self._outside = CrashSignals(crash, leaders, market.stablecoins)
        self._crash = CrashDetector(crash, self._btc, self._eth, self._outside.futures_fall_pct)
        self._reporter = SpikeReporter(spikes, self._states, market.btc_symbol)
        breadth = BreadthWatch(crash)
        self._examination = Examination(
            spikes,
            self._states.values(),
            self._crash,
            breadth,
            self._reporter,
            bus,
            self._on_leader_crash,
        )
        self._sweep = PairSweep(self._states.values(), self._figures, self._examination, breadth)
        self._signals = SpikeSignals(spikes, self._states, self._reporter, crash.max_future_ms)
        self._index = MarketIndex(market, crash.market_index)
        self._index_needs_history = False
        self._prices: dict[str, float] = {}  # as of the last pass
        self._horizon_ms = 0  # a trade up to this time is not from the future, without asking
        self._health = MarketHealth(crash, (self._btc, self._eth), clock.now_ms(), tick_gap_ms)
        self._last_tick_ms: int | None = None
        self._volume_times_below: float | None = None  # as of the swept minute
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
        """Take one trade. Of other pairs than the watched ones, stablecoins count for the peg."""
        state = self._states.get(tick.symbol)
        if state is None:
            self._outside.on_stablecoin(tick, self._clock.now_ms())
            return
        time_ms, price, quantity = tick.time_ms, tick.price, tick.quantity
        if (
            state.guard_low < price < state.guard_high
            and time_ms < state.guard_until_ms
            and time_ms <= self._horizon_ms
            and 0.0 <= quantity <= state.room
        ):
            state.room -= quantity
            state.staged += pack_trade(time_ms, price, quantity)
            self._last_tick_ms = time_ms
            return
        if tick.price <= state.alarm_line:
            with self._hold:
                self._look(state, tick)
        else:
            self._look(state, tick)

    def on_futures_price(self, price: FuturesPrice) -> None:
        """Take a perpetual's price: a witness of BTC's and ETH's falls, spikes by divergence."""
        now_ms = self._clock.now_ms()
        self._outside.on_futures_price(price, self.entry_price(price.symbol), now_ms)
        self._publish_spike(self._signals.on_futures_price(price, now_ms))

    def on_futures_connected(self) -> None:
        """The stream of futures prices, funding and liquidations is up."""
        self._outside.futures_connected(self._clock.now_ms())

    def on_futures_lost(self) -> None:
        """It is down: what it told becomes unknown with time."""
        self._outside.futures_lost(self._clock.now_ms())

    def on_funding(self, rate: FundingRate) -> None:
        """Take a perpetual's funding rate, of any contract."""
        self._outside.on_funding(rate, self._clock.now_ms())

    def on_book(self, book: BookTop) -> None:
        """Take an order book's best levels: spikes by imbalance."""
        self._publish_spike(self._signals.on_book(book, self._clock.now_ms()))

    def on_liquidation(self, order: Liquidation) -> None:
        """Take a forced order of any contract: the total of an hour, spikes by cascades."""
        now_ms = self._clock.now_ms()
        self._outside.on_liquidation(order, now_ms)
        self._publish_spike(self._signals.on_liquidation(order, now_ms))

    def on_headline(self, headline: Headline) -> None:
        """Take a headline: spikes by a move beside it, now or within its span."""
        for spike in self._signals.on_headline(headline, self._clock.now_ms()):
            self._publish_spike(spike)

    def on_bar_history(self, symbol: str, bars: Iterable[Bar]) -> None:
        """Backfill one-minute bars, before or after the first ticks; minutes with ticks win.

        Raises MarketDataError for other than one-minute bars. Bars of pairs that are not watched
        are ignored.
        """
        state = self._states.get(symbol)
        if state is None:
            return
        now_ms = self._clock.now_ms()
        merge_history(state, bars, now_ms)
        if state.has_price:
            self._prices[symbol] = self._figures.price[state.number] = state.last_price
            self._examination.prepare(state, now_ms)
            self._index_needs_history = True

    def advance(self, now_ms: int) -> MarketSnapshot:
        """Once a second of market time: health, index, breadth, spikes by news, snapshot."""
        if self._index_needs_history:
            self._index_needs_history = False
            hours = WINDOW_MINUTES[FOUR_HOURS]
            bars = [state.bars.last(hours) for state in self._states.values()]
            self._index.rebuild(bars, now_ms)
        self._horizon_ms = now_ms + self._crash_config.max_future_ms
        sweep = self._sweep.run(now_ms)
        self._prices.update(sweep.traded)
        self._index.update(now_ms, sweep.pairs, sweep.prices)
        self._btc_and_eth_expire(now_ms)
        active = self._crash.active
        if sweep.minute_began:
            self._volume_times_below = self._times_below_usual()
        view = MarketView(
            index_falls_pct={window: self._index.drawdown_pct(window) for window in INDEX_RULES},
            index_ready={window: self._index.is_ready(window) for window in INDEX_RULES},
            falling=sweep.falling,
            tracked=sweep.tracked,
            volume_times_below=self._volume_times_below,
            readings=self._outside.readings(now_ms),
        )
        breaches = self._crash.on_market(view, now_ms)
        if self._crash.active != active:  # a rule armed again looks from the next trade on
            self._btc.close_guard()
            self._eth.close_guard()
        snapshot = self._snapshot(now_ms, self._prices.copy())
        self._publish_crashes(breaches, now_ms, lambda: snapshot)
        for spike in self._signals.on_second(now_ms):
            self._publish_spike(spike)
        return snapshot

    def snapshot(self) -> MarketSnapshot:
        """Metrics as of now; index and breadth as of the last ``advance``."""
        now_ms = self._clock.now_ms()
        self._btc_and_eth_expire(now_ms)
        return self._snapshot(now_ms, self._last_prices())

    def symbol_stats(self, symbol: str) -> SymbolStats:
        """Raises MarketDataError for a pair that is not watched or has no trade yet."""
        return self._traded(symbol).stats(self._clock.now_ms())

    def pump_now(self, symbol: str) -> PumpView:
        """Raises MarketDataError like ``symbol_stats``."""
        state, now_ms = self._traded(symbol), self._clock.now_ms()
        state.windows.expire(now_ms)
        return self._reporter.pump_now(state, now_ms)

    def last_price(self, symbol: str) -> float | None:
        """The pair's last accepted trade price; None before the first."""
        state = self._states.get(symbol)
        return state.last_price if state is not None and state.has_price else None

    def entry_price(self, symbol: str) -> float | None:
        """The last price while it is recent enough to enter by. From any thread.

        Health is judged by BTC and ETH; this is for the pair whose own trades have stopped.
        """
        state = self._states.get(symbol)
        if state is None or not state.has_price:
            return None
        age_ms = self._clock.now_ms() - state.last_trade_ms
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
            self._facts = (key, measure_recovery(self._btc.bars, self._eth.bars))
        return self._facts[1]

    def liquidations_1h_usd(self) -> float | None:
        """Futures liquidations of the last hour, of all contracts: a lower bound.

        None where the venue has no stream of them; infinite while it was not heard for long
        enough, so that nobody takes silence for calm.
        """
        return self._outside.liquidations_1h_usd(self._clock.now_ms())

    def _traded(self, symbol: str) -> SymbolState:
        state = self._states.get(symbol)
        if state is None:
            raise MarketDataError(f"{symbol} is not watched; market.symbols names the pairs")
        if not state.has_price:
            raise MarketDataError(f"{symbol} has not traded yet")
        return state

    def _times_below_usual(self) -> float | None:
        """How far trading has dried up in the busier one of BTC and ETH; None if not known."""
        minutes = self._crash_config.volume_collapse.minutes
        below = [times_below_usual(one.bars, minutes) for one in (self._btc, self._eth)]
        known = [times for times in below if times is not None]
        return min(known) if len(known) == len(below) else None

    def _look(self, state: SymbolState, tick: Tick) -> None:
        """Take a trade that is outside the pair's guards."""
        now_ms = self._clock.now_ms()
        self._horizon_ms = now_ms + self._crash_config.max_future_ms
        if not (
            0.0 < tick.price < _INFINITY
            and 0.0 <= tick.quantity < _INFINITY
            and tick.time_ms <= self._horizon_ms
        ):
            log.warning("impossible trade: %s", tick)
            state.filter.note_bad(now_ms)
            state.tracked_until_ms = 0
            return
        sieve, last = state.filter, state.last_price
        if state.has_price and (
            abs(tick.price - last) > sieve.jump_fraction * last or sieve.pending
        ):
            state.tracked_until_ms = 0
            trades = sieve.judge(
                last, state.windows.last_time_ms, tick.time_ms, tick.price, tick.quantity
            )
            state.close_guard()
            for time_ms, price, quantity in trades:
                self._accept(state, Tick(tick.symbol, price, quantity, time_ms), now_ms)
            return
        self._accept(state, tick, now_ms)

    def _accept(self, state: SymbolState, tick: Tick, now_ms: int) -> None:
        state.room -= tick.quantity
        is_much = state.room < 0.0
        if is_much and state.room + state.volume_spare < 0.0:
            state.doubt_volume()
        price, time_ms = tick.price, tick.time_ms
        state.staged += pack_trade(time_ms, price, tick.quantity)
        self._last_tick_ms = time_ms
        if time_ms < state.guard_until_ms and not is_much:
            if state.guard_low < price < state.guard_high:
                return
            if state.floor < price < state.ceiling and slide_price_guard(state):
                return
        self._examination.examine(state, time_ms, price, now_ms)

    def _publish_spike(self, spike: Spike | None) -> None:
        """Publish a spike that no trade's examination found, whose cool-down guards do not know."""
        if spike is not None:
            self._states[spike.symbol].close_guard()
            self._bus.publish(SpikeDetected(spike))

    def _on_leader_crash(self, breaches: list[Breach], now_ms: int) -> None:
        market = Once(lambda: self._snapshot(now_ms, self._last_prices()))
        self._publish_crashes(breaches, now_ms, market)
        market()  # nobody may take it later, when the market has moved on

    def _publish_crashes(
        self, breaches: list[Breach], now_ms: int, market: Callable[[], MarketSnapshot]
    ) -> None:
        for breach in breaches:
            self._bus.publish(CrashDetected(breach.rule, breach.reason, now_ms, market))

    def _btc_and_eth_expire(self, now_ms: int) -> None:
        for state in (self._btc, self._eth):
            if state.has_price:
                state.windows.expire(now_ms)

    def _last_prices(self) -> dict[str, float]:
        """Of every pair that has one; on the way to a halt, so with nothing in between."""
        prices = self._prices.copy()
        for symbol, state in self._states.items():
            if len(state.staged) > state.seen:
                prices[symbol] = state.last_price
        return prices

    def _snapshot(self, now_ms: int, prices: dict[str, float]) -> MarketSnapshot:
        falling, tracked = self._crash.breadth
        problem = self._health.problem(now_ms)
        age_ms = None if self._last_tick_ms is None else max(0, now_ms - self._last_tick_ms)
        # Our own figures: building without validation keeps the way to a trip short.
        return MarketSnapshot.model_construct(
            time_ms=now_ms,
            metrics=self._crash.metrics(),
            prices=prices,
            breadth_falling=falling,
            breadth_tracked=tracked,
            feed_age_ms=age_ms,
            healthy=not problem,
            problem=problem,
        )
