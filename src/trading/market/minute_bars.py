"""One-minute bars of one pair, and what is usual for it."""

from __future__ import annotations

import math
from collections import deque
from itertools import islice

from trading.clock import MINUTE_MS
from trading.market.columns import Numbers, Times, bounds, first_from, total
from trading.market.windows import WINDOW_MINUTES
from trading.model.market import Bar

MIN_BASELINE_SAMPLES = 30  # below this, a mean and a deviation say nothing
_ROUNDING = 1e-9  # of running sums, far more than they can be wrong by


class Moments:
    """Mean and standard deviation of the last ``size`` samples, O(1) a sample."""

    __slots__ = ("_samples", "_since_exact", "_squares", "_sum")

    def __init__(self, size: int) -> None:
        self._samples: deque[float] = deque(maxlen=size)
        self._sum = 0.0
        self._squares = 0.0
        self._since_exact = 0

    def __len__(self) -> int:
        return len(self._samples)

    def lowest_after(self, count: int) -> tuple[float, float]:
        """Neither mean nor deviation can be lower after up to ``count`` further samples, if none
        is negative: the samples that stay then, and as many as possible that add nothing."""
        known, size = len(self._samples), self._samples.maxlen or 0
        leaving = list(islice(self._samples, max(0, known + count - size)))
        staying, most = known - len(leaving), max(1, min(size, known + count))
        total = max(0.0, self._sum - math.fsum(leaving))
        squares = self._squares - math.fsum(value * value for value in leaving)
        spread = squares - total * total / max(1, staying) - _ROUNDING * self._squares
        return total / most, math.sqrt(max(0.0, spread) / most)

    def add(self, sample: float) -> None:
        samples = self._samples
        if len(samples) == samples.maxlen:
            oldest = samples[0]
            self._sum -= oldest
            self._squares -= oldest * oldest
        samples.append(sample)
        self._sum += sample
        self._squares += sample * sample
        self._since_exact += 1
        if self._since_exact > 10_000:  # before rounding errors of running sums add up
            self._sum = math.fsum(samples)
            self._squares = math.fsum(value * value for value in samples)
            self._since_exact = 0

    @property
    def mean(self) -> float:
        return self._sum / len(self._samples) if self._samples else 0.0

    @property
    def deviation(self) -> float:
        """Population standard deviation; 0 with fewer than two samples."""
        count = len(self._samples)
        if count < 2:
            return 0.0
        mean = self._sum / count
        return math.sqrt(max(0.0, self._squares / count - mean * mean))


