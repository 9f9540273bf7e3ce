"""`doctor`'s checks of the venue: reach, clock, key and permissions."""

from __future__ import annotations

from crews.checks import Check, Level
from crews.config_loader import LoadedConfig


def check_venue(loaded: LoadedConfig) -> list[Check]:
    """Venue sim is started by `live` itself, so there is nothing to reach beforehand."""
    if loaded.config.exchange.venue == "sim":
        return [Check("venue", Level.OK, "sim: the embedded exchange, no key needed")]
    return []
