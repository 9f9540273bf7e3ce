"""Tools that explain a move. The core's data, plain arithmetic, no opinion."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from tools import analytics
from tools.base import ToolArguments, ToolClass, TradingTool
from tools.run_context import current_run
from trading.clock import MINUTE_MS
from trading.model.breaker import BreakerSnapshot

_BARS = 60
_BOOK_LEVELS = 20


class SpikeContextArguments(ToolArguments):
    symbol: str = Field(pattern=r"^[A-Z0-9]{3,20}$", description="The pair that spiked.")
    timeframe_minutes: int = Field(
        default=5, ge=1, le=240, description="Length of the move, in minutes."
    )
    reference: str = Field(
        default="BTCUSDT",
        pattern=r"^[A-Z0-9]{3,20}$",
        description="Pair that stands for the market.",
    )


class TechnicalArguments(ToolArguments):
    symbol: str = Field(pattern=r"^[A-Z0-9]{3,20}$", description="Pair, such as ETHUSDT.")


def window_for(minutes: int) -> str:
    """Name of the shortest rolling window that holds a move of ``minutes``."""
    for limit, name in ((1, "1m"), (5, "5m"), (15, "15m"), (60, "1h")):
        if minutes <= limit:
            return name
    return "4h"


def _pump_likelihood_at_detection(symbol: str) -> float | None:
    """The detector's own figure for the spike that this run is about."""
    run = current_run()
    spike = run.spike if run else None
    return spike.pump_likelihood if spike and spike.symbol == symbol else None


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)


class AnalyzeSpikeContext(TradingTool):
    name: str = "analyze_spike_context"
    description: str = (
        "Is a spike the pair's own or the market's: co-movement with the reference pair, volume, "
        "order book, how much is given back, and how much it looks like a pump."
    )
    args_schema: Any = SpikeContextArguments
    tool_class: ClassVar[ToolClass] = ToolClass.ANALYSE

    def perform(
        self, arguments: SpikeContextArguments, snapshot: BreakerSnapshot
    ) -> dict[str, Any]:
        name = window_for(arguments.timeframe_minutes)
        own = self._client.symbol_stats(arguments.symbol).windows[name]
        market = self._client.symbol_stats(arguments.reference).windows[name]
        bars = self._client.bars(arguments.symbol, _BARS)
        # The spike itself must not define how the pair usually moves with the market.
        before_ms = self._client.now_ms() - arguments.timeframe_minutes * MINUTE_MS
        usual, market_usual = analytics.common_returns_pct(
            bars, self._client.bars(arguments.reference, _BARS), before_ms=before_ms
        )
        correlation, beta = analytics.correlation_and_beta(usual, market_usual)
        book = self._client.order_book(arguments.symbol, _BOOK_LEVELS)
        # The leader's own move is its own: there is nothing to hold it against.
        leads = arguments.symbol == arguments.reference
        isolated = (
            1.0 if leads else analytics.isolated_share(own.return_pct, market.return_pct, beta)
        )
        imbalance = analytics.book_imbalance(book)
        retraced = analytics.retraced_share(
            (own.high / own.low - 1) * 100 if own.low else 0.0, own.drawdown_pct
        )
        likelihood = analytics.pump_and_dump_likelihood(
            isolated=isolated,
            volume_multiple=own.volume_multiple,
            imbalance=imbalance,
            retraced=retraced,
        )
        at_detection = _pump_likelihood_at_detection(arguments.symbol)
        if at_detection is not None:
            # Trades told it at the detection, book and price tell it now: believe the worse.
            likelihood = max(likelihood, at_detection)
        return {
            "symbol": arguments.symbol,
            "reference": arguments.reference,
            "window": name,
            "return_pct": _rounded(own.return_pct),
            "reference_return_pct": _rounded(market.return_pct),
            "correlation": _rounded(correlation),
            "beta": _rounded(beta),
            "isolated_share": _rounded(isolated),
            "volume_multiple": _rounded(own.volume_multiple),
            "book_imbalance": _rounded(imbalance),
            "spread_pct": _rounded(analytics.spread_pct(book)),
            "slippage_pct_1000": _rounded(analytics.buy_slippage_pct(book, Decimal(1000))),
            "retraced_share": _rounded(retraced),
            "volatility_pct": _rounded(analytics.deviation(usual)),
            "pump_and_dump_likelihood": _rounded(likelihood),
        }


class SummarizeTechnicals(TradingTool):
    name: str = "summarize_technicals"
    description: str = (
        "RSI, moving averages, range and volatility of a pair from its newest 1-minute bars."
    )
    args_schema: Any = TechnicalArguments
    tool_class: ClassVar[ToolClass] = ToolClass.ANALYSE

    def perform(self, arguments: TechnicalArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        bars = self._client.bars(arguments.symbol, _BARS)
        closes = [bar.close for bar in bars]
        fast, slow = analytics.moving_average(closes, 9), analytics.moving_average(closes, 21)
        return {
            "symbol": arguments.symbol,
            "bars": len(bars),
            "last_close": closes[-1] if closes else None,
            "rsi_14": _rounded(analytics.relative_strength_index(bars)),
            "moving_average_9": _rounded(fast, 8),
            "moving_average_21": _rounded(slow, 8),
            "trend": None if fast is None or slow is None else "up" if fast > slow else "down",
            "average_range_pct_14": _rounded(analytics.average_range_pct(bars)),
            "volatility_pct": _rounded(analytics.deviation(analytics.returns_pct(bars))),
        }
