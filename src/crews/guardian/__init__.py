"""The guardian crew."""
