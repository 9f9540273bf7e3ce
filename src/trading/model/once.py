"""A value that is made when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """What ``make`` returns, made at the first call; that of a call which raises is made again.

    For one thread. Setting up a ``functools.cache`` takes twenty microseconds in a process that has
    just woken, too long on the way to a halt.
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: tuple[T] | None = None

    def __call__(self) -> T:
        if self._made is None:
            self._made = (self._make(),)
        return self._made[0]
