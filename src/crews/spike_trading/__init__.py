"""The spike-trading crew."""
