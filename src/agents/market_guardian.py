"""The market guardian, "Market Crash Protection Specialist": tightens, never eases or orders."""

from __future__ import annotations

from agents.builder import AgentSpec

SPEC = AgentSpec(
    name="market_guardian",
    tools=frozenset(
        {
            "check_circuit_breaker_status",
            "trigger_circuit_breaker",
            "set_circuit_breaker_warning",
            "calculate_market_drawdown",
            "start_circuit_breaker_recovery",
            "clear_circuit_breaker",
            "get_circuit_breaker_statistics",
            "assess_market_recovery_conditions",
            "check_market_stability",
            "get_market_prices",
            "get_market_windows",
            "get_futures_data",
            "get_liquidations",
            "analyze_correlation",
        }
    ),
)
