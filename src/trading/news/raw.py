"""What a source found, before anything is made of it."""

from __future__ import annotations

from dataclasses import dataclass

from trading.model.news import NewsKind


@dataclass(frozen=True, slots=True)
class RawArticle:
    """An article as its source gave it: texts not cleaned, ``published_at_ms`` None if not said.

    ``assets`` are those that the source itself names, such as ("BTC",).
    """

    kind: NewsKind
    source: str
    title: str
    summary: str = ""
    url: str = ""
    published_at_ms: int | None = None
    assets: tuple[str, ...] = ()
