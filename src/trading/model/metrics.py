"""What the crash detector measures, with the limits beside the values."""

from __future__ import annotations

from trading.model.base import ValueModel


class Metric(ValueModel):
    """One crash metric against its limits. ``value`` and limits share ``unit``.

    Drawdowns are positive numbers (a fall of 15 % is 15.0). ``ready`` is False while the window
    has too little data to mean anything; ``soft_limit`` is where WARNING begins.
    """

    name: str  # e.g. "btc_drawdown_1h"
    value: float
    hard_limit: float
    soft_limit: float
    unit: str = "%"
    ready: bool = True

    @property
    def share_of_limit(self) -> float:
        """1.0 at the hard limit."""
        return self.value / self.hard_limit if self.hard_limit else 0.0

    @property
    def is_breached(self) -> bool:
        return self.ready and self.value >= self.hard_limit


class MarketSnapshot(ValueModel):
    """All crash metrics at one moment, and the prices they came from."""

    time_ms: int
    metrics: tuple[Metric, ...]
    prices: dict[str, float]  # last price by symbol
    breadth_falling: int = 0  # tracked pairs beyond the breadth fall
    breadth_tracked: int = 0
    feed_age_ms: int | None = None  # None before the first tick
    healthy: bool = True  # False: stale, gapped or insane data
    problem: str = ""

    @property
    def worst(self) -> Metric | None:
        """The ready metric nearest to, or farthest beyond, its hard limit."""
        ready = [metric for metric in self.metrics if metric.ready]
        return max(ready, key=lambda metric: metric.share_of_limit, default=None)

    @property
    def share_of_limit(self) -> float:
        """Share of the hard limit that the worst metric has used; 0 with no ready metric."""
        return self.worst.share_of_limit if self.worst else 0.0


class WindowStats(ValueModel):
    """Rolling statistics of one symbol over one window. Percentages are signed."""

    window: str  # "1m", "5m", "15m", "1h", "4h"
    ready: bool
    high: float
    low: float
    last: float
    return_pct: float  # last against the first price in the window
    drawdown_pct: float  # positive: how far last is below the window's high
    volatility_pct: float  # standard deviation of 1-minute returns in the window
    z_score: float  # return against the pair's own history of returns of this length
    volume: float  # base asset traded in the window
    volume_multiple: float  # against the mean volume of windows of this length


class PumpView(ValueModel):
    """A pair's newest rise beside the features of pumps (``trading.market.pump_likelihood``).

    ``likelihood`` is None while the pair's past is too short, or BTC's move unknown.
    """

    symbol: str
    time_ms: int
    rise_15m_pct: float
    likelihood: float | None
    features: dict[str, float]


class SymbolStats(ValueModel):
    symbol: str
    time_ms: int
    last_price: float
    windows: dict[str, WindowStats]
