"""A few figures of every pair, as columns: set one by one, read of all pairs at once."""

from __future__ import annotations

from array import array
from typing import Generic, Protocol, TypeVar

import numpy as np

_Number = TypeVar("_Number", int, float)


class PairFigures:
    """One row a pair. The arrays are for single rows; numpy's views of them, named alike with a
    leading ``all_``, for all of them."""

    def __init__(self, pairs: int) -> None:
        floats, integers = [0.0] * pairs, [0] * pairs
        self.price = array("d", floats)  # as of the last pass; 0 where there is none
        self.fall_line = array("d", floats)
        self.sure_fall_line = array("d", floats)
        self.falling_until_ms = array("q", integers)
        self.tracked_until_ms = array("q", integers)
        self.untracked_until_ms = array("q", integers)
        self.weigh_from_ms = array("q", integers)
        self.is_falling = array("b", integers)
        self.all_price = np.frombuffer(self.price)
        self.all_fall_line = np.frombuffer(self.fall_line)
        self.all_sure_fall_line = np.frombuffer(self.sure_fall_line)
        self.all_falling_until_ms = np.frombuffer(self.falling_until_ms, np.int64)
        self.all_tracked_until_ms = np.frombuffer(self.tracked_until_ms, np.int64)
        self.all_untracked_until_ms = np.frombuffer(self.untracked_until_ms, np.int64)
        self.all_weigh_from_ms = np.frombuffer(self.weigh_from_ms, np.int64)
        self.all_is_falling = np.frombuffer(self.is_falling, np.bool_)


class Row(Protocol):
    """What has a row of figures."""

    figures: PairFigures
    number: int


class Figure(Generic[_Number]):
    """An attribute that lies in its row of the column of the same name."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, row: Row, owner: type) -> _Number:
        number: _Number = getattr(row.figures, self._name)[row.number]
        return number

    def __set__(self, row: Row, value: _Number) -> None:
        getattr(row.figures, self._name)[row.number] = value
