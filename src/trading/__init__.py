"""The deterministic core: market, breaker, gateway, exchange. Imports no LLM library."""
