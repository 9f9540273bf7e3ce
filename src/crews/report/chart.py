"""Line charts as inline SVG: no script, no font or image from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from crews.report.content import Zone
from crews.report.curves import Curve, unbroken
from trading.clock import DAY_MS, HOUR_MS, MINUTE_MS, utc

WIDTH, HEIGHT = 960, 320
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 10, 46
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
X_TICKS, Y_TICKS = 8, 5
CHARACTER_WIDTH = 8  # of a label, at most
_MONTH_MS = 30 * DAY_MS
_TIME_STEPS = (
    *(minutes * MINUTE_MS for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * HOUR_MS for hours in (1, 2, 3, 6, 12)),
    *(days * DAY_MS for days in (1, 2, 7, 14)),
    *(months * _MONTH_MS for months in (1, 2, 3, 6, 12)),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One curve; ``style`` is its class in the page's style sheet."""

    curve: Curve
    style: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, as a tick below the plot. ``title`` shows under the pointer."""

    time_ms: int
    style: str
    title: str


def line_chart(
    lines: Sequence[Line],
    zones: Iterable[Zone],
    marks: Iterable[Mark],
    *,
    start_ms: int,
    end_ms: int,
    label: str,
    unit: Callable[[float], str],
) -> Markup:
    """``lines`` over shaded ``zones``; ``unit`` writes a value on the axis, ``label`` says to a
    screen reader what is drawn."""
    span_ms = max(end_ms - start_ms, 1)

    def x(time_ms: int) -> float:
        return LEFT + (min(max(time_ms, start_ms), end_ms) - start_ms) / span_ms * PLOT_WIDTH

    low, high, step = _range([value for line in lines for _, value in line.curve])

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * PLOT_HEIGHT

    parts = [
        Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, label)
    ]
    parts += [_zone(zone, x) for zone in zones]
    for tick in range(round((high - low) / step) + 1):
        value = low + tick * step
        parts.append(_y_tick(y(value), unit(value)))
    parts += [_x_tick(x(at), text) for at, text in _time_ticks(start_ms, end_ms)]
    for line in lines:
        parts += [_path(part, line.style, x, y) for part in unbroken(line.curve)]
    parts += [_mark(mark, x) for mark in marks]
    parts.append(Markup("</svg>"))
    return Markup("\n").join(parts)


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most four points for each unit of the first coordinate (ascending): the first, the lowest,
    the highest and the last, in their order, so that no extreme is lost."""
    kept: list[tuple[float, float]] = []
    begin = 0
    for place in range(1, len(points) + 1):
        if place < len(points) and int(points[place][0]) == int(points[begin][0]):
            continue
        column = range(begin, place)
        lowest = min(column, key=lambda i: points[i][1])
        highest = max(column, key=lambda i: points[i][1])
        kept += [points[i] for i in sorted({begin, lowest, highest, place - 1})]
        begin = place
    return kept


def _path(
    curve: Curve, style: str, x: Callable[[int], float], y: Callable[[float], float]
) -> Markup:
    points = thinned([(x(time_ms), y(value)) for time_ms, value in curve])
    if len(points) == 1:  # a line of no length would not be seen
        points.append((points[0][0] + 1, points[0][1]))
    drawn = " ".join(f"{at:.1f},{height:.1f}" for at, height in points)
    return Markup('<polyline class="{}" points="{}"/>').format(style, drawn)


def _zone(zone: Zone, x: Callable[[int], float]) -> Markup:
    left, right = x(zone.start_ms), x(zone.end_ms)
    title = f"{zone.status} {_moment(zone.start_ms)} to {_moment(zone.end_ms)} UTC"
    return Markup(
        '<rect class="zone {}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
    ).format(
        zone.status.lower(), f"{left:.1f}", TOP, f"{max(right - left, 1):.1f}", PLOT_HEIGHT, title
    )


def _mark(mark: Mark, x: Callable[[int], float]) -> Markup:
    at = f"{x(mark.time_ms):.1f}"
    top = HEIGHT - BOTTOM + 4
    return Markup(
        '<line class="mark {}" x1="{}" x2="{}" y1="{}" y2="{}"><title>{}</title></line>'
    ).format(mark.style, at, at, top, top + 10, mark.title)


def _y_tick(height: float, text: str) -> Markup:
    return Markup(
        '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<text class="axis y" x="{}" y="{}">{}</text>'
    ).format(
        LEFT,
        WIDTH - RIGHT,
        f"{height:.1f}",
        f"{height:.1f}",
        LEFT - 8,
        f"{height + 4:.1f}",
        escape(text),
    )


def _x_tick(at: float, text: str) -> Markup:
    half = len(text) * CHARACTER_WIDTH / 2
    middle = min(at, WIDTH - half)  # a label at the right edge would be cut off
    return Markup('<text class="axis x" x="{}" y="{}">{}</text>').format(
        f"{middle:.1f}", HEIGHT - 10, text
    )


def _range(values: Sequence[float]) -> tuple[float, float, float]:
    """Round numbers around ``values``: lowest, highest and the step between grid lines."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high - low <= abs(high) * 1e-9:
        margin = abs(high) * 0.01 or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / Y_TICKS
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= rough)
    return math.floor(low / step) * step, math.ceil(high / step) * step, step


def _time_ticks(start_ms: int, end_ms: int) -> list[tuple[int, str]]:
    """Round times with their labels; a year or more is cut into equal parts."""
    rough_ms = (end_ms - start_ms) / X_TICKS
    step_ms = next((step for step in _TIME_STEPS if step >= rough_ms), None) or math.ceil(rough_ms)
    first = -(-start_ms // step_ms) * step_ms
    return [(at, _tick_text(at, step_ms)) for at in range(first, end_ms + 1, step_ms)]


def _tick_text(at: int, step_ms: int) -> str:
    if step_ms >= _MONTH_MS:
        return f"{utc(at):%Y-%m-%d}"
    if step_ms >= DAY_MS or at % DAY_MS == 0:
        return f"{utc(at):%m-%d}"
    return f"{utc(at):%H:%M}"


def _moment(time_ms: int) -> str:
    return f"{utc(time_ms):%Y-%m-%d %H:%M:%S}"
