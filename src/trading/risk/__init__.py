"""Risk: the circuit breaker, limits, sizing, decision validation."""
