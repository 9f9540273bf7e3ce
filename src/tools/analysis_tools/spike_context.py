"""What a move is made of, beside the market's. The core's data, plain arithmetic, no opinion."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from tools import analytics
from tools.base import SYMBOL_PATTERN, ToolArguments, ToolClass, TradingTool
from tools.run_context import current_run
from trading.clock import MINUTE_MS
from trading.model.breaker import BreakerSnapshot
from trading.model.order import Side
from trading.model.spike import Spike

_BARS = 60
_BOOK_LEVELS = 20


class SpikeContextArguments(ToolArguments):
    symbol: str = Field(pattern=SYMBOL_PATTERN, description="The pair that spiked.")
    timeframe_minutes: int = Field(
        default=5, ge=1, le=240, description="Length of the move, in minutes."
    )
    reference: str = Field(
        default="BTCUSDT",
        pattern=SYMBOL_PATTERN,
        description="Pair that stands for the market.",
    )


def window_for(minutes: int) -> str:
    """Name of the shortest rolling window that holds a move of ``minutes``."""
    for limit, name in ((1, "1m"), (5, "5m"), (15, "15m"), (60, "1h")):
        if minutes <= limit:
            return name
    return "4h"


def spike_of_run(symbol: str) -> Spike | None:
    """The spike that the current run is about, when it is the pair's."""
    run = current_run()
    spike = run.spike if run else None
    return spike if spike and spike.symbol == symbol else None


def _pump_likelihood_at_detection(symbol: str) -> float | None:
    """The detector's own figure for the spike that this run is about."""
    spike = spike_of_run(symbol)
    return spike.pump_likelihood if spike else None


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
            "return_pct": analytics.rounded(own.return_pct),
            "reference_return_pct": analytics.rounded(market.return_pct),
            "correlation": analytics.rounded(correlation),
            "beta": analytics.rounded(beta),
            "isolated_share": analytics.rounded(isolated),
            "volume_multiple": analytics.rounded(own.volume_multiple),
            "book_imbalance": analytics.rounded(imbalance),
            "spread_pct": analytics.rounded(analytics.spread_pct(book)),
            "slippage_pct_1000": analytics.rounded(
                analytics.slippage_pct(book, Side.BUY, Decimal(1000))
            ),
            "retraced_share": analytics.rounded(retraced),
            "volatility_pct": analytics.rounded(analytics.deviation(usual)),
            "pump_and_dump_likelihood": analytics.rounded(likelihood),
        }
