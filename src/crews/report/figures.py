"""Figures of a report, each by its textbook formula. Returns are fractions, not per cent.

The risk-free rate and the required return are 0, deviations are of the sample, and returns
compound; empyrical, which the tests compare with, does the same.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from trading.clock import DAY_MS, HOUR_MS
from trading.model.base import ValueModel

YEAR_MS = 365 * DAY_MS  # this market never closes

# Below so many returns a ratio says more of chance than of trading.
MIN_RETURNS = 30
# "Returns for periods of less than one year must not be annualized" (GIPS standards, 2020).
# The first and the last measure of a year are a little less than a year apart.
MIN_ANNUALISED_MS = YEAR_MS - DAY_MS


@dataclass(frozen=True, slots=True)
class Step:
    """How long one return lasts. The longest that still gives ``MIN_RETURNS`` is taken."""

    name: str
    length_ms: int

    @property
    def per_year(self) -> float:
        return YEAR_MS / self.length_ms


# Nothing shorter: a few hours of minutes, annualised, give figures that mean nothing.
STEPS = (Step("daily", DAY_MS), Step("hourly", HOUR_MS))


class CurveFigures(ValueModel):
    """Of one equity curve. None where there is too little to tell it by.

    Ratios are annualised from ``return_count`` returns that last a ``step`` each.
    """

    total_return: float
    annual_return: float | None
    max_drawdown: float  # negative or 0
    drawdown_from_ms: int | None
    drawdown_to_ms: int | None
    step: str
    return_count: int
    annual_volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None


class TradeFigures(ValueModel):
    """Of closed round trips, fees taken off. None where there is nothing to tell it by."""

    count: int
    winning: int
    profit: float
    win_rate: float | None
    profit_factor: float | None  # gross profit over gross loss; None without a loss
    average_profit: float | None
    average_win: float | None
    average_loss: float | None  # negative
    best: float | None
    worst: float | None
    longest_losing_streak: int


def curve_figures(times_ms: Sequence[int], values: Sequence[float]) -> CurveFigures | None:
    """Of ``values`` (above 0) at ``times_ms`` (ascending); None of fewer than two points."""
    if len(values) < 2 or min(values) <= 0:
        return None
    step = _step(times_ms[-1] - times_ms[0])
    returns = simple_returns(sampled(times_ms, values, step.length_ms))
    enough = len(returns) >= MIN_RETURNS
    total = values[-1] / values[0] - 1
    span_ms = times_ms[-1] - times_ms[0]
    annual = (1 + total) ** (YEAR_MS / span_ms) - 1 if span_ms >= MIN_ANNUALISED_MS else None
    fall, start, low = max_drawdown(values)
    return CurveFigures(
        total_return=total,
        annual_return=annual,
        max_drawdown=fall,
        drawdown_from_ms=times_ms[start] if fall else None,
        drawdown_to_ms=times_ms[low] if fall else None,
        step=step.name,
        return_count=len(returns),
        annual_volatility=volatility(returns, step.per_year) if enough else None,
        sharpe=sharpe(returns, step.per_year) if enough else None,
        sortino=sortino(returns, step.per_year) if enough else None,
        calmar=annual / -fall if annual is not None and fall else None,
    )


def sampled(times_ms: Sequence[int], values: Sequence[float], step_ms: int) -> list[float]:
    """The first value, then the last one known at the end of each step of the clock and at the end.

    A step without values repeats the one before: nothing is known to have changed.
    """
    samples = [values[0]]
    boundary = (times_ms[0] // step_ms + 1) * step_ms
    last = values[0]
    for time_ms, value in zip(times_ms, values, strict=True):
        while time_ms >= boundary:
            samples.append(last if time_ms > boundary else value)
            boundary += step_ms
        last = value
    if times_ms[-1] % step_ms:
        samples.append(last)
    return samples


def simple_returns(values: Sequence[float]) -> list[float]:
    return [after / before - 1 for before, after in pairwise(values)]


def max_drawdown(values: Sequence[float]) -> tuple[float, int, int]:
    """The deepest fall from a peak (0 or negative), and the places of that peak and its low."""
    deepest, start, low, peak = 0.0, 0, 0, 0
    for place, value in enumerate(values):
        if value > values[peak]:
            peak = place
        fall = value / values[peak] - 1
        if fall < deepest:
            deepest, start, low = fall, peak, place
    return deepest, start, low


def volatility(returns: Sequence[float], per_year: float) -> float:
    """Standard deviation of the sample, annualised by the square root of time."""
    return statistics.stdev(returns) * math.sqrt(per_year)


def sharpe(returns: Sequence[float], per_year: float) -> float | None:
    """Sharpe (1994), risk-free rate 0; None of returns that do not vary."""
    deviation = statistics.stdev(returns)
    if deviation == 0:
        return None
    return statistics.fmean(returns) / deviation * math.sqrt(per_year)


def sortino(returns: Sequence[float], per_year: float) -> float | None:
    """Sortino and Price (1994), required return 0; None without a losing step.

    The downside deviation is over all returns, with gains as 0.
    """
    downside = math.sqrt(statistics.fmean(min(value, 0.0) ** 2 for value in returns))
    if downside == 0:
        return None
    return statistics.fmean(returns) / downside * math.sqrt(per_year)


def trade_figures(profits: Sequence[float]) -> TradeFigures:
    """Of round trips in the order they were closed. One that earned exactly 0 did not win."""
    wins = [profit for profit in profits if profit > 0]
    losses = [profit for profit in profits if profit < 0]
    streak = longest = 0
    for profit in profits:
        streak = streak + 1 if profit < 0 else 0
        longest = max(longest, streak)
    return TradeFigures(
        count=len(profits),
        winning=len(wins),
        profit=math.fsum(profits),
        win_rate=len(wins) / len(profits) if profits else None,
        profit_factor=math.fsum(wins) / -math.fsum(losses) if losses else None,
        average_profit=statistics.fmean(profits) if profits else None,
        average_win=statistics.fmean(wins) if wins else None,
        average_loss=statistics.fmean(losses) if losses else None,
        best=max(profits, default=None),
        worst=min(profits, default=None),
        longest_losing_streak=longest,
    )


def _step(span_ms: int) -> Step:
    return next((step for step in STEPS if span_ms >= MIN_RETURNS * step.length_ms), STEPS[-1])
