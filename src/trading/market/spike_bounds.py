"""How far a pair may move and trade before a price or volume spike of it can exist.

The other side of ``SpikeDetector``: what each kind still lacks as of the pair's last trade. A move
may be too small, or too usual for the pair, or come on too little trading, or leave too little
confidence. One wanting condition is enough to spare the look at the next trades, so of each window
the one is taken that leaves the most room. All bounds err on the side of a look too many.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from trading.market.config import SpikeDetectionConfig
from trading.market.guards import ROUNDING
from trading.market.spike_detector import (
    PRICE_WINDOWS,
    RARITY_WEIGHT,
    SIZE_WEIGHT,
    VOLUME_WEIGHT,
    VOLUME_WINDOWS,
    confidence,
)
from trading.market.spike_report import SpikeReporter
from trading.market.symbol_state import SymbolState
from trading.market.windows import ONE_MINUTE, WINDOW_MINUTES
from trading.model.spike import SpikeDirection, SpikeType

_INFINITY = float("inf")


class Bounds(NamedTuple):
    """No spike strictly between the prices while at most ``room`` of the base asset trades."""

    down: float
    up: float
    room: float
    of_minute: bool  # they hold until the open minute closes, and for ever if not


class _Line(NamedTuple):
    """A window's high and low, and the prices where a move from them is large enough."""

    window: int
    high: float
    low: float
    lower: float
    upper: float


UNBOUNDED = Bounds(0.0, _INFINITY, _INFINITY, of_minute=False)


