"""What came after a trip, and what it was worth to a portfolio that was fully invested."""

from __future__ import annotations

import numpy as np
from pydantic import computed_field

from crews.evaluation.archive import Archive, Floats, column_of, times_of
from trading.clock import MINUTE_MS
from trading.model.base import ValueModel
from trading.simulator.recorded_files import LEADERS
from trading.simulator.recorded_series import BarSeries

HORIZON_MS = 24 * 60 * MINUTE_MS  # how far after a trip is looked
LATEST_PRICE_MS = 10 * MINUTE_MS  # a pair without a price for longer is not in the portfolio
FURTHER_FALL_PCT = 10.0  # a fall of this much after the trip made it right
BREADTH_FALL_PCT = 15.0  # and so did this fall within an hour,
BREADTH_SHARE = 0.5  # of this share of the recorded pairs,
BREADTH_MIN_PAIRS = 5  # where there were that many to speak of breadth
_HOUR = 60


class Outcome(ValueModel):
    """The day after a trip. Falls by one-minute closes from the price at the trip; savings in % of
    what the portfolio was worth then, after the fees of selling and of buying back."""

    pairs: int
    further_fall_btc_pct: float
    further_fall_eth_pct: float
    further_fall_median_pct: float  # of the median pair: one coin's collapse is no crash
    breadth_event: bool
    saved_at_low_pct: float  # against holding to the portfolio's low of the next 24 h
    saved_after_24h_pct: float  # against holding for 24 h; negative when prices came back

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own form
    @property
    def is_false(self) -> bool:
        """Nothing fell much farther, and the pairs did not fall together."""
        further = max(
            self.further_fall_btc_pct, self.further_fall_eth_pct, self.further_fall_median_pct
        )
        return further < FURTHER_FALL_PCT and not self.breadth_event


class Outcomes:
    """The outcomes of trips over one archive; the same trip is only looked at once."""

    def __init__(self, archive: Archive, fee_pct: float) -> None:
        """``fee_pct`` is what one side of a trade costs, in %."""
        self._archive = archive
        self.fee_pct = fee_pct
        self._kept = (1.0 - fee_pct / 100.0) ** 2
        self._known: dict[int, Outcome] = {}

    def of(self, trip_ms: int) -> Outcome:
        """The day after a trip at this time, at which BTC and ETH must be recorded."""
        if trip_ms not in self._known:
            self._known[trip_ms] = self._look(trip_ms)
        return self._known[trip_ms]

    def _look(self, trip_ms: int) -> Outcome:
        paths = {
            symbol: path
            for symbol, series in self._archive.pairs.items()
            if (path := _path(series, trip_ms)) is not None
        }
        together = np.stack(list(paths.values()))
        portfolio: Floats = together.mean(axis=0)
        low, last = float(portfolio.min()), float(portfolio[-1])
        btc, eth = (paths.get(leader, portfolio) for leader in LEADERS)
        return Outcome(
            pairs=len(paths),
            further_fall_btc_pct=_fall_pct(btc),
            further_fall_eth_pct=_fall_pct(eth),
            further_fall_median_pct=_fall_pct(np.median(together, axis=0)),
            breadth_event=_breadth_event(self._archive, trip_ms),
            saved_at_low_pct=(self._kept - low) * 100.0,
            saved_after_24h_pct=(self._kept - last) * 100.0,
        )


def _fall_pct(path: Floats) -> float:
    return float(1.0 - path.min()) * 100.0


def _path(series: BarSeries, trip_ms: int) -> Floats | None:
    """Closes of the minutes after the trip, as shares of the last price up to it."""
    times = times_of(series)
    first, last = np.searchsorted(times, (trip_ms - LATEST_PRICE_MS, trip_ms + HORIZON_MS))
    at_trip = int(np.searchsorted(times, trip_ms, side="right")) - 1
    if at_trip < first:
        return None
    closes = column_of(series, "close")
    # The trip's own minute: its price then lies between open and close, nobody knows where.
    price = _price_at(series, at_trip, trip_ms)
    path = np.full(HORIZON_MS // MINUTE_MS, np.nan)
    at = (times[at_trip:last] - times[at_trip]) // MINUTE_MS
    inside = at < len(path)
    path[at[inside]] = closes[at_trip:last][inside] / price
    known = np.where(np.isnan(path), 0, np.arange(len(path)))
    held: Floats = path[np.maximum.accumulate(known)]
    return held


def _price_at(series: BarSeries, at: int, time_ms: int) -> float:
    """The last of the four trades that stand for the bar (``bar_ticks``) up to ``time_ms``."""
    from trading.market.pseudo_ticks import bar_ticks

    (bar,) = series.bars(at, at + 1)
    return [tick.price for tick in bar_ticks(bar) if tick.time_ms <= time_ms][-1]


def _breadth_event(archive: Archive, trip_ms: int) -> bool:
    """Whether many pairs fell within an hour, between an hour before the trip and a day after."""
    minutes = (HORIZON_MS // MINUTE_MS) + 2 * _HOUR
    start_ms = trip_ms - 2 * _HOUR * MINUTE_MS
    falling, recorded = np.zeros(minutes), np.zeros(minutes)
    for series in archive.pairs.values():
        times = times_of(series)
        first, last = np.searchsorted(times, (start_ms, start_ms + minutes * MINUTE_MS))
        if first == last:
            continue
        at = (times[first:last] - start_ms) // MINUTE_MS
        high, close = np.full(minutes, -np.inf), np.full(minutes, np.nan)
        high[at] = column_of(series, "high")[first:last]
        close[at] = column_of(series, "close")[first:last]
        windows = np.lib.stride_tricks.sliding_window_view(high, _HOUR).max(axis=1)
        fall_pct = (1.0 - close[_HOUR - 1 :] / windows) * 100.0
        falling[_HOUR - 1 :] += fall_pct >= BREADTH_FALL_PCT  # NaN is not
        recorded[_HOUR - 1 :] += np.isfinite(close[_HOUR - 1 :])
    start_ms += (_HOUR - 1) * MINUTE_MS
    return _is_broad(falling, recorded) or _hourly_breadth_event(
        archive, start_ms, trip_ms + HORIZON_MS
    )


def _hourly_breadth_event(archive: Archive, start_ms: int, end_ms: int) -> bool:
    """The same of pairs of which only hours are recorded: by the close below the hour's high."""
    hour_ms = _HOUR * MINUTE_MS
    hours = max(0, end_ms // hour_ms + start_ms // -hour_ms)
    first_ms = -(start_ms // -hour_ms) * hour_ms
    for window in archive.hourly:
        falling, recorded = np.zeros(hours), np.zeros(hours)
        for series in window.pairs.values():
            times = times_of(series)
            first, last = np.searchsorted(times, (first_ms, first_ms + hours * hour_ms))
            at = (times[first:last] - first_ms) // hour_ms
            close, high = column_of(series, "close"), column_of(series, "high")
            falling[at] += (1.0 - close[first:last] / high[first:last]) * 100 >= BREADTH_FALL_PCT
            recorded[at] += 1
        if _is_broad(falling, recorded):
            return True
    return False


def _is_broad(falling: Floats, recorded: Floats) -> bool:
    enough = recorded >= BREADTH_MIN_PAIRS
    return bool(np.any(enough & (falling >= BREADTH_SHARE * np.maximum(recorded, 1))))