class MinuteBars:
    """Bars built from trades, with rolling statistics of the closed ones.

    A minute without a trade is a flat bar without volume, as Binance counts it.
    """

    def __init__(self, symbol: str, baseline_minutes: int) -> None:
        self._symbol = symbol
        self._baseline_minutes = baseline_minutes
        self._reset()

    def _reset(self) -> None:
        size = self._baseline_minutes
        self._closed: deque[Bar] = deque(maxlen=max(size, WINDOW_MINUTES[-1]) + 1)
        self._returns = [Moments(size) for _ in WINDOW_MINUTES]
        self._volatility = [Moments(minutes) for minutes in WINDOW_MINUTES]
        self._volumes = Moments(size)
        # What least_unusual_volume and rare_moves were last asked, and their answers.
        self._floor: tuple[tuple[int, float, float], float] | None = None
        self._rare: tuple[float, tuple[tuple[float, float], ...]] | None = None
        self._open_ms = -1
        self._next_ms = -1
        self._o = self._h = self._l = self._c = self._v = 0.0

    @property
    def open_ms(self) -> int:
        """Start of the open minute; -1 before the first trade."""
        return self._open_ms

    @property
    def closed_count(self) -> int:
        return len(self._closed)

    def add(self, time_ms: int, price: float, quantity: float) -> None:
        """Take a trade; times must not fall."""
        if time_ms >= self._next_ms:
            self._open(time_ms, price, price, price, price, quantity)
            return
        self._v += quantity
        self._c = price
        if price > self._h:
            self._h = price
        elif price < self._l:
            self._l = price

    def extend(self, times: Times, prices: Numbers, quantities: Numbers) -> None:
        """Take trades in the order they came, as ``add`` would one after the other."""
        count, at = len(times), 0
        while at < count:
            if times[at] >= self._next_ms:
                self.add(int(times[at]), float(prices[at]), float(quantities[at]))
                at += 1
                continue
            stop = count
            if times[-1] >= self._next_ms:
                stop = first_from(times, self._next_ms, at)
            whole = stop - at == count
            lowest, highest = bounds(prices if whole else prices[at:stop])
            self._h = max(self._h, highest)
            self._l = min(self._l, lowest)
            self._c = float(prices[stop - 1])
            self._v = total(self._v, quantities if whole else quantities[at:stop])
            at = stop

    def load(self, bars: list[Bar]) -> None:
        """Merge bars of the past with what is here; minutes that saw trades here keep their own."""
        merged = {bar.open_time_ms: bar for bar in bars}
        merged.update(
            (bar.open_time_ms, bar) for bar in self.last(self.closed_count + 1) if bar.volume
        )
        self._reset()
        for _, bar in sorted(merged.items()):
            self._open(bar.open_time_ms, bar.open, bar.high, bar.low, bar.close, bar.volume)

    def last(self, count: int) -> tuple[Bar, ...]:
        """The last bars, oldest first, the open one included."""
        if self._open_ms < 0 or count <= 0:
            return ()
        newest = list(islice(reversed(self._closed), count - 1))
        newest.reverse()
        return (*newest, self._current())

    def z_score(self, window: int, return_fraction: float) -> float:
        """A return of the window's length against the pair's own; 0 without enough past."""
        mean, deviation = self.usual_move(window)
        return (return_fraction - mean) / deviation if deviation else 0.0

    def usual_move(self, window: int) -> tuple[float, float]:
        """Mean and standard deviation of the window's returns; zeros without enough past."""
        moments = self._returns[window]
        if len(moments) < MIN_BASELINE_SAMPLES:
            return 0.0, 0.0
        return moments.mean, moments.deviation

    def rare_moves(self, sigmas: float) -> tuple[tuple[float, float], ...]:
        """For each window, how far it must fall and rise, as fractions, before the size of its
        ``z_score`` can reach ``sigmas``; until the open minute closes."""
        if self._rare is None or self._rare[0] != sigmas:
            moves = (_rare_moves(*self.usual_move(at), sigmas) for at in range(len(self._returns)))
            self._rare = (sigmas, tuple(moves))
        return self._rare[1]

    def has_baseline(self, window: int) -> bool:
        return len(self._returns[window]) >= MIN_BASELINE_SAMPLES

    def volatility_pct(self, window: int) -> float:
        """Standard deviation of the one-minute returns in the window's closed minutes, in %."""
        return self._volatility[window].deviation * 100.0

    def volume_multiple(self, window: int, volume: float) -> float:
        """A window's volume against the mean of the baseline; 0 without enough past."""
        usual = self._volumes.mean * WINDOW_MINUTES[window]
        if len(self._volumes) < MIN_BASELINE_SAMPLES or usual <= 0.0:
            return 0.0
        return volume / usual

    def least_unusual_volume(self, minutes: int, multiple: float, sigmas: float) -> float:
        """While at most ``minutes`` further minutes close, no minute with less volume than this is
        both ``multiple`` times the usual one and ``sigmas`` deviations above it; infinite where
        there is too little past to call any volume usual."""
        asked = (minutes, multiple, sigmas)
        if self._floor is None or self._floor[0] != asked:
            least = math.inf
            if len(self._volumes) + minutes >= MIN_BASELINE_SAMPLES:
                mean, deviation = self._volumes.lowest_after(minutes)
                least = max(multiple * mean, mean + sigmas * deviation) * (1.0 - _ROUNDING)
            self._floor = (asked, least)
        return self._floor[1]

    @property
    def usual_volume(self) -> float:
        """Mean volume of the baseline's minutes; 0 without enough past."""
        return self._volumes.mean if len(self._volumes) >= MIN_BASELINE_SAMPLES else 0.0

    def volume_z_score(self, volume: float) -> float:
        """A minute's volume against the baseline's minutes, in deviations; 0 without enough past.

        A baseline of equal minutes has no deviation: anything above it is infinitely far away.
        """
        moments = self._volumes
        if len(moments) < MIN_BASELINE_SAMPLES:
            return 0.0
        above, deviation = volume - moments.mean, moments.deviation
        if deviation <= 1e-9 * moments.mean:
            return math.inf if above > 0.0 else 0.0
        return above / deviation

    def volume_at(self, sigmas: float) -> float:
        """The volume of a minute that lies so many deviations above the baseline's mean."""
        return self._volumes.mean + sigmas * self._volumes.deviation

    def closed_volumes(self) -> list[float]:
        """Volumes of the closed minutes of the baseline, oldest first."""
        skipped = max(0, len(self._closed) - self._baseline_minutes)
        return [bar.volume for bar in islice(self._closed, skipped, None)]

    def _open(
        self, time_ms: int, opened: float, high: float, low: float, close: float, volume: float
    ) -> None:
        start_ms = time_ms // MINUTE_MS * MINUTE_MS
        if self._open_ms >= 0:
            self._close()
            self._fill_gap(start_ms)
        self._open_ms = start_ms
        self._next_ms = start_ms + MINUTE_MS
        self._o, self._h, self._l, self._c, self._v = opened, high, low, close, volume

    def _fill_gap(self, until_ms: int) -> None:
        missing = (until_ms - self._next_ms) // MINUTE_MS
        if missing > self._baseline_minutes:
            self._reset()  # too long ago to say what is usual
            return
        close = self._c
        for _ in range(missing):
            self._open_ms, self._next_ms = self._next_ms, self._next_ms + MINUTE_MS
            self._o = self._h = self._l = self._c = close
            self._v = 0.0
            self._close()

    def _close(self) -> None:
        closed = self._closed
        closed.append(self._current())
        count = len(closed)
        for window, minutes in enumerate(WINDOW_MINUTES):
            if count > minutes:
                move = self._c / closed[-1 - minutes].close - 1.0
                self._returns[window].add(move)
                if window == 0:
                    for moments in self._volatility:
                        moments.add(move)
        self._volumes.add(self._v)
        self._floor = self._rare = None

    def _current(self) -> Bar:
        return Bar(
            self._symbol, self._open_ms, MINUTE_MS, self._o, self._h, self._l, self._c, self._v
        )


def _rare_moves(mean: float, deviation: float, sigmas: float) -> tuple[float, float]:
    if sigmas <= 0.0:
        return 0.0, 0.0
    if deviation == 0.0:
        return math.inf, math.inf
    lowest, highest = mean - sigmas * deviation, mean + sigmas * deviation
    # Where the usual is itself a steady fall, standing still is as rare as falling.
    return (-lowest, highest) if lowest < 0.0 < highest else (0.0, 0.0)
