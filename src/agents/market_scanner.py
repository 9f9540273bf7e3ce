"""The market scanner, "Binance Market Surveillance Specialist": reads the market, nothing else."""

from __future__ import annotations

from agents.builder import AgentSpec

SPEC = AgentSpec(
    name="market_scanner",
    tools=frozenset(
        {
            "check_circuit_breaker_status",
            "get_market_prices",
            "get_market_windows",
            "get_order_book",
            "get_futures_data",
            "get_liquidations",
            "summarize_technicals",
        }
    ),
)
