"""How far the market is from a halt."""

from __future__ import annotations

from typing import Any, ClassVar

from tools import analytics
from tools.base import NoArguments, ToolClass, TradingTool
from trading.model.breaker import BreakerSnapshot, BreakerStatus


class CheckMarketStability(TradingTool):
    name: str = "check_market_stability"
    description: str = (
        "Is the whole market calm enough for an entry: data health, every crash metric's distance "
        "to its limit, breadth, and the guardian's state."
    )
    args_schema: Any = NoArguments
    tool_class: ClassVar[ToolClass] = ToolClass.READ

    def perform(self, arguments: NoArguments, snapshot: BreakerSnapshot) -> dict[str, Any]:
        market = self._client.market()
        worst = market.worst
        problems = []
        if not market.healthy:
            problems.append(f"market data: {market.problem or 'unhealthy'}")
        if any(metric.is_breached for metric in market.metrics):
            breached = ", ".join(m.name for m in market.metrics if m.is_breached)
            # After a crash the windows still hold the fall; the breaker's stages govern then.
            if snapshot.status is not BreakerStatus.RECOVERING:
                problems.append(f"hard limit reached: {breached}")
        if not snapshot.allows_entries:
            problems.append(f"the breaker is {snapshot.status}")
        return {
            "stable": not problems,
            "problems": problems,
            "share_of_limit": round(market.share_of_limit, 4),
            "worst_metric": worst.name if worst else None,
            "worst_value": round(worst.value, 4) if worst else None,
            "breadth_falling": market.breadth_falling,
            "breadth_tracked": market.breadth_tracked,
            "feed_age_ms": market.feed_age_ms,
            "size_multiplier": snapshot.size_multiplier,
            "guardian": {
                "status": snapshot.status.value,
                "stage": snapshot.stage,
                "latch": snapshot.latch.value,
                "causes": list(snapshot.causes),
                "trips_24h": snapshot.trips_24h,
            },
            "distances": [
                {
                    "metric": metric.name,
                    "value": analytics.rounded(metric.value),
                    "warning_at": metric.soft_limit,
                    "halt_at": metric.hard_limit,
                    "left": analytics.rounded(max(0.0, metric.hard_limit - metric.value)),
                    "unit": metric.unit,
                }
                for metric in sorted(
                    (one for one in market.metrics if one.ready),
                    key=lambda one: -one.share_of_limit,
                )
            ],
            "not_ready": [metric.name for metric in market.metrics if not metric.ready],
        }
