"""What every source offers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

import msgspec

from trading.clock import from_iso
from trading.errors import NewsSourceError
from trading.model.news import LargeTransfer
from trading.news.raw import RawArticle

Kind = Literal["news", "social", "on_chain"]
Row = TypeVar("Row")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Found:
    """What one round through a source brought; ``malformed`` items of it were left out."""

    articles: list[RawArticle] = field(default_factory=list)
    transfers: list[LargeTransfer] = field(default_factory=list)
    malformed: int = 0


class Source(Protocol):
    """Asked again and again; remembers for itself what it needs to."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def min_interval_s(self) -> float: ...

    async def fetch(self) -> Found:
        """What is there now, known things included. Raises NewsSourceError."""
        ...


def read_items(
    name: str, rows: Iterable[Row], read: Callable[[Row], Item | None]
) -> tuple[list[Item], int]:
    """What ``read`` makes of each row (None: nothing), and how many rows are malformed.

    A malformed one costs itself alone.

    Raises:
        NewsSourceError: all of them are: the source speaks another language now.
    """
    found: list[Item] = []
    asked = malformed = 0
    for row in rows:
        asked += 1
        try:
            item = read(row)
        except (msgspec.MsgspecError, ValueError, TypeError, ArithmeticError):
            malformed += 1
            continue
        if item is not None:
            found.append(item)
    if malformed and malformed == asked:
        raise NewsSourceError(f"{name}: none of its {asked} items is understood")
    return found, malformed


def time_of(text: str) -> int | None:
    """UTC milliseconds of an ISO 8601 time; None when it is none."""
    try:
        return from_iso(text.replace("Z", "+00:00"))
    except ValueError:
        return None
