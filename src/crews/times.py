"""Times as a person writes them on the command line."""

from __future__ import annotations

from trading.clock import from_iso
from trading.errors import ConfigurationError


def time_option(option: str, text: str | None) -> int | None:
    """Unix ms of an ISO 8601 time in UTC. Raises ConfigurationError that names ``option``."""
    if text is None:
        return None
    try:
        return from_iso(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{option} = {text!r}: not a time; write ISO 8601 in UTC, such as 2021-05-19T00:00"
        ) from error
