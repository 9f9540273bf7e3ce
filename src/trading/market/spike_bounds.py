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
from trading.market.spike_report import FAR_FUTURE_MS, SpikeReporter
from trading.market.symbol_state import SymbolState
from trading.market.windows import ONE_MINUTE, WINDOW_MINUTES
from trading.model.spike import SpikeDirection, SpikeType

_INFINITY = float("inf")


class Bounds(NamedTuple):
    """No spike strictly between the prices while at most ``room`` of the base asset trades."""

    down: float
    up: float
    room: float
    of_minute: bool  # they hold until the open minute closes
    until_ms: int = FAR_FUTURE_MS  # nor from this trade time on


class _Move(NamedTuple):
    """A move from a window's low (rising) or high, by its share of the window's threshold."""

    share: float
    window: int
    move: float
    extreme: float
    is_rise: bool


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
        self._thresholds = {
            symbol: tuple(pct / 100.0 for pct in config.thresholds_of(symbol).by_window)
            for symbol in symbols
        }

    def of_price(self, state: SymbolState, time_ms: int, price: float, least: float) -> Bounds:
        """No price spike can exist within them."""
        if not self._watches_price:
            return UNBOUNDED
        thresholds = self._thresholds[state.symbol]
        highs, lows = self._extremes(state, time_ms, PRICE_WINDOWS)
        down, up = 0.0, _INFINITY
        for window, high, low in zip(PRICE_WINDOWS, highs, lows, strict=True):
            threshold = thresholds[window]
            lower, upper = high * (1.0 - threshold), low * (1.0 + threshold)
            if lower > down:
                down = lower
            if upper < up:
                up = upper
        lowest, highest = price * (1.0 - least), price * (1.0 + least)
        if down < lowest and up > highest:
            return Bounds(down, up, _INFINITY, of_minute=False)
        bars, room = state.bars, _INFINITY
        rare = bars.rare_moves(self._config.min_z_score)
        down, up = 0.0, _INFINITY
        for window, high, low in zip(PRICE_WINDOWS, highs, lows, strict=True):
            fall = rise = thresholds[window]
            if bars.has_baseline(window):
                rare_fall, rare_rise = rare[window]
                fall, rise = max(fall, rare_fall), max(rise, rare_rise)
            lower, upper = high * (1.0 - fall) if high > 0.0 else 0.0, low * (1.0 + rise)
            if lower < lowest and upper > highest:
                continue
            missing, below = self._missing_for_price(state, window, price, least)
            if missing > 0.0:
                room, up = min(room, missing), min(up, below)
                continue
            if price <= lower:
                missing, reach = self._unsure(state, window, high, price, 1.0)
                room = min(room, missing)
                lower = price * (1.0 - reach) if reach > 0.0 else lower
            if price >= upper:
                missing, reach = self._unsure(state, window, low, price, 1.0)
                room = min(room, missing)
                upper = price + low * reach if reach > 0.0 else upper
            down, up = max(down, lower), min(up, upper)
        return Bounds(down, up, room, of_minute=True)

    def of_volume(self, state: SymbolState, time_ms: int, price: float, least: float) -> Bounds:
        """No volume spike can exist within them."""
        config, bars = self._config, state.bars
        usual = bars.usual_volume
        if not self._watches_volume or usual <= 0.0:
            return UNBOUNDED
        unusual = max(config.volume_multiple * usual, bars.volume_at(config.volume_sigma))
        missing, up = self._missing(unusual, state.windows.volume(ONE_MINUTE), price, least)
        if missing > 0.0:
            return Bounds(0.0, up, missing, of_minute=True)
        least_share = config.volume_min_move_share
        down, up, room, until_ms = 0.0, _INFINITY, _INFINITY, FAR_FUTURE_MS
        moves = self._moves(state, time_ms, price)
        largest = moves[0] if moves else None
        blocks = False  # the largest move alone can make a spike: while it cannot, none can
        for move in moves:
            _, window, _, extreme, is_rise = move
            lower, upper = 0.0, _INFINITY
            fraction = self._thresholds[state.symbol][window] * least_share
            if is_rise:
                upper = extreme * (1.0 + fraction)
            else:
                lower = extreme * (1.0 - fraction)
            if not lower < price < upper:
                missing, reach = self._unsure(state, window, extreme, price, least_share)
                room = min(room, missing)
                if reach > 0.0:
                    blocks = blocks or move is largest
                    if is_rise:
                        upper = price + extreme * reach
                    else:
                        lower = price * (1.0 - reach)
                elif blocks and largest:
                    lower, upper = self._overtakes(state.symbol, largest, move, price)
                    until_ms = self._leaves_ms(state, largest)
            down, up = max(down, lower), min(up, upper)
        return Bounds(down, up, room, of_minute=True, until_ms=until_ms)

    def _extremes(
        self, state: SymbolState, time_ms: int, candidates: tuple[int, ...]
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Highs and lows of the windows; of a direction that is quiet 0 and infinite."""
        windows, symbol, reporter = state.windows, state.symbol, self._reporter
        down_since_ms = reporter.since_ms(symbol, SpikeDirection.DOWN)
        up_since_ms = reporter.since_ms(symbol, SpikeDirection.UP)
        none = len(candidates)
        highs, lows = (0.0,) * none, (_INFINITY,) * none
        if down_since_ms <= time_ms:
            highs = windows.highs_since(candidates, down_since_ms)
        if up_since_ms <= time_ms:
            lows = windows.lows_since(candidates, up_since_ms)
        return highs, lows

    def _moves(self, state: SymbolState, time_ms: int, price: float) -> list[_Move]:
        """The moves that may give a volume its direction, the largest first."""
        thresholds, moves = self._thresholds[state.symbol], []
        highs, lows = self._extremes(state, time_ms, VOLUME_WINDOWS)
        for window, high, low in zip(VOLUME_WINDOWS, highs, lows, strict=True):
            if high > 0.0:
                move = price / high - 1.0
                moves.append(_Move(-move / thresholds[window], window, move, high, is_rise=False))
            if low < _INFINITY:
                move = price / low - 1.0
                moves.append(_Move(move / thresholds[window], window, move, low, is_rise=True))
        moves.sort(reverse=True)
        return moves

    def _overtakes(
        self, symbol: str, largest: _Move, other: _Move, price: float
    ) -> tuple[float, float]:
        """Prices between which ``other`` remains the smaller share of its threshold."""
        thresholds = self._thresholds[symbol]
        slopes = []
        for one in (largest, other):
            slope = 1.0 / (one.extreme * thresholds[one.window])
            slopes.append(slope if one.is_rise else -slope)
        ahead, faster = (largest.share - other.share) * (1.0 - ROUNDING) - ROUNDING, slopes
        approach = faster[1] - faster[0]  # how much of it a higher price makes up for
        if ahead <= 0.0:
            return price, price
        if approach > 0.0:
            return 0.0, price + ahead / approach
        return (price + ahead / approach, _INFINITY) if approach < 0.0 else (0.0, _INFINITY)

    def _leaves_ms(self, state: SymbolState, move: _Move) -> int:
        """When the move's low or high is older than its window."""
        reporter, windows = self._reporter, state.windows
        if move.is_rise:
            since_ms = reporter.since_ms(state.symbol, SpikeDirection.UP)
            return windows.low_since_leaves_ms(move.window, since_ms)
        since_ms = reporter.since_ms(state.symbol, SpikeDirection.DOWN)
        return windows.high_since_leaves_ms(move.window, since_ms)

    def _missing_for_price(
        self, state: SymbolState, window: int, price: float, least: float
    ) -> tuple[float, float]:
        """What must trade, below a price, before a move of the window counts."""
        bars, multiple = state.bars, self._config.price_min_volume_multiple
        needed = 0.0
        if bars.has_baseline(window) and multiple > 0.0:
            usual = bars.usual_volume * WINDOW_MINUTES[window]
            needed = multiple * usual if usual > 0.0 else _INFINITY
        return self._missing(needed, state.windows.volume(window), price, least)

    def _missing(
        self, needed: float, volume: float, price: float, least: float
    ) -> tuple[float, float]:
        """What must trade, below a price, until ``volume`` is ``needed`` and worth enough."""
        volume *= 1.0 + ROUNDING
        notional = self._config.min_notional_usd * (1.0 - ROUNDING)
        missing, of_notional = needed * (1.0 - ROUNDING) - volume, notional / price - volume
        highest = price * (1.0 + least)
        at_highest = notional / highest - volume
        if at_highest > max(missing, of_notional / 2.0):
            return at_highest, highest
        if of_notional <= 2.0 * missing or of_notional <= 0.0:
            return missing, _INFINITY
        # Half of it may trade if the price does not make up for the other half.
        return of_notional / 2.0, notional / (volume + of_notional / 2.0)

    def _unsure(
        self, state: SymbolState, window: int, extreme: float, price: float, share: float
    ) -> tuple[float, float]:
        """What may trade, and how far the price may go on, with a move that stays too unsure.

        Half of the missing confidence may come from volume, the other half from the move, at the
        most that a unit of each can add. The move is from ``extreme`` and at least ``share`` of
        its threshold; where it lacks no confidence it may go nowhere: infinite and 0.
        """
        config, bars = self._config, state.bars
        threshold = self._thresholds[state.symbol][window]
        mean, deviation = bars.usual_move(window)
        if abs(mean) > share * threshold / 2.0:  # a smaller move might be the rarer one
            return _INFINITY, 0.0
        move = price / extreme - 1.0
        multiple = bars.volume_multiple(window, state.windows.volume(window))
        z_score = bars.z_score(window, move)
        known = confidence(config, abs(move) / threshold, z_score, multiple)
        missing = config.min_confidence - known
        if missing <= ROUNDING:
            return _INFINITY, 0.0
        slope = SIZE_WEIGHT / (2.0 * threshold)
        if deviation > 0.0 and config.min_z_score > 0.0:
            slope += RARITY_WEIGHT / (2.0 * config.min_z_score * deviation)
        room = _INFINITY
        if bars.usual_volume > 0.0:
            usual = bars.usual_volume * WINDOW_MINUTES[window]
            room = missing * config.volume_multiple * usual / VOLUME_WEIGHT
        return room, missing / 2.0 / slope
