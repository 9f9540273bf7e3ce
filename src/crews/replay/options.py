"""What `replay` was asked to do on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """Either ``window`` or both of ``start`` and ``end`` (ISO 8601, UTC) choose the span."""

    data: Path
    window: str | None = None
    start: str | None = None
    end: str | None = None
    without_crews: bool = False  # detectors, breaker and gateway only
    record: Path | None = None  # append the models' answers to this file
    recording: Path | None = None  # answer from this file instead of asking a model
    trace: Path | None = None  # write the hashed trace as JSON lines
    report: Path | None = None  # write an HTML page about it
    store: Path | None = None  # keep the store of the run with the breaker
