"""News and social posts: fetched, cleaned, deduplicated, matched to pairs, scored. No LLM here."""
