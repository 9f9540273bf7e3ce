"""Columns of trades in the order they came: short ones as lists, long ones as numpy arrays.

A list is quicker for a handful, numpy for hundreds. Both give the same, to the last bit: sums are
made one addition after the other, whatever the kind. Trades wait packed, one after the other.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque
from itertools import accumulate
from struct import Struct
from typing import overload

import numpy as np
import numpy.typing as npt

Times = list[int] | npt.NDArray[np.int64]
Numbers = list[float] | npt.NDArray[np.float64]

MANY = 112  # from here on numpy is quicker

_TRADE = Struct("=qdd")
_ROW = np.dtype([("time_ms", "=i8"), ("price", "=f8"), ("quantity", "=f8")])
_TIME_AND_PRICE = Struct("=qd")
TRADE_BYTES = _TRADE.size
pack_trade = _TRADE.pack  # time in ms, price, quantity


def columns(trades: bytearray) -> tuple[Times, Numbers, Numbers]:
    """Times, prices and quantities of packed trades. They may not grow while a column lives."""
    count = len(trades) // TRADE_BYTES
    if count == 1:
        time_ms, price, quantity = _TRADE.unpack(trades)
        return [time_ms], [price], [quantity]
    rows = np.frombuffer(trades, _ROW)
    times, prices, quantities = rows["time_ms"], rows["price"], rows["quantity"]
    if count < MANY:
        return times.tolist(), prices.tolist(), quantities.tolist()
    return times, prices, quantities


def prices_from(trades: bytearray, offset: int) -> Numbers:
    """The prices of packed trades from a byte on; as ``columns``."""
    prices = np.frombuffer(trades, _ROW, offset=offset)["price"]
    return prices.tolist() if len(prices) < MANY else prices


def last_trade(trades: bytearray) -> tuple[int, float]:
    """Time and price of the last of packed trades, of which there must be one."""
    time_ms, price = _TIME_AND_PRICE.unpack_from(trades, -TRADE_BYTES)
    return time_ms, price


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


@overload
def bounds(numbers: Numbers) -> tuple[float, float]: ...


@overload
def bounds(numbers: Times) -> tuple[int, int]: ...


def bounds(numbers: Numbers | Times) -> tuple[float, float]:
    """The lowest and the highest."""
    if isinstance(numbers, list):
        return min(numbers), max(numbers)
    return numbers.min().item(), numbers.max().item()


def last_highest(prices: Numbers) -> int:
    """Position of the highest price, the last of equal ones."""
    if isinstance(prices, list):
        return len(prices) - 1 - prices[::-1].index(max(prices))
    return len(prices) - 1 - int(prices[::-1].argmax())


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
