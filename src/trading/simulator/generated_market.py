"""A seeded market of correlated pairs that goes through regimes.

The logarithm of a pair's price is the sum of: beta × (the market's noise + its scripted move), the
pair's own noise (an Ornstein–Uhlenbeck process, so that pairs do not drift apart for ever), and a
scripted pump. Trades arrive in steps of 200 ms at random moments within the step.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, cycle

from trading.clock import MINUTE_MS
from trading.market.config import DEFAULT_SYMBOLS
from trading.model.market import Bar, Tick
from trading.simulator.market_config import MarketGeneratorConfig, Scenario
from trading.simulator.market_profiles import SymbolProfile, profile_of
from trading.simulator.scenarios import SCRIPTS, SHAPES, Regime, Segment, random_segments

STEP_MS = 200
_STEPS_PER_MINUTE = MINUTE_MS // STEP_MS
MARKET_NOISE_PCT = 0.045  # standard deviation of the market's one-minute returns when calm
_REVERSION_PER_STEP = math.log(2) / (3_600_000 / STEP_MS)  # half of a pair's own move in an hour
_BOUNCE = 0.00004  # trades alternate between bid and ask, this far from the middle
_SIZE_SIGMA = 0.9  # of the lognormal trade size
_LEADERS = 2  # the first two symbols are not drawn as targets of a pump

ShapeFunction = Callable[[float], float]


class GeneratedMarket:
    """A ``MarketSource`` made up from a seed."""

    def __init__(self, config: MarketGeneratorConfig, start_ms: int) -> None:
        self._config = config
        self._start_ms = start_ms
        self._symbols = config.symbols or DEFAULT_SYMBOLS
        self._profiles = {symbol: profile_of(symbol) for symbol in self._symbols}
        self._script = SCRIPTS[config.scenario]

    @property
    def name(self) -> str:
        return f"generated {self._config.scenario.value}, seed {self._config.seed}"

    @property
    def symbols(self) -> tuple[str, ...]:
        return self._symbols

    @property
    def start_ms(self) -> int:
        return self._start_ms

    @property
    def end_ms(self) -> int | None:
        if self._config.endless:
            return None
        return self._start_ms + round(sum(s.duration_s for s in self._script) * 1000)

    @property
    def tick_gap_ms(self) -> int:
        return 1_000

    @property
    def price_decimals(self) -> Mapping[str, int]:
        return {symbol: profile.price_decimals for symbol, profile in self._profiles.items()}

    def history(self) -> dict[str, tuple[Bar, ...]]:
        """Calm minutes that end at the start prices."""
        minutes = self._config.history_minutes
        rng = random.Random(f"history {self._config.seed}")
        market = [self._noise(rng, MARKET_NOISE_PCT) for _ in range(minutes)]
        first_ms = self._start_ms // MINUTE_MS * MINUTE_MS - minutes * MINUTE_MS
        return {
            symbol: self._symbol_history(rng, symbol, market, first_ms) for symbol in self._symbols
        }

    def ticks(self) -> Iterator[Tick]:
        """The tape. Every call starts it afresh."""
        return _Tape(self._config, self._profiles, self._segments(), self._start_ms).run()

    def _segments(self) -> Iterator[Segment]:
        if not self._config.endless:
            return iter(self._script)
        if self._config.scenario is Scenario.CALM:
            return cycle(self._script)
        return chain(self._script, random_segments(random.Random(f"regimes {self._config.seed}")))

    def _noise(self, rng: random.Random, deviation_pct: float) -> float:
        return rng.gauss(0.0, deviation_pct / 100 * self._config.volatility)

    def _symbol_history(
        self, rng: random.Random, symbol: str, market: list[float], first_ms: int
    ) -> tuple[Bar, ...]:
        profile = self._profiles[symbol]
        steps = [profile.beta * move + self._noise(rng, profile.idio_pct) for move in market]
        level = math.log(profile.price) - sum(steps)
        trades_per_minute = 60 * self._config.ticks_per_second * profile.activity
        wick_pct = MARKET_NOISE_PCT * profile.beta / 2
        decimals = profile.price_decimals
        bars = []
        for index, step in enumerate(steps):
            opened = round(math.exp(level), decimals)
            level += step
            closed = round(math.exp(level), decimals)
            high = max(opened, closed) * math.exp(abs(self._noise(rng, wick_pct)))
            low = min(opened, closed) * math.exp(-abs(self._noise(rng, wick_pct)))
            trades = trades_per_minute * rng.uniform(0.7, 1.3)
            bars.append(
                Bar(
                    symbol,
                    first_ms + index * MINUTE_MS,
                    MINUTE_MS,
                    opened,
                    max(round(high, decimals), opened, closed),
                    min(round(low, decimals), opened, closed),
                    closed,
                    round(trades * profile.trade_notional / closed, 6),
                    round(trades),
                )
            )
        return tuple(bars)


class _SymbolState:
    """Where one pair stands in the course of a tape."""

    __slots__ = ("floor", "idio", "idio_step", "log_base", "profile", "pump", "rate", "symbol")

    def __init__(self, symbol: str, profile: SymbolProfile, config: MarketGeneratorConfig) -> None:
        self.symbol = symbol
        self.profile = profile
        self.log_base = math.log(profile.price)
        self.idio = 0.0
        self.pump = 0.0
        self.idio_step = profile.idio_pct / 100 * config.volatility / math.sqrt(_STEPS_PER_MINUTE)
        self.rate = config.ticks_per_second * profile.activity * STEP_MS / 1000
        self.floor = 10.0**-profile.quantity_decimals


class _Tape:
    """One run through the segments."""

    def __init__(
        self,
        config: MarketGeneratorConfig,
        profiles: dict[str, SymbolProfile],
        segments: Iterator[Segment],
        start_ms: int,
    ) -> None:
        self._rng = random.Random(f"tape {config.seed}")
        self._states = [_SymbolState(s, profile, config) for s, profile in profiles.items()]
        self._by_symbol = {state.symbol: state for state in self._states}
        self._segments = segments
        self._now_ms = start_ms
        self._market = 0.0
        self._market_step = (
            MARKET_NOISE_PCT / 100 * config.volatility / math.sqrt(_STEPS_PER_MINUTE)
        )

    def run(self) -> Iterator[Tick]:
        for segment in self._segments:
            yield from self._run_segment(segment)

    def _run_segment(self, segment: Segment) -> Iterator[Tick]:
        shape = SHAPES[segment.regime]
        target = self._target_of(segment)
        path = _PATHS.get(segment.regime, _straight)
        size = math.log1p(segment.move / 100)
        steps = max(1, round(segment.duration_s * 1000 / STEP_MS))
        done = 0.0
        for step in range(1, steps + 1):
            share = path(step / steps)
            moved, done = (share - done) * size, share
            if target is None:
                self._market += moved
            else:
                target.pump += moved
            volume = shape.volume if target is None else 1.0
            yield from self._step(shape.noise, volume, target, shape.volume, moved)

    def _step(
        self,
        noise: float,
        volume: float,
        target: _SymbolState | None,
        target_volume: float,
        moved: float,
    ) -> list[Tick]:
        rng = self._rng
        self._market += rng.gauss(0.0, self._market_step * noise)
        ticks: list[Tick] = []
        for state in self._states:
            state.idio += rng.gauss(0.0, state.idio_step * noise) - state.idio * _REVERSION_PER_STEP
            if state is not target:
                # What is left of a pump seeps away like the pair's own noise.
                state.pump -= state.pump * _REVERSION_PER_STEP
            boost = target_volume if state is target else volume
            self._trade(state, boost, moved if target in (None, state) else 0.0, ticks)
        ticks.sort(key=lambda tick: tick.time_ms)
        self._now_ms += STEP_MS
        return ticks

    def _trade(self, state: _SymbolState, boost: float, moved: float, out: list[Tick]) -> None:
        """Trades of one pair in this step: more volume comes as more and as larger trades."""
        rng = self._rng
        crowding = math.sqrt(boost)
        expected = state.rate * crowding
        count = int(expected)
        if rng.random() < expected - count:
            count += 1
        if not count:
            return
        profile = state.profile
        price = math.exp(state.log_base + profile.beta * self._market + state.idio + state.pump)
        seller_odds = 0.5 if moved == 0 else 0.25 if moved > 0 else 0.75
        notional = profile.trade_notional * crowding
        times = sorted(int(rng.random() * STEP_MS) for _ in range(count))
        for offset_ms in times:
            is_sell = rng.random() < seller_odds
            traded = price * (1 - _BOUNCE if is_sell else 1 + _BOUNCE)
            size = notional * rng.lognormvariate(-(_SIZE_SIGMA**2) / 2, _SIZE_SIGMA)
            out.append(
                Tick(
                    state.symbol,
                    round(traded, profile.price_decimals),
                    max(state.floor, round(size / traded, profile.quantity_decimals)),
                    self._now_ms + offset_ms,
                    is_sell,
                )
            )

    def _target_of(self, segment: Segment) -> _SymbolState | None:
        if segment.regime is not Regime.PUMP_AND_DUMP:
            return None
        named = self._by_symbol.get(segment.target or "")
        return named or self._rng.choice(self._states[_LEADERS:] or self._states)


def _straight(share: float) -> float:
    return share


def _front_loaded(share: float) -> float:
    """A crash is fastest at its start."""
    return 1 - (1 - share) ** 2


def _pump(share: float) -> float:
    """Up within the first 40 %, a short top, then most of it back."""
    if share < 0.4:
        rise = share / 0.4
        return rise * rise * (3 - 2 * rise)
    if share < 0.5:
        return 1.0
    return 1.0 - 0.65 * (share - 0.5) / 0.5


_PATHS: dict[Regime, ShapeFunction] = {
    Regime.FLASH_CRASH: _front_loaded,
    Regime.RECOVERY: _front_loaded,
    Regime.PUMP_AND_DUMP: _pump,
}
