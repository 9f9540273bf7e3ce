"""The agents: prompts, models, typed outputs."""
