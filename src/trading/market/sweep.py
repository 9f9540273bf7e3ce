"""The pass over all pairs: who traded, who is falling, and whose volume must be weighed.

The pairs that traded are found one by one; everything else is compared for all at once, in the
columns of ``PairFigures``, and only the pairs that these do not decide are looked at themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trading.clock import MINUTE_MS
from trading.market.breadth import BreadthWatch
from trading.market.columns import TRADE_BYTES, last_trade
from trading.market.examination import Examination
from trading.market.pair_figures import PairFigures
from trading.market.symbol_state import SymbolState

# So many trades of a pair wait at most; settling many at once costs less a trade.
SETTLE_BYTES = 1_024 * TRADE_BYTES


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a pass found. ``pairs`` are the numbers of those in ``traded``, ``prices`` theirs."""

    traded: dict[str, float]
    pairs: npt.NDArray[np.intp]
    prices: npt.NDArray[np.float64]
    falling: int  # of the tracked pairs
    tracked: int
    minute_began: bool


class PairSweep:
    """Sweeps the pairs, which are numbered in their order in ``figures``."""

    def __init__(
        self,
        states: Iterable[SymbolState],
        figures: PairFigures,
        examination: Examination,
        breadth: BreadthWatch,
    ) -> None:
        self._states = tuple(states)
        self._figures = figures
        self._examination = examination
        self._breadth = breadth
        self._swept_minute = -1

    def run(self, now_ms: int) -> Sweep:
        """Look at all pairs as of ``now_ms``."""
        minute = now_ms // MINUTE_MS
        minute_began = minute != self._swept_minute
        self._swept_minute = minute
        traded: dict[str, float] = {}
        numbers: list[int] = []
        full: list[SymbolState] = []
        for number, state in enumerate(self._states):
            staged = state.staged
            waiting = len(staged)
            if waiting > state.seen:
                state.seen = waiting
                traded[state.symbol] = last_trade(staged)[1] if waiting else state.last_price
                numbers.append(number)
                if waiting >= SETTLE_BYTES:
                    full.append(state)
        pairs = np.fromiter(numbers, np.intp, len(numbers))
        prices = np.fromiter(traded.values(), np.float64, len(traded))
        self._figures.all_price[pairs] = prices
        for number in pairs[self._figures.all_weigh_from_ms[pairs] <= now_ms].tolist():
            self._examination.weigh_volume(self._states[number], now_ms)
        for state in full:
            if state.staged:
                state.settle()
        self._look_for_falls(pairs, now_ms, everywhere=minute_began)
        is_tracked = self._tracked(now_ms)
        return Sweep(
            traded,
            pairs,
            prices,
            falling=int(np.count_nonzero(is_tracked & self._figures.all_is_falling)),
            tracked=int(np.count_nonzero(is_tracked)),
            minute_began=minute_began,
        )

    def _look_for_falls(
        self, pairs: npt.NDArray[np.intp], now_ms: int, *, everywhere: bool
    ) -> None:
        """Say which pairs are falling: of those that traded, or of all.

        Windows of pairs that do not trade only shrink: once a minute is enough for them.
        """
        all_of = self._figures
        may_fall = all_of.all_price <= all_of.all_fall_line
        if everywhere:
            asked = may_fall & (all_of.all_price > 0.0)
            asked[pairs] = True
        else:
            asked = np.zeros(len(self._states), np.bool_)
            asked[pairs] = True
        falls = (
            may_fall
            & (all_of.all_price <= all_of.all_sure_fall_line)
            & (now_ms < all_of.all_falling_until_ms)
        )
        np.copyto(all_of.all_is_falling, falls, where=asked)
        for number in np.flatnonzero(asked & may_fall & ~falls).tolist():
            state = self._states[number]
            state.is_falling = self._breadth.is_falling(state, all_of.price[number], now_ms)

    def _tracked(self, now_ms: int) -> npt.NDArray[np.bool_]:
        """Which pairs count for breadth."""
        all_of = self._figures
        tracked: npt.NDArray[np.bool_] = now_ms < all_of.all_tracked_until_ms
        unknown = ~tracked & (all_of.all_price > 0.0) & (now_ms >= all_of.all_untracked_until_ms)
        for number in np.flatnonzero(unknown).tolist():
            tracked[number] = self._breadth.is_tracked(self._states[number], now_ms)
        return tracked
