"""Adapters, one for each kind of source; every one is a ``Source``."""
