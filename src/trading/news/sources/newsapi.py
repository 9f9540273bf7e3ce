"""NewsAPI's search over the general press."""

from __future__ import annotations

import msgspec

from trading.model.news import NewsKind
from trading.news.config import NewsApiConfig
from trading.news.fetcher import Fetcher
from trading.news.raw import RawArticle
from trading.news.sources.base import Found, Kind, read_items, time_of


class _Publisher(msgspec.Struct):
    name: str | None = None


class _Item(msgspec.Struct):
    title: str | None = None
    description: str | None = None
    url: str | None = None
    published_at: str = msgspec.field(name="publishedAt", default="")
    source: _Publisher | None = None


class _Answer(msgspec.Struct):
    articles: list[msgspec.Raw]


class NewsApiSource:
    name = "NewsAPI"
    kind: Kind = "news"

    def __init__(self, config: NewsApiConfig, fetcher: Fetcher, key: str) -> None:
        self.min_interval_s = config.min_interval_s
        self._config = config
        self._fetcher = fetcher
        self._key = key

    async def fetch(self) -> Found:
        """Raises NewsSourceError."""
        params = {"q": self._config.query, "language": "en", "sortBy": "publishedAt"}
        body = await self._fetcher.get(
            self._config.url, params=params | {"pageSize": "100"}, headers={"X-Api-Key": self._key}
        )
        if body is None:
            return Found()
        rows = self._fetcher.decode(body, _Answer).articles
        articles, malformed = read_items(self.name, rows, self._article)
        return Found(articles=articles, malformed=malformed)

    def _article(self, row: msgspec.Raw) -> RawArticle:
        item = msgspec.json.decode(row, type=_Item, strict=False)
        return RawArticle(
            kind=NewsKind.NEWS,
            source=(item.source.name if item.source else None) or self.name,
            title=item.title or "",
            summary=item.description or "",
            url=item.url or "",
            published_at_ms=time_of(item.published_at),
        )
