"""Columns of trades in the order they came: short ones as lists, long ones as numpy arrays.

A list is quicker for a handful, numpy for hundreds. Both give the same, to the last bit: sums are
made one addition after the other, whatever the kind.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque
from itertools import accumulate

import numpy as np
import numpy.typing as npt

Times = list[int] | npt.NDArray[np.int64]
Numbers = list[float] | npt.NDArray[np.float64]

MANY = 160  # from here on numpy is quicker


def columns(
    times: list[int], prices: list[float], quantities: list[float]
) -> tuple[Times, Numbers, Numbers]:
    """The columns in the kind that is quicker for so many."""
    count = len(times)
    if count < MANY:
        return times, prices, quantities
    return (
        np.fromiter(times, np.int64, count),
        np.fromiter(prices, np.float64, count),
        np.fromiter(quantities, np.float64, count),
    )


def put(target: array[int] | array[float], values: Times | Numbers) -> None:
    """Append the column to a store of the same type."""
    if isinstance(values, list):
        target.fromlist(values)  # type: ignore[arg-type]  # the caller's types fit each other
    else:
        target.frombytes(values.tobytes())


def never_falling(times: Times, floor_ms: int) -> Times:
    """Times that are later than one that follows count as of the latest so far."""
    if not isinstance(times, list):
        if times[0] >= floor_ms and bool((times[1:] >= times[:-1]).all()):
            return times
        return np.maximum(np.maximum.accumulate(times), floor_ms)
    if times[0] >= floor_ms and (len(times) == 1 or times == sorted(times)):
        return times
    return list(accumulate(times, max, initial=floor_ms))[1:]


def running_totals(total: float, numbers: Numbers) -> Numbers:
    """``total`` and the numbers up to and including each."""
    if isinstance(numbers, list):
        totals = list(accumulate(numbers, initial=total))
        del totals[0]
        return totals
    sums = numbers.copy()
    sums[0] += total
    return np.add.accumulate(sums, out=sums)


def total(before: float, numbers: Numbers) -> float:
    """The last of the ``running_totals``."""
    if isinstance(numbers, list):
        return deque(accumulate(numbers, initial=before), maxlen=1)[0]
    return float(running_totals(before, numbers)[-1])


def bounds(numbers: Numbers) -> tuple[float, float]:
    """The lowest and the highest."""
    if isinstance(numbers, list):
        return min(numbers), max(numbers)
    return float(numbers.min()), float(numbers.max())


def first_from(times: Times, time_ms: int, at: int) -> int:
    """Position of the first time from ``time_ms`` on, of those from ``at`` on."""
    if isinstance(times, list):
        return bisect_left(times, time_ms, at)
    return at + int(np.searchsorted(times[at:], time_ms))


def last_extremes(
    times: Times, prices: Numbers
) -> tuple[list[int], list[float], list[int], list[float]]:
    """Prices above all later ones and below all later ones, each after its times, oldest first."""
    if isinstance(prices, list) or isinstance(times, list):
        return _last_extremes(times, prices)
    backwards = prices[::-1]
    return (
        *_records(times, np.maximum.accumulate(backwards)),
        *_records(times, np.minimum.accumulate(backwards)),
    )


def _records(
    times: npt.NDArray[np.int64], extremes: npt.NDArray[np.float64]
) -> tuple[list[int], list[float]]:
    """Where the extremes, which run backwards, change: times and values, oldest first."""
    changes = np.flatnonzero(extremes[1:] != extremes[:-1])[::-1] + 1
    found_times, found = times[-1 - changes].tolist(), extremes[changes].tolist()
    found_times.append(int(times[-1]))
    found.append(float(extremes[0]))
    return found_times, found


def _last_extremes(
    times: Times, prices: Numbers
) -> tuple[list[int], list[float], list[int], list[float]]:
    high = low = prices[-1]
    highs, lows, high_times, low_times = [high], [low], [times[-1]], [times[-1]]
    for at in range(len(prices) - 2, -1, -1):
        price = prices[at]
        if price > high:
            high = price
            highs.append(price)
            high_times.append(times[at])
        elif price < low:
            low = price
            lows.append(price)
            low_times.append(times[at])
    for column in (high_times, highs, low_times, lows):
        column.reverse()
    return high_times, highs, low_times, lows
