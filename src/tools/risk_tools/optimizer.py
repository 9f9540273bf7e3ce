"""The size that pays: the least of what growth, the order book and the risk engine allow."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Any, ClassVar

from pydantic import Field

from tools import analytics, risk_math
from tools.base import ToolClass, TradingTool
from tools.binance_tools import BOOK_LEVELS
from tools.proposals import require_spike_run
from tools.risk_tools.sizing import CENT, PositionSizeArguments, preview_size
from trading.errors import DecisionRejectedError
from trading.model.breaker import BreakerSnapshot
from trading.model.order import Side

# A quarter of Kelly's fraction: probabilities are guessed, and a guess too high at full Kelly
# loses (Thorp 2006, "The Kelly Criterion in Blackjack, Sports Betting and the Stock Market").
KELLY_SHARE = 0.25


class OptimizeSizeArguments(PositionSizeArguments):
    win_probability: float = Field(
        ge=0, le=1, description="Chance that the target is reached before the stop."
    )
    max_slippage_pct: float = Field(
        default=0.5, gt=0, le=10, description="Largest acceptable slippage of the entry, in %."
    )


class OptimizePositionSize(TradingTool):
    name: str = "optimize_position_size"
    description: str = (
        "The best size for a stop, a target and a chance of winning: the least of a quarter of "
        "Kelly's, what the order book takes within a slippage limit, and what the risk engine "
        "allows. Says which of them binds; 0 when the bet does not pay."
    )
    args_schema: Any = OptimizeSizeArguments
    tool_class: ClassVar[ToolClass] = ToolClass.ANALYSE

    def perform(
        self, arguments: OptimizeSizeArguments, snapshot: BreakerSnapshot
    ) -> dict[str, Any]:
        run, spike = require_spike_run(arguments.symbol)
        book = self._client.order_book(spike.symbol, BOOK_LEVELS)
        by_book = analytics.notional_within(book, Side.BUY, arguments.max_slippage_pct)
        by_book = by_book.quantize(CENT, ROUND_DOWN)
        if by_book <= 0:
            raise DecisionRejectedError("no_liquidity", f"{spike.symbol}'s book offers nothing")
        preview = preview_size(self._client, run, spike, arguments, by_book)
        kelly = risk_math.kelly_fraction(
            arguments.win_probability, arguments.take_profit_pct / arguments.stop_loss_pct
        )
        stake = preview.equity * Decimal(str(kelly * KELLY_SHARE))
        candidates = {
            "kelly": stake / Decimal(str(arguments.stop_loss_pct)) * 100,
            "order_book": by_book,
            "risk_engine": preview.notional if preview.approved else Decimal(0),
        }
        binding = min(candidates, key=lambda name: candidates[name])
        return {
            "symbol": spike.symbol,
            "kelly_fraction": analytics.rounded(kelly),
            "limits": {name: analytics.rounded(size, 2) for name, size in candidates.items()},
            "binding": binding,
            "best_notional": float(candidates[binding].quantize(CENT, ROUND_DOWN)),
            "rule": preview.rule,
            "reason": preview.reason,
        }
