"""Past spikes that were like the one of now."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from tools import analytics
from tools.analysis_tools.spike_context import spike_of_run
from tools.base import SymbolArguments, ToolClass, TradingTool
from trading.errors import DecisionRejectedError
from trading.model.breaker import BreakerSnapshot
from trading.model.history import SpikePattern

_PROFITABLE, _UNPROFITABLE = "profitable", "unprofitable"


class SpikeHistoryArguments(SymbolArguments):
    limit: int = Field(default=5, ge=1, le=20, description="How many of the nearest.")


class MatchSpikeHistory(TradingTool):
    name: str = "match_spike_history"
    description: str = (
        "The recorded spikes most like this run's (same kind and direction; size, length, volume) "
        "and what came of those that were traded."
    )
    args_schema: Any = SpikeHistoryArguments
    tool_class: ClassVar[ToolClass] = ToolClass.ANALYSE

    def perform(
        self, arguments: SpikeHistoryArguments, snapshot: BreakerSnapshot
    ) -> dict[str, Any]:
        spike = spike_of_run(arguments.symbol)
        if spike is None:
            raise DecisionRejectedError("no_run", f"no run about a spike of {arguments.symbol}")
        past = self._client.past_spikes(
            SpikePattern(
                symbol=spike.symbol,
                type=spike.type,
                direction=spike.direction,
                magnitude_pct=spike.magnitude_pct,
                timeframe_minutes=spike.timeframe_minutes,
                volume_multiple=spike.volume_multiple,
                before_ms=spike.detected_at_ms,
                limit=arguments.limit,
            )
        )
        won = sum(one.outcome == _PROFITABLE for one in past.spikes)
        lost = sum(one.outcome == _UNPROFITABLE for one in past.spikes)
        pnls = [Decimal(one.pnl) for one in past.spikes if one.pnl is not None]
        return {
            "symbol": spike.symbol,
            "compared": past.compared,
            "matches": [one.model_dump(mode="json") for one in past.spikes],
            "closed": won + lost,
            "win_rate": analytics.rounded(won / (won + lost)) if won + lost else None,
            "mean_pnl": (
                analytics.rounded(math.fsum(map(float, pnls)) / len(pnls)) if pnls else None
            ),
        }
