"""Draws trips and crashes: prices around them, with the moments marked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from crews.evaluation.archive import Archive, column_of, times_of
from crews.evaluation.folder import make_folder
from crews.evaluation.guardian import Progress
from crews.evaluation.guardian_report import GuardianReport
from crews.evaluation.guardian_text import moment
from trading.clock import MINUTE_MS
from trading.errors import ConfigurationError
from trading.simulator.recorded_files import LEADERS

BEFORE_MS = 4 * 60 * MINUTE_MS
AFTER_MS = 8 * 60 * MINUTE_MS
_HOUR_MS = 60 * MINUTE_MS


def plot_guardian(
    archive: Archive, report: GuardianReport, folder: Path, say: Progress
) -> list[Path]:
    """A picture per required event, per named window's first trip and per trip beside those.

    Raises ConfigurationError where matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ConfigurationError(
            "plots need matplotlib: pip install 'spikeguard[evaluation]'"
        ) from error
    matplotlib.use("Agg")
    make_folder(folder)
    moments = sorted(
        {event.crossed_ms for event in report.events if event.required}
        | {window.first_trip_ms for window in report.windows if window.first_trip_ms}
        | {trip.time_ms for trip in report.trips}
    )
    drawn: list[Path] = []
    shown_until_ms = 0
    for time_ms in moments:
        if time_ms < shown_until_ms:  # already in the picture before
            continue
        shown_until_ms = time_ms + AFTER_MS
        say(f"drawing {moment(time_ms)}")
        drawn.append(_draw(archive, report, time_ms, folder))
    return drawn


def _draw(archive: Archive, report: GuardianReport, time_ms: int, folder: Path) -> Path:
    import matplotlib.pyplot as plt

    start_ms, end_ms = time_ms - BEFORE_MS, time_ms + AFTER_MS
    figure, axes = plt.subplots(figsize=(11, 6))
    for symbol, series in archive.cut(start_ms, end_ms).items():
        hours = (times_of(series) + MINUTE_MS - time_ms) / _HOUR_MS
        closes = column_of(series, "close")
        is_leader = symbol in LEADERS
        axes.plot(
            hours,
            (closes / closes[0] - 1.0) * 100.0,
            linewidth=1.6 if is_leader else 0.5,
            alpha=1.0 if is_leader else 0.4,
            color=None if is_leader else "grey",
            label=symbol if is_leader else None,
        )
    for trip in report.trips:
        _mark(axes, trip.time_ms, time_ms, "crimson", f"trip: {trip.rules[0]}", end_ms)
    for event in report.events:
        if event.required:
            label = f"{event.asset} −{event.threshold_pct:g} %"
            _mark(axes, event.crossed_ms, time_ms, "black", label, end_ms)
    axes.set_xlabel(f"hours from {moment(time_ms)} UTC")
    axes.set_ylabel("% from the price four hours before")
    axes.set_ylim(*np.clip(axes.get_ylim(), -100, 30))
    axes.legend(loc="lower left", fontsize="small")
    axes.grid(alpha=0.3)
    path = folder / f"{moment(time_ms)[:16].replace(' ', 'T').replace(':', '')}.png"
    figure.savefig(path, dpi=100, bbox_inches="tight")
    plt.close(figure)
    return path


def _mark(axes: Any, at_ms: int, zero_ms: int, color: str, label: str, end_ms: int) -> None:
    if zero_ms - BEFORE_MS <= at_ms < end_ms:
        style = "-" if color == "crimson" else ":"
        hours = (at_ms - zero_ms) / _HOUR_MS
        axes.axvline(hours, color=color, linestyle=style, linewidth=0.9, label=label)
