"""The risk assessor: stop, target and size through the risk engine, or a veto."""

from __future__ import annotations

from agents.builder import AgentSpec

SPEC = AgentSpec(
    name="risk_assessor",
    tools=frozenset(
        {
            "check_circuit_breaker_status",
            "calculate_position_size",
            "evaluate_trade_risk",
            "optimize_position_size",
            "calculate_slippage",
            "calculate_risk_metrics",
            "analyze_portfolio",
            "get_portfolio",
            "get_market_windows",
        }
    ),
)
