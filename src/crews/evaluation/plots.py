"""Draws trips and crashes: prices around them, with the moments marked."""

from __future__ import annotations

from collections.abc import Mapping
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
from trading.simulator.recorded_series import BarSeries

BEFORE_MS = 4 * 60 * MINUTE_MS
AFTER_MS = 8 * 60 * MINUTE_MS
_CLOSE_BEFORE_MS, _CLOSE_AFTER_MS = 10 * MINUTE_MS, 30 * MINUTE_MS
_HOUR_MS = 60 * MINUTE_MS
_COLORS = dict(zip(LEADERS, ("tab:blue", "tab:orange"), strict=True))
_DEEPER_PCT = 20  # crossings of 15 % are dotted, of this dashed


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
    """Twelve hours, and beside them the minutes in which crossings and trips lie together."""
    import matplotlib.pyplot as plt

    figure, (whole, close) = plt.subplots(
        ncols=2, figsize=(15, 6), width_ratios=(3, 2), layout="constrained"
    )
    cut = archive.cut(time_ms - BEFORE_MS, time_ms + AFTER_MS)
    _panel(whole, cut, report, time_ms, (time_ms - BEFORE_MS, time_ms + AFTER_MS), _HOUR_MS)
    around = (time_ms - _CLOSE_BEFORE_MS, time_ms + _CLOSE_AFTER_MS)
    _panel(close, cut, report, time_ms, around, MINUTE_MS)
    figure.suptitle(f"{moment(time_ms)} UTC")
    whole.set_xlabel("hours")
    close.set_xlabel("minutes")
    whole.set_ylabel("% from the price four hours before")
    whole.legend(loc="lower left", fontsize="small")
    close.legend(loc="upper right", fontsize="small")
    path = folder / f"{moment(time_ms)[:16].replace(' ', 'T').replace(':', '')}.png"
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path


def _panel(
    axes: Any,
    cut: Mapping[str, BarSeries],
    report: GuardianReport,
    zero_ms: int,
    span: tuple[int, int],
    unit_ms: int,
) -> None:
    start_ms, end_ms = span
    for symbol, series in cut.items():
        times, closes = times_of(series) + MINUTE_MS, column_of(series, "close")
        shown = (times >= start_ms) & (times < end_ms)
        color = _COLORS.get(symbol)
        axes.plot(
            (times[shown] - zero_ms) / unit_ms,
            (closes[shown] / closes[0] - 1.0) * 100.0,
            linewidth=1.6 if color else 0.5,
            alpha=1.0 if color else 0.4,
            color=color or "grey",
            label=symbol if color else None,
        )
    for trip in report.trips:
        if start_ms <= trip.time_ms < end_ms:
            at = (trip.time_ms - zero_ms) / unit_ms
            axes.axvline(at, color="crimson", linewidth=1.2, label=f"trip: {trip.rules[0]}")
    for event in report.events:
        if event.required and start_ms <= event.crossed_ms < end_ms:
            axes.axvline(
                (event.crossed_ms - zero_ms) / unit_ms,
                color=next((c for s, c in _COLORS.items() if s.startswith(event.asset)), "black"),
                linestyle=":" if event.threshold_pct < _DEEPER_PCT else "--",
                linewidth=1.2,
                label=f"{event.asset} −{event.threshold_pct:g} %",
            )
    axes.set_xlim((start_ms - zero_ms) / unit_ms, (end_ms - zero_ms) / unit_ms)
    axes.set_ylim(*np.clip(axes.get_ylim(), -100, 30))
    axes.grid(alpha=0.3)
