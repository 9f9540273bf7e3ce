"""The context analyzer: why a pair moved. It reads outside text, so it has no order tool."""

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
            "get_futures_data",
            "analyze_correlation",
            "detect_manipulation",
            "match_spike_history",
            "get_news_sentiment",
            "get_social_sentiment",
            "get_large_transfers",
        }
    ),
)
