"""Assembles and runs the core process."""
