"""Risk figures of a pair from its own past."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from pydantic import Field

from tools import analytics, risk_math
from tools.base import SYMBOL_PATTERN, SymbolArguments, ToolClass, TradingTool
from trading.model.breaker import BreakerSnapshot

_MINUTES_A_YEAR = 365 * 24 * 60
_FAR_FUTURE_MS = 10**18


class RiskMetricsArguments(SymbolArguments):
    reference: str = Field(
        default="BTCUSDT", pattern=SYMBOL_PATTERN, description="Pair that stands for the market."
    )
    minutes: int = Field(default=500, ge=60, le=1000, description="How far back, in minutes.")


class CalculateRiskMetrics(TradingTool):
    name: str = "calculate_risk_metrics"
    description: str = (
        "Volatility, value at risk, expected shortfall, drawdown, worst minute, beta and "
        "correlation of a pair from its newest 1-minute returns."
    )
    args_schema: Any = RiskMetricsArguments
    tool_class: ClassVar[ToolClass] = ToolClass.ANALYSE

    def perform(self, arguments: RiskMetricsArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        pairs = tuple(dict.fromkeys((arguments.symbol, arguments.reference)))
        history = self._client.history(pairs, arguments.minutes)
        bars = history[arguments.symbol]
        returns = analytics.returns_pct(bars)
        correlation, beta = analytics.correlation_and_beta(
            *analytics.common_returns_pct(
                bars, history[arguments.reference], before_ms=_FAR_FUTURE_MS
            )
        )
        deviation = analytics.deviation(returns)
        figures = {
            "volatility_pct": deviation,
            "volatility_annual_pct": deviation * math.sqrt(_MINUTES_A_YEAR),
            "downside_deviation_pct": risk_math.downside_deviation_pct(returns),
            "value_at_risk_95_pct": risk_math.value_at_risk_pct(returns, 0.95),
            "value_at_risk_99_pct": risk_math.value_at_risk_pct(returns, 0.99),
            "expected_shortfall_95_pct": risk_math.expected_shortfall_pct(returns, 0.95),
            "max_drawdown_pct": risk_math.max_drawdown_pct([bar.close for bar in bars]),
            "worst_minute_pct": min(returns, default=None),
            "correlation": correlation,
            "beta": beta,
        }
        return {
            "symbol": arguments.symbol,
            "reference": arguments.reference,
            "bars": len(bars),
            **{name: analytics.rounded(value) for name, value in figures.items()},
        }
