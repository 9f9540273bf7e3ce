"""How alike two spikes are: Euclidean distance of logarithms, so that 2 % to 4 % is as far as
4 % to 8 %."""

from __future__ import annotations

import math

_SAME_PAIR = 0.25  # what another pair adds: as much as a fourth of a natural order of magnitude


def distance(
    *,
    magnitude_pct: tuple[float, float],
    minutes: tuple[int, int],
    volume_multiple: tuple[float, float],
    same_pair: bool,
) -> float:
    """Distance between two spikes' figures, 0 for equal ones of one pair."""
    parts = (
        _ratio(abs(magnitude_pct[0]), abs(magnitude_pct[1])),
        _ratio(minutes[0], minutes[1]),
        _ratio(volume_multiple[0], volume_multiple[1]),
        0.0 if same_pair else _SAME_PAIR,
    )
    return math.sqrt(math.fsum(part * part for part in parts))


def _ratio(one: float, other: float) -> float:
    floor = 0.01  # a move or a volume of nothing is no infinite distance
    return math.log(max(one, floor) / max(other, floor))
