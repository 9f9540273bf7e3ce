"""The context analyzer: why a pair moved. It may come to read outside text: no order tool."""

from __future__ import annotations

from agents.builder import AgentSpec

SPEC = AgentSpec(
    name="context_analyzer",
    tools=frozenset(
        {
            "check_circuit_breaker_status",
            "analyze_spike_context",
            "summarize_technicals",
            "get_market_windows",
            "get_order_book",
        }
    ),
)
