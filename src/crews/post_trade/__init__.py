"""Looks back at closed trades."""
