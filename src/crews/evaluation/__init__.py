"""Measures the detectors on recorded data."""
