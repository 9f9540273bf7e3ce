"""Puts into words, for people, what the core did by rule."""
