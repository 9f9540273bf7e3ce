"""Risk figures of a series of returns, by their textbook definitions (historical, no model).

Value at risk and expected shortfall are losses, so positive: a VaR 99 of 0.8 means that one minute
in a hundred lost 0.8 % or more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def value_at_risk_pct(returns_pct: Sequence[float], level: float) -> float | None:
    """The historical quantile of losses at ``level`` (0.95, 0.99); None where not even one return
    lies beyond it."""
    tail = _tail(returns_pct, level)
    return max(0.0, -tail[-1]) if tail else None


def expected_shortfall_pct(returns_pct: Sequence[float], level: float) -> float | None:
    """Mean loss of the returns at and beyond the value at risk."""
    tail = _tail(returns_pct, level)
    return max(0.0, -math.fsum(tail) / len(tail)) if tail else None


def downside_deviation_pct(returns_pct: Sequence[float]) -> float | None:
    """Root mean square of the negative returns over all of them (Sortino's)."""
    if not returns_pct:
        return None
    return math.sqrt(math.fsum(min(0.0, r) ** 2 for r in returns_pct) / len(returns_pct))


def max_drawdown_pct(closes: Sequence[float]) -> float:
    """Deepest fall below a previous high, in %, positive."""
    high = deepest = 0.0
    for close in closes:
        high = max(high, close)
        deepest = max(deepest, (1 - close / high) * 100)
    return deepest


def kelly_fraction(win_probability: float, reward_to_risk: float) -> float:
    """Share of capital to put at stake for the fastest growth: ``p - (1 - p) / b`` (Kelly 1956);
    0 where the bet does not pay."""
    return max(0.0, win_probability - (1 - win_probability) / reward_to_risk)


def concentration(values: Sequence[float]) -> float | None:
    """Herfindahl index of the shares, 1 for all in one; None where there is nothing."""
    total = math.fsum(values)
    return math.fsum((value / total) ** 2 for value in values) if total > 0 else None


def _tail(returns_pct: Sequence[float], level: float) -> list[float]:
    """The worst returns, worst first, the last one at the level."""
    count = math.floor(len(returns_pct) * (1 - level) + 1e-9)
    return sorted(returns_pct)[:count]
