"""The models behind the agents: providers, fallbacks, budgets, recorded replies."""