class SpikeBounds:
    """Bounds as of each pair's last trade, whose windows must be current.

    They hold within a fraction ``least`` of ``price``, the last one, to either side.
    """

    def __init__(
        self, config: SpikeDetectionConfig, symbols: Iterable[str], reporter: SpikeReporter
    ) -> None:
        self._config = config
        self._reporter = reporter
        self._watches_price = reporter.watches(SpikeType.PRICE)
        self._watches_volume = reporter.watches(SpikeType.VOLUME)
        self._thresholds = {symbol: config.thresholds_of(symbol).by_window for symbol in symbols}

    def of_price(self, state: SymbolState, time_ms: int, price: float, least: float) -> Bounds:
        """No price spike can exist within them."""
        if not self._watches_price:
            return UNBOUNDED
        down, up = 0.0, _INFINITY
        lines = self._lines(state, time_ms, PRICE_WINDOWS, 1.0)
        for line in lines:
            down, up = max(down, line.lower), min(up, line.upper)
        lowest, highest = price * (1.0 - least), price * (1.0 + least)
        if down < lowest and up > highest:
            return Bounds(down, up, _INFINITY, of_minute=False)
        bars, room = state.bars, _INFINITY
        rare, thresholds = bars.rare_moves(self._config.min_z_score), self._thresholds[state.symbol]
        down, up = 0.0, _INFINITY
        for line in lines:
            if bars.has_baseline(line.window):
                threshold, (fall, rise) = thresholds[line.window] / 100.0, rare[line.window]
                line = line._replace(
                    lower=line.high * (1.0 - max(threshold, fall)) if line.high > 0.0 else 0.0,
                    upper=line.low * (1.0 + max(threshold, rise)),
                )
            if line.lower < lowest and line.upper > highest:
                continue
            missing, below = self._missing_for_price(state, line.window, price)
            if missing > 0.0:
                room, up = min(room, missing), min(up, below)
                continue
            missing, lower, upper = self._unsure(state, line, price, 1.0)
            room, down, up = min(room, missing), max(down, lower), min(up, upper)
        return Bounds(down, up, room, of_minute=True)

    def of_volume(self, state: SymbolState, time_ms: int, price: float) -> Bounds:
        """No volume spike can exist within them."""
        config, bars = self._config, state.bars
        usual = bars.usual_volume
        if not self._watches_volume or usual <= 0.0:
            return UNBOUNDED
        unusual = max(config.volume_multiple * usual, bars.volume_at(config.volume_sigma))
        missing, up = self._missing(unusual, state.windows.volume(ONE_MINUTE), price)
        if missing > 0.0:
            return Bounds(0.0, up, missing, of_minute=True)
        share = config.volume_min_move_share
        down, up, room = 0.0, _INFINITY, _INFINITY
        for line in self._lines(state, time_ms, VOLUME_WINDOWS, share):
            missing, lower, upper = self._unsure(state, line, price, share)
            room, down, up = min(room, missing), max(down, lower), min(up, upper)
        return Bounds(down, up, room, of_minute=True)

    def _lines(
        self, state: SymbolState, time_ms: int, candidates: tuple[int, ...], share: float
    ) -> list[_Line]:
        """Of each window, the prices ``share`` of a threshold below its high and above its low.

        A direction that is quiet has no high or low: 0 and infinite.
        """
        symbol, reporter = state.symbol, self._reporter
        thresholds = self._thresholds[symbol]
        down_since_ms = reporter.since_ms(symbol, SpikeDirection.DOWN)
        up_since_ms = reporter.since_ms(symbol, SpikeDirection.UP)
        windows = state.windows
        none = len(candidates)
        highs, lows = (0.0,) * none, (_INFINITY,) * none
        if down_since_ms <= time_ms:
            highs = windows.highs_since(candidates, down_since_ms)
        if up_since_ms <= time_ms:
            lows = windows.lows_since(candidates, up_since_ms)
        lines = []
        for window, high, low in zip(candidates, highs, lows, strict=True):
            fraction = thresholds[window] * share / 100.0
            lines.append(_Line(window, high, low, high * (1.0 - fraction), low * (1.0 + fraction)))
        return lines

    def _missing_for_price(
        self, state: SymbolState, window: int, price: float
    ) -> tuple[float, float]:
        """What must trade, below a price, before a move of the window counts."""
        bars, multiple = state.bars, self._config.price_min_volume_multiple
        needed = 0.0
        if bars.has_baseline(window) and multiple > 0.0:
            usual = bars.usual_volume * WINDOW_MINUTES[window]
            needed = multiple * usual if usual > 0.0 else _INFINITY
        return self._missing(needed, state.windows.volume(window), price)

    def _missing(self, needed: float, volume: float, price: float) -> tuple[float, float]:
        """What must trade, below a price, until ``volume`` is ``needed`` and worth enough."""
        volume *= 1.0 + ROUNDING
        notional = self._config.min_notional_usd * (1.0 - ROUNDING)
        missing, of_notional = needed * (1.0 - ROUNDING) - volume, notional / price - volume
        if of_notional <= 2.0 * missing or of_notional <= 0.0:
            return missing, _INFINITY
        # Half of it may trade if the price does not make up for the other half.
        return of_notional / 2.0, notional / (volume + of_notional / 2.0)

    def _unsure(
        self, state: SymbolState, line: _Line, price: float, share: float
    ) -> tuple[float, float, float]:
        """Volume and prices within which a move beyond the line stays too unsure.

        Half of the missing confidence may come from volume, the other half from the move, at the
        most that a unit of each can add. Where none is missing, the prices are the line's.
        """
        window, lower, upper = line.window, line.lower, line.upper
        if lower < price < upper:
            return _INFINITY, lower, upper
        config, bars = self._config, state.bars
        threshold = self._thresholds[state.symbol][window] / 100.0
        mean, deviation = bars.usual_move(window)
        if abs(mean) > share * threshold / 2.0:  # a smaller move might be the rarer one
            return _INFINITY, lower, upper
        extreme = line.high if price <= lower else line.low
        move = price / extreme - 1.0
        multiple = bars.volume_multiple(window, state.windows.volume(window))
        z_score = bars.z_score(window, move)
        known = confidence(config, abs(move) / threshold, z_score, multiple)
        missing = config.min_confidence - known
        if missing <= ROUNDING:
            return _INFINITY, lower, upper
        slope = SIZE_WEIGHT / (2.0 * threshold)
        if deviation > 0.0 and config.min_z_score > 0.0:
            slope += RARITY_WEIGHT / (2.0 * config.min_z_score * deviation)
        reach = missing / 2.0 / slope
        room = _INFINITY
        if bars.usual_volume > 0.0:
            usual = bars.usual_volume * WINDOW_MINUTES[window]
            room = missing * config.volume_multiple * usual / VOLUME_WEIGHT
        if price <= lower:
            return room, price * (1.0 - reach), upper
        return room, lower, price + extreme * reach
