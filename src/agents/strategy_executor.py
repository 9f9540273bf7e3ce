"""The strategy executor: the only agent with an order tool."""

from __future__ import annotations

from agents.builder import AgentSpec

SPEC = AgentSpec(
    name="strategy_executor",
    tools=frozenset(
        {
            "check_circuit_breaker_status",
            "place_entry_order",
            "cancel_order",
            "close_position",
            "get_portfolio",
        }
    ),
)
