"""CrewAI tools: a schema and one core call each; every one reads the breaker first."""
