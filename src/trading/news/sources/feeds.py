"""RSS and Atom feeds."""

from __future__ import annotations

import asyncio
import calendar
import io
from functools import partial
from typing import Any

import feedparser

from trading.model.news import NewsKind
from trading.news.config import FeedConfig
from trading.news.fetcher import Fetcher
from trading.news.raw import RawArticle
from trading.news.sources.base import Found, Kind, read_items

MOST_ENTRIES = 200
PARSE_TIMEOUT_S = 10.0


class FeedSource:
    """One feed. It says how often it may be asked by its own HTTP answers (429, Retry-After)."""

    kind: Kind = "news"

    def __init__(self, config: FeedConfig, fetcher: Fetcher, min_interval_s: float) -> None:
        self.name = config.name
        self.min_interval_s = min_interval_s
        self._url = config.url
        self._fetcher = fetcher

    async def fetch(self) -> Found:
        """Raises NewsSourceError."""
        body = await self._fetcher.get(self._url)
        if body is None:
            return Found()
        # Parsing takes as long as the author of the feed likes; the other sources go on.
        parsed = await asyncio.wait_for(asyncio.to_thread(_entries, body), PARSE_TIMEOUT_S)
        articles, malformed = read_items(self.name, parsed, partial(_article, source=self.name))
        return Found(articles=articles, malformed=malformed)


def _entries(body: bytes) -> list[Any]:
    # As a file object: a text would be taken for an address and fetched.
    return list(feedparser.parse(io.BytesIO(body), resolve_relative_uris=False).entries)[
        :MOST_ENTRIES
    ]


def _article(entry: Any, source: str) -> RawArticle:
    moment = entry.get("published_parsed") or entry.get("updated_parsed")
    return RawArticle(
        kind=NewsKind.NEWS,
        source=source,
        title=str(entry.get("title", "")),
        summary=str(entry.get("summary", "")),
        url=str(entry.get("link", "")),
        published_at_ms=None if moment is None else calendar.timegm(moment) * 1000,
    )
