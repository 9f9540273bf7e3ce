"""Technical indicators of a pair."""

from __future__ import annotations

from typing import Any, ClassVar

from tools import analytics, indicators
from tools.base import SymbolArguments, ToolClass, TradingTool
from trading.model.breaker import BreakerSnapshot


class SummarizeTechnicals(TradingTool):
    name: str = "summarize_technicals"
    description: str = (
        "RSI, MACD, moving averages, Bollinger bands, ATR, ADX, stochastic oscillator, money flow "
        "and volatility of a pair from its newest 1-minute bars."
    )
    args_schema: Any = SymbolArguments
    tool_class: ClassVar[ToolClass] = ToolClass.ANALYSE

    def perform(self, arguments: SymbolArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        bars = self._client.bars(arguments.symbol, indicators.BARS)
        figures = indicators.indicators(bars)
        fast, slow = figures["ema_9"], figures["ema_21"]
        return {
            "symbol": arguments.symbol,
            "bars": len(bars),
            "last_close": bars[-1].close if bars else None,
            "trend": None if fast is None or slow is None else "up" if fast > slow else "down",
            "volatility_pct": analytics.rounded(analytics.deviation(analytics.returns_pct(bars))),
            **{name: analytics.rounded(value, 6) for name, value in figures.items()},
        }
