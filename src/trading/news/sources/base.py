"""What every source offers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from trading.clock import from_iso
from trading.model.news import LargeTransfer
from trading.news.raw import RawArticle

Kind = Literal["news", "social", "on_chain"]


@dataclass(frozen=True, slots=True)
class Found:
    """What one round through a source brought."""

    articles: list[RawArticle] = field(default_factory=list)
    transfers: list[LargeTransfer] = field(default_factory=list)


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


def time_of(text: str) -> int | None:
    """UTC milliseconds of an ISO 8601 time; None when it is none."""
    try:
        return from_iso(text.replace("Z", "+00:00"))
    except ValueError:
        return None
